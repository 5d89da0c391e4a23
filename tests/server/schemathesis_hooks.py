"""What Schemathesis has to know of this service beside its OpenAPI document.

A door asks for more than a JSON Schema can say: that `sort` names columns, that a CSV file has a head, that 20 as a text is within a
number's bounds. A refusal for such a reason is no fault. It is known here by the reason that the answer itself gives, value by value.
"""

import os
from typing import Any

import schemathesis

# The token that the run itself comes with: to revoke it would end the run.
OWN_TOKEN = os.environ.get("SCHEMATHESIS_TOKEN_ID")

# Parameters whose texts are small languages, and a cursor, which only the service can make.
LANGUAGES = {"?filter", "?having", "?sort", "?fields", "?group_by", "?agg", "?cursor"}

# What one operation asks for of its whole body or address, by the codes of its refusals.
BEYOND: dict[str, set[str]] = {
    "drop_table": {"confirmation-missing"},  # `confirm` repeats the table's name.
    "make_plan": {"inputs-refused", "bad-request"},  # `inputs` names the table's columns, and goes with no `"drift": "adopt"`.
    "bring_table": {"document-refused", "document-names-other"},  # A schema document has a language of its own.
    "query": {"query-refused", "query-too-large", "query-timed-out"},  # So has SQL.
    "sync": {"bad-request"},  # `accept_shrunk` goes with no `names`.
}
FILE_CODES = {"head-refused", "rows-refused", "file-refused", "bad-request"}


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    return OWN_TOKEN is None or (case.path_parameters or {}).get("token_id") != OWN_TOKEN


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    match type(failure).__name__:
        case "RejectedPositiveData":
            return not is_beyond_schema(case, response.json())
        case "AcceptedNegativeData":
            return not (_is_unknown_header(failure) or _is_told_by_a_dry_run(case, response))
    return True


def is_beyond_schema(case: Any, problem: dict[str, Any]) -> bool:
    """Whether everything that the answer complains of is what no JSON Schema says."""
    operation = case.operation.definition.raw["operationId"]
    if problem["code"] in BEYOND.get(operation, ()):
        return True
    if operation.endswith(".create") and case.media_type != "application/json" and problem["code"] in FILE_CODES:
        return True  # A file is a text, or bytes, to a JSON Schema.
    rejects = [(f"/{r['column']}", r["code"], r["row"]) for r in problem.get("rejects", ())]
    reasons = rejects or [(e["pointer"], e["code"], None) for e in problem["errors"]]
    return bool(reasons) and all(_is_beyond(case, *reason) for reason in reasons)


def _is_beyond(case: Any, pointer: str, code: str, row: int | None) -> bool:
    if pointer.startswith("?"):
        return pointer in LANGUAGES or _is_loose(case, pointer.removeprefix("?"))
    column = pointer.removeprefix("/")
    form, value = _form(case, column), _sent(case, column, row)
    match code:
        case "key":  # The address has it, and it does not change.
            return True
        case "pattern":
            return "x-pattern" in form
        case "minimum" | "maximum":
            return f"x-{code}" in form or isinstance(value, str)
        case "range":
            return isinstance(value, str | list)
        case "type":
            return "x-scale" in form or "\0" in str(value)
    return False


def _is_loose(case: Any, name: str) -> bool:
    """Whether a parameter is one of the conditions by operator, the text of JSON, or a number whose decimal places are counted."""
    declared = case.operation.query.get(name)
    if declared is None:
        return True
    form = declared.definition.get("schema", {})
    return "contentMediaType" in form or form == {"type": "number"} or "\0" in str((case.query or {}).get(name))


def _form(case: Any, column: str) -> dict[str, Any]:
    """What the document says of a column that is written, its type's own component included."""
    parts = case.operation.schema.raw_schema["components"]["schemas"]
    table = case.operation.definition.raw["operationId"].rpartition(".")[0]
    form = parts.get(f"{table}Patch", {}).get("properties", {}).get(column, {})
    while reference := form.get("$ref") or form.get("items", {}).get("$ref"):
        form = parts[reference.rpartition("/")[2]] | {k: v for k, v in form.items() if k not in ("$ref", "items")}
    return form


def _sent(case: Any, column: str, row: int | None) -> Any:
    body = case.body[row - 1] if isinstance(case.body, list) and row else case.body
    return body.get(column) if isinstance(body, dict) else None


def _is_unknown_header(failure: Any) -> bool:
    """HTTP asks that headers which nobody knows are let through (RFC 9110, 5.1)."""
    return failure.message.endswith("in header - object with unexpected properties")


def _is_told_by_a_dry_run(case: Any, response: Any) -> bool:
    """A dry run answers 200 with what it would reject."""
    return str((case.query or {}).get("dry_run")).lower() == "true" and response.json().get("rejected", 0) > 0
