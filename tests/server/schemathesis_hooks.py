"""What Schemathesis has to know of this service beside its OpenAPI document.

A door asks for more than a JSON Schema can say: that `sort` names columns, that a CSV file has a head, that 20 as a text is within a
number's bounds. So good requests get such words from the document itself, before they are sent; and a refusal for such a reason is no
fault. It is known by the reason that the answer gives, value by value, never by an operation or a status alone.
"""

import json
import os
import re
from collections import defaultdict
from collections.abc import Callable
from itertools import count
from typing import Any
from urllib.parse import unquote
from zlib import crc32

import pyarrow as pa
import schemathesis
from pyarrow import parquet

Json = dict[str, Any]

# The token that the run itself comes with: to revoke it would end the run.
OWN_TOKEN = os.environ.get("SCHEMATHESIS_TOKEN_ID")

# Parameters whose texts are small languages, and a cursor, which only the service can make.
LANGUAGES = ("filter", "having", "sort", "fields", "group_by", "agg", "cursor")

# What one operation asks for of its whole body or address, by the codes of its refusals.
BEYOND: dict[str, set[str]] = {
    "drop_table": {"confirmation-missing"},  # `confirm` repeats the table's name.
    "make_plan": {"inputs-refused", "bad-request"},  # `inputs` names the table's columns, and goes with no `"drift": "adopt"`.
    "bring_table": {"document-refused", "document-names-other"},  # A schema document has a language of its own.
    "query": {"query-refused", "query-too-large", "query-timed-out"},  # So has SQL.
    "sync": {"bad-request"},  # `accept_shrunk` goes with no `names`.
}
# A file is a text, or bytes, to a JSON Schema.
FILE_CODES = {"head-refused", "rows-refused", "file-refused", "bad-request"}

numbers = count(1)


def _packed(names: list[str], writer: Any) -> bytes:
    table = pa.table({name: pa.array([], pa.string()) for name in names})
    sink = pa.BufferOutputStream()
    writer(table, sink)
    return sink.getvalue().to_pybytes()


def _arrow(table: pa.Table, sink: Any) -> None:
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)


# Good files with the columns of a table, and no row.
HEADS: dict[str, Callable[[list[str]], bytes]] = {
    "text/csv": lambda names: (",".join(names) + "\n").encode(),
    "application/x-ndjson": lambda names: b"",
    "application/vnd.apache.parquet": lambda names: _packed(names, parquet.write_table),
    "application/vnd.apache.arrow.stream": lambda names: _packed(names, _arrow),
}


@schemathesis.serializer(*HEADS)
def as_it_is(context: Any, value: Any) -> Json:
    """A file's bytes; what is none, as its text."""
    return {"data": value if isinstance(value, bytes) else str(value).encode(errors="replace")}


keys: dict[str, list[str]] = defaultdict(list)  # by table, of the rows that the run itself has made


# Good requests get words that are good here.


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    return OWN_TOKEN is None or (case.path_parameters or {}).get("token_id") != OWN_TOKEN


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Json) -> None:
    if len(case.headers.get("Idempotency-Key", "")) == 1:
        case.headers["Idempotency-Key"] = f"key-{next(numbers)}"  # One letter, drawn twice, would be two requests with one key.
    if case.meta is None or case.meta.generation.mode.is_negative:
        return
    if isinstance(case.body, dict) and "read_only" in case.body:
        case.body["read_only"] = False  # The rows are still to be written.
    if case.path == "/ops/query" and _pick(case.body["sql"], 2):
        case.body = {"sql": f"SELECT count(*) AS n FROM {sorted(_tags(case))[0]}"}
    for name in ("If-Match", "If-None-Match"):
        if name in case.headers and '"' not in case.headers[name]:
            case.headers[name] = '"0"'  # Of its pattern Schemathesis makes no good tag.
    table = _table(case)
    if table == "table":  # The paths that are alike for every table.
        table = case.path_parameters["table"] = sorted(_tables(case))[_pick(str(case.path_parameters), len(_tables(case)))]
    row = _tables(case).get(table)
    if row is None:
        return
    if case.query or case.operation.definition.raw["operationId"].endswith("_many"):
        _speak(case, row["properties"])
    if case.media_type in HEADS:
        case.body = HEADS[case.media_type](list(row["properties"]))
    for one in case.body if isinstance(case.body, list) else [case.body]:
        if isinstance(one, dict):
            _shorten(case, one, row["x-primary-key"])
    if case.path_parameters and keys[table] and case.meta.phase.name != "stateful" and _pick(str(case.path_parameters), 2):
        case.path_parameters["key"] = keys[table][_pick(str(case.path_parameters), len(keys[table]))]
        if isinstance(case.body, dict):
            case.body = {name: value for name, value in case.body.items() if name not in row["x-primary-key"]}


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    location = response.headers.get("location", [""])[0]
    if response.status_code == 201 and location.startswith("/ops/"):
        keys[_table(case)].append(unquote(location.rpartition("/")[2]))


def _speak(case: Any, columns: Json) -> None:
    """Says what a parameter asks for in the words of the table; which, depends on what was generated."""
    names, query = list(columns), case.query
    column = names[_pick(str(query), len(names))]
    said: Json = {
        "filter": json.dumps({"_or": [{f"{column}__isnull": False}, {"_not": {f"{names[0]}__isnull": True}}]}),
        "having": json.dumps({"count__gte": 1}),
        "sort": "count" if case.path.endswith("/aggregate") else f"-{column}",
        "fields": ",".join(dict.fromkeys([names[0], column])),
        "group_by": column,
        "agg": f"count,count_distinct({column})",
    }
    for name, value in query.items():
        if isinstance(value, str | float) and re.fullmatch(r"-?[0-9]+\.0", str(value)):
            query[name] = str(value).removesuffix(".0")  # 7.0 is an integer to a JSON Schema, and none in an address.
    query.pop("cursor", None)
    query.update({name: said[name] for name in said if name in query})
    unknown = [name for name in query if name not in case.operation.query]
    for name in unknown:
        del query[name]
    if unknown or case.operation.definition.raw["operationId"].endswith("_many"):
        query[f"{column}__isnull"] = "false"


def _shorten(case: Any, body: Json, key: list[str]) -> None:
    """Makes texts in the place of numbers small ones, which are within the bounds of every type."""
    for name, value in body.items():
        if isinstance(value, str) and name not in key and "x-scale" in (form := _form(case, name)) | _number(form):
            body[name] = str(1 + _pick(value, 9))


def _number(form: Json) -> Json:
    return {"x-scale": 0} if {"integer", "number"} & set(form.get("type", ())) else {}


def _pick(text: str, size: int) -> int:
    return crc32(text.encode(errors="replace")) % size


# What is no fault.


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    match type(failure).__name__:
        case "RejectedPositiveData":  # 423: a table that the run itself made read-only, or pinned.
            return not (response.status_code == 423 or is_beyond_schema(case, response.json()))
        case "AcceptedNegativeData":  # Refused is refused, with whatever status.
            return not (400 <= response.status_code < 500 or _is_unknown_header(failure) or _is_told(case, response))
        case "UseAfterFree":  # A job that was cancelled can still be looked at.
            return not case.path.startswith("/ops/jobs/")
        case "JsonSchemaError":  # Rows have the columns alone that `fields` asks for.
            return not ("fields" in case.query and "is a required property" in failure.message)
    return True


def is_beyond_schema(case: Any, problem: Json) -> bool:
    """Whether everything that the answer complains of is what no JSON Schema says."""
    operation = case.operation.definition.raw["operationId"]
    if problem["code"] in BEYOND.get(operation, ()):
        return True
    if problem["code"] in ("precondition-failed", "key-reused"):  # They depend on what the row is, and on earlier requests.
        return True
    if operation.endswith(".create") and case.media_type != "application/json" and problem["code"] in FILE_CODES:
        return True
    rejects = [(f"/{r['column']}", r["code"], r["row"]) for r in problem.get("rejects", ())]
    reasons = rejects or [(e["pointer"], e["code"], None) for e in problem["errors"]]
    return bool(reasons) and all(_is_beyond(case, *reason) for reason in reasons)


def _is_beyond(case: Any, pointer: str, code: str, row: int | None) -> bool:
    if pointer.startswith("?"):
        return pointer.removeprefix("?") in LANGUAGES or _is_loose(case, pointer.removeprefix("?"))
    column = pointer.removeprefix("/")
    form, value = _form(case, column), _sent(case, column, row)
    match code:
        case "key" | "reference":  # The address has it, and it does not change; another table has it, where the run enforces that.
            return True
        case "pattern":
            return "x-pattern" in form
        case "minimum" | "maximum":
            return f"x-{code}" in form or isinstance(value, str)
        case "range":
            return isinstance(value, str | list)
        case "type":  # Decimal places; NUL in a text; an offset from UTC that no place on earth has.
            return "x-scale" in form or "\0" in str(value) or form.get("format") == "date-time"
    return False


def _is_loose(case: Any, name: str) -> bool:
    """Whether a parameter is one of the conditions by operator, the text of JSON, or a number whose decimal places are counted."""
    declared = case.operation.query.get(name)
    if declared is None:
        return True
    form = declared.definition.get("schema", {})
    is_time = form.get("format") == "date-time"  # with an offset from UTC that no place on earth has
    return is_time or "contentMediaType" in form or form == {"type": "number"} or "\0" in str((case.query or {}).get(name))


def _is_unknown_header(failure: Any) -> bool:
    """HTTP asks that headers which nobody knows are let through (RFC 9110, 5.1)."""
    return failure.message.endswith("in header - object with unexpected properties")


def _is_told(case: Any, response: Any) -> bool:
    """A dry run, and a load that skips what is bad, answer 200 with what they reject."""
    asked = {str(case.query.get(name)).lower() for name in ("dry_run", "on_error")}
    return bool(asked & {"true", "skip"}) and response.json().get("rejected", 0) > 0


# The document.


def _table(case: Any) -> str:
    return case.operation.definition.raw["operationId"].rpartition(".")[0]


def _components(case: Any) -> Json:
    return case.operation.schema.raw_schema["components"]["schemas"]


def _tables(case: Any) -> Json:
    """What the document says of a row, for each of its tables, by their components' names; the paths that are alike have tables' names."""
    parts = _components(case)
    rows = {name: form for name, form in parts.items() if "x-primary-key" in form}
    return rows if _table(case) != "table" else {tag: rows[name] for tag, name in _tags(case).items()}


def _tags(case: Any) -> dict[str, str]:
    """Each table's name, and its component's."""
    listed = [path["get"] for path in case.operation.schema.raw_schema["paths"].values() if "get" in path]
    return {o["tags"][0]: o["operationId"].removesuffix(".list") for o in listed if o["operationId"].endswith(".list")}


def _form(case: Any, column: str) -> Json:
    """What it says of a column that is written, its type's own component included."""
    parts = _components(case)
    form = parts.get(f"{_table(case)}Patch", {}).get("properties", {}).get(column, {})
    while reference := form.get("$ref") or form.get("items", {}).get("$ref"):
        form = parts[reference.rpartition("/")[2]] | {k: v for k, v in form.items() if k not in ("$ref", "items")}
    return form


def _sent(case: Any, column: str, row: int | None) -> Any:
    body = case.body[row - 1] if isinstance(case.body, list) and row else case.body
    return body.get(column) if isinstance(body, dict) else None
