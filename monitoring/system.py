"""What the machine, this process and DuckDB use at this moment, in plain values: bytes, seconds, percent."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

import psutil

from projects.store.connection import get_store


def measures() -> dict[str, dict[str, Any]]:
    """Everything, by part. Raises the store's errors where DuckDB cannot be asked."""
    return {"cpu": cpu(), "memory": memory(), "disk": disk(), "process": process(), "duckdb": duckdb()}


def cpu() -> dict[str, Any]:
    """`percent` is that of a tenth of a second."""
    one, five, fifteen = psutil.getloadavg()
    return {"percent": psutil.cpu_percent(interval=0.1), "count": psutil.cpu_count(), "load": [one, five, fifteen]}


def memory() -> dict[str, Any]:
    found = psutil.virtual_memory()
    return {"total_bytes": found.total, "available_bytes": found.available, "percent": found.percent}


def disk() -> dict[str, Any]:
    """The disk that has the DuckDB file."""
    found = shutil.disk_usage(standing(get_store().path.parent))
    return {"total_bytes": found.total, "free_bytes": found.free, "percent": round(100 * found.used / found.total, 1)}


def process() -> dict[str, Any]:
    """This process: memory in use, threads, open files, and seconds since it began."""
    this = psutil.Process()
    with this.oneshot():
        return {
            "pid": os.getpid(),
            "rss_bytes": this.memory_info().rss,
            "threads": this.num_threads(),
            "open_files": this.num_fds(),
            "uptime_seconds": round(time.time() - this.create_time(), 1),
        }


_DUCKDB = """SELECT version(), sum(memory_usage_bytes), sum(temporary_storage_bytes),
    (SELECT value FROM duckdb_settings() WHERE name = 'memory_limit') FROM duckdb_memory()"""
_UNITS = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def duckdb() -> dict[str, Any]:
    """DuckDB's version, its file and write-ahead log on disk, the memory that it holds and may hold."""
    store = get_store()
    with store.read() as cursor:
        row = cursor.execute(_DUCKDB).fetchone()
    version, used, spilled, limit = row or ("", 0, 0, "0 bytes")
    return {
        "version": version,
        "file_bytes": _size(store.path),
        "wal_bytes": _size(store.path.with_name(f"{store.path.name}.wal")),
        "memory_bytes": int(used),
        "memory_limit_bytes": _bytes(limit),
        "spilled_bytes": int(spilled),
    }


def _bytes(said: str) -> int:
    """A size as DuckDB says it, such as `12.4 GiB`."""
    number, unit = said.split()
    return int(float(number) * _UNITS[unit])


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def folder_size(folder: Path) -> int:
    """The bytes of all files below the folder; one that goes meanwhile counts nothing."""
    return sum(_size(path) for path in folder.rglob("*") if path.is_file())


def standing(folder: Path) -> Path:
    """The folder, or the nearest one above it that has been made already."""
    return next(f for f in (folder, *folder.parents) if f.exists())
