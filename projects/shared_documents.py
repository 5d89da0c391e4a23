"""What all operations of the OpenAPI document share: errors, answers, headers, security schemes."""

from projects.bodies import JSON
from projects.column_documents import Json
from projects.formats import FORMATS, JSON_LD, JSON_SCHEMA, NDJSON
from projects.shared_parameters import PARAMETERS

SECURITY: list[Json] = [{"bearerAuth": []}, {"cookieAuth": []}]

_TEXT: Json = {"type": "string"}
ROWS: Json = {"type": "array", "items": {"type": "object"}}
_WORDS: Json = {"type": "string", "minLength": 1}
_COUNT: Json = {"type": "integer", "minimum": 0}
_STATUSES = {
    400: "the request is not understood",
    401: "no token, or one that is not accepted",
    403: "no right to this",
    404: "there is no such table or row",
    410: "what came after `since` is kept no longer; read the rows anew",
    406: "no format that Accept names",
    409: "the key or another unique value is taken, more rows are meant than `max_affected` allows, or the rows have no such shape as "
    "Schema-Version asks for",
    412: "the row is not as If-Match or If-None-Match wants it",
    413: "too large; what is sent as a file, such as application/x-ndjson, may be",
    415: "a content type that is not taken, or a Content-Encoding that is not gzip",
    422: "a value breaks the schema, and `errors` or `rejects` names each",
    423: "the table is read-only",
    429: "too many requests",
    503: "busy, and Retry-After says when to ask again",
}
_EVERYWHERE = (401, 403, 429, 503)
# By the operations that answer so.
_PROBLEMS = {
    "Problem": (404,),
    "ListProblem": (400, 404, 406),
    "ChangesProblem": (400, 404, 406, 410),
    "LoadProblem": (400, 404, 409, 413, 415, 422, 423),
    "ManyProblem": (400, 404, 409, 422, 423),
    "RowProblem": (400, 404, 409, 412, 415, 422, 423),
}


def _object(properties: Json, *, optional: tuple[str, ...] = (), description: str = "") -> Json:
    return {
        "type": "object",
        **({"description": description} if description else {}),
        "properties": properties,
        "required": [name for name in properties if name not in optional],
    }


def _problem(*statuses: int) -> Json:
    description = "\n".join(f"- {status}: {_STATUSES[status]}" for status in sorted(statuses))
    return {"description": description, "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}


# Many rows as a file; the body may come with `Content-Encoding: gzip`.
FILES: Json = {
    form.kind: {"schema": {"type": "string"} | ({"format": "binary"} if form.name in ("parquet", "arrow") else {})}
    for form in FORMATS.values()
    if form.name != "json"
}


def in_every_format(rows: Json) -> Json:
    """The rows as JSON, described; the other formats have the same rows."""
    return {form.kind: {"schema": rows} if form.kind == JSON else {} for form in FORMATS.values()}


_FAULT = _object({"pointer": _TEXT | {"description": "A JSON pointer, or `?parameter`."}, "code": _TEXT, "detail": _TEXT})
_REJECT = _object(
    {
        "row": {"type": ["integer", "null"], "description": "Counts data rows from 1."},
        "column": {"type": ["string", "null"]},
        "value": {},
        "code": _TEXT,
        "reason": _TEXT,
    },
    optional=("code",),
)
_FILE: Json = _TEXT | {"format": "uri-reference", "description": "Where all of them are, as CSV, for seven days."}
_REJECTS: Json = {"type": "array", "items": _REJECT, "description": "The first 100."}

_SCHEMAS: Json = {
    "Problem": _object(
        {
            "type": _TEXT | {"format": "uri-reference"},
            "title": _TEXT,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": _TEXT,
            "instance": _TEXT | {"format": "uri-reference"},
            "code": _TEXT | {"description": "Stable, for programs."},
            "request_id": _TEXT | {"description": "What the log knows the request by."},
            "errors": {"type": "array", "items": _FAULT},
            "rejects": _REJECTS,
            "rejects_file": _FILE,
            "changes": {"type": "array", "items": {"type": "object"}, "description": "What only a plan can do."},
        },
        optional=("rejects", "rejects_file", "changes"),
        description="Why a request was not done (RFC 9457).",
    ),
    "Loaded": _object(
        {"inserted": _COUNT, "updated": _COUNT, "ignored": _COUNT, "rejected": _COUNT, "rejects": _REJECTS, "rejects_file": _FILE},
        optional=("rejects_file",),
        description="What a load did, in rows.",
    ),
}

_SCHEMAS["Change"] = _object(
    {
        "seq": _COUNT,
        "at": _TEXT | {"format": "date-time"},
        "actor": {"type": ["string", "null"]},
        "op": _TEXT
        | {"description": "create, replace, patch, delete, load (one entry for all of its rows where it only added), schema, or erase."},
        "key": {"type": ["string", "null"], "description": "The row's, as in its address."},
        "before": {"description": "The row as it was."},
        "after": {"description": "The row as it is since."},
        "schema_version": {"type": ["integer", "null"]},
        "rows": {"type": ["integer", "null"], "description": "How many, of a load; how many more, of an erasure."},
        "job": {"type": ["string", "null"]},
    },
    optional=("actor", "key", "before", "after", "schema_version", "rows", "job"),
    description="One change of a table's rows, or of its schema.",
)

_RESPONSES: Json = {
    "NotModified": {"description": "You have it already: it is what If-None-Match names."},
    **{name: _problem(*statuses, *_EVERYWHERE) for name, statuses in _PROBLEMS.items()},
    "Loaded": {
        "description": "The rows of an array or a file are loaded, all of them; or, with dry_run, they could be.",
        "headers": {"Deprecation": {"$ref": "#/components/headers/Deprecation"}},
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Loaded"}}},
    },
    "Changed": {
        "description": "How many rows were changed, or would be.",
        "content": {JSON: {"schema": _object({"updated": _COUNT})}},
    },
    "Deleted": {
        "description": "How many rows were deleted, or would be.",
        "content": {JSON: {"schema": _object({"deleted": _COUNT})}},
    },
    "Groups": {
        "description": "The groups: the columns that they are grouped by, then one for each aggregate, such as `sum_total_amount`.",
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in ("Link", "ETag", "X-Total-Count", "Deprecation")},
        "content": in_every_format(ROWS),
    },
    "JsonSchema": {
        "description": "JSON Schema 2020-12 of a row as it is answered; by Accept, its names as a JSON-LD context.",
        "content": {kind: {"schema": {"type": "object"}} for kind in (JSON_SCHEMA, JSON_LD)},
    },
    "Changes": {
        "description": "What changed, oldest first. `X-Last-Seq` is the `since` to go on from, and so is the `next` of Link.",
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in ("Link", "X-Last-Seq", "Deprecation")},
        "content": {
            JSON: {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Change"}}},
            NDJSON: {},
            "text/event-stream": {"schema": _TEXT},
        },
    },
    "Accepted": {
        "description": "It is left as a job, which Location leads to.",
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in ("Location", "Preference-Applied")},
        "content": {JSON: {"schema": {"type": "object"}}},
    },
}

_HEADERS: Json = {
    "Location": {"description": "The row's own address.", "schema": _TEXT | {"format": "uri-reference"}},
    "X-Total-Count": {"description": "Rows that match, where they were asked to be counted.", "schema": _COUNT},
    "Link": {"description": 'The address of the next page, as `<...>; rel="next"`; none on the last page.', "schema": _TEXT},
    "ETag": {
        "description": "What the answer is known by. Send it in If-None-Match: 304 says that it is still so. A row's goes in If-Match too.",
        "schema": _TEXT,
    },
    "Idempotency-Replayed": {"description": "`true` where this is the first answer again.", "schema": _TEXT},
    "X-Last-Seq": {"description": "The `seq` of the last change that is told, or that there is.", "schema": _COUNT},
    "Preference-Applied": {"schema": _TEXT},
    "Deprecation": {
        "description": "Only where the request used an old name of the table or of a column: since when it is old, as `@` and Unix "
        'seconds (RFC 9745). A `Link` with `rel="deprecation"` leads to the present names.',
        "schema": _TEXT | {"pattern": "^@[0-9]+$"},
    },
}

PARTS: dict[str, Json] = {
    "schemas": _SCHEMAS,
    "responses": _RESPONSES,
    "parameters": PARAMETERS,
    "headers": _HEADERS,
    "securitySchemes": {
        "bearerAuth": {"type": "http", "scheme": "bearer", "description": "A token from POST /auth/tokens."},
        "cookieAuth": {
            "type": "apiKey",
            "in": "cookie",
            "name": "sessionid",
            "description": "The console's session; writes need X-CSRFToken.",
        },
        "basicAuth": {"type": "http", "scheme": "basic", "description": "A name and password, for /auth/tokens alone."},
    },
}
