"""Every setting in one place, read from the environment with types, so that a wrong one fails at start."""

from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
if (BASE_DIR / ".env").exists():
    env.read_env(BASE_DIR / ".env")

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# Where browsers and vendors reach this instance; webhook signatures (Square) cover this address.
PUBLIC_URL = env.str("PUBLIC_URL", default="http://127.0.0.1:8000").rstrip("/")
HTTPS = PUBLIC_URL.startswith("https://")

# The vendor sandbox: a stand-in for each vendor's API, for tests and the demo. Never on in production.
SANDBOX = env.bool("SANDBOX", default=False)
SANDBOX_URL = env.str("SANDBOX_URL", default="http://127.0.0.1:8001").rstrip("/")

# Fernet keys for credentials at rest, "kid:key" newest first; old ones stay until `rotate_credentials` has run.
CREDENTIAL_KEYS = env.list("CREDENTIAL_KEYS")

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "django_htmx",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "storestudio.accounts",
    "inventory",
    "channels",
    "channels.own",
    "channels.alerts",
    "onboarding",
]
if SANDBOX:
    # Each stand-in is an app in a folder of its own: a new one is found, not listed.
    stand_ins = sorted(path.parent.name for path in (BASE_DIR / "channels/sandbox").glob("*/apps.py"))
    INSTALLED_APPS += ["channels.sandbox", *(f"channels.sandbox.{name}" for name in stand_ins)]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "storestudio.urls"
WSGI_APPLICATION = "storestudio.wsgi.application"
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
                "storestudio.accounts.context.frame",
            ],
        },
    }
]

DATABASES = {"default": env.db_url("DATABASE_URL")}
DATABASES["default"].update(
    {
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": 0,
        "OPTIONS": {
            # lock_timeout: a fact waits for another writer of the same cell, but never for ever.
            "options": "-c lock_timeout=5s -c timezone=UTC",
            "pool": {"min_size": 1, "max_size": env.int("DATABASE_POOL_MAX", default=8), "timeout": 10},
            **DATABASES["default"].get("OPTIONS", {}),
        },
    }
)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_ADAPTER = "storestudio.accounts.adapter.AccountAdapter"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]

EMAIL_CONFIG = env.email_url("EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)
EMAIL_TIMEOUT = 10  # seconds; mail that is not taken is tried again
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="StoreStudio <studio@localhost>")

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = env.path("STATIC_ROOT", default=str(BASE_DIR / "staticfiles"))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if env.bool("STATIC_MANIFEST", default=True)
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_AGE = 14 * 24 * 3600
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "EXCLUDE_URL_PREFIXES": ("/admin/",),  # the admin's own scripts are inline; staff only
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "frame-ancestors": ["'none'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "object-src": ["'none'"],
    },
}

# Broker messages only wake workers (docs/architecture.md), so losing them costs time, never work.
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="memory://")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BROKER_TRANSPORT_OPTIONS = {"unacked_restore_interval": 2, "unacked_restore_throttle": 1}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_TIME_LIMIT = 120
CELERY_BEAT_SCHEDULE = {
    "expire-reservations": {"task": "inventory.tasks.expire_reservations", "schedule": 5.0},
    "deliver-webhooks": {"task": "channels.own.tasks.deliver_webhooks", "schedule": 5.0},
    "follow-catalogs": {"task": "channels.own.tasks.follow_catalogs", "schedule": 15.0},
    "add-ledger-months": {"task": "inventory.tasks.add_ledger_months", "schedule": 24 * 3600.0},
    "sweep-incidents": {"task": "channels.tasks.sweep_incidents", "schedule": 15.0},
    "send-alerts": {"task": "channels.alerts.tasks.send_alerts", "schedule": 5.0},
    "lapse-arrivals": {"task": "inventory.tasks.lapse_arrivals", "schedule": 10.0},
    "sweep-rules": {"task": "channels.tasks.sweep_rules", "schedule": 2.0},
    "sweep-findings": {"task": "onboarding.tasks.sweep_findings", "schedule": 10.0},
    "sweep-imports": {"task": "onboarding.tasks.sweep_imports", "schedule": 5.0},
    "sweep-catalog-writes": {"task": "onboarding.tasks.sweep_catalog_writes", "schedule": 5.0},
    "sweep-mapping": {"task": "onboarding.tasks.sweep_mapping", "schedule": 10.0},
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        "django.request": {"level": "ERROR"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}

# W004: email is unique whatever its case, by a constraint over lower(email), which the check cannot see. W005 and W021:
# whether subdomains and browsers' preload lists are bound to https is for the owner of the domain to say.
SILENCED_SYSTEM_CHECKS = ["auth.W004", "security.W005", "security.W021"]

UNFOLD = {
    "SITE_TITLE": "StoreStudio",
    "SITE_HEADER": "StoreStudio",
    "SITE_SUBHEADER": "Administration",
    "SITE_SYMBOL": "inventory_2",
    "SIDEBAR": {"show_search": True, "show_all_applications": True},
}

# Probes speak plain HTTP to the process itself; background processes say that they live (storestudio/health.py).
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
CELERY_IMPORTS = ["storestudio.tasks"]
CELERY_BEAT_SCHEDULE["heartbeat"] = {
    "task": "storestudio.tasks.heartbeat", "schedule": 5.0, "kwargs": {"scheduled": True}, "options": {"expires": 30},
}  # fmt: skip
