"""A shop's own site tells no numbers: that its cells were not mentioned is no news, and they are told theirs again."""

from django.db import migrations

FOUND_AGAIN = """
UPDATE channels_channelstock c SET missing_at = NULL, recheck_at = NULL
FROM channels_connection n WHERE n.id = c.connection_id AND n.channel = 'own' AND c.missing_at IS NOT NULL;
DELETE FROM channels_stockgap g USING channels_connection n
WHERE n.id = g.connection_id AND n.channel = 'own' AND g.state IN ('open', 'asked') AND g.observed IS NULL;
"""


class Migration(migrations.Migration):
    dependencies = [("channels", "0003_gaps_decided_together")]

    operations = [migrations.RunSQL(FOUND_AGAIN, migrations.RunSQL.noop)]
