"""The API described: one OpenAPI 3.1 document of everything, or of one table; Swagger UI; a table's JSON Schema.

Each answer is made from the live tables, so it is fresh after every schema change. What does not depend on them is
generated once, and a whole document is kept until the tables change.
"""

import re
import threading
from collections.abc import Iterable
from functools import cache, lru_cache
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import orjson
from django.contrib.auth.mixins import PermissionRequiredMixin
from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response, patch_vary_headers
from drf_spectacular.drainage import warn
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from projects import exchange, formats, linked_data, table_operations
from projects.aliases import Names
from projects.bodies import JSON
from projects.column_documents import Json
from projects.errors import BadRequest, StoreHeld
from projects.formats import JSON_LD, JSON_SCHEMA
from projects.row_views import Reach, check_scope
from projects.shared_documents import PARTS, SECURITY
from projects.store.books import LiveTable
from projects.store.connection import Store, get_store
from projects.table_documents import component_names, components, row_schema
from schema_registry.errors import SpawnError
from schema_registry.rights import READ_ROWS, HasRight
from schema_registry.schema import TableSchema

_making = threading.Lock()  # drf-spectacular's generator is made for one thread


class General(SchemaGenerator):
    """Generates the document without the tables."""


def add_tables(result: Json, generator: Any, request: Any, public: bool) -> Json:
    """drf-spectacular's hook: what every operation shares, and the live tables' paths and components."""
    _add_shared(result)
    store = get_store()
    # Describing the API, which `manage.py check --deploy` does too, does not make the file.
    if isinstance(generator, General) or not (store.is_open or store.path.exists()):
        return result
    try:
        schemas = [t.schema for t in store.tables()]
    except StoreHeld as held:
        warn(f"{held} So the tables are left out.")
        return result
    return _with_tables(result, schemas, _names([s.name for s in schemas], result))


def _add_shared(result: Json) -> None:
    """The shared components, and for every operation the answer that any error has."""
    for kind, parts in PARTS.items():
        result["components"].setdefault(kind, {}).update(parts)
    result["security"] = SECURITY
    result["paths"] |= table_operations.paths_alike()
    for path in result["paths"].values():
        for operation in path.values():
            operation["responses"].setdefault("default", {"$ref": "#/components/responses/Problem"})
            _close(result, operation.get("requestBody", {}))


def _close(result: Json, body: Json) -> None:
    """Says of a body, and of what it refers to, that it takes no names but its own: every door refuses the others."""
    for pointer in re.findall(r"#/components/schemas/(\w+)", str(body)):
        component = result["components"]["schemas"][pointer]
        if component.get("type") == "object" and "additionalProperties" not in component:
            component["additionalProperties"] = False
            _close(result, component)


@cache
def _general() -> Json:
    return General().get_schema(public=True)


def _names(tables: Iterable[str], document: Json) -> dict[str, str]:
    return component_names(tables, document["components"]["schemas"])


def _with_tables(document: Json, schemas: Iterable[TableSchema], names: dict[str, str]) -> Json:
    """The document and the tables; the one that is given stays as it was."""
    all_paths, parts = dict(document["paths"]), {kind: dict(named) for kind, named in document["components"].items()}
    for schema in schemas:
        name = names[schema.name]
        all_paths |= table_operations.paths(schema, name)
        for kind, named in table_operations.components(schema, name).items():
            parts[kind] |= named
        parts["schemas"] |= components(schema, name)
    return document | {"paths": all_paths, "components": parts}


@lru_cache(maxsize=4)
def _whole(store: Store, generation: int, reached: frozenset[str]) -> bytes:
    """The general document and the tables that are `reached`. The names are those of all tables, so every reader sees the same."""
    schemas = [t.schema for t in store.tables()]
    seen = [s for s in schemas if s.name in reached]
    return orjson.dumps(_with_tables(_general(), seen, _names([s.name for s in schemas], _general())))


def _of_table(store: Store, schema: TableSchema) -> bytes:
    """The one table and what operations share, under the names that the whole document has."""
    general = _general()
    names = _names({schema.name, *(t.name for t in store.tables())}, general)
    shared = general["components"] | {"schemas": PARTS["schemas"]}
    alike = table_operations.paths_alike(schema, names[schema.name])
    document = _with_tables(general | {"paths": {}, "components": shared}, [schema], names)
    return orjson.dumps(document | {"paths": document["paths"] | alike})


class Document(APIView):
    """The OpenAPI document."""

    permission_classes = [HasRight]
    rights = {"GET": READ_ROWS}
    renderer_classes = [OpenApiJsonRenderer2, OpenApiJsonRenderer]

    @extend_schema(
        operation_id="openapi",
        tags=["openapi"],
        parameters=[OpenApiParameter("table", str, description="Only this table; with no name (`?table=`), everything but the tables.")],
        responses={(200, "application/json"): OpenApiTypes.OBJECT},
    )
    def get(self, request: Request) -> HttpResponse:
        """This document: the whole API with the live tables that you reach, or one table."""
        _check_parameters(request._request, "table")
        return _answer(request._request, _document(request), "application/json")


def _document(request: Request) -> bytes:
    store, table = get_store(), request.query_params.get("table")
    store.connection()
    if table:
        check_scope(request, table)
        live = store.table(table)
        with _making:
            return _of_table(store, live.schema)
    generation = store.generation  # Read before the tables: what is kept under it is never older than it.
    token: Any = request.auth
    reached = [t.name for t in store.tables() if token is None or token.allows_table(t.name)]
    with _making:
        return _whole(store, generation, frozenset(reached if table is None else ()))


def _check_parameters(request: HttpRequest, *known: str) -> None:
    """Raises BadRequest for a parameter that there is not, or that is given twice."""
    for name, values in request.GET.lists():
        if name not in known:
            raise BadRequest(detail=f"There is no parameter {name} here; there is {', '.join(known) or 'none'}.")
        if len(values) > 1:
            raise BadRequest(detail=f"{name} is given twice.")


def _answer(request: HttpRequest, body: bytes, kind: str) -> HttpResponse:
    """The body, or 304 where the client has it already."""
    etag = f'"{sha256(body).hexdigest()[:32]}"'
    answer = HttpResponse(body, content_type=kind, headers={"ETag": etag, "Cache-Control": "private, no-cache"})
    return get_conditional_response(request, etag=etag, response=answer) or answer


class TableJsonSchema(APIView):
    """A row's JSON Schema, or its JSON-LD context."""

    permission_classes = [Reach]
    content_negotiation_class = exchange.AnyFormat
    rights = {"GET": READ_ROWS}

    @extend_schema(exclude=True)  # Each live table's own path describes it.
    def get(self, request: Request, table: str) -> HttpResponse:
        """JSON Schema 2020-12 of a row as it is answered; or what its names mean, as a JSON-LD context, by Accept."""
        _check_parameters(request._request)
        live = get_store().table(table)
        schema = live.schema
        if formats.best(request.headers.get("Accept", ""), [JSON_SCHEMA, JSON_LD, JSON]) == JSON_LD:
            return _told(request, live, table, linked_data.context(schema), JSON_LD)
        head = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": request.build_absolute_uri(f"/ops/{quote(schema.name)}/schema"),
            "title": schema.name,
        }
        tail = {"x-unique": [list(rule) for rule in schema.unique]}
        return _told(request, live, table, head | row_schema(schema) | tail, JSON_SCHEMA)


def _told(request: Request, live: LiveTable, table: str, document: Json, kind: str) -> HttpResponse:
    answer = _answer(request._request, orjson.dumps(document), kind)
    patch_vary_headers(answer, ["Accept"])
    return exchange.telling(answer, Names(live, table).used)


class Docs(PermissionRequiredMixin, SpectacularSwaggerSplitView):
    """Swagger UI from local files, one table at a time: with hundreds of them at once it would take minutes."""

    permission_required = READ_ROWS
    login_url = "/console/login/"
    template_name = "docs.html"

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        answer = super().get(request, *args, **kwargs)
        answer.data |= {"chosen": _chosen(request), "tables": [t.name for t in get_store().tables()]}
        return answer

    def _get_schema_url(self, request: Request) -> str:
        """Where the page's script finds its document. The library's own drops a parameter that is empty."""
        return f"/openapi.json?table={quote(_chosen(request))}"

    def handle_exception(self, exc: Exception) -> Any:
        """An error of ours goes on to the site, which shows a person a page."""
        if isinstance(exc, SpawnError):
            raise exc
        return super().handle_exception(exc)


def _chosen(request: Request) -> str:
    """The name of the table that is asked for, or nothing. Raises TableNotFound."""
    asked = request.query_params.get("table")
    return get_store().table(asked).name if asked else ""
