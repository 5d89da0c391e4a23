"""The settings of the tests: those of the service, never the developer's `.env`, and passwords that hash fast."""

import os

os.environ["DUCKSPAWN_ENV_FILE"] = os.devnull
os.environ.setdefault("SECRET_KEY", "only-the-tests-use-this-key-and-nothing-they-keep-outlives-them")

from duckspawn_site.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
