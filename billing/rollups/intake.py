"""What was sent, counted: tallies of single requests are folded into their key's hour."""

from django.db import connection, connections

from tenants.scope import tenant_scope

TALLIES_PER_FOLD_MAX = 20_000

FOLD_TALLIES_SQL = """
    WITH claimed AS (
        SELECT id FROM intake_tally WHERE tenant_id = %(tenant_id)s
        ORDER BY id LIMIT %(tallies_max)s FOR UPDATE SKIP LOCKED),
    tally AS (
        DELETE FROM intake_tally USING claimed
        WHERE intake_tally.tenant_id = %(tenant_id)s AND intake_tally.id = claimed.id
        RETURNING received_at, api_key_id, received, booked, duplicates, conflicts, rejected)
    INSERT INTO intake_hour AS stored (tenant_id, hour, api_key_id, received, booked, duplicates, conflicts, rejected)
    SELECT %(tenant_id)s, date_trunc('hour', received_at, 'UTC') AS hour, api_key_id, sum(received), sum(booked),
           sum(duplicates), sum(conflicts), sum(rejected)
    FROM tally GROUP BY hour, api_key_id ORDER BY hour, api_key_id
    ON CONFLICT (tenant_id, hour, api_key_id) DO UPDATE
    SET received = stored.received + excluded.received, booked = stored.booked + excluded.booked,
        duplicates = stored.duplicates + excluded.duplicates, conflicts = stored.conflicts + excluded.conflicts,
        rejected = stored.rejected + excluded.rejected"""


def fold_tallies(tenant_id: int) -> None:
    """Move the tenant's tallies into their hours; one statement, so each counts once. Call it in the tenant's scope."""
    with connection.cursor() as cursor:
        cursor.execute(FOLD_TALLIES_SQL, {"tenant_id": tenant_id, "tallies_max": TALLIES_PER_FOLD_MAX})


# Read as the reader, who sees every tenant: only whose turn it is.
LIST_TALLIED_TENANTS_SQL = "SELECT DISTINCT tenant_id FROM intake_tally ORDER BY tenant_id"


def fold_intake() -> None:
    """Fold the tallies of every tenant: requests that booked nothing leave no batch with which they would be folded."""
    with connections["reader"].cursor() as cursor:
        cursor.execute(LIST_TALLIED_TENANTS_SQL)
        tenant_ids = [tenant_id for (tenant_id,) in cursor.fetchall()]
    for tenant_id in tenant_ids:
        with tenant_scope(tenant_id):
            fold_tallies(tenant_id)
