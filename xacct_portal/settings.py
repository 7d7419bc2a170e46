"""Settings, read from the environment by django-environ. Every name is in `.env.example` with its default.

Safe by default: with DEBUG off, a missing SECRET_KEY refuses to start. Without any setting but DEBUG=on everything
runs embedded (SQLite, a folder as broker, the database as cache) and needs no service.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import environ
from csp.constants import NONCE
from django.core.exceptions import ImproperlyConfigured

from xacct_portal.cache_config import caches_config
from xacct_portal.log_config import logging_config
from xacct_portal.unfold import UNFOLD  # noqa: F401

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
env.smart_cast = False
env_file = env.str("XACCT_ENV_FILE", default=str(BASE_DIR / ".env"))
if Path(env_file).is_file():
    environ.Env.read_env(env_file)

DATA_DIR = Path(env.str("XACCT_DATA_DIR", default=str(BASE_DIR / "var")))
DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)

# --- core ---
DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
if not SECRET_KEY:
    if not DEBUG:
        raise ImproperlyConfigured(
            "SECRET_KEY is not set. Make one with "
            "python -c 'import secrets; print(secrets.token_urlsafe(64))' and set it in the environment or in .env. "
            "Only with DEBUG=on does the portal start without one."
        )
    SECRET_KEY = "development-only-key-never-used-with-debug-off-0000000000"  # noqa: S105
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"] if DEBUG else [])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
ROOT_URLCONF = "xacct_portal.urls"
WSGI_APPLICATION = "xacct_portal.wsgi.application"
AUTH_USER_MODEL = "roles.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "xacct_portal.admin_config.PortalAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "django_structlog",
    "axes",
    "csp",
    "roles",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "roles.middleware.CompressPagesMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "roles.middleware.RequestContextMiddleware",
    "roles.middleware.PortalErrorMiddleware",
    "axes.middleware.AxesMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
            ],
        },
    },
]

# --- database, cache, broker ---
DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'portal.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = env.int("DATABASE_CONN_MAX_AGE", default=60)
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
XACCT_PREPARED_STATEMENTS = env.bool("DATABASE_PREPARED_STATEMENTS", default=True)

CACHES = caches_config(env.cache("CACHE_URL", default="dbcache://xacct_cache"))

CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="filesystem://")
if CELERY_BROKER_URL.startswith("filesystem://"):
    _broker_dir = DATA_DIR / "broker"
    (_broker_dir / "control").mkdir(mode=0o700, parents=True, exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_broker_dir),
        "data_folder_out": str(_broker_dir),
        "control_folder": str(_broker_dir / "control"),
        "polling_interval": 0.2,
    }
else:
    CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 3600, "socket_connect_timeout": 5, "socket_timeout": 30}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0.1, "interval_max": 0.2}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat-schedule")
CELERY_BEAT_SCHEDULE = {
    "resend-runs": {"task": "roles.resend_runs", "schedule": env.float("XACCT_RESEND_SECONDS", default=30.0)},
    "expire-mappings": {"task": "roles.expire_mappings", "schedule": 60.0},
    "lift-cut-offs": {"task": "roles.lift_cut_offs", "schedule": 60.0},
    "scan-drift": {"task": "roles.scan_drift", "schedule": env.float("XACCT_DRIFT_SECONDS", default=3600.0)},
    "recheck-owners": {"task": "roles.recheck_owners", "schedule": env.float("XACCT_RECHECK_SECONDS", default=300.0)},
    "clear-sessions": {"task": "roles.clear_sessions", "schedule": 3600.0},
}

# --- sign-in, sessions, headers ---
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
AXES_FAILURE_LIMIT = env.int("XACCT_LOGIN_FAILURE_LIMIT", default=10)
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_LOCKOUT_TEMPLATE = "errors/locked_out.html"
AXES_USERNAME_CALLABLE = "xacct_portal.sign_in.name_tried"
AXES_VERBOSE = False
AXES_ENABLE_ADMIN = False  # sign-in failures are in the history
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_AGE = env.int("XACCT_SESSION_SECONDS", default=8 * 3600)
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
HTTPS = env.bool("XACCT_HTTPS", default=not DEBUG)
SECURE_SSL_REDIRECT = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = env.int("XACCT_HSTS_SECONDS", default=31536000 if HTTPS else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
if env.bool("XACCT_BEHIND_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    MIDDLEWARE.insert(0, "roles.middleware.VisitorAddressMiddleware")
# Logs and the count of wrong passwords take the address that the history has, never what a visitor's header says.
IPWARE_META_PRECEDENCE_ORDER = ("REMOTE_ADDR",)
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
# Unfold's Alpine.js evaluates expressions in attributes, which needs 'unsafe-eval'; no inline or foreign script runs:
# docs/security-model.md says what that leaves open.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'", "'unsafe-eval'", NONCE],
        "style-src": ["'self'", "'unsafe-inline'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

# --- static files, language, time ---
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = DEBUG
LANGUAGE_CODE = "en-us"
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
USE_TZ = True
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

# --- the portal ---
XACCT_AWS_ENDPOINT_URL = env.str("XACCT_AWS_ENDPOINT_URL", default="")
XACCT_PROVISIONING_AWS_PROFILE = env.str("XACCT_PROVISIONING_AWS_PROFILE", default="")
XACCT_TOKENS_AWS_PROFILE = env.str("XACCT_TOKENS_AWS_PROFILE", default="")
XACCT_PORTAL_PRINCIPALS = env.list("XACCT_PORTAL_PRINCIPALS", default=[])
XACCT_PROPAGATION_SECONDS = env.float("XACCT_PROPAGATION_SECONDS", default=120.0)
XACCT_ACCOUNT_CALLS_PER_SECOND = env.float("XACCT_ACCOUNT_CALLS_PER_SECOND", default=20.0)
XACCT_DRIFT_READERS = env.int("XACCT_DRIFT_READERS", default=8)
XACCT_LEASE_SECONDS = env.int("XACCT_LEASE_SECONDS", default=60)
XACCT_RUN_CLAIM_SECONDS = env.int("XACCT_RUN_CLAIM_SECONDS", default=60)
XACCT_UPLOAD_MAX_BYTES = env.int("XACCT_UPLOAD_MAX_BYTES", default=5 * 1024**3)
# Keys that encrypt cached tokens, newest first: 32 random bytes each, urlsafe base64 (Fernet).
# Derived from SECRET_KEY if unset.
XACCT_TOKEN_KEYS = env.list("XACCT_TOKEN_KEYS", default=[]) or [
    base64.urlsafe_b64encode(hashlib.sha256(f"xacct-token-key:{key}".encode()).digest()).decode()
    for key in [SECRET_KEY, *SECRET_KEY_FALLBACKS]
]

LOGGING = logging_config(level=env.str("LOG_LEVEL", default="INFO"), as_json=env.bool("LOG_JSON", default=not DEBUG))
