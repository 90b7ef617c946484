"""Kept content as Django reads it; `migrations/sql` makes the tables."""

from django.db import models


class Content(models.Model):
    """The redacted prompt and completion of one event, until `kept_until`."""

    pk = models.CompositePrimaryKey("tenant_id", "event_source", "event_id")
    tenant_id = models.BigIntegerField()
    event_source = models.TextField()
    event_id = models.TextField()
    digest = models.BinaryField()  # SHA-256 of body
    received_at = models.DateTimeField()
    kept_until = models.DateTimeField()
    api_key_id = models.TextField()
    redactions = models.JSONField()  # how many of each kind were taken out
    body = models.TextField()  # the canonical bytes, as docs/content.md states them

    class Meta:
        db_table = "content"
        indexes = [models.Index(fields=["tenant_id", "kept_until"], name="content_by_end")]
        constraints = [models.UniqueConstraint(fields=["tenant_id", "digest"], name="content_digest_once")]


class ContentAct(models.Model):
    """Who read content, or deleted it before its time. Never updated, never deleted; holds no content."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.UUIDField()
    acted_at = models.DateTimeField()
    act = models.TextField()  # read, deleted
    actor = models.TextField()  # a person's e-mail address, `key <key_id>`, or `manage.py`
    event_source = models.TextField()
    event_id = models.TextField()
    digest = models.BinaryField()

    class Meta:
        db_table = "content_act"
        indexes = [models.Index(fields=["tenant_id", "event_source", "event_id"], name="content_act_by_event")]
