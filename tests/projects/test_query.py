"""A reader's SELECT against a locked-down DuckDB: the right rows, exact JSON, and an end to everything within its limits."""

import base64
import io
import json
import threading
import time
from dataclasses import replace
from decimal import Decimal

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projects.errors import OutOfMemory, QueryRefused, QueryTimedOut, QueryTooLarge
from projects.store import query

TABLES = ("projects", "flights")
LIMITS = query.Limits(seconds=1.0, rows=100_000, bytes=16_000_000)


@pytest.fixture(scope="module")
def connection(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    (folder / "spool").mkdir()
    (folder / "spool" / "loot.csv").write_text("secret\n42\n")
    con = duckdb.connect(
        str(folder / "spawn.duckdb"),
        config={"memory_limit": "400MB", "threads": 2, "python_enable_replacements": False, "autoinstall_known_extensions": False},
    )
    con.execute("CREATE TABLE projects (id INTEGER PRIMARY KEY, name VARCHAR, amount DECIMAL(20,2), started DATE, tags VARCHAR[])")
    con.execute(
        """INSERT INTO projects VALUES (1, 'Alpha', 100.10, '2020-01-15', ['a', 'b']), (2, 'Beta', 250.25, '2020-02-20', ['b']),
        (3, 'Gamma', 75.00, '2020-02-01', []), (4, 'Delta', NULL, '2021-03-03', NULL)"""
    )
    con.execute(
        "CREATE TABLE flights AS SELECT range::INTEGER AS id, (range % 4 + 1)::INTEGER AS project, 'f' || range AS code FROM range(10000)"
    )
    con.execute("CREATE SCHEMA _duckspawn; CREATE TABLE _duckspawn.secret AS SELECT 42 AS x")
    con.execute("SET GLOBAL TimeZone = 'UTC'")
    con.execute(f"SET allowed_directories = ['{folder / 'spool'}']; SET enable_external_access = false; SET lock_configuration = true")
    yield con
    con.close()


def run(cursor, sql, params=(), **limits):
    file = io.BytesIO()
    query.write(file, cursor, sql, list(params), tables=TABLES, limits=replace(LIMITS, **limits))
    return json.loads(file.getvalue(), parse_float=Decimal)


@pytest.fixture
def ask(connection):
    """Runs a query as the store does, on a cursor of its own, and gives the rows back as Python values."""

    def asked(sql, params=(), **limits):
        with connection.cursor() as cursor:
            return run(cursor, sql, params, **limits)

    return asked


D = Decimal
HONEST = [
    ("select 1 as x", [{"x": 1}]),
    ("select id, name from projects order by id desc limit 2", [{"id": 4, "name": "Delta"}, {"id": 3, "name": "Gamma"}]),
    ("from projects select id where amount > 80 order by id", [{"id": 1}, {"id": 2}]),
    ("from projects order by id limit 1", [{"id": 1, "name": "Alpha", "amount": D("100.10"), "started": "2020-01-15", "tags": ["a", "b"]}]),
    ("select * exclude (tags, amount) from projects where id = 2", [{"id": 2, "name": "Beta", "started": "2020-02-20"}]),
    ("select * replace (upper(name) as name) from (select name from projects where id = 1)", [{"name": "ALPHA"}]),
    ("select columns('^n') from projects where id = 1", [{"name": "Alpha"}]),
    ("values (1, 'a'), (2, 'b')", [{"col0": 1, "col1": "a"}, {"col0": 2, "col1": "b"}]),
    ("select count(*) as n, sum(amount) as total from projects", [{"n": 4, "total": D("425.35")}]),
    (
        "select p.name, count(f.id) as n from projects p join flights f on f.project = p.id where p.id < 2 group by p.name",
        [{"name": "Alpha", "n": 2500}],
    ),
    ("select p.id from projects p left join flights f on f.id = p.id - 2 where f.id is null", [{"id": 1}]),
    ("select id from projects semi join (select 3 as id) using (id)", [{"id": 3}]),
    ("select id from projects anti join (select 3 as id union all select 4) using (id) order by id", [{"id": 1}, {"id": 2}]),
    ("select a.id, b.id as other from projects a asof join projects b on a.started > b.started where a.id = 2", [{"id": 2, "other": 3}]),
    (
        "select id, row_number() over (order by amount desc) as place from projects where amount is not null order by place limit 1",
        [{"id": 2, "place": 1}],
    ),
    (
        "select id, sum(id) over (order by id rows between 1 preceding and current row) as s from projects order by id",
        [{"id": 1, "s": 1}, {"id": 2, "s": 3}, {"id": 3, "s": 5}, {"id": 4, "s": 7}],
    ),
    (
        "select id, lag(name) over w as before from projects window w as (order by id) order by id limit 2",
        [{"id": 1, "before": None}, {"id": 2, "before": "Alpha"}],
    ),
    ("with big as (select * from projects where amount > 90) select count(*) as n from big", [{"n": 2}]),
    ("with recursive n(i) as (select 1 union all select i + 1 from n where i < 4) select sum(i) as s from n", [{"s": 10}]),
    ("with a as (select 1 x), b as (select x + 1 as x from a) select b.x from a, b", [{"x": 2}]),
    ("select 1 as x union all select 2 union select 2 order by x", [{"x": 1}, {"x": 2}]),
    ("select id from projects intersect select 3", [{"id": 3}]),
    ("select id from projects except select project from flights where project > 1", [{"id": 1}]),
    ("select 1 as a, 2 as b union all by name select 3 as b, 4 as a", [{"a": 1, "b": 2}, {"a": 4, "b": 3}]),
    (
        "select year(started) as y, id from projects qualify row_number() over (partition by y order by id) = 1 order by y",
        [{"y": 2020, "id": 1}, {"y": 2021, "id": 4}],
    ),
    ("select year(started) as y, count(*) as n from projects group by all order by all", [{"y": 2020, "n": 3}, {"y": 2021, "n": 1}]),
    ("select [x || '!' for x in tags if x <> 'a'] as t from projects where id = 1", [{"t": ["b!"]}]),
    (
        "select list_transform([1, 2, 3], lambda x: x * 2) as l, list_filter([1, 2, 3], lambda x: x > 1) as f",
        [{"l": [2, 4, 6], "f": [2, 3]}],
    ),
    (
        "select list_sum([1, 2]) as s, list_aggregate([1, 2, 3], 'max') as m, [5, 6][1] as e, 'abc'[1:2] as p",
        [{"s": 3, "m": 3, "e": 5, "p": "ab"}],
    ),
    ("select name.upper().lower() as n, tags.length() as l from projects where id = 1", [{"n": "alpha", "l": 2}]),
    (
        """select j->>'$.a' as a, j->'b' as b, json_extract(j, '$.b[0]') as c from (select '{"a": "x", "b": [1.50]}'::json as j)""",
        [{"a": "x", "b": [D("1.50")], "c": D("1.50")}],
    ),
    (
        "select date_trunc('month', started) as m, count(*) as n from projects group by m order by m limit 2",
        [{"m": "2020-01-01T00:00:00Z", "n": 1}, {"m": "2020-02-01T00:00:00Z", "n": 2}],
    ),
    (
        "select started + interval 1 day as d, extract(year from started) as y from projects where id = 1",
        [{"d": "2020-01-16T00:00:00Z", "y": 2020}],
    ),
    (
        "select date_diff('day', date '2020-01-01', started) as d, strftime(started, '%d.%m.%Y') as s from projects where id = 1",
        [{"d": 14, "s": "15.01.2020"}],
    ),
    ("select count(*) filter (where amount > 90) as n, count(distinct year(started)) as y from projects", [{"n": 2, "y": 2}]),
    (
        """select year(started) as y, id, count(*) as n from projects where id < 3
        group by grouping sets ((y), (id), ()) order by all nulls last""",
        [{"y": 2020, "id": None, "n": 2}, {"y": None, "id": 1, "n": 1}, {"y": None, "id": 2, "n": 1}, {"y": None, "id": None, "n": 2}],
    ),
    ("select grouping(name) as g, count(*) as n from projects group by rollup (name) order by g desc limit 1", [{"g": 1, "n": 4}]),
    (
        "select p.id, x.n from projects p, lateral (select count(*) as n from flights f where f.project = p.id) x order by p.id limit 1",
        [{"id": 1, "n": 2500}],
    ),
    ("select id from projects p where exists (select 1 from flights f where f.id = p.id and f.project = 4) order by id", [{"id": 3}]),
    ("select id, (select max(f.id) from flights f where f.project = p.id) as m from projects p where id = 1", [{"id": 1, "m": 9996}]),
    (
        "select id from projects where amount > all (select amount from projects where id in (1, 3)) or name like 'D%' order by id",
        [{"id": 2}, {"id": 4}],
    ),
    (
        "select case when amount > 90 then 'big' when amount is null then 'none' else 'small' end as c from projects order by id",
        [{"c": "big"}, {"c": "big"}, {"c": "small"}, {"c": "none"}],
    ),
    (
        "select coalesce(amount, 0) as a, nullif(id, 4) as i, id between 1 and 4 as b from projects where id = 4",
        [{"a": D("0.00"), "i": None, "b": True}],
    ),
    (
        "select regexp_replace(name, '[aeiou]', '_', 'g') as r, regexp_extract(name, '(l)(p)', 2) as e from projects where id = 1",
        [{"r": "Alph_", "e": "p"}],
    ),
    (
        "select name similar to 'A.*' as s, name ilike 'alpha' as i, name not like 'B%' as n from projects where id = 1",
        [{"s": True, "i": True, "n": True}],
    ),
    (
        "select string_agg(name, ', ' order by id) as s, list(id order by id desc) as l, arg_max(name, amount) as a from projects",
        [{"s": "Alpha, Beta, Gamma, Delta", "l": [4, 3, 2, 1], "a": "Beta"}],
    ),
    (
        "select median(id) as m, quantile_cont(id, 0.25) as q, round(stddev(id), 3) as s from projects",
        [{"m": D("2.5"), "q": D("1.75"), "s": D("1.291")}],
    ),
    ("select unnest(tags) as t from projects where id = 1", [{"t": "a"}, {"t": "b"}]),
    ("select t from projects, unnest(tags) as u(t) where id = 1 order by t", [{"t": "a"}, {"t": "b"}]),
    (
        "select d from generate_series(date '2020-01-30', date '2020-02-01', interval 1 day) g(d) order by d desc limit 1",
        [{"d": "2020-02-01T00:00:00Z"}],
    ),
    ("select sum(range) as s from range(1000000)", [{"s": 499999500000}]),
    (
        "select {'a': id, 'b': name} as s, map {'k': amount} as m from projects where id = 1",
        [{"s": {"a": 1, "b": "Alpha"}, "m": {"k": D("100.10")}}],
    ),
    (
        "select * from (select id % 2 as odd, amount from projects) pivot (sum(amount) for odd in (0, 1))",
        [{"0": D("250.25"), "1": D("175.10")}],
    ),
    ("select distinct on (year(started)) id from projects order by year(started), id", [{"id": 1}, {"id": 4}]),
    ('select id as a, name as a, id as "A", 1 as a_1 from projects where id = 1', [{"a": 1, "a_1": "Alpha", "A_2": 1, "a_1_1": 1}]),
    (
        "select try_cast(name as integer) as t, id::varchar as v, '7'::decimal(5,2) as d from projects where id = 1",
        [{"t": None, "v": "1", "d": D("7.00")}],
    ),
    (
        "select format('In 2024: {:*>8} {}', name, 1) as f, printf('%05d', id) as p from projects where id = 1",
        [{"f": "In 2024: ***Alpha 1", "p": "00001"}],
    ),
    ("select name from projects order by name collate nocase desc limit 1", [{"name": "Gamma"}]),
    ("/* first */ select 1 as x; -- done", [{"x": 1}]),
    (";;select ';' as x -- ; not the end", [{"x": ";"}]),
    ("select #1 as x, count(*) over () as n from (select 5)", [{"x": 5, "n": 1}]),
    ("select id from projects where false", []),
]


@pytest.mark.parametrize(("sql", "rows"), HONEST, ids=[repr(sql[:70]) for sql, _ in HONEST])
def test_an_honest_query_gives_its_rows(ask, sql, rows):
    answered = ask(sql)
    assert answered == rows
    assert [list(row) for row in answered] == [list(row) for row in rows]  # in the order of the columns


def test_parameters_are_bound_by_place_and_by_number(ask):
    assert ask("select name from projects where id = ? and amount > ?", [2, 200.5]) == [{"name": "Beta"}]
    assert ask("select $2::int as b, $1 as a", ["x", 7]) == [{"b": 7, "a": "x"}]
    assert ask("select id from projects where id in (select unnest(?)) order by id", [[1, 3]]) == [{"id": 1}, {"id": 3}]


@pytest.mark.parametrize(
    ("sql", "params"),
    [
        ("select ?", []),
        ("select 1", [1]),
        ("select ?::int", ["x"]),
        ("select $2", [1]),
        ("select $name", [1]),
        ("select ?", [10**40]),
        ("select ?", ["\ud800"]),
    ],
)
def test_parameters_that_do_not_fit_are_refused(ask, sql, params):
    with pytest.raises(QueryRefused):
        ask(sql, params)


def test_parameters_are_bounded_in_length(ask):
    with pytest.raises(QueryRefused, match="parameters are longer"):
        ask("select ?", ["x" * 200_000])


def test_values_are_exact_json(ask):
    rows = ask(
        """select 12345678901234567890.12345678::decimal(38,8) as d, 9223372036854775807 as b,
        170141183460469231731687303715884105727::hugeint as h, 18446744073709551615::ubigint as u, 1.50::decimal(5,2) as z,
        0.1::double as f, 'nan'::double as n, '-inf'::float as i, null as nothing, true as t"""
    )
    assert rows[0] == {
        "d": D("12345678901234567890.12345678"), "b": 9223372036854775807, "h": 2**127 - 1, "u": 18446744073709551615,
        "z": D("1.50"), "f": D("0.1"), "n": None, "i": None, "nothing": None, "t": True,
    }  # fmt: skip


def test_times_are_iso_in_utc_and_blobs_base64(ask):
    rows = ask(
        """select timestamp '2020-01-02 03:04:05.6' as t, timestamptz '2020-01-02 03:04:05+02' as z, date '2020-01-02' as d,
        time '03:04' as c, timestamp_ns '2020-01-02 03:04:05.123456789' as ns, 'infinity'::timestamp as never,
        '\\xFF\\x00'::blob as b, interval 3 month as i"""
    )
    assert rows == [
        {
            "t": "2020-01-02T03:04:05.6Z", "z": "2020-01-02T01:04:05Z", "d": "2020-01-02", "c": "03:04:00",
            "ns": "2020-01-02T03:04:05.123456789Z", "never": None, "b": base64.b64encode(b"\xff\x00").decode(), "i": "3 months",
        }
    ]  # fmt: skip


def test_nested_values_are_exact_too(ask):
    rows = ask(
        """select [timestamp '2020-01-02 03:04:05', null] as l,
        {'a "b': 'nan'::double, 'c': {'d': [1.5, 'inf'::double], 'e, f': timestamptz '2020-01-01 00:00:00+01'}} as s,
        map {'k': ['a'::blob]} as m, [[1.10::decimal(5,2)]] as d, row(1, 'nan'::float) as r, null::struct(a double) as n,
        null::double[] as nl,
        '{"x": [NaN, -Infinity, "NaN \\" inf", 1.10]}'::json as j, ['1.5', 'nan']::double[2] as a"""
    )
    assert rows == [
        {
            "l": ["2020-01-02T03:04:05Z", None], "s": {'a "b': None, "c": {"d": [D("1.5"), None], "e, f": "2019-12-31T23:00:00Z"}},
            "m": {"k": ["YQ=="]}, "d": [[D("1.10")]], "r": [1, None], "n": None, "nl": None,
            "j": {"x": [None, None, 'NaN " inf', D("1.10")]}, "a": [D("1.5"), None],
        }
    ]  # fmt: skip


def test_texts_of_any_characters_come_through(ask):
    text = 'quote " backslash \\ newline \n tab \t é 😀 \u2028 null? \x01'
    assert ask("select ? as t, [?] as l", [text, text]) == [{"t": text, "l": [text]}]
    assert ask('select 1 as "it\'s ""x""\n😀"') == [{'it\'s "x"\n😀': 1}]


@pytest.mark.parametrize("order", ["id desc", "code", "project, id desc"])
def test_the_order_a_reader_asks_for_is_kept(ask, order):
    sql = f"select a.id, a.code, a.project from flights a join (select 1 from range(9)) on true order by {order}"
    rows = ask(sql, seconds=20.0)
    keys = {"id desc": lambda r: -r["id"], "code": lambda r: r["code"], "project, id desc": lambda r: (r["project"], -r["id"])}
    assert len(rows) == 90_000
    assert rows == sorted(rows, key=keys[order])


@pytest.mark.thinned(2)
@pytest.mark.parametrize(
    "sql",
    [
        "select count(*) from flights a, flights b, flights c",
        "select a.code from flights a, flights b, flights c order by a.code || b.code || c.code",
        "select count(*) from range(1000000000000)",
        "with recursive x(i) as (select 1 union all select 1 from x) select count(*) from x",
        "with recursive x(s) as (select 'x' union all select s || s from x) select max(length(s)) from x",
        "select string_agg(a.code, '') from flights a, flights b, flights c",
        "select list(a.code) from flights a, flights b",
        "select list(code) over (order by id) from flights",
        "select count(distinct a.code || b.code) from flights a, flights b",
        "select histogram(a.code || b.code || c.code) from flights a, flights b, flights c",
        "select max(code, 999999) from flights group by id",
        "select max(length(repeat(a.code, 3000))) from flights a, flights b",
        "select * from flights a, flights b",
        "select a.* from flights a, flights b",
        "select 1 from flights group by cube (id, id + 1, id + 2, id + 3, id + 4, id + 5, id + 6, id + 7, id + 8, id + 9)",
        "select sum(x) from (select unnest(range(10000)) as x from flights a, flights b)",
        "select regexp_replace(a.code, '(f+)+$', 'x') from flights a, flights b, (select 1 from flights) c",
        "select null::int[100000] from flights",
        "select [1]::int[100000][100000]",
    ],
)
def test_what_would_not_end_is_cut_off_within_its_limits(ask, sql):
    began = time.monotonic()
    with pytest.raises((QueryTimedOut, QueryTooLarge, OutOfMemory)):
        ask(sql)
    assert time.monotonic() - began < 5


def test_more_rows_than_allowed_are_an_error_and_never_cut(ask):
    assert len(ask("from range(100)", rows=100)) == 100
    with pytest.raises(QueryTooLarge, match="larger than 100 rows"):
        ask("from range(101)", rows=100)


def test_more_bytes_than_allowed_are_an_error(ask):
    assert ask("select 'é' as x", bytes=len('[{"x":"é"}]'.encode()))
    with pytest.raises(QueryTooLarge, match="larger than 9 bytes"):
        ask("select 'é' as x", bytes=9)


def test_a_query_out_of_time_says_its_limit(ask):
    with pytest.raises(QueryTimedOut, match=r"within 0\.2 seconds"):
        ask("select count(*) from range(1000000000000)", seconds=0.2)


def test_the_cursor_is_free_and_unharmed_afterwards(connection):
    with connection.cursor() as cursor:
        for sql in (
            "select 1 as x",
            "select * from flights",
            "select 'a'::int",
            "select count(*) from range(1000000000000)",
            "from nothing",
        ):
            try:
                run(cursor, sql, seconds=0.2, rows=10)
            except (QueryRefused, QueryTimedOut, QueryTooLarge):
                pass
            cursor.execute("BEGIN TRANSACTION")  # refused if one were still open
            cursor.execute("ROLLBACK")
        time.sleep(0.3)  # a late interrupt would stop this
        assert cursor.execute("select count(*) from range(30000000)").fetchone() == (30_000_000,)
    connection.execute("CHECKPOINT")  # refused while a transaction is open
    assert not [thread for thread in threading.enumerate() if thread.name == "query-deadline" and thread.is_alive()]


def test_an_interrupt_never_reaches_the_next_statement(connection):
    with connection.cursor() as cursor:
        for n in range(40):
            try:
                run(cursor, "select count(*) from range(2000000)", seconds=0.001 * (n % 10 + 1))
            except QueryTimedOut:
                pass
            assert cursor.execute("select sum(range) from range(300000)").fetchone() == (44999850000,)


def test_the_transaction_is_read_only(connection, monkeypatch):
    monkeypatch.setattr(query, "read_tree", lambda cursor, sql, tables, **_: sql)
    with connection.cursor() as cursor, pytest.raises(QueryRefused):
        run(cursor, "with x as (insert into flights values (-1, 1, 'x') returning *) from x")
    assert connection.execute("select count(*) from flights where id = -1").fetchone() == (0,)


def test_a_message_from_duckdb_shows_only_what_the_reader_wrote(ask):
    with pytest.raises(QueryRefused) as refused:
        ask("select nam from projects")
    assert str(refused.value) == 'Binder Error: Referenced column "nam" not found in FROM clause!'


def test_files_in_the_spool_are_out_of_reach(ask):
    for sql in ("from 'spool/loot.csv'", "from read_csv('spool/loot.csv')", "from glob('*')", "from read_text('spool/loot.csv')"):
        with pytest.raises(QueryRefused):
            ask(sql)


WORDS = """
select from where group by order having limit union all with recursive as join on left using ( ) , * . ; ' " -- /* */ [ ] { } -> :: $1 ?
projects flights id name amount tags _duckspawn secret main 1 2 0.5 'x' null true case when then else end in exists not and or between
over partition rows values table pivot unpivot describe lambda x : range unnest count sum list repeat getenv read_csv interval date cast
int distinct qualify sample lateral window filter = < > + - / || struct map insert delete returning"""
_WORDS = st.lists(st.sampled_from(WORDS.split()), max_size=30).map(" ".join)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(max_size=200), _WORDS, _WORDS.map("select {}".format)))
def test_any_text_ends_in_rows_or_in_an_error_of_ours(ask, sql):
    try:
        assert isinstance(ask(sql, seconds=0.5), list)
    except (QueryRefused, QueryTimedOut, QueryTooLarge, OutOfMemory):
        pass
