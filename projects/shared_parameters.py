"""The parameters that operations of the OpenAPI document share: of lists, of writes, of loads."""

from typing import Any

from projects import aggregates, loads, row_sets
from projects.column_documents import Json
from projects.conditions import OPERATORS, TEXT_OPERATORS
from projects.filters import DEFAULT_LIMIT, LARGEST_LIMIT
from projects.formats import FORMATS
from projects.store import bulk

_TEXT: Json = {"type": "string"}
_WORDS: Json = {"type": "string", "minLength": 1}
_COUNT: Json = {"type": "integer", "minimum": 0}


def _query(name: str, description: str, schema: Json, **more: Any) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema, **more}


def _header(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "header", "description": description, "schema": schema}


_NULLS: Json = {"type": "array", "items": {"type": "string", "pattern": '^[^",]*$'}}
_TAG = '(W/)?"[!#-~]*"'
_TAGS: Json = {"type": "string", "pattern": rf"^(\*|{_TAG}(, ?{_TAG})*)$"}

PARAMETERS: Json = {
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
        "filter and version of the schema.",
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
    "Offset": _query("offset", "How many rows to leave out first, or after the cursor; slow when large.", _COUNT | {"maximum": 2**62}),
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
    "Null": _query("null", "A text that means null in a CSV file, such as NA, besides the empty field.", _NULLS),
    "DryRun": _query("dry_run", "Check the rows of an array or a file and change nothing; always 200.", {"type": "boolean"}),
    "OnConflict": _query(
        "on_conflict",
        "What becomes of a row whose key is taken: an `error`, the usual; with `ignore` it is left out; with `update` the row that is "
        "there gets the columns that are sent. A key twice in one file is a reject under each.",
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
