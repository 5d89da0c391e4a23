"""The query door, and what stewards do to tables, schemas and plans."""

from collections.abc import Iterator

from tests.site.bad_inputs.rows import TABLES
from tests.site.bad_inputs.sent import BIG, HUGE, NO_OBJECT, NOT_JSON, Bad, get, post


def queries() -> Iterator[Bad]:
    """The query door."""
    at = "/ops/query"
    for body in (*NOT_JSON, *NO_OBJECT, b"[]"):
        yield post(at, body, 400, 413)
    for sql in SQL:
        yield post(at, {"sql": sql}, 400, 413, 422)
    for params in (None, 1, "a", {"a": 1}, [10**400], [1, 2, 3], [float("nan")]):
        yield post(at, {"sql": "SELECT ?", "params": params}, 400, 413, 422)
    yield post(at, {"sql": "SELECT 1", "extra": 1})
    yield post(at, b'{"sql": "SELECT \'\\ud800\'"}')
    yield post(f"{at}?format=xml", {"sql": "SELECT 1"}, 400, 406)
    yield post(at, {"sql": "SELECT 1"}, 406, Accept="image/png")


SQL: list[object] = [
    None,
    1,
    [],
    {},
    "",
    " ",
    ";",
    "\0",
    "SELECT",
    "SELECT 1; SELECT 2",
    "INSERT INTO projects VALUES (1)",
    "DROP TABLE projects",
    "SELECT * FROM nothing",
    "SELECT * FROM _duckspawn.live",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "COPY projects TO '/tmp/x'",
    "ATTACH '/tmp/x'",
    "PRAGMA database_list",
    "SET memory_limit='1TB'",
    "SELECT " + "(" * 5_000 + "1" + ")" * 5_000,
    "SELECT " + "+".join(["1"] * 20_000),
    "SELECT " + "-" * 9_000 + "1",
    "WITH a AS (DELETE FROM projects RETURNING *) SELECT * FROM a",
    "SELECT '" + "x" * 2_000_000,
    "SELECT repeat('x', 1000000000)",
    "SELECT 1/0::",
    "SELECT CAST('x' AS INTEGER)",
    "SELECT '2026-13-01'::DATE",
    "SELECT \ud800",
    "/* unclosed",
    "SELECT $1, $2",
    "SELECT * FROM range(" + HUGE + ")",
]


def stewardship() -> Iterator[Bad]:
    """Tables, schemas, plans, drift, sync, audit."""
    doors = ("/admin/tables", "/admin/plans", "/admin/plans/apply", "/admin/sync")
    for at in doors:
        for body in (*NOT_JSON, *NO_OBJECT, b"[]"):
            yield post(at, body, 400, 413)
        yield post(at, {"no_such": 1})
        yield post(at, b'{"table": "\\ud800"}')
    for schema in ("", 1, [], {}, None, "nothing", "\0", "x" * 5_000, "../x"):
        yield post("/admin/tables", {"schema": schema}, 400, 404, 422)
    for document in DOCUMENTS:
        yield post("/admin/tables/projects", {"schema": document}, 400, 422, method="PUT")
    for decision in DECISIONS:
        yield post("/admin/tables/projects", decision, 400, 404, 422, method="PATCH")
    for table in TABLES:
        yield get(f"/admin/tables/{table}", 404)
        yield post(f"/admin/tables/{table}", {}, 404, method="PUT")
        yield Bad("DELETE", f"/admin/tables/{table}?confirm={table}", (404, 428))
    for confirm in ("", "project", "projects%00", "%ff", "x" * 5_000, "portfolios"):
        yield Bad("DELETE", f"/admin/tables/projects?confirm={confirm}", (428, 400))
    for alias in ("x", "%00", "%ff", "x" * 5_000):
        yield Bad("DELETE", f"/admin/tables/projects/aliases/{alias}", (404,))
    yield from _pages("/admin/tables", "/admin/plans", "/admin/drift", "/ops/jobs", "/admin/audit")
    for query in ("table=%00", "state=no", "state=", "no=1", "limit=1&no=1"):
        yield get(f"/admin/plans?{query}", *((200, 400) if query.startswith("table") else (400,)))
    for number in ("0", "999999", BIG, HUGE, "-1", "1.5", "x", "%00", "%D9%A1"):
        yield get(f"/admin/plans/{number}", 404)
        for deed in ("approve", "reject", "apply", "undo"):
            yield post(f"/admin/plans/{number}/{deed}", {}, 404)
    for deed, body in (("approve", {"reason": 1}), ("reject", {"reason": []}), ("apply", {"confirm": 1}), ("undo", {"confirm": {}})):
        yield post(f"/admin/plans/1/{deed}", body, 400, 404)
    for plans in ("all", [1.5], ["1"], [True], [None], [BIG], {}, [-1], [10**30], [999_999]):
        yield post("/admin/plans/apply", {"plans": plans}, 400, 404)
    yield post("/admin/plans/apply", {"plans": [], "confirm": "x"})
    for body in PLANS:
        yield post("/admin/plans", body, 400, 404, 409, 422)
    for body in (
        {"names": "x"},
        {"names": []},
        {"names": [1]},
        {"names": [""]},
        {"accept_shrunk": "yes"},
        {"names": ["a"], "accept_shrunk": True},
    ):
        yield post("/admin/sync", body)
    for query in ("refresh=perhaps", "refresh=%00", "no=1"):
        yield get(f"/admin/drift?{query}")
    for name in TABLES:
        yield get(f"/admin/schemas/{name}/versions", 404)
    for number in ("0", BIG, HUGE, "-1", "x", "%00"):
        yield get(f"/admin/schemas/projects/versions/{number}", 404)
    for span in ("1", "1..", "..1", "1..2..3", "a..b", f"{BIG}..1", f"1..{HUGE}", "%00..1", "1..%D9%A3"):
        yield get(f"/admin/schemas/projects/versions?diff={span}", 400, 404)
    for query in ("no=1", "limit=x", "seq=x"):
        yield get(f"/admin/audit?{query}")


def _pages(*doors: str) -> Iterator[Bad]:
    for at in doors:
        for query in (
            "limit=0",
            "limit=x",
            "limit=-1",
            f"limit={HUGE}",
            f"limit=000000000001{BIG}",
            "offset=-1",
            f"offset={HUGE}",
            "limit=%00",
        ):
            yield get(f"{at}?{query}")
        yield get(f"{at}?offset=000000000001{BIG}")
        yield get(f"{at}?nothing=1")


DOCUMENTS: list[object] = [
    None,
    1,
    "projects",
    [],
    {},
    {"name": "projects"},
    {"name": "projects", "columns": []},
    {"name": "projects", "columns": {}},
    {"name": "projects", "columns": [None, 1, "x", []]},
    {"name": "projects", "columns": [{"name": "a"}]},
    {"name": "projects", "columns": [{"name": "a", "type": "NO"}]},
    {"name": "projects", "columns": [{"name": "a", "type": "DECIMAL(99,1)"}]},
    {"name": "projects", "columns": [{"name": "a", "type": "INTEGER"}] * 2},
    {"name": "projects", "columns": [{"name": f"c{n}", "type": "INTEGER"} for n in range(1001)]},
    {"name": "projects", "columns": [{"name": "a", "type": "TEXT", "pattern": "("}]},
    {"name": "projects", "columns": [{"name": "a", "type": "TEXT", "pattern": "(a{1000}){1000}"}]},
    {"name": "projects", "columns": [{"name": "a\0", "type": "TEXT"}]},
    {"name": "projects", "columns": [{"name": "a" * 300, "type": "TEXT"}]},
    {"name": "projects", "columns": [{"name": "a", "type": "TEXT", "max_length": 10**30}]},
    {"name": "projects", "columns": [{"name": "a", "type": "INTEGER", "minimum": 5, "maximum": 1}]},
    {"name": "portfolios", "columns": [{"name": "a", "type": "INTEGER"}]},
    {"name": "x" * 100, "columns": [{"name": "a", "type": "INTEGER"}]},
    {"name": "projects", "primary_key": ["nothing"], "columns": [{"name": "a", "type": "INTEGER"}]},
]
DECISIONS: list[object] = [
    {"no": 1},
    {"pinned": "yes"},
    {"pinned": 1},
    {"read_only": []},
    {"policy": "x"},
    {"policy": {"no": "apply"}},
    {"policy": {"additive": "perhaps"}},
    {"policy": {"additive": {}}},
    {"compatibility": "no"},
    {"compatibility": 1},
]
PLANS: list[object] = [
    {},
    {"table": 1},
    {"table": None},
    {"table": "nothing"},
    {"table": "x" * 5_000},
    {"table": "\0"},
    {"table": "projects", "inputs": 1},
    {"table": "projects", "inputs": []},
    {"table": "projects", "inputs": {"nothing": {"constant": 1}}},
    {"table": "projects", "inputs": {"dscr": 1}},
    {"table": "projects", "inputs": {"dscr": {"expression": "1; DROP TABLE projects"}}},
    {"table": "projects", "inputs": {"dscr": {"no": 1}}},
    {"table": "projects", "drift": "x"},
    {"table": "projects", "drift": 1},
]
