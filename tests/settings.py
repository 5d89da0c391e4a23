"""The settings of the tests: those of the service, never the developer's `.env`, and passwords that hash fast."""

import os
import tempfile

os.environ["DUCKSPAWN_ENV_FILE"] = os.devnull
os.environ.setdefault("SECRET_KEY", "only-the-tests-use-this-key-and-nothing-they-keep-outlives-them")

from duckspawn_site.settings import *  # noqa: F403

# What a developer collected is neither used nor touched; the apps' own files are served by their plain names.
_STATIC = tempfile.TemporaryDirectory(prefix="duckspawn-static-")
STATIC_ROOT = _STATIC.name
WHITENOISE_AUTOREFRESH = True  # Found when asked for: each test's client would else look at all of them first.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# The tests ask fast, from one address; those of the throttle set it.
THROTTLE = THROTTLE_ANON = None
