"""The product's settings with the bare view's address added; benchmarks only."""

from duckspawn_site.settings import *  # noqa: F403 - All of them.

ROOT_URLCONF = "benchmarks.bare"
