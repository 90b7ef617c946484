"""Every setting, read from the environment; `docs/operations.md` lists the variables.

A process without a database URL still imports (linting, `make` targets, `collectstatic`), and fails at its first query.
"""

from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import environ
from psycopg.conninfo import conninfo_to_dict

from finops.environment import ROOT, home
from finops.schedule import TIMETABLE

env = environ.Env()

VERSION = "0.1.0"
BASE_DIR = ROOT
HOME: Path = home()
DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="only-for-commands-that-sign-nothing")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
PUBLIC_URL = env.str("PUBLIC_URL", default=f"http://127.0.0.1:{env.str('PORT', default='8000')}")

INSTALLED_APPS = [
    "tenants",
    "ledger",
    "content",
    "billing",
    "alerts",
    "audit",
    "chargeback",
    "api",
    "dashboards",
    "finops",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "allauth",
    "allauth.account",
    "axes",
    "django_htmx",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "api.middleware.MachineDoorMiddleware",
    "django.middleware.gzip.GZipMiddleware",  # pages only: machines are answered above it, files are served above it
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "dashboards.middleware.ContentSecurityPolicyMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "finops.urls"
WSGI_APPLICATION = "finops.wsgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "NAME": "django",
        "BACKEND": "dashboards.templating.PageTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


def database(url: str, *, pool: dict[str, int] | bool = False) -> dict[str, object]:
    """Django's description of the database that a libpq URL names."""
    part = conninfo_to_dict(url)
    named = ("dbname", "user", "password", "host", "port")
    # What else the URL says goes along: sslmode, target_session_attrs and the like.
    # A statement of `tenants.prepared` is planned once a connection, at its second time.
    options: dict[str, object] = {"application_name": "tokenledger", "prepare_threshold": 1} | {
        name: value for name, value in part.items() if name not in named
    }
    if pool:
        options["pool"] = pool
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": part.get("dbname", ""),
        "USER": part.get("user", ""),
        "PASSWORD": part.get("password", ""),
        "HOST": part.get("host", ""),
        "PORT": part.get("port", ""),
        "OPTIONS": options,
        "CONN_MAX_AGE": None if not pool else 0,
        "CONN_HEALTH_CHECKS": not pool,
        "DISABLE_SERVER_SIDE_CURSORS": False,
    }


DATABASES = {
    "default": database(env.str("DATABASE_APP_URL", default="postgresql:///tokenledger")),
    "reader": database(env.str("DATABASE_READER_URL", default="postgresql:///tokenledger")),
}
# The sealer alone has it, and the commands that an operator runs by hand.
if sealer_url := env.str("DATABASE_SEALER_URL", default=""):
    DATABASES["sealer"] = database(sealer_url)
if owner_url := env.str("DATABASE_OWNER_URL", default=""):
    DATABASES["owner"] = database(owner_url)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.str("REDIS_URL", default="redis://127.0.0.1:6379/0")


def broker_url(redis_url: str) -> str:
    """Celery's spelling of a redis-py address: its name for a socket differs."""
    part = urlsplit(redis_url)
    return f"redis+socket://{part.path}" if part.scheme == "unix" else redis_url


# Of jobs Redis carries doorbells only: each finds its work in PostgreSQL, so a lost or doubled message changes nothing.
CELERY_BROKER_URL = broker_url(REDIS_URL)
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_SOFT_TIME_LIMIT = 240
CELERY_TASK_TIME_LIMIT = 300
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 600,
    "socket_keepalive": True,
    "socket_connect_timeout": 2,
    "health_check_interval": 25,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 10
CELERY_WORKER_MAX_TASKS_PER_CHILD = 2000
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = TIMETABLE
CELERY_BEAT_SCHEDULE_FILENAME = str(HOME / "beat-schedule")

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = False

STATIC_URL = "/static/"
# No STATIC_ROOT: nothing is collected, whitenoise serves each file from where it stands.
STATICFILES_DIRS = [
    BASE_DIR / "static",
    ("plotly", Path(find_spec("plotly").origin).parent / "package_data"),  # its bundled script, found, not imported
]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

# What a tenant without limits of its own may send and ask: `api.buckets` holds ten seconds' worth.
LIMITS_PER_SECOND = {
    "requests": env.int("REQUESTS_PER_SECOND", default=5_000),
    "bytes": env.int("BYTES_PER_SECOND", default=50_000_000),
    "events": env.int("EVENTS_PER_SECOND", default=20_000),
}
# Where the sealer remembers what it signed, outside the database, and where it writes the heads of the log of trees.
SEAL_MEMORY = Path(env.str("SEAL_MEMORY_FILE", default=str(HOME / "sealer" / "memory.sqlite3")))
STATEMENT_ISSUER = env.str("STATEMENT_ISSUER", default="FinOps")
LOG_HEADS = Path(env.str("LOG_HEADS_FILE", default=str(HOME / "log" / "heads.txt")))
# Whether a rate is published by somebody who neither wrote nor submitted it.
RATES_FOUR_EYES = env.bool("RATES_FOUR_EYES", default=True)
DATA_UPLOAD_MAX_MEMORY_SIZE = 9_000_000

AUTH_USER_MODEL = "tenants.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/sign-in"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "dashboards.accounts.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_REDIRECT_URL = "/sign-in"
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_RATE_LIMITS = False  # axes counts failures in the database; a second counter in a cache would differ
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_USERNAME_FORM_FIELD = "login"
AXES_USERNAME_CALLABLE = "dashboards.accounts.read_login_name"
AXES_LOCKOUT_CALLABLE = "dashboards.accounts.answer_lockout"
AXES_RESET_ON_SUCCESS = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PUBLIC_URL.startswith("https://")
SECURE_HSTS_SECONDS = 31_536_000 if PUBLIC_URL.startswith("https://") else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# Alerts by mail go through this relay; without a host none goes out, and the delivery says so.
EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_HOST = env.str("EMAIL_HOST", default="")
EMAIL_PORT = env.int("EMAIL_PORT", default=587)
EMAIL_HOST_USER = env.str("EMAIL_HOST_USER", default="")
EMAIL_HOST_PASSWORD = env.str("EMAIL_HOST_PASSWORD", default="")
EMAIL_USE_TLS = env.bool("EMAIL_USE_TLS", default=True)
EMAIL_TIMEOUT = 5  # seconds, of each step
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", default="Tokenledger <tokenledger@localhost>")
# Networks of one's own that channels and buckets may lead to, also without TLS; else what is not public is refused.
ALERT_NETWORKS = env.list("ALERT_NETWORKS", default=[])
# Below it stand the folders that days are exported to; without it there are none.
EXPORT_ROOT = env.str("EXPORT_ROOT", default="")
PAGERDUTY_URL = env.str("PAGERDUTY_URL", default="https://events.pagerduty.com/v2/enqueue")

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["api.auth.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["api.auth.HasScope"],
    "DEFAULT_THROTTLE_CLASSES": ["api.limits.DoorLimit"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["api.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "api.renderers.AlwaysJSON",
    "DEFAULT_METADATA_CLASS": "api.renderers.NoMetadata",
    "EXCEPTION_HANDLER": "api.problems.answer_problem",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Tokenledger",
    "DESCRIPTION": "The cost ledger for a company's use of language models.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PUBLIC": True,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SCHEMA_PATH_PREFIX": r"/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        "django.request": {"level": "ERROR"},
        "axes": {"level": "WARNING"},
        "celery": {"level": "INFO"},
        # A line for each knock of the timetable, every two seconds.
        "celery.beat": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}
