"""What all operations of the OpenAPI document share: errors, parameters of lists and writes, headers, security schemes."""

from typing import Any

from projects import aggregates, loads, row_sets
from projects.bodies import JSON
from projects.column_documents import Json
from projects.conditions import OPERATORS, TEXT_OPERATORS
from projects.filters import DEFAULT_LIMIT, LARGEST_LIMIT
from projects.store import bulk
from projects.formats import FORMATS, JSON_LD, JSON_SCHEMA, NDJSON

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


def _query(name: str, description: str, schema: Json, **more: Any) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema, **more}


def _header(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "header", "description": description, "schema": schema}


_TAG = '(W/)?"[!#-~]*"'
_TAGS: Json = {"type": "string", "pattern": rf"^(\*|{_TAG}(, ?{_TAG})*)$"}
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
        "op": _TEXT | {"description": "create, update, delete, load (one entry for all of its rows) or schema."},
        "key": {"type": ["string", "null"], "description": "The row's, as in its address."},
        "before": {"description": "The row as it was."},
        "after": {"description": "The row as it is since."},
        "schema_version": {"type": ["integer", "null"]},
        "rows": {"type": ["integer", "null"], "description": "How many, of a load."},
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

_PARAMETERS: Json = {
    "Conditions": _query(
        "conditions",
        "Conditions on columns, each a parameter by itself: `status=ACTIVE`, or with two underscores and an operator, "
        f"`total_amount__gte=100`. All of them must hold. The operators are {', '.join(OPERATORS)}; {', '.join(TEXT_OPERATORS)} are for "
        "text, `in`, `nin` and `between` take values with commas between them, `isnull` takes true or false.",
        {
            "type": "object",
            "additionalProperties": _TEXT,
        },
        style="form",
        explode=True,
    ),
    "Filter": _query(
        "filter",
        'Conditions as a tree in JSON, with `_or`, `_and`, `_not`: `{"_or": [{"status": "ACTIVE"}, {"total_amount__gte": 100}]}`.',
        _WORDS | {"contentMediaType": "application/json"},
    ),
    "Table": {"name": "table", "in": "path", "required": True, "description": "The table's name.", "schema": _TEXT},
    "GroupBy": _query(
        "group_by",
        f"Columns with commas between them, or parts of times such as `creation_date__month`; the parts are {', '.join(aggregates.PARTS)}. "
        "One group of all rows where it is left out.",
        _WORDS,
    ),
    "Aggregates": _query(
        "agg",
        f"What is told of each group, such as `count,sum(total_amount)`; `count` where it is left out. The functions are "
        f"{', '.join(aggregates.FUNCTIONS)}. Their columns are called `count` and `sum_total_amount`.",
        _WORDS,
    ),
    "Having": _query(
        "having",
        'Conditions on the groups, as in `filter`, such as `{"count__gt": 1}`.',
        _WORDS | {"contentMediaType": "application/json"},
    ),
    "Search": _query("q", "Only rows with this text, in whatever case, in one of their text columns.", _WORDS),
    "Cursor": _query(
        "cursor",
        "Where the list goes on: take it, with the rest of the address, from the `next` of the answer's `Link`. It holds for one sort, "
        "filter and version of the schema, and goes with no offset.",
        _WORDS,
    ),
    "Sort": _query(
        "sort", "Columns with commas between them, `-` before one for descending, such as `-total_amount,name`; nulls last.", _WORDS
    ),
    "Limit": _query(
        "limit",
        f"How many rows; {DEFAULT_LIMIT} for JSON where it is left out, every row for the other formats.",
        {"type": "integer", "minimum": 1, "maximum": LARGEST_LIMIT},
    ),
    "Offset": _query("offset", "How many rows to leave out first; slow when large.", _COUNT | {"maximum": 2**62}),
    "Fields": _query("fields", "Only these columns, with commas between them; the rows have no others then.", _WORDS),
    "Format": _query("format", "Goes before Accept.", {"type": "string", "enum": list(FORMATS)}),
    "PreferCount": _header("Prefer", "`count=exact` gives X-Total-Count.", _TEXT),
    "PreferExport": _header(
        "Prefer",
        "`count=exact` gives X-Total-Count. `respond-async`, with a format that is not JSON, leaves a job: 202, and its file is at "
        "`/ops/jobs/{id}/file` once it is done.",
        _TEXT,
    ),
    "Since": _query(
        "since", "What came after this `seq`; from the first change that is kept where it is left out.", _COUNT | {"maximum": 2**62}
    ),
    "ChangesFormat": _query(
        "format",
        "Goes before Accept. `Accept: text/event-stream` (or `format=events`) goes on for five minutes, an event a change; come again "
        "with Last-Event-ID.",
        {"type": "string", "enum": ["json", "ndjson"]},
    ),
    "LastEventId": _header("Last-Event-ID", "Of an event stream: the `id` of the last event that you have. Goes before `since`.", _TEXT),
    "SchemaVersion": _header(
        "Schema-Version",
        "The number of a version of the table's schema, in whose names, types and order of columns the rows are read and "
        "written, by the doors of one row too; the answer has it again. 409 where the rows have no such shape now.",
        {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
    ),
    "IfNoneMatch": _header("If-None-Match", "An ETag that you have; 304 where it still holds.", _TEXT),
    "RowIfNoneMatch": _header(
        "If-None-Match",
        "ETags that you have: a GET is answered 304 where the row has one of them. `*` on a PUT: make the row, or 412 where it is there.",
        _TAGS,
    ),
    "IfMatch": _header("If-Match", "The ETag that the row had when you read it: 412 where it has changed since.", _TAGS),
    "IdempotencyKey": _header(
        "Idempotency-Key",
        "Do this once: the same request with the same key, within 24 hours, gets the first answer again. Such as a UUID.",
        {"type": "string", "pattern": "^[!#-~][!-~]{0,254}$"},
    ),
    "MaxAffected": _query(
        "max_affected",
        f"How many rows may be meant, {row_sets.USUAL_MOST} where it is left out; where more are, none is touched (409).",
        {"type": "integer", "minimum": 1, "maximum": row_sets.LARGEST_MOST},
    ),
    "DryRunOnRows": _query("dry_run", "Only count the rows; change nothing.", {"type": "boolean"}),
    "Null": _query("null", "A text that means null in a CSV file, such as NA, besides the empty field.", {"type": "array", "items": _TEXT}),
    "DryRun": _query("dry_run", "Check the rows of an array or a file and change nothing; always 200.", {"type": "boolean"}),
    "OnConflict": _query(
        "on_conflict",
        "What becomes of a row whose key is taken: an `error`, the usual; it is left out with `ignore`; with `update` the row that is there "
        "gets the columns that are sent. A key twice in one file is a reject under each.",
        {"type": "string", "enum": list(bulk.ON_CONFLICT)},
    ),
    "OnError": _query(
        "on_error",
        "`abort`, the usual: one bad row, and nothing is loaded. `skip`: the good rows are loaded, and the others told as rejects.",
        {"type": "string", "enum": list(loads.ON_ERROR)},
    ),
    "PreferAsync": _header(
        "Prefer",
        "`respond-async`, for an array or a file: the load is left as a job (202), and what it rejects is at `/ops/jobs/{id}/rejects`.",
        _TEXT,
    ),
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
    "parameters": _PARAMETERS,
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
