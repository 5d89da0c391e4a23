"""Who may do what: each REST view names the right that each of its methods needs, and this asks for it.

A right is a Django permission. A token narrows its owner's rights: both must have the one that is asked for.
"""

from typing import Any

from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

READ_ROWS = "projects.read_rows"  # rows, changes, schemas, tables, the query door, OpenAPI
WRITE_ROWS = "projects.write_rows"  # create, change and load rows
MANAGE_TABLES = "projects.manage_tables"  # tables, plans, sources, initialize
MANAGE_JOBS = "projects.manage_jobs"  # everybody's jobs
READ_AUDIT = "schema_registry.read_audit"
OPERATE = "monitoring.operate"  # log level, metrics, backup
WHOLE = (READ_AUDIT, OPERATE)  # What these show is of every table: a token that reaches some only has them not.
ALL = (READ_ROWS, WRITE_ROWS, MANAGE_TABLES, MANAGE_JOBS, READ_AUDIT, OPERATE)


def allows(user: Any, token: Any, right: str) -> bool:
    """Whether this person, and the token they came with if any, both have the right."""
    return bool(user and user.is_active and user.has_perm(right) and (token is None or token.allows(right)))


def may_enter(user: Any) -> bool:
    """Whether the console lets the person in: any right of ours does, and Django's staff flag for who only keeps Django's own records."""
    return bool(user.is_active and (user.is_staff or any(user.has_perm(right) for right in ALL)))


def reaches(token: Any, table: str) -> bool:
    """Whether the token, if there is one, reaches the table."""
    return token is None or bool(token.allows_table(table))


def is_scoped(token: Any) -> bool:
    """Whether the token reaches some tables only."""
    return token is not None and bool(token.scopes)


class HasRight(BasePermission):
    """Asks for the right that the view's `rights` names for the method."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Raises MethodNotAllowed, to somebody who is signed in, for a method that `rights` does not name; OPTIONS needs any of them."""
        asked = {"GET" if request.method == "HEAD" else request.method}
        needed = [right for method, right in view.rights.items() if method in asked or request.method == "OPTIONS"]
        if not needed and request.user and request.user.is_authenticated:
            raise MethodNotAllowed(request.method or "")
        return any(allows(request.user, request.auth, right) for right in needed)
