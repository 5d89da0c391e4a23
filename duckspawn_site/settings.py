"""Every setting, read from the environment or from `.env` beside manage.py; a bad value stops the start and is named.

README.md lists the settings for people. Paths that are not absolute are below the project's folder.
"""

import warnings
from datetime import timedelta
from pathlib import Path

from whitenoise.compress import Compressor

from duckspawn_site import environment as env
from duckspawn_site.console import UNFOLD  # noqa: F401 - A setting, like the rest.
from duckspawn_site.environment import BASE_DIR

env.read_file()

# Django's database: schema snapshots, plans, jobs, the audit log, people.
DATABASES = {"default": env.database("DATABASE_URL", BASE_DIR / "duckspawn.sqlite3")}
DATABASES["default"]["CONN_MAX_AGE"] = None
SECRET_FOLDER = BASE_DIR
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # FULL: what was acknowledged survives a power loss. IMMEDIATE: writers queue instead of failing.
    # Each thread has a connection with a cache of its own (KiB); a larger one would be had some forty times.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 10,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-256;",
    }
    SECRET_FOLDER = Path(DATABASES["default"]["NAME"]).parent
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Our token stands in for knox's own (people.Token), which needs no table and so no migration.
MIGRATION_MODULES = {"knox": None}

# DuckDB: the tables and their rows.
DUCKDB_PATH = env.path("DUCKDB_PATH", "data_product.db")
SPOOL_DIR = env.path("SPOOL_DIR", f"{DUCKDB_PATH}.spool")
ARCHIVE_DIR = env.path("ARCHIVE_DIR", f"{DUCKDB_PATH}.archive")
DUCKDB_MEMORY_LIMIT = env.engine_size("DUCKDB_MEMORY_LIMIT", "50%", of_memory=True)
DUCKDB_TEMP_LIMIT = env.engine_size("DUCKDB_TEMP_LIMIT", "10GB")
DISK_RESERVE = env.size("DISK_RESERVE", "256MiB")
WRITE_QUEUE = env.whole("WRITE_QUEUE", 1024, lowest=1, highest=10**6)
DUCKDB_THREADS = env.whole("DUCKDB_THREADS", 0, lowest=0, highest=1024)
CHANGES_KEEP = env.whole("CHANGES_KEEP", 1_000_000, lowest=1, highest=10**12)
QUERY_TIMEOUT = env.number("QUERY_TIMEOUT", 30, lowest=0.1, highest=86_400)
QUERY_MAX_ROWS = env.whole("QUERY_MAX_ROWS", 100_000, lowest=1, highest=10**9)
QUERY_MAX_BYTES = env.whole("QUERY_MAX_BYTES", 64 * 2**20, lowest=1, highest=2**40)

# What becomes of a change of a schema, by its class; a table may have its own policy.
EVOLUTION_POLICY = env.choices(
    "EVOLUTION_POLICY",
    {
        "additive": "apply",
        "metadata": "apply",
        "rename": "apply",
        "strengthening": "apply",
        "destructive": "wait",
        "meaning": "wait",
    },
    ("apply", "wait", "refuse"),
)
ARCHIVE_KEEP_DAYS = env.whole("ARCHIVE_KEEP_DAYS", 0, lowest=0, highest=36_500)
PLAN_FOUR_EYES = env.flag("PLAN_FOUR_EYES", False)

# The ontology server.
ONTO_SERVER_URL = env.http_url("ONTO_SERVER_URL", "http://localhost:8001")
ONTO_SERVER_TIMEOUT = env.number("ONTO_SERVER_TIMEOUT", 5, lowest=0.05, highest=600)
ONTO_SCHEMA_IDS = env.words("ONTO_SCHEMA_IDS", ["project_schema"])
USE_MOCK_ONTO_SERVER = env.flag("USE_MOCK_ONTO_SERVER", False)
SYNC_EVERY = env.seconds_between("SYNC_EVERY", lowest=10, highest=31_536_000)

# Backups that the server makes; `manage.py backup FOLDER` needs none of these.
BACKUP_DIR = env.folder("BACKUP_DIR")
BACKUP_EVERY = env.seconds_between("BACKUP_EVERY", lowest=60, highest=31_536_000)
BACKUP_KEEP = env.whole("BACKUP_KEEP", 7, lowest=0, highest=100_000)
env.check_together("BACKUP_EVERY", BACKUP_EVERY, "BACKUP_DIR", BACKUP_DIR)

# Who is told of what waits for a person or went wrong: a webhook, and people by mail.
NOTIFY_URL, NOTIFY_SECRET = env.webhook("NOTIFY_URL", "NOTIFY_SECRET")
NOTIFY_MAIL = env.addresses("NOTIFY_MAIL")
globals().update(env.mail_server("EMAIL_URL", "smtp://localhost:25"))
EMAIL_TIMEOUT = 10  # seconds
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "duckspawn@localhost")

# Serving.
PORT = env.whole("PORT", 8000, lowest=1, highest=65_535)
HOST = env.text("HOST", "127.0.0.1")
THREADS = env.whole("THREADS", 16, lowest=1, highest=256)
DRAIN = env.whole("DRAIN", 0, lowest=0, highest=3600)
DEBUG = env.flag("DEBUG", False)
SECRET_KEY = env.secret_key("SECRET_KEY", SECRET_FOLDER)
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 2**20

# Safe by default. BEHIND_TLS says that a proxy in front speaks https and sets X-Forwarded-Proto itself.
BEHIND_TLS = env.flag("BEHIND_TLS", False)
CSRF_TRUSTED_ORIGINS = env.origins("CSRF_TRUSTED_ORIGINS")
CSRF_FAILURE_VIEW = "duckspawn_site.errors.csrf_failed"
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = BEHIND_TLS
SECURE_HSTS_SECONDS = 31_536_000 if BEHIND_TLS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS else None
SECURE_REDIRECT_EXEMPT = [r"^monitoring/(live|ready|health)/?$"]  # Probes come from inside, past the proxy.
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# Both speak for hosts that are not ours: W005 wants HSTS for every subdomain of the operator's domain, W021 a place in the
# browsers' preload list. Django's docs warn that either, set in error, breaks those hosts for as long as the year lasts.
# axes.W002 wants a middleware that answers slowed logins; ours are errors like the rest (duckspawn_site/auth/logins.py).
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021", "axes.W002"]

# How fast somebody may ask, and whose word about addresses is taken (X-Forwarded-For); nobody's by default.
THROTTLE = env.rate("THROTTLE", "1000/s")
THROTTLE_ANON = env.rate("THROTTLE_ANON", "30/min")
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES")

# Which pages of other origins may ask, with a token of their own: a browser's cookies are for ours alone.
CORS_ALLOWED_ORIGINS = env.origins("CORS_ORIGINS")
CORS_ALLOW_HEADERS = (
    *("accept", "authorization", "content-encoding", "content-type", "idempotency-key", "if-match", "if-none-match"),
    *("last-event-id", "prefer", "x-request-id"),
)
CORS_EXPOSE_HEADERS = (
    *("content-disposition", "deprecation", "etag", "link", "location", "preference-applied", "retry-after"),
    *("x-request-id", "x-total-count"),
)
CORS_URLS_REGEX = r"^/(?!console/|auth/)"

# Failed logins, by user and address together (duckspawn_site/auth/logins.py); what they are slowed by is said there.
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=5)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # Who goes on trying is not locked out for ever.
AXES_RESET_ON_SUCCESS = True
AXES_USERNAME_CALLABLE = "duckspawn_site.auth.logins.name_tried"
AXES_CLIENT_IP_CALLABLE = "monitoring.addresses.client_address"
AXES_SENSITIVE_PARAMETERS = ["csrfmiddlewaretoken"]  # and the password; a log without name and address helps nobody.
AXES_DISABLE_ACCESS_LOG = True  # The access log has a line for each request.
AXES_ENABLE_ADMIN = AXES_VERBOSE = False

SAMPLE_EVERY = env.seconds_between("SAMPLE_EVERY", default=60, lowest=10, highest=3600)
LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
LOGGING_CONFIG = "monitoring.logs.configure"
LOGGING = {"level": LOG_LEVEL}

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "duckspawn_site.apps.ConsoleConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_prometheus",
    "rest_framework",
    "knox",
    "axes",
    "corsheaders",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "schema_registry",
    "projects",
    "monitoring",
    "duckspawn_site.auth",
]

MIDDLEWARE = [
    "monitoring.middleware.RequestLine",
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "duckspawn_site.middleware.ContentSecurityPolicy",
    "duckspawn_site.middleware.TrailingSlash",
    "django.middleware.security.SecurityMiddleware",
    "monitoring.probes.Probes",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    *(["corsheaders.middleware.CorsMiddleware"] if CORS_ALLOWED_ORIGINS else []),
    "duckspawn_site.throttle.Throttle",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "duckspawn_site.middleware.Problems",
]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "duckspawn_site.auth.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["projects.parsers.JsonParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "duckspawn_site.errors.answer_exception",
    "URL_FORMAT_OVERRIDE": None,
}
KNOX_TOKEN_MODEL = "people.Token"  # noqa: S105  # nosec B105 # A model's name.
REST_KNOX = {"AUTH_HEADER_PREFIX": "Bearer", "TOKEN_TTL": timedelta(days=30)}

SPECTACULAR_SETTINGS = {
    "TITLE": "DuckDB Spawn",
    "DESCRIPTION": "Real DuckDB tables of an ontology, kept in step with it, and their rows by REST.",
    "VERSION": "0.1.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": None},
    "ENUM_NAME_OVERRIDES": {"DriftState": "projects.serializers.DRIFT_STATES", "PolicyAction": "projects.evolution.policy.ACTIONS"},
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "projects.openapi.add_tables"],
}

ROOT_URLCONF = "duckspawn_site.urls"
WSGI_APPLICATION = "duckspawn_site.wsgi.application"
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
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]
LOGIN_URL = LOGIN_REDIRECT_URL = "/console/"
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True

# Static files come from this process. `collectstatic` adds hashed and compressed copies; without it the apps' own files are served.
STATIC_URL = "/static/"
STATIC_ROOT = env.path("STATIC_DIR", "staticfiles")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "duckspawn_site.static.StaticFiles"},
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = (*Compressor.SKIP_COMPRESS_EXTENSIONS, "map")  # Half of the work, for debuggers alone.
warnings.filterwarnings("ignore", message="No directory at", category=UserWarning)
