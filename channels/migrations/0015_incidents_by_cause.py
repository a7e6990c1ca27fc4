from django.db import migrations

# What is only promised too often is found anew within seconds, by item; what was refused keeps its cell as its subject.
REGROUP = """
UPDATE channels_incident SET severity = 3 WHERE kind IN ('oversold', 'reconnect', 'guard');
UPDATE channels_incident SET confirmed_at = opened_at;
UPDATE channels_incident SET resolved_at = now(), resolution = 'counted by item from now on'
WHERE kind = 'oversold' AND resolved_at IS NULL;
INSERT INTO channels_incidentsubject (incident_id, key, title, connection_id, variant_id, cell_id, since)
SELECT id, key, title, connection_id, variant_id, cell_id, opened_at
FROM channels_incident WHERE kind = 'refused' AND resolved_at IS NULL AND cell_id IS NOT NULL;
INSERT INTO channels_incidentevent (incident_id, kind, at, words, alerted_at)
SELECT id, 'opened', opened_at, title, now() FROM channels_incident;
INSERT INTO channels_incidentevent (incident_id, kind, at, words, actor_id, alerted_at)
SELECT id, 'closed', resolved_at, resolution, resolved_by_id, now()
FROM channels_incident WHERE resolved_at IS NOT NULL;
"""


class Migration(migrations.Migration):
    """Incidents of before have a severity, a timeline and subjects; oversold ones are one an item."""

    dependencies = [("channels", "0014_incident_life")]

    operations = [migrations.RunSQL(REGROUP, migrations.RunSQL.noop)]
