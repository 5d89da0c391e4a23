"""What a reader's SELECT may be: two layers, and neither alone is enough.

The first asks DuckDB how many statements there are, and of what type; a data-modifying CTE and DESCRIBE count as SELECT there. The
second walks the tree that DuckDB itself parsed (`json_serialize_sql`) against lists of what is allowed: a form, a table, a function or a
type that stands in none of them is refused. What a statement may cost before the time limit can stop it is measured in `query_bounds`.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any

import duckdb

from projects.errors import OutOfMemory, QueryRefused
from projects.store.query_bounds import Bounds
from projects.store.query_functions import AGGREGATES, BY_NAME, FUNCTIONS, TABLE_FUNCTIONS, TYPES, fold, words

LONGEST_SQL = 100_000  # bytes of UTF-8
DEEPEST_BRACKETS = 100  # DuckDB's parser takes 6 s for 3,000 nested joins, and no interrupt stops it
DEEPEST_TREE = 100  # expressions, tables and queries inside one another; the measure of bounds recurses over them

# Each kind of expression and the types it may have; an empty set allows all of its kind.
_EXPRESSIONS: dict[str, frozenset[str]] = {
    "BETWEEN": frozenset(),
    "CASE": frozenset(),
    "CAST": frozenset(),
    "COLLATE": frozenset(),
    "COLUMN_REF": frozenset(),
    "COMPARISON": frozenset(),
    "CONJUNCTION": frozenset(),
    "CONSTANT": frozenset(),
    "FUNCTION": frozenset(),
    "LAMBDA": frozenset(),
    "OPERATOR": words(
        """
OPERATOR_NOT OPERATOR_IS_NULL OPERATOR_IS_NOT_NULL COMPARE_IN COMPARE_NOT_IN OPERATOR_COALESCE OPERATOR_NULLIF ARRAY_EXTRACT ARRAY_SLICE
ARRAY_CONSTRUCTOR STRUCT_EXTRACT GROUPING_FUNCTION OPERATOR_UNPACK OPERATOR_TRY"""
    ),
    "PARAMETER": frozenset(),
    "POSITIONAL_REFERENCE": frozenset(),
    "STAR": frozenset(),
    "SUBQUERY": frozenset(),
    "TYPE": frozenset(),
    "WINDOW": frozenset(),
}
_QUERIES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE"})
_RELATIONS = frozenset({"BASE_TABLE", "EMPTY", "EXPRESSION_LIST", "JOIN", "PIVOT", "SUBQUERY", "TABLE_FUNCTION"})
_MODIFIERS = frozenset(
    {"ORDER_MODIFIER", "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "DISTINCT_MODIFIER", "ASCENDING", "DESCENDING", "ORDER_DEFAULT"}
)
# Every name that any part of an allowed tree may have. `pivot_enum` (a type that a hidden statement makes), `show_type`, `returning_list`,
# `export_state` and the like are missing on purpose.
_PARTS = words(
    """
aggregate_handling aggregates alias aliases arg_orders arguments at_clause case_checks catalog_name child children class collation
column column_name_alias column_names columns comparison_type condition cte_map cte_name default_expr delim_flipped distinct
distinct_on_targets duplicate_eliminated_columns else_expr end end_expr entries exclude_clause exclude_list expected_names
expected_types expr expression filter filter_expr from_table function function_name group_expressions group_sets groups has_ignore_nulls
having id identifier ignore_nulls include_nulls index input is_implicit is_null is_operator is_percentage join_type key key_targets kind
left lhs limit limit_type literal lower map materialized method modifiers name named_param_map nearest_approx nearest_count
nearest_order_type node null_order offset offset_expr order_bys orders partitions path payload_aggregates pivot_expressions pivots
qualified_exclude_list qualified_name qualify query query_location query_location_length query_node ref_type relation_name rename_list
repeatable replace_list right sample sample_rate sample_size schema_name seed select_list setop_all setop_type source star_expr start
start_expr subquery subquery_type syntax_type table table_name text then_expr try_cast type type_expr type_info type_name union_all unit
unpivot_names upper using_columns value values when_expr where_clause with_ordinality"""
)
_NAMED = _PARTS | {"schema", "catalog"}  # for what is a function: elsewhere the path alone says
# Columns of these names that no table has are answered by DuckDB with facts of the server.
_SERVER_FACTS = frozenset({"current_catalog", "current_database", "current_role", "current_schema", "current_user", "session_user"})
_COLLATION = re.compile(r"\w+(\.\w+)*", re.ASCII)

Tree = Mapping[str, Any]
Scope = frozenset[str]  # the CTE names that can be seen


def check(cursor: duckdb.DuckDBPyConnection, sql: str, tables: Collection[str], *, longest_parameter: int = 1) -> None:
    """Refuses whatever is not one SELECT over `tables` with allowed functions; `longest_parameter` is in characters.

    Raises QueryRefused with what is not allowed.
    """
    read_tree(cursor, sql, tables, longest_parameter=longest_parameter)


def read_tree(cursor: duckdb.DuckDBPyConnection, sql: str, tables: Collection[str], *, longest_parameter: int = 1) -> str:
    """Checks as `check` does and returns the statement's own text, without what may follow its semicolon."""
    return _checked(cursor, sql, tables, longest_parameter)[0]


def tree(cursor: duckdb.DuckDBPyConnection, sql: str, tables: Collection[str]) -> Tree:
    """Checks as `check` does and returns the tree."""
    return _checked(cursor, sql, tables, 1)[1]


def _checked(cursor: duckdb.DuckDBPyConnection, sql: str, tables: Collection[str], longest_parameter: int) -> tuple[str, Tree]:
    _check_text(sql)
    statement = _one_select(cursor, sql)
    found = _tree_of(statement)
    _Walk(tables).over(found["node"])
    try:
        Bounds(longest_parameter).check(found["node"])
    except RecursionError:
        raise _too_deep() from None
    return statement, found


def tokens(sql: str) -> list[tuple[int, str]]:
    """Each operator character outside strings, names and comments: its offset in bytes of UTF-8, and itself."""
    data = sql.encode()
    return [(at, chr(data[at])) for at, kind in duckdb.tokenize(sql) if kind == duckdb.token_type.operator]


def _check_text(sql: str) -> None:
    try:
        size = len(sql.encode())
    except UnicodeEncodeError:
        raise QueryRefused(detail="The query is not valid Unicode text.") from None
    if size > LONGEST_SQL:
        raise QueryRefused(detail=f"The query is longer than {LONGEST_SQL} bytes.")
    if "\0" in sql:
        raise QueryRefused(detail="The query has a null character.")
    depth = deepest = 0
    for _, character in tokens(sql):
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    if deepest > DEEPEST_BRACKETS:
        raise QueryRefused(detail=f"The query has more than {DEEPEST_BRACKETS} brackets inside one another.")


def _one_select(cursor: duckdb.DuckDBPyConnection, sql: str) -> str:
    try:
        statements = cursor.extract_statements(sql)
    except duckdb.OutOfMemoryException as error:
        raise OutOfMemory() from error
    except (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError) as error:
        raise refused(error, sql) from error
    if len(statements) != 1:
        raise QueryRefused(detail=f"A query is one SELECT statement; this has {len(statements)}.")
    if statements[0].type != duckdb.StatementType.SELECT:
        raise QueryRefused(detail="A query is one SELECT statement; this is of another type.")
    return _without_end(statements[0].query)


def _without_end(statement: str) -> str:
    ends = [at for at, character in tokens(statement) if character == ";"]
    return statement.encode()[: ends[0]].decode() if ends else statement


@lru_cache(maxsize=1)
def _parser() -> duckdb.DuckDBPyConnection:
    """An empty DuckDB that writes trees in its own form: a file that 1.5 can still read makes its instance write 1.5's."""
    return duckdb.connect(":memory:", config={"threads": 1, "enable_external_access": False})


def _tree_of(sql: str) -> Tree:
    options = "skip_null := true, skip_empty := true, skip_default := true"
    try:
        with _parser().cursor() as parser:
            row = parser.execute(f"SELECT json_serialize_sql(?, {options})::VARCHAR", [sql]).fetchone()
        answer: dict[str, Any] = json.loads(row[0]) if row else {"error": True}
    except RecursionError:
        raise _too_deep() from None
    except duckdb.OutOfMemoryException as error:
        raise OutOfMemory() from error
    except (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError) as error:
        raise QueryRefused(detail=explained(error)) from error
    if answer["error"] or len(answer["statements"]) != 1:
        raise QueryRefused(detail="The query cannot be checked, so it is not run.")
    return answer["statements"][0]


def refused(error: duckdb.Error, sql: str) -> QueryRefused:
    """What DuckDB says of the query, and where in it."""
    return QueryRefused(detail=explained(error), place=_place(str(error), sql))


_QUOTED_LINE = re.compile(r"^(LINE (\d+): (?:\.\.\.)?)(.*)\n( *)\^", re.MULTILINE)


def _place(message: str, sql: str) -> tuple[int, int] | None:
    """Line and character, from 1. DuckDB shows a part of the line, whose number counts what was written around the query."""
    found = _QUOTED_LINE.search(message)
    if not found:
        return None
    before, number, shown, blank = found[1], int(found[2]), found[3].removesuffix("..."), found[4]
    lines = [(at, line.find(shown)) for at, line in enumerate(sql.split("\n"), 1)]
    at, start = min(((at, start) for at, start in lines if start >= 0), key=lambda one: abs(one[0] - number), default=(0, 0))
    return (at, start + len(blank) - len(before) + 1) if at else None


def explained(error: duckdb.Error) -> str:
    """The first line of DuckDB's message: what follows quotes the statement, or lists names the caller may not know."""
    lines = str(error).strip().splitlines()
    return re.sub(r"\s*Did you mean.*", "", lines[0]) if lines else "DuckDB refused the query."


def _too_deep() -> QueryRefused:
    return QueryRefused(detail=f"The query has more than {DEEPEST_TREE} expressions or queries inside one another.")


class _Walk:
    """One pass over a statement's tree, without recursion; each part is visited with the CTE names it can see."""

    def __init__(self, tables: Collection[str]) -> None:
        self._tables = frozenset(fold(name) for name in tables)
        self._waiting: list[tuple[Any, Scope, int]] = []

    def over(self, node: Tree) -> None:
        self._push(node, frozenset(), 0)
        while self._waiting:
            part, scope, depth = self._waiting.pop()
            if isinstance(part, list):
                self._push_all(part, scope, depth)
            elif isinstance(part, dict):
                self._visit(part, scope, depth)

    def _push(self, part: Any, scope: Scope, depth: int) -> None:
        self._waiting.append((part, scope, depth))

    def _push_all(self, parts: Any, scope: Scope, depth: int) -> None:
        for part in parts:
            self._push(part, scope, depth)

    def _visit(self, part: Tree, scope: Scope, depth: int) -> None:
        named = _NAMED if part.get("class") in ("FUNCTION", "WINDOW") else _PARTS
        if unknown := part.keys() - named:
            raise QueryRefused(detail=f"A query cannot have this form: {', '.join(sorted(unknown))}.")
        kind, type_ = part.get("class"), part.get("type")
        if kind is None and not isinstance(type_, str):
            self._push_all(part.values(), scope, depth)
            return
        if depth >= DEEPEST_TREE:
            raise _too_deep()
        if kind is not None:
            self._push_all(self._expression(part, kind, str(type_)), scope, depth + 1)
        elif type_ in _QUERIES:
            self._query(part, scope, depth + 1)
        elif type_ in _RELATIONS:
            self._push_all(self._relation(part, str(type_), scope), scope, depth + 1)
        elif type_ in _MODIFIERS:
            self._push_all(part.values(), scope, depth + 1)
        else:
            raise QueryRefused(detail=f"A query cannot have this form: {type_}.")

    def _query(self, node: Tree, scope: Scope, depth: int) -> None:
        """A CTE sees those before it, and itself only in the recursive half: elsewhere its name means a table."""
        inner = scope
        for entry in node.get("cte_map", {}).get("map", ()):
            self._push(entry["value"], inner, depth)
            inner |= {fold(entry["key"])}
        for name, part in node.items():
            if name == "cte_map":
                continue
            itself = {fold(node["cte_name"])} if node["type"] == "RECURSIVE_CTE_NODE" and name == "right" else frozenset()
            self._push(part, inner | itself, depth)

    def _relation(self, part: Tree, type_: str, scope: Scope) -> Iterator[Any]:
        if type_ == "BASE_TABLE":
            self._check_table(_path(part), scope)
        if type_ == "TABLE_FUNCTION":
            function = part["function"]
            if function.get("class") != "FUNCTION" or _function(function) not in TABLE_FUNCTIONS:
                raise QueryRefused(detail=f"The table function {_shown(_path(function))} is not allowed in a query.")
            yield from (value for name, value in function.items() if name != "qualified_name")
        yield from (value for name, value in part.items() if name != "function")

    def _check_table(self, path: list[str], scope: Scope) -> None:
        known = self._tables | scope if len(path) == 1 else self._tables
        if fold(path[-1]) not in known or [fold(name) for name in path[:-1]] not in ([], ["main"]):
            raise QueryRefused(detail=f"There is no table {_shown(path)} that this query may read.")

    def _expression(self, part: Tree, kind: str, type_: str) -> Iterator[Any]:
        allowed = _EXPRESSIONS.get(kind)
        if allowed is None or (allowed and type_ not in allowed):
            raise QueryRefused(detail=f"A query cannot have this form: {type_}.")
        if kind in ("FUNCTION", "WINDOW"):
            _check_function(part)
        if kind == "TYPE" and (len(_path(part)) != 1 or fold(_path(part)[0]) not in TYPES):
            raise QueryRefused(detail=f"The type {_shown(_path(part))} is not allowed in a query.")
        if kind == "COLLATE" and not _COLLATION.fullmatch(part.get("collation", "")):
            raise QueryRefused(detail="There is no such collation.")
        if kind == "COLUMN_REF" and len(part["column_names"]) == 1 and fold(part["column_names"][0]) in _SERVER_FACTS:
            raise QueryRefused(detail=f"{part['column_names'][0]} is not allowed in a query.")
        yield from part.values()


def _path(part: Tree) -> list[str]:
    return part.get("qualified_name", {}).get("path") or [""]


def _shown(path: list[str]) -> str:
    return ".".join(path)


def _function(part: Tree) -> str:
    path = _path(part)
    return fold(path[0]) if len(path) == 1 else ""


def _check_function(part: Tree) -> None:
    """The name alone counts: `x.f(y)` is f of the column x, or f of the schema x, and f is the same function."""
    name = fold(_path(part)[-1])
    if name not in FUNCTIONS:
        raise QueryRefused(detail=f"The function {_shown(_path(part))} is not allowed in a query.")
    if name in BY_NAME:
        arguments = part.get("arguments", ())
        named = arguments[1]["expression"].get("literal", {}) if len(arguments) > 1 else {}
        if named.get("kind") != "STRING" or fold(named.get("text", "")) not in AGGREGATES:
            raise QueryRefused(detail=f"{name} takes the name of an allowed aggregate as its second argument, as text.")
