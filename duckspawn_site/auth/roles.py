"""The four roles, and what each may do. Each is a Django group of the same name, made by a migration."""

from schema_registry.rights import MANAGE_JOBS, MANAGE_TABLES, OPERATE, READ_AUDIT, READ_ROWS, WRITE_ROWS

VIEWER = (READ_ROWS,)
EDITOR = (*VIEWER, WRITE_ROWS)
STEWARD = (*EDITOR, MANAGE_TABLES, READ_AUDIT)
OPERATOR = (*VIEWER, MANAGE_JOBS, OPERATE, READ_AUDIT)

ROLES: dict[str, tuple[str, ...]] = {"viewer": VIEWER, "editor": EDITOR, "steward": STEWARD, "operator": OPERATOR}
