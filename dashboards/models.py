"""Saved views as Django reads them; `migrations/sql` makes the table."""

from django.db import models


class SavedView(models.Model):
    """A page's address under a name, for who made it or for everybody on the same side: tenant's, or operator's."""

    pk = models.CompositePrimaryKey("tenant_id", "id")
    tenant_id = models.BigIntegerField()
    id = models.UUIDField()
    owner_id = models.BigIntegerField()  # tenants_user
    is_operators = models.BooleanField()
    is_shared = models.BooleanField()
    name = models.TextField()
    page = models.TextField()
    query = models.TextField()
    saved_at = models.DateTimeField()

    class Meta:
        db_table = "saved_view"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "owner_id", "page", "name"], name="saved_view_name_once")
        ]
