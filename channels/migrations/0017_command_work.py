from django.db import migrations

ADD = """
INSERT INTO channels_connectionwork (connection_id, kind, leased_until)
SELECT id, 'commands', now() FROM channels_connection
ON CONFLICT (connection_id, kind) DO NOTHING
"""


class Migration(migrations.Migration):
    """Connections made before carry out commands too."""

    dependencies = [("channels", "0016_commands")]

    operations = [migrations.RunSQL(ADD, "DELETE FROM channels_connectionwork WHERE kind = 'commands'")]
