"""The query door attacked as a stranger would, over HTTP: each attack is refused or cut off, and a row is read right after it."""

import json
import time

import pytest
from rest_framework.test import APIClient

from projects.store.connection import Store
from tests.projects.conftest import make_table
from tests.projects.test_query_guard import ATTACKS

pytestmark = pytest.mark.django_db

# Beside what the guard's own test has: ways around its words, and bombs, each kind in a form of its own.
MORE = [
    # files, however the function or the name is written
    "from read_csv_auto('/etc/passwd')",
    "from parquet_scan('*')",
    "from read_json_objects('/etc/passwd')",
    "from read_ndjson_auto('x')",
    "from parquet_metadata('x')",
    "from parquet_schema('x')",
    "from read_duckdb('data_product.db')",
    'select * from "/etc/passwd"',
    "select * from 'data_product.db'",
    "select * from \"data_product.db\".main.things",
    "select * from '.spool/loot.csv'",
    "select (select content from read_text('/etc/passwd'))",
    "select * from things where word in (from read_text('/etc/passwd'))",
    "with recursive x as (from read_text('/etc/passwd') union all from x) from x",
    "select * from things asof join read_csv('/etc/passwd') on true",
    "select * from things positional join glob('/*')",
    # statements in a statement
    "select 1;\u00a0drop table things",
    "select 1 \uff1b drop table things",
    "select 1; -- \r drop table things",
    "with x as materialized (insert into things values (9, 'x') returning *) from x",
    "with x as (merge into things using things t on true when matched then delete returning *) from x",
    "with x as (copy things to 'x.csv') from x",
    "select * from (insert into things values (9, 'x') returning *)",
    "from (delete from things returning *)",
    "select 1 into outfile 'x'",
    "explain analyze with x as (delete from things returning *) from x",
    "vacuum",
    "force checkpoint",
    "deallocate all",
    "reset threads",
    "set global lock_configuration = false",
    "pragma enable_profiling",
    "comment on table things is 'x'",
    "alter table things add column x int",
    "create macro f(x) as getenv(x)",
    "create temp view v as select 1",
    "detach data_product",
    "truncate things",
    "do $$ drop table things $$",
    # look-alikes: letters of other alphabets, signs without width, full width
    "select \u0261etenv('HOME')",
    "select getenv\u200b('HOME')",
    "\uff53elect 1",
    "select * from _duck\u0455pawn.feed",
    "select * from \"_duckspawn\".\"feed\"",
    "select * from main . _duckspawn . feed",
    "select * from _DUCKSPAWN.FEED",
    "select * from \u202ethings",
    # functions that run text, tell of the server, or act on it
    "select * from query($$select 1$$)",
    "select * from query_table(['things', '_duckspawn.feed'])",
    "from json_execute_serialized_sql('{}')",
    "select getenv(word) from things",
    "from duckdb_secrets()",
    "from duckdb_settings",
    "from duckdb_functions() limit 1",
    "from information_schema.columns",
    "from duckdb_memory()",
    "from pragma_user_agent()",
    "select things.word.getenv() from things",
    "select list_transform(['HOME'], getenv)",
    "select apply([1], x -> write_log('x'))",
    "select sleep_ms(60000) from things",
    "select enum_range(null::x)",
    "select nextval('x')",
    "select format('{}', current_setting('secret_directory'))",
    "select columns(*) from duckdb_extensions()",
    "from things tablesample reservoir(getvariable('x') rows)",
    # bombs of size
    "select repeat(repeat(repeat('x', 99999), 99999), 99999)",
    "select lpad('x', 2147483647, 'y')",
    "select list_resize([1], 2000000000, 1)",
    "select range(9223372036854775807)",
    "select generate_series(1, 2000000000)",
    "select string_agg(repeat('x', 1000000), '') from range(1000000)",
    "select array_fill(1, 1000000000)",
    "select [0]::int[1000000000]",
    "select " + "(" * 3000 + "1" + ")" * 3000,
    "select " + "[" * 500 + "]" * 500,
    "select " + "-" * 60_000 + "1",
    "select " + " + ".join(["1"] * 20_000),
    "select * from " + ", ".join(["things"] * 5_000),
    "select " + "case when true then " * 2_000 + "1" + " end" * 2_000,
    "select 'a' similar to '((a{999}){999}){999}'",
    "with " + ", ".join(f"c{n} as (select * from c{n - 1}, c{n - 1} y)" if n else "c0 as (select 1)" for n in range(60)) + " from c59",
    "select printf('%999999999d', 1)",
    "select '1'::decimal(999, 1)",
    "select bitstring('1', 2000000000)",
]  # fmt: skip
ENDLESS = [
    "select count(*) from range(100000000000) a, range(100000000000) b",
    "with recursive x(i) as (select 1 union all select i + 1 from x) select max(i) from x",
    "select max(a.range::varchar || b.range::varchar) from range(1000000) a, range(1000000) b",
    "select string_agg(a.range::varchar, ',') from range(100000000) a, range(100) b",
    "select list(a.range) from range(1000000) a, range(1000000) b",
    "select * from range(1000000) a, range(1000000) b",
    "select count(distinct a.range * b.range) from range(1000000) a, range(1000000) b",
    "pivot (select a.range % 9 as k, b.range as v from range(1000000) a, range(1000000) b) on k in (1, 2) using sum(v)",
    "select regexp_matches(repeat('a', 999) || a.range, '(a|aa)+$') x from range(100000000) a, range(9) b where x",
    "select row_number() over (order by hash(a.range)) from range(1000000000) a",
    "with recursive x(s) as (select 'x' union all select s || s from x) select max(length(s)) from x",
    "select a.range from range(100000000) a, range(100) b order by hash(a.range, b.range) limit 5 offset 1000000000",
]


@pytest.fixture
def things(store: Store, viewer_client: APIClient, editor_client: APIClient) -> APIClient:
    make_table("things", [{"name": "id", "type": "INTEGER", "required": True}, {"name": "word", "type": "VARCHAR"}])
    assert editor_client.post("/ops/things", data='{"id": 1, "word": "a"}', content_type="application/json").status_code == 201
    (store.spool / "loot.csv").write_text("secret\n42\n")
    return viewer_client


def ask(client: APIClient, sql: str):
    return client.post("/ops/query", data=json.dumps({"sql": sql}), content_type="application/json")


def withstands(client: APIClient, attacks: list[str], *, longest: float) -> list[tuple[str, int, str]]:
    """What was not refused, or not in time; or after what a row could not be read."""
    astray = []
    for sql in attacks:
        began = time.monotonic()
        answer = ask(client, sql)
        seconds = time.monotonic() - began
        row = client.get("/ops/things/1")
        refused = answer.status_code in (400, 413, 504) and answer["Content-Type"] == "application/problem+json"
        if not refused or seconds > longest or (row.status_code, row.content) != (200, b'{"id":1,"word":"a"}'):
            astray.append((sql[:100], answer.status_code, f"{seconds:.1f} s, {row.status_code}"))
    return astray


def test_every_attack_is_refused_and_a_row_is_read_right_after(things: APIClient) -> None:
    assert len(MORE) >= 60
    assert withstands(things, [*MORE, *ATTACKS[::20]], longest=10) == []


def test_what_would_not_end_is_cut_off_and_a_row_is_read_right_after(things: APIClient, settings) -> None:
    settings.QUERY_TIMEOUT = 0.2
    assert withstands(things, ENDLESS[:3], longest=15) == []


@pytest.mark.long
def test_every_attack_there_is_a_list_of_is_refused_or_cut_off_at_the_door(things: APIClient, settings) -> None:
    settings.QUERY_TIMEOUT = 1.0
    assert withstands(things, [*ATTACKS, *MORE, *ENDLESS], longest=20) == []
