"""The ledger as Django reads it; `migrations/sql` makes the tables, `append.py` alone fills them."""

from django.db import models

MONEY = {"max_digits": 24, "decimal_places": 12}


class LedgerBatch(models.Model):
    """One accepted request's entries: how many, what they cost, their Merkle root and the signed receipt."""

    pk = models.CompositePrimaryKey("tenant_id", "batch_id")
    tenant_id = models.BigIntegerField()
    batch_id = models.UUIDField()  # version 7
    recorded_at = models.DateTimeField()
    api_key_id = models.CharField(max_length=16)
    kind = models.CharField(max_length=16)
    entry_count = models.IntegerField()
    unpriced_count = models.IntegerField()
    billed_cost = models.DecimalField(**MONEY)  # of the priced entries
    root = models.BinaryField()  # RFC 6962 over the leaves, by line
    receipt = models.TextField()  # JWS, EdDSA, over the header

    class Meta:
        db_table = "ledger_batch"
        indexes = [
            models.Index(
                fields=["tenant_id", "batch_id"], condition=models.Q(kind="admin_act"), name="batch_of_an_act"
            ),
        ]


class LedgerEntry(models.Model):
    """One event, adjustment or administrative act. Never updated, never deleted.

    Token buckets are disjoint, but for `reasoning_tokens`, a memo inside `output_tokens`. Money is in `currency`
    and null exactly when an entry is unpriced. Partitioned by month of `recorded_at`.
    """

    pk = models.CompositePrimaryKey("tenant_id", "batch_id", "line", "recorded_at")
    tenant_id = models.BigIntegerField()
    batch_id = models.UUIDField()
    line = models.IntegerField()  # the event's index in its request; gaps allowed
    recorded_at = models.DateTimeField()
    charge_period_start = models.DateTimeField()  # when it was used
    billing_period = models.DateField()  # first day of the month in which it is charged
    latency_ms = models.BigIntegerField(null=True)
    rate_version_id = models.BigIntegerField(null=True)
    input_tokens = models.BigIntegerField()
    cache_read_tokens = models.BigIntegerField()
    cache_write_tokens = models.BigIntegerField()
    cache_write_1h_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    reasoning_tokens = models.BigIntegerField()
    calls = models.SmallIntegerField()  # 1; -1 in a reversal
    context_tier = models.SmallIntegerField()  # 0: the base prices; n: the list's n-th tier
    cache_hit = models.BooleanField()
    kind = models.TextField()
    corrects = models.TextField(null=True)  # an entry's public id
    event_source = models.TextField()
    event_id = models.TextField()
    response_id = models.TextField()
    api_key_id = models.TextField()
    environment = models.TextField()
    feature = models.TextField()
    user_ref = models.TextField()
    cost_center = models.TextField()
    customer_tier = models.TextField()
    session_id = models.TextField()
    trace_id = models.TextField()
    span_id = models.TextField()
    parent_span_id = models.TextField()
    tags = models.JSONField()
    operation = models.TextField()
    provider = models.TextField()
    model = models.TextField()
    requested_model = models.TextField()
    service_tier = models.TextField()
    region = models.TextField()
    status = models.TextField()
    finish_reason = models.TextField()
    prompt_hash = models.TextField()
    content_digest = models.TextField()
    other_usage = models.JSONField()
    currency = models.TextField()
    pricing_status = models.TextField()
    pricing_reason = models.TextField()  # why it is unpriced; '' when priced
    input_cost = models.DecimalField(**MONEY, null=True)
    cache_read_cost = models.DecimalField(**MONEY, null=True)
    cache_write_cost = models.DecimalField(**MONEY, null=True)
    output_cost = models.DecimalField(**MONEY, null=True)
    other_cost = models.DecimalField(**MONEY, null=True)
    billed_cost = models.DecimalField(**MONEY, null=True)
    list_cost = models.DecimalField(**MONEY, null=True)
    saved_cost = models.DecimalField(**MONEY, null=True)
    reported_cost = models.DecimalField(**MONEY, null=True)
    leaf = models.BinaryField()

    class Meta:
        db_table = "ledger_entry"
        indexes = [
            models.Index(fields=["tenant_id", "charge_period_start"], name="entry_by_charge_period"),
            models.Index(
                fields=["tenant_id", "corrects"],
                condition=models.Q(corrects__isnull=False),
                name="entry_by_corrected",
            ),
            models.Index(fields=["tenant_id", "provider", "model", "charge_period_start"], name="entry_by_model"),
            models.Index(fields=["tenant_id", "trace_id"], condition=~models.Q(trace_id=""), name="entry_by_trace"),
        ]


class EventKey(models.Model):
    """ "This event, once": who claimed an identity, with which billable facts, and where its entry is."""

    pk = models.CompositePrimaryKey("tenant_id", "key")
    tenant_id = models.BigIntegerField()
    key = models.UUIDField()  # first 128 bits of SHA-256 over the identity
    fingerprint = models.UUIDField()  # the same over the billable fields
    batch_id = models.UUIDField()
    line = models.IntegerField()
    recorded_at = models.DateTimeField()

    class Meta:
        db_table = "event_key"


class Outbox(models.Model):
    """Work that a batch left behind. Ids only, no row security: a worker must see whose turn it is."""

    topic = models.TextField()
    tenant_id = models.BigIntegerField()
    batch_id = models.UUIDField()
    recorded_at = models.DateTimeField()
    entry_count = models.IntegerField()
    tries = models.SmallIntegerField(default=0)
    not_before = models.DateTimeField()
    last_error = models.TextField(default="")

    class Meta:
        db_table = "outbox"


class RejectedEvent(models.Model):
    """An event that could not be booked, whole, with the reason: replayed, or gone in 30 days."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.UUIDField()  # version 7
    received_at = models.DateTimeField()
    api_key_id = models.TextField()
    event_id = models.TextField()
    code = models.TextField()
    detail = models.TextField()
    body = models.TextField()  # as it was sent
    replayed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "rejected_event"


class Person(models.Model):
    """A user of the tenant. Deleting the row erases the person and touches no entry."""

    pk = models.CompositePrimaryKey("tenant_id", "user_ref")
    tenant_id = models.BigIntegerField()
    user_ref = models.CharField(max_length=24)  # random
    external_id = models.TextField()  # as the engineers send it
    created_at = models.DateTimeField()

    class Meta:
        db_table = "person"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "external_id"], name="person_once"),
        ]


class SealTree(models.Model):
    """A tenant's tree over its batches. `salt` hides the tenant in the log that everybody may see."""

    tenant_id = models.BigIntegerField(primary_key=True)
    origin = models.TextField()  # the first line of its checkpoints
    salt = models.BinaryField()
    begun_at = models.DateTimeField()

    class Meta:
        db_table = "seal_tree"


class SealLeaf(models.Model):
    """A batch in the tenant's tree, contiguous from 0. leaf: SHA-256 of 0x00 and the header that its receipt signs."""

    pk = models.CompositePrimaryKey("tenant_id", "leaf_index")
    tenant_id = models.BigIntegerField()
    leaf_index = models.BigIntegerField()
    batch_id = models.UUIDField()
    leaf = models.BinaryField()

    class Meta:
        db_table = "seal_leaf"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "batch_id"], name="leaf_of_a_batch_once"),
        ]


class SealNode(models.Model):
    """The root of a complete subtree of 2^level leaves, level 1 and above: written once, when it became complete."""

    pk = models.CompositePrimaryKey("tenant_id", "level", "node_index")
    tenant_id = models.BigIntegerField()
    level = models.SmallIntegerField()
    node_index = models.BigIntegerField()
    hash = models.BinaryField()

    class Meta:
        db_table = "seal_node"


class Checkpoint(models.Model):
    """A signed head of a tenant's tree; the greatest size is the newest."""

    pk = models.CompositePrimaryKey("tenant_id", "size")
    tenant_id = models.BigIntegerField()
    size = models.BigIntegerField()
    root = models.BinaryField()
    signed_at = models.DateTimeField()
    key_id = models.TextField()
    note = models.TextField()  # a C2SP tlog-checkpoint

    class Meta:
        db_table = "checkpoint"


class SealAlarm(models.Model):
    """What the sealer refused, and when it was over: the latest row of a subject says how it stands.

    tenant_id is 0 for what concerns no single tenant.
    """

    pk = models.CompositePrimaryKey("tenant_id", "subject", "raised_at")
    tenant_id = models.BigIntegerField()
    subject = models.TextField()  # `tree`, `batch <id>`, `key <id>`, `log`, `memory`
    raised_at = models.DateTimeField()
    kind = models.TextField()
    detail = models.TextField()
    is_over = models.BooleanField()

    class Meta:
        db_table = "seal_alarm"


class LogLeaf(models.Model):
    """A leaf of the log of all trees: a tenant's checkpoint, or the announcement of a key. No row security: ids and
    hashes, and in `data`, which is what is hashed, the tenant only under its salt.
    """

    log_index = models.BigIntegerField(primary_key=True)
    tenant_id = models.BigIntegerField(null=True)
    size = models.BigIntegerField(null=True)
    key_id = models.TextField(null=True)
    leaf = models.BinaryField()
    data = models.TextField()

    class Meta:
        db_table = "log_leaf"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "size"], name="log_leaf_once"),
            models.UniqueConstraint(fields=["key_id"], name="log_key_once"),
        ]


class LogNode(models.Model):
    """The root of a complete subtree of the log's leaves, level 1 and above."""

    pk = models.CompositePrimaryKey("level", "node_index")
    level = models.SmallIntegerField()
    node_index = models.BigIntegerField()
    hash = models.BinaryField()

    class Meta:
        db_table = "log_node"


class LogHead(models.Model):
    """A signed head of the log, as it was published."""

    size = models.BigIntegerField(primary_key=True)
    root = models.BinaryField()
    signed_at = models.DateTimeField()
    key_id = models.TextField()
    note = models.TextField()

    class Meta:
        db_table = "log_head"


class SigningKey(models.Model):
    """A public key that receipts or checkpoints are signed with, now or once, as it was announced."""

    key_id = models.TextField(primary_key=True)  # the first 8 bytes of the public key's SHA-256, hexadecimal
    purpose = models.TextField()  # receipt, seal
    public_key = models.BinaryField()
    announced_at = models.DateTimeField()
    announcement = models.TextField()  # the statement and its signatures, JSON

    class Meta:
        db_table = "signing_key"
