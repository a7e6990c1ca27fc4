from django.db import migrations

ADD = """
INSERT INTO channels_connectionwork (connection_id, kind, leased_until)
SELECT id, 'webhooks', now() FROM channels_connection
ON CONFLICT (connection_id, kind) DO NOTHING
"""


class Migration(migrations.Migration):
    """Connections made before are looked at too."""

    dependencies = [("channels", "0011_subscriptions")]

    operations = [migrations.RunSQL(ADD, "DELETE FROM channels_connectionwork WHERE kind = 'webhooks'")]
