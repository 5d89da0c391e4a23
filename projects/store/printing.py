"""Values of any type as JSON: what `to_json` has to be asked, so that what it prints is exact and every reader takes it."""

import re

from projects.store.sql import literal

_AS_TEXT = ("UNION", "VARIANT", "GEOMETRY")
_PIECES = r"""'"(?:[^"\\]|\\.)*"|[^"]+'"""  # of a JSON text: its strings, and what stands between them
_BARE = "'(?i)-?(nan|inf(inity)?)'"


def json_expression(sql_expr: str, type_text: str) -> str:
    """An expression of which `to_json` prints exact JSON, for a value (an SQL expression) of a type as DuckDB writes it.

    Times are ISO 8601 in UTC with Z, BLOB is base64, NaN and the infinities are null, inside lists, structs and maps too. DECIMAL and
    the integers stay as they are: `to_json` of DuckDB 2.0 is exact for them.
    """
    return _json(sql_expr, type_text, 1)


def _json(value: str, type_: str, depth: int) -> str:
    if list_ := re.fullmatch(r"(.*)\[\d*\]", type_, re.DOTALL):
        return _json_list(value, list_[1], depth)
    base, _, inside = type_.partition("(")
    match base:
        case "STRUCT" | "TUPLE" | "MAP":
            return _json_nested(value, base, members(inside.removesuffix(")")), depth)
        case "TIMESTAMP" | "TIMESTAMP_S" | "TIMESTAMP_MS" | "TIMESTAMP_NS":
            return f"CASE WHEN isfinite({value}) THEN replace(CAST({value} AS VARCHAR), ' ', 'T') || 'Z' END"
        case "TIMESTAMP WITH TIME ZONE":
            return f"CASE WHEN isfinite({value}) THEN replace(CAST(({value}) AT TIME ZONE 'UTC' AS VARCHAR), ' ', 'T') || 'Z' END"
        case "FLOAT" | "DOUBLE" | "DATE":
            return f"CASE WHEN isfinite({value}) THEN {value} END"
        case "BLOB":
            return f"to_base64({value})"
        case "JSON":
            return _json_strict(value)
    return f"CAST({value} AS VARCHAR)" if base in _AS_TEXT else value


def _json_list(value: str, type_: str, depth: int) -> str:
    element = f"e{depth}"
    printed = _json(element, type_, depth + 1)
    return value if printed == element else f"list_transform({value}, lambda {element}: {printed})"


def _json_nested(value: str, base: str, members: list[tuple[str, str]], depth: int) -> str:
    if base == "MAP":
        entry = f"e{depth}"
        printed = _json(f"{entry}.value", members[1][1], depth + 1)
        pair = f"{{'key': CAST({entry}.key AS VARCHAR), 'value': {printed}}}"
        return value if printed == f"{entry}.value" else f"map_from_entries(list_transform(map_entries({value}), lambda {entry}: {pair}))"
    fields = [f"struct_extract_at({value}, {position})" for position in range(1, len(members) + 1)]
    printed_fields = [_json(field, type_, depth) for field, (_, type_) in zip(fields, members, strict=True)]
    if printed_fields == fields:
        return value
    if base == "TUPLE":
        return f"CASE WHEN {value} IS NOT NULL THEN row({', '.join(printed_fields)}) END"
    pairs = ", ".join(f"{literal(name)}: {field}" for (name, _), field in zip(members, printed_fields, strict=True))
    return f"CASE WHEN {value} IS NOT NULL THEN {{{pairs}}} END"


def _json_strict(value: str) -> str:
    """DuckDB's JSON may hold NaN and Infinity, which no other reader takes; outside strings they become null."""
    pieces = f"regexp_extract_all(CAST({value} AS VARCHAR), {_PIECES})"
    cleaned = f"CASE WHEN starts_with(p, '\"') THEN p ELSE regexp_replace(p, {_BARE}, 'null', 'g') END"
    mended = f"CAST(array_to_string(list_transform({pieces}, lambda p: {cleaned}), '') AS JSON)"
    return f"CASE WHEN regexp_matches(CAST({value} AS VARCHAR), {_BARE}) THEN {mended} ELSE {value} END"


def members(text: str) -> list[tuple[str, str]]:
    """The members of a struct, tuple or map as (name, type); a name is empty where there is none."""
    parts = [part.strip() for part in _split(text)]
    return [(_unquoted(match[1] or ""), match[2]) for part in parts if (match := _MEMBER.fullmatch(part))]


_MEMBER = re.compile(r'(?:("(?:[^"]|"")*"|[A-Za-z_]\w*) (?!WITH TIME ZONE))?(.*)', re.DOTALL)
_SIGNS = re.compile(r'"(?:[^"]|"")*"|' + r"'(?:[^']|'')*'" + r"|[(),]")


def _split(text: str) -> list[str]:
    """Cuts at the commas that stand outside brackets and quotes."""
    depth, start, parts = 0, 0, []
    for sign in _SIGNS.finditer(text):
        depth += (sign[0] == "(") - (sign[0] == ")")
        if sign[0] == "," and depth == 0:
            parts.append(text[start : sign.start()])
            start = sign.end()
    return [*parts, text[start:]]


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
