"""Gunicorn's worker of threads, as it is configured to serve."""

from duckspawn_site.gathering import Gathering


class Worker(Gathering):
    """What gunicorn.conf.py names."""
