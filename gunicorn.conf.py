"""How gunicorn serves: one worker, because one process owns the DuckDB file, with threads; `manage.py up` starts it."""

import gc
import os
import signal
import threading
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "duckspawn_site.settings")

from django.conf import settings
from gunicorn.glogging import Logger

from monitoring.logs import dict_config

wsgi_app = "duckspawn_site.wsgi:application"
bind = f"[{settings.HOST}]:{settings.PORT}" if ":" in settings.HOST else f"{settings.HOST}:{settings.PORT}"
workers = 1
worker_class = "duckspawn_site.worker.Worker"
threads = settings.THREADS
preload_app = False  # A forked child would inherit an open DuckDB file, and that corrupts it.
control_socket_disable = True

# With threads the timeout is about the worker's own loop, never about one request: a long download goes on.
timeout = 120
REQUESTS, CLOSING = 30, 30  # seconds, once it drains no more: for what is under way; for jobs, and to close the file
graceful_timeout = settings.DRAIN + REQUESTS + CLOSING  # the master's; then it kills
keepalive = 30
# The heartbeat must not wait for a disk; gunicorn makes a file of its own there.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108  # nosec B108
limit_request_line = 8190  # bytes; filters stand in the address
limit_request_fields = 100
limit_request_field_size = 8190


class QuietLogger(Logger):
    """Leaves the line about each request to monitoring/middleware.py, which knows the person and the request's id."""

    def access(self, *arguments: Any) -> None:
        pass


logger_class = QuietLogger
logconfig_dict = dict_config(settings.LOG_LEVEL)


def post_worker_init(worker: Any) -> None:
    """Starts the writer, the jobs, the heartbeat and the samples: after the fork, in the process that serves."""
    from django.urls import get_resolver  # noqa: PLC0415 - Django is set up by now, and not before.

    from monitoring import draining  # noqa: PLC0415
    from monitoring.sampling import start_sampler  # noqa: PLC0415
    from projects.owner import start_owner  # noqa: PLC0415

    get_resolver().url_patterns  # noqa: B018 - Everything is imported before it is counted as what stays.
    gc.collect()
    gc.freeze()  # To look through it for garbage holds all requests up for twenty milliseconds and more.
    start_owner()
    start_sampler()
    worker.cfg.set("graceful_timeout", REQUESTS)  # The worker's own: requests leave the rest to what is closed after them.
    graceful = signal.getsignal(signal.SIGTERM)

    def end(*signalled: Any) -> None:
        worker_int(worker)
        graceful(*signalled)

    def drain(*signalled: Any) -> None:
        timer = threading.Timer(settings.DRAIN, end, signalled)
        timer.daemon = True
        timer.start()

    def stop(*signalled: Any) -> None:
        """Ready no more; after DRAIN seconds no new connection. A second signal, such as systemd's to each process, changes nothing."""
        if draining.begin():
            worker.method_queue.defer(drain if settings.DRAIN else end, *signalled)  # A handler may start no thread.

    signal.signal(signal.SIGTERM, stop)
    signal.siginterrupt(signal.SIGTERM, False)  # As gunicorn has it: requests under way are not disturbed.


def worker_int(worker: Any) -> None:
    """Ends the event streams as soon as no more is served; in a thread, for a signal's handler must not wait for a lock."""
    from projects.owner import end_streams  # noqa: PLC0415

    threading.Thread(target=end_streams, name="duckspawn-end-streams", daemon=True).start()


def worker_exit(server: Any, worker: Any) -> None:
    """Lets the running write and job end, and closes the file."""
    from monitoring.sampling import stop_sampler  # noqa: PLC0415
    from projects.owner import stop_owner  # noqa: PLC0415

    stop_sampler()
    stop_owner()
