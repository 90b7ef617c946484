"""Tenants, the people who sign in, and the keys that machines carry."""

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

OPERATOR_SLUG = "operator"  # made by the first migration: its keys and acts belong to no customer

OPERATOR_ROLES = ("admin", "finance", "engineer")
TENANT_ROLES = ("owner", "viewer")
SCOPES = ("ingest", "backfill", "read", "audit", "quota", "admin")
CONTENT_KEPT_DAYS_MAX = 400
LIMITS_ARE_POSITIVE = Q(requests_per_second__gt=0, bytes_per_second__gt=0, events_per_second__gt=0)  # or null


class Tenant(models.Model):
    """A company, or a part of one, that is charged. The directory itself has no row security."""

    slug = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=120)
    timezone = models.CharField(max_length=64, default="UTC")  # of its days and months in reports
    is_operator = models.BooleanField(default=False)
    is_demo = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    # Without a limit of its own a tenant has the installation's.
    requests_per_second = models.BigIntegerField(null=True)
    bytes_per_second = models.BigIntegerField(null=True)
    events_per_second = models.BigIntegerField(null=True)
    content_kept_days = models.SmallIntegerField(default=0, db_default=0)  # of prompts and completions; 0: none kept
    fiscal_month = models.SmallIntegerField(default=1, db_default=1)  # with which its fiscal year begins

    class Meta:
        db_table = "tenant"
        constraints = [
            models.CheckConstraint(name="tenant_limits_are_positive", condition=LIMITS_ARE_POSITIVE),
            models.CheckConstraint(
                name="tenant_content_kept_days", condition=Q(content_kept_days__range=(0, CONTENT_KEPT_DAYS_MAX))
            ),
            models.CheckConstraint(name="tenant_fiscal_month", condition=Q(fiscal_month__range=(1, 12))),
        ]


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: object) -> "User":
        """Used by allauth; scripts and pages call `tenants.people.create_user`."""
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractBaseUser):
    """A person. An operator's person has no tenant; a tenant's person sees that tenant alone."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120, blank=True, default="")
    role = models.CharField(max_length=16)
    tenant = models.ForeignKey(Tenant, null=True, on_delete=models.PROTECT, related_name="+")
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="user_role_fits_tenant",
                condition=Q(role__in=OPERATOR_ROLES, tenant=None) | Q(role__in=TENANT_ROLES, tenant__isnull=False),
            ),
        ]

    @property
    def is_operator(self) -> bool:
        return self.role in OPERATOR_ROLES


class ApiKey(models.Model):
    """A machine's key: only a hash of it is kept. `key_id` is its public part, shown and booked."""

    pk = models.CompositePrimaryKey("tenant_id", "key_id")
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    key_id = models.CharField(max_length=16)
    name = models.CharField(max_length=120, blank=True, default="")
    secret_hash = models.BinaryField()  # SHA-256 of the whole key
    scopes = ArrayField(models.CharField(max_length=16))
    created_at = models.DateTimeField()
    created_by = models.TextField(default="", db_default="")  # as whom its maker acts; '' for a command
    revoked_at = models.DateTimeField(null=True)  # live until then: a rotation lets the old key end later
    # Beside the tenant's, never above: a key without one is held by the tenant's alone.
    requests_per_second = models.BigIntegerField(null=True)
    bytes_per_second = models.BigIntegerField(null=True)
    events_per_second = models.BigIntegerField(null=True)

    class Meta:
        db_table = "api_key"
        constraints = [models.CheckConstraint(name="api_key_limits_are_positive", condition=LIMITS_ARE_POSITIVE)]
