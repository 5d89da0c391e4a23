"""What can go wrong with the tables and their rows."""

from schema_registry.errors import Problem, SpawnError


class ProjectsError(SpawnError):
    """The tables could not do this."""


class TableNotFound(ProjectsError):
    """There is no table named {table}."""

    table: str


class AliasNotFound(ProjectsError):
    """The table {table} has no old name {alias}."""


class RowNotFound(ProjectsError):
    """The table {table} has no row with the key {key}."""


class RowErased(ProjectsError):
    """The row of the table {table} with that key was erased before, {at}; nothing of it is left here."""


class PreconditionFailed(ProjectsError):
    """The row {key} of the table {table} {reason}."""


class ChangesForgotten(ProjectsError):
    """Changes of {table} right after {since} are kept no longer: read its rows anew, then go on with since={last}.

    The oldest that are kept follow since={oldest}.
    """

    oldest: int


class KeyReused(ProjectsError):
    """This Idempotency-Key was used for another request to this table; a new request takes a new key."""


class KeyUnderWay(ProjectsError):
    """The first request with this Idempotency-Key is still under way; send it again in a moment."""


class RowRefused(ProjectsError):
    """The row does not fit the table {table}."""

    def __init__(self, *, table: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(table=table, problems=problems)


class RowsRefused(ProjectsError):
    """{rejected} of the rows do not fit the table {table}; nothing was loaded."""

    # `rejects` names the first 100: row (data rows from 1), column, value, reason; `rejects_file` is where all are to be had.
    rejected: int
    rejects: list[dict]
    rejects_file: str


class HeadRefused(ProjectsError):
    """The head of the file does not fit the table {table}; nothing was loaded."""


class DuplicateKey(ProjectsError):
    """The table {table} already has a row whose {columns} is {values}."""


class RowReferenced(ProjectsError):
    """Rows of {other} refer by {by} to {table}.{column}, to a value that this would take away; change or delete those rows first."""


class DuplicateKeys(ProjectsError):
    """{rejected} rows repeat a key, in the file or in the table {table}; nothing was loaded."""

    rejected: int
    rejects: list[dict]
    rejects_file: str


class TooManyAffected(ProjectsError):
    """{count} rows of {table} are meant, more than max_affected={most} allows, so none was touched; narrow the conditions or raise it."""


class BadRequest(ProjectsError):
    """{detail}"""


class DocumentNamesOther(ProjectsError):
    """The document makes a table named {other}, not {table}; send it to that table, or create it."""


class BodyUnfinished(ProjectsError):
    """The body did not come whole: its client left or was too slow, or its length or its chunks are not as they say. Nothing was done."""


class BodyTooLarge(ProjectsError):
    """The body is larger than {limit} bytes; many rows are sent as application/x-ndjson or text/csv, which have no limit."""


class InputsRefused(ProjectsError):
    """The inputs of the plan for {table} cannot be used."""

    table: str


class PlanNotFound(ProjectsError):
    """There is no plan {plan}."""


class PlanStale(ProjectsError):
    """The plan {plan} is stale: {reason}. Make a fresh one."""


class EvidenceMoved(PlanStale):
    """The evidence of plan {plan} was gathered anew after you opened its page, so nothing was decided; read it again."""


class PlanOver(ProjectsError):
    """The plan {plan} is {state}, so this cannot be done with it."""


class PlanNotApproved(ProjectsError):
    """The plan {plan} waits for approval: POST /admin/plans/{plan}/approve."""


class PlanNeedsOther(ProjectsError):
    """The plan {plan} needs the approval of another person than {actor}."""


class PlanRefused(ProjectsError):
    """The policy of {table} refuses this: {reason}"""


class RowsInTheWay(ProjectsError):
    """Rows of {table} are in the way, so nothing was changed: {reason}"""

    changes: list[dict]


class SchemaIncompatible(ProjectsError):
    """The new schema of {table} breaks its compatibility mode {mode}, so it is kept and not applied: {reason}"""


class UndoRefused(ProjectsError):
    """The plan {plan} cannot be undone: {reason}"""


class ArchiveDamaged(ProjectsError):
    """The archive {archive} is missing or not as it was written; nothing was changed."""


class TableReadOnly(ProjectsError):
    """The table {table} is read-only."""


class TablePinned(ProjectsError):
    """The table {table} is pinned to its version; unpin it first."""


class ConfirmationMissing(ProjectsError):
    """This takes data away; repeat the request with confirm={table}."""

    table: str


class QueryRefused(ProjectsError):
    """{detail}"""

    place: tuple[int, int] | None = None  # line and character in the query, both from 1, where they are known


class QueryTimedOut(ProjectsError):
    """The query did not end within {seconds} seconds and was stopped."""


class QueryTooLarge(ProjectsError):
    """The result is larger than {limit}; narrow the query."""


class StoreHeld(ProjectsError):
    """The DuckDB file is held by another process (pid {pid})."""

    pid: int | None


class StoreBusy(ProjectsError):
    """The store is busy; try again in a moment."""


class StoreReopening(StoreBusy):
    """The DuckDB file is opened anew after a fault; try again in a moment."""


class TooManyStreams(ProjectsError):
    """Too many downloads, uploads and event streams are under way; try again in a moment."""


class TooManyHeavy(ProjectsError):
    """Too many queries, large sorts and changes of tables are under way; try again in a moment."""


class ClientLeft(ProjectsError):
    """The client left before the answer was there."""


class StoreClosed(ProjectsError):
    """The store is closing; try again in a moment."""


class DiskFull(ProjectsError):
    """The disk is full; nothing was written."""


class DiskNearlyFull(DiskFull):
    """The disk of {holds} has {free} MiB free, less than the {reserve} MiB kept in reserve, so nothing was written; reading goes on."""


class NoRoomForBackup(DiskFull):
    """The backup was not made: it needs {needed} MiB beside the reserve of {reserve} MiB, and the disk of SPOOL_DIR has {free} MiB free."""


class FolderUnusable(ProjectsError):
    """The folder {folder} cannot be used: {reason}."""


class StoreDamaged(ProjectsError):
    """The DuckDB file cannot be opened: {reason}."""


class StoreMissing(ProjectsError):
    """The DuckDB file that DUCKDB_PATH names is gone, and Django's database knows {tables} tables of it.

    Put it back, or restore a backup; to begin anew without it, run manage.py accept_store.
    """


class StoreOther(ProjectsError):
    """The DuckDB file that DUCKDB_PATH names is not the one that Django's database belongs to.

    Name the right one, or restore both from one backup; to take it as it is, run manage.py accept_store.
    """


class StoreBehind(ProjectsError):
    """The DuckDB file has lost writes that were acknowledged: its change feed ends at {seq}, and {known} was seen at {seen_at}.

    It is left as it was found. Restore a backup; to go on without them, run manage.py accept_store.
    """


class RewriteFailed(ProjectsError):
    """The DuckDB file did not come out as it was when it was written anew, so the old one stays."""


class StoreTooNew(ProjectsError):
    """The DuckDB file was written by a newer DuckDB Spawn (format {found}, this one knows {known}); start that version."""


class PatternRefused(ProjectsError):
    """The pattern {pattern} of {table}.{column} is no regular expression that RE2 takes; mend it in the ontology."""


class SchemaMismatch(ProjectsError):
    """The table {table} did not come out as wanted, so nothing was changed: {reason}."""


class SchemaMoved(ProjectsError):
    """The table {table} changed meanwhile; look at it again, then repeat the request."""


class TableAltered(ProjectsError):
    """The table {table} was altered by hand and does not fit its schema; GET /admin/drift shows it, a plan repairs or adopts it."""


class TableUnreadable(ProjectsError):
    """The table {table} has what no schema can say, so it is neither repaired nor adopted until somebody takes that away: {reason}"""


class AdoptRefused(ProjectsError):
    """The table {table} cannot be adopted as it is in the file: {reason}"""


class VersionUnmapped(ProjectsError):
    """Rows of {table} cannot be {deed} in the shape of version {version}: {reason}."""


class OutOfMemory(ProjectsError):
    """This needs more memory than DuckDB was given; narrow it, or raise DUCKDB_MEMORY_LIMIT."""


class OutOfTempSpace(OutOfMemory):
    """This needs more temporary disk space than there is; narrow it, raise DUCKDB_TEMP_LIMIT, or make room on the disk."""


class JobNotFound(ProjectsError):
    """There is no job {job} that you may see."""


class JobFileNotFound(ProjectsError):
    """The job {job}, which is {state}, has no file; files are kept for seven days."""


class RejectsGone(ProjectsError):
    """The job {job} has no file of rejects: it refused no row, or the seven days are over for which one is kept."""


class UploadGone(ProjectsError):
    """The file {file} is kept no longer: it was loaded or thrown away, or the seven days are over. Choose it again."""


class JobOver(ProjectsError):
    """The job {job} is over: it ended {state}."""


class OutcomeRefused(ProjectsError):
    """{detail}"""


class NotAllowed(ProjectsError):
    """{actor} may not have this done: {kind}."""


class UnknownUser(ProjectsError):
    """There is no active user named {name}."""


class JobFailed(ProjectsError):
    """{detail}"""


class BackupDirMissing(ProjectsError):
    """BACKUP_DIR is not set, so the server has no place for backups; set it, or run manage.py backup FOLDER."""


class BackupFailed(ProjectsError):
    """The backup was not made: {reason}."""


class BackupDamaged(ProjectsError):
    """The backup {backup} is damaged: {reason}."""


class BackupTooNew(ProjectsError):
    """The backup {backup} was made by a newer DuckDB Spawn (format {found}, this one knows {known}); restore it with that version."""


class BackupNotFound(ProjectsError):
    """There is no backup in {folder}."""


class TargetNotEmpty(ProjectsError):
    """{folder} is there and not an empty folder, so nothing was restored; name one that is new or empty."""
