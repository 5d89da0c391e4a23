"""Rows: one, lists of them, files of them."""

import gzip
import json
from collections.abc import Iterator
from urllib.parse import quote

from tests.site.bad_inputs.sent import BIG, GOOD, HUGE, NIL, NO_OBJECT, NOT_JSON, Bad, get, post


def rows() -> Iterator[Bad]:
    """One row, written and read."""
    at = "/ops/projects"
    for body in NOT_JSON:
        yield post(at, body, 400, 413, 422)
        yield post(f"{at}/{NIL}", body, 400, 413, 422, method="PATCH")
    for body in NO_OBJECT:
        yield post(at, body, 400, 422)
        yield post(f"{at}/{NIL}", body, 400, 422, 404, method="PUT")
    for name, value in VALUES:
        yield post(at, {**GOOD, name: value}, 422)
    for raw in RAW_VALUES:
        yield post(at, json.dumps(GOOD)[:-1].encode() + b", " + raw + b"}", 400, 422)
    yield post(at, {}, 422)
    yield post(at, {**GOOD, "no_such": 1}, 422)
    yield post(at, {**GOOD, "x" * 100_000: 1}, 422)
    yield post(at, {**GOOD, **{f"n{n}": 1 for n in range(100_000)}}, 422)
    yield post(at, {**GOOD, "": 1, "\0": 2, "a/b~c": 3}, 422)
    yield post(at, {"project_name": "x" * 20_000_000}, 413)
    yield post(f"{at}/{NIL}", {"dscr": 1}, 404, method="PATCH")
    for key in KEYS:
        yield get(f"{at}/{key}", 404, 400, 422)
        yield Bad("DELETE", f"{at}/{key}", (404, 400, 422))
    for table in TABLES:
        yield get(f"/ops/{table}", 404, 405)
        yield post(f"/ops/{table}", GOOD, 404, 405, 400)


VALUES: list[tuple[str, object]] = [
    ("project_name", None),
    ("project_name", 5),
    ("project_name", ["a"]),
    ("project_name", {"a": 1}),
    ("project_name", "nul \0 inside"),
    ("project_name", "half \ud800"),
    ("total_amount", "many"),
    ("total_amount", True),
    ("total_amount", 10**30),
    ("total_amount", "1e30"),
    ("total_amount", "Infinity"),
    ("total_amount", "NaN"),
    ("total_amount", [1]),
    ("total_amount", 1.005),
    ("maturity_years", 2**31),
    ("maturity_years", -(2**63)),
    ("maturity_years", 1.5),
    ("maturity_years", "\uff11\uff12"),
    ("maturity_years", 10**400),
    ("dscr", {"$gt": 0}),
    ("status", "CLOSED"),
    ("status", ""),
    ("currency_code", "EURO"),
    ("creation_date", "2026-02-30"),
    ("creation_date", "yesterday"),
    ("creation_date", "99999-01-01"),
    ("creation_date", "0000-00-00"),
    ("creation_date", 20260101),
    ("last_updated", "2026-01-01T25:00:00Z"),
    ("last_updated", "2026-01-01T00:00:00+99:99"),
    ("last_updated", "+294247-01-10T04:00:54.775808Z"),
    ("last_updated", "9999-12-31T23:59:59-23:59"),
    ("last_updated", -(10**20)),
    ("project_id", "not a uuid"),
    ("project_id", "g" * 36),
    ("project_id", 7),
]
RAW_VALUES = [
    b'"dscr": 1e999999999',
    b'"dscr": -1e-999999999',
    b'"dscr": ' + b"9" * 100_000,
    b'"dscr": 1.' + b"1" * 100_000,
    b'"dscr": ' + b"[" * 200 + b"]" * 200,
    b'"project_name": "\\ud83d"',
    b'"project_name": "\\u0000"',
    b'"dscr": 1, "dscr": 2',
    b'"description": "\\udfff\\ud800"',
]
KEYS = [
    NIL,
    "x",
    "%00",
    "%20",
    "~",
    "~~",
    "~7E",
    "~GG",
    "~2",
    "~00",
    ",",
    ",,,",
    "a,b",
    f"{NIL},{NIL}",
    f"{NIL}%2C{NIL}",
    "%2e%2e",
    "..;",
    "%ff%fe",
    "%ed%a0%80",
    "%E2%80%AE",
    "'%20OR%201=1--",
    '";DROP%20TABLE%20projects;--',
    "a" * 8_000,
    HUGE,
    "-1",
    "NaN",
    "null",
    "{}",
    "%0d%0aX-Evil:%201",
    quote("\U0001d518id"),
]
TABLES = [
    "nothing",
    "%00",
    "_duckspawn",
    "_duckspawn.live",
    "information_schema.tables",
    "sqlite_master",
    "main.projects",
    '"projects"',
    "projects;",
    "projects--",
    "%22projects%22",
    "x" * 5_000,
    "%ff",
    "%ed%a0%80",
    "projects%00",
    "%2e%2e",
    "%5c",
    quote("\uff50rojects"),
]


def lists() -> Iterator[Bad]:
    """What an address asks of a list."""
    for query in LISTINGS:
        yield get(f"/ops/projects?{query}", 400, 406)
    for query in ("group_by=nothing", "group_by=%00", "agg=sum(nothing)", "agg=sum(", "agg=drop(status)", "agg=", "agg=count,count", "x=1"):
        yield get(f"/ops/projects/aggregate?{query}", 400)
    for query in ("since=-1", "since=x", f"since={HUGE}", "since=1.5", "since=%00", "since=1&since=2", "limit=0", "format=xml", "who=me"):
        yield get(f"/ops/projects/changes?{query}", 400)
    for seen in ("-1", "x", HUGE, "é", "1;2"):
        yield get("/ops/projects/changes", 400, Accept="text/event-stream", Last_Event_ID=seen)
    yield get("/ops/projects/changes", 400, Schema_Version="1")
    yield get("/ops/projects/changes", 406, Accept="image/png")
    for query in ("status=ACTIVE&limit=1", "no=1", "limit=1", ""):
        yield post(f"/ops/projects?{query}", {"dscr": 1}, 400, 409, 422, method="PATCH")
    for query in ("no=1", "limit=1", "", "status__regex=(", "max_affected=-1", "max_affected=x"):
        yield Bad("DELETE", f"/ops/projects?{query}", (400, 409, 422))
    yield post("/ops/projects?status=ACTIVE", b"[]", 400, 422, method="PATCH")
    yield post("/ops/projects?status=ACTIVE&max_affected=5", {"no_such": 1}, 422, method="PATCH")
    yield post("/ops/projects?status=ACTIVE&max_affected=5", {"project_id": NIL}, 422, method="PATCH")


LISTINGS = [
    "nothing=1",
    "status__nothing=1",
    "status__in=",
    "%00=1",
    "%ff=1",
    "total_amount=many",
    "total_amount__gte=1e999999999",
    f"total_amount={HUGE}",
    "total_amount__between=1",
    "total_amount__between=1,2,3",
    "total_amount__isnull=perhaps",
    "total_amount=NaN",
    "total_amount=Infinity",
    "maturity_years=1.5",
    f"maturity_years={BIG}",
    "project_id=x",
    "creation_date=2026-13-01",
    "last_updated=now",
    "project_name=%00",
    "project_name__regex=(",
    "project_name__regex=%00",
    "project_name__regex=(a{1000}){1000}",
    f"project_name__regex={'(' * 2000}",
    "status__in=%22ACTIVE",
    "filter=",
    "filter={",
    "filter=[]",
    "filter=null",
    "filter=1",
    "filter=%7B%22_or%22:%20%22a%22%7D",
    "filter=%7B%22_not%22:%20%5B%5D%7D",
    "filter=%7B%22no%22:%201%7D",
    "filter=%7B%22status%22:%20%7B%22eq%22:%20%7B%7D%7D%7D",
    "filter=%7B%22status%22:%20%22%5Cud800%22%7D",
    f"filter={'%7B%22_not%22:' * 300}1{'%7D' * 300}",
    f"filter={'[' * 4000}",
    "filter=NaN",
    "sort=nothing",
    "sort=--status",
    "sort=%00",
    "sort=,",
    "fields=nothing",
    "fields=,",
    "fields=status,status",
    "fields=%ed%a0%80",
    "limit=0",
    "limit=-1",
    "limit=10001",
    "limit=x",
    "limit=1.0",
    f"limit={HUGE}",
    "limit=%D9%A1",
    "limit=1&limit=2",
    "offset=-1",
    "offset=x",
    f"offset={HUGE}",
    f"offset={BIG}",
    "cursor=x",
    "cursor=%00",
    "cursor=%ff",
    "cursor=a:b:c",
    "cursor=.eJwAAAAA:x",
    f"cursor={'a' * 6000}",
    "cursor=eyJhIjoxfQ:1rX:abc",
    "format=xml",
    "format=%00",
    "format=json&format=csv",
    "q=%00",
]


def loads() -> Iterator[Bad]:
    """Files of every format that are none, or not this table's."""
    at = "/ops/projects"
    for kind in ("text/csv", "application/x-ndjson", "application/vnd.apache.parquet", "application/vnd.apache.arrow.stream"):
        for body in FILES[3:] if kind.endswith("ndjson") else FILES:  # Of lines, none is no fault.
            yield post(at, body, 400, 409, 422, kind=kind)
        yield post(at, b"x", 400, kind=kind, Content_Encoding="gzip")
        yield post(at, gzip.compress(b"x" * 100)[:-9], 400, kind=kind, Content_Encoding="gzip")
        yield post(at, gzip.compress(b"x" * 100)[:12] + b"\0\xff" * 9, 400, 422, kind=kind, Content_Encoding="gzip")
        yield post(at, b"x", 415, kind=kind, Content_Encoding="br")
    for body in (b"[1]", b"[null]", b"[[]]", b"[{}]", b'[{"no": 1}]', b"[{", b'[{"dscr": NaN}]', b"[" + b"{}," * 10, b'[{"a": 1}, "b"]'):
        yield post(at, body, 400, 422)
    for query in ("on_conflict=drop", "on_error=no", "dry_run=perhaps", "nothing=1", "null=%00", "on_conflict=", "dry_run=%00"):
        yield post(f"{at}?{query}", b"a\n1\n", 400, 422, kind="text/csv")
    for kind in KINDS:
        yield post(at, b"x", 415, 400, kind=kind)
    yield post(at, b"[" + gzip.compress(b"x"), 400, 422)
    yield post(at, gzip.compress(b" " * 20_000_000), 413, Content_Encoding="gzip")


FILES = [
    b"",
    b"\0",
    b"\n\n\n",
    b"\xff\xfe\x00",
    b"no_such,columns\n1,2\n",
    b"dscr,dscr\n1,1\n",
    b'"unclosed\n',
    b"project_name\n" + b'"' * 1001,
    b"project_name,total_amount,maturity_years,expected_tri,dscr\nx,many,1,1,1\n",
    b"project_name,total_amount,maturity_years,expected_tri,dscr\nx\n",
    b"x" * 300_000,
    b"{}\n",
    b'{"a": 1}\n[2]\n',
    b"{" * 5_000,
    b"PAR1" + b"\0" * 100 + b"PAR1",
    b"PAR1\xff\xff\xff\x7fPAR1",
    b"\xff\xff\xff\xff\x10\0\0\0" + b"\xff" * 64,
    b"ARROW1\0\0" + b"\xff" * 64,
    b"\xff\xff\xff\xff\xff\xff\xff\x7f",
]
KINDS = [
    "application/xml",
    "application/x-yaml",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "multipart/form-data; boundary=x",
    "text/html",
    "application/octet-stream",
    "application/json+evil",
    "x" * 5_000,
    "/",
    "text/csv/x",
    "application/é",
    "application/\0json",
]
