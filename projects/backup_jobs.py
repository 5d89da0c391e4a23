"""A backup that somebody asks the server for."""

from typing import Any

from projects import backups, jobs
from projects.models import Job


def left(user: Any) -> Job:
    """Leaves the job of a backup into BACKUP_DIR, or gives the one that is queued already. Raises BackupDirMissing, NotAllowed."""
    backups.shelf_of_setting()
    return jobs.leave_once("backup", backups.TO_SHELF, user)
