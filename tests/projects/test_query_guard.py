"""What a reader's SELECT is refused: each attack by the guard itself, before anything runs."""

import duckdb
import pytest

from projects.errors import QueryRefused
from projects.store.query_guard import check

TABLES = ("projects", "flights")

ATTACKS = [
    # other statements, and more than one
    "insert into projects values (9, 'x', 1.5, null)",
    "drop table projects",
    "copy projects to 'out.csv'",
    "copy (select 1) to 'out.csv'",
    "attach 'other.db'",
    "pragma database_list",
    "set threads = 1",
    "set variable x = 1",
    "call duckdb_tables()",
    "use memory",
    "export database 'x'",
    "install httpfs",
    "load httpfs",
    "checkpoint",
    "begin",
    "rollback; insert into projects values (9, 'x', 1.5, null)",
    "select 1; select 2",
    "select 1; drop table projects",
    "select 1 -- hidden\n; drop table projects",
    "select 1 /* ; */ ; /* */ delete from projects",
    "prepare p as select 1",
    "execute p",
    "explain select * from projects",
    "explain analyze select * from projects",
    "create table x as select 1",
    "with x as (insert into projects values (9, 'x', 1.5, null) returning *) select * from x",
    "with x as (delete from projects returning *) select * from x",
    "with x as (update projects set name = 'x' returning *) select * from x",
    "with a as (with b as (delete from projects returning *) from b) from a",
    "describe projects",
    "show tables",
    "show all tables",
    "summarize projects",
    "from (describe projects)",
    "from (show databases)",
    "from (summarize projects)",
    "pivot projects on name using sum(amount)",
    "from (pivot projects on name using sum(amount))",
    # tables that are not the reader's
    "from secret",
    "select * from _duckspawn.secret",
    "select * from spawn._duckspawn.secret",
    'select * from "_duckspawn"."secret"',
    'select * from "_DuckSpawn".SECRET',
    "table _duckspawn.secret",
    "select * from memory.main.projects",
    "select * from spawn.main.projects",
    "select * from spawn.projects",
    "select * from information_schema.tables",
    "select * from duckdb_tables",
    "select * from duckdb_tables()",
    "select * from duckdb_settings()",
    "select * from pg_catalog.pg_tables",
    "select * from pg_tables",
    "select * from sqlite_master",
    "select * from main.sqlite_master",
    "select * from temp.main.x",
    "from 'x.csv'",
    'from "x.csv"',
    "from '/etc/passwd'",
    "select * from main.'x.csv'",
    "from df",
    "with secret as (select * from _duckspawn.secret) from secret",
    "with secret as (from hidden) from hidden",
    "with hidden as (from hidden) from hidden",
    "with recursive hidden as (from hidden union all from hidden) from hidden",
    "with recursive hidden as (select * from (from hidden) union from hidden) from hidden",
    "select (with hidden as (select 1) select 5), (select count(*) from hidden)",
    "with x as (with hidden as (select 1) from hidden) from hidden",
    "with a as (from hidden), hidden as (select 1) from a",
    "with hidden as (select 1) from main.hidden",
    'with "to\u212aen" as (select 7) from token',
    "with x as (select 1) from x, _duckspawn.secret",
    # table functions
    "from read_csv('/etc/passwd')",
    "from read_text('/etc/passwd')",
    "from READ_BLOB('/etc/passwd')",
    "from read_parquet('*')",
    "from \"read_json\"('x')",
    "from glob('/*')",
    "from query('select * from _duckspawn.secret')",
    "from query_table('secret')",
    "from json_execute_serialized_sql(json_serialize_sql('select 1'))",
    "from duckdb_logs()",
    "from pragma_table_info('secret')",
    "from pragma_database_size()",
    "from sniff_csv('x')",
    "from test_all_types()",
    "from seq_scan('secret')",
    "from main.range(5)",
    "from repeat('x', 1000000000)",
    "from which_secret('x', 'y')",
    "from checkpoint()",
    "from json_tree('{}')",
    "select * from projects, lateral (from query('select 1'))",
    # scalar functions, in every clause
    "select getenv('HOME')",
    "select GetEnv('HOME')",
    "select \"getenv\"('HOME')",
    "select current_setting('threads')",
    "select current_database()",
    "select current_catalog",
    "select current_schema",
    "select current_schemas(true)",
    "select version()",
    "select getvariable('x')",
    "select nextval('s')",
    "select currval('s')",
    "select txid_current()",
    "select write_log('x')",
    "select sleep_ms(100000)",
    "select pg_sleep(100)",
    "select error('x')",
    "select setseed(0.5)",
    "select in_search_path('a', 'b')",
    "select has_table_privilege('a', 'b')",
    "select json_serialize_sql('select 1')",
    "select json_serialize_plan('select 1')",
    "select json_deserialize_sql('{}')",
    "select current_query()",
    "select parse_duckdb_log_message('a', 'b')",
    "select system.main.getenv('HOME')",
    "select pg_catalog.current_database()",
    "select name.getenv() from projects",
    "select duckdb_tables()",
    "select 1 from projects where getenv('HOME') = 'x'",
    "select name from projects group by name having max(getenv('HOME')) = 'x'",
    "select name from projects order by getenv('HOME')",
    "select name from projects limit (select length(getenv('HOME')))",
    "select name from projects offset (select length(getenv('HOME')))",
    "select list_transform([1], lambda x: getenv('HOME'))",
    "select [getenv(x) for x in ['HOME']]",
    "select [x for x in ['a'] if getenv('HOME') = x]",
    "select 1 from projects p join flights f on p.id = length(getenv('HOME'))",
    "with x as (select getenv('HOME')) from x",
    "select (select getenv('HOME'))",
    "values (getenv('HOME'))",
    "from (values (getenv('HOME'))) v",
    "select sum(id) over (order by getenv('HOME')) from projects",
    "select sum(id) over (partition by getenv('HOME')) from projects",
    "select sum(id) over w from projects window w as (order by getenv('HOME'))",
    "select lag(name, 1, getenv('HOME')) over (order by id) from projects",
    "select count(*) filter (where getenv('HOME') = 'x') from projects",
    "select string_agg(name, ',' order by getenv('HOME')) from projects",
    "select case when getenv('HOME') = 'x' then 1 end",
    "select case getenv('HOME') when 'x' then 1 end",
    "select coalesce(null, getenv('HOME'))",
    "select {'a': getenv('HOME')}",
    "select map {'a': getenv('HOME')}",
    "select [1, 2][length(getenv('HOME'))]",
    "select 1 between 0 and length(getenv('HOME'))",
    "select 1 in (select length(getenv('HOME')))",
    "select exists (select getenv('HOME'))",
    "select try(getenv('HOME'))",
    "select * replace (getenv('HOME') as name) from projects",
    "select columns(c -> c = getenv('HOME')) from projects",
    "select distinct on (getenv('HOME')) name from projects",
    "select name from projects qualify row_number() over () = length(getenv('HOME'))",
    "from range(length(getenv('HOME')))",
    "from unnest([getenv('HOME')])",
    "select 1 union select getenv('HOME')",
    "select * from projects pivot (max(getenv('HOME')) for name in ('x'))",
    "select cast(getenv('HOME') as varchar)",
    'select name collate "de; drop" from projects',
    "select list_aggregate([1], 'getenv')",
    "select list_aggregate([1], name) from projects",
    # types
    "select 'x'::secret_type",
    "select 'x'::main.secret_type",
    "select 'secret'::regclass",
    "select 'x'::enum('x')",
    "select ['x']::secret_type[]",
    "select {'a': 1}::struct(a secret_type)",
    "select max(id) export_state from projects",
    "select default",
    # bombs, which no interrupt stops
    "select repeat('x', 1000000000)",
    "select repeat(name, 100000) from projects",
    "select repeat(name, id) from projects",
    "select repeat(repeat(name, 1000), 1000) from projects",
    "with a as (select repeat(name, 1000) s from projects) select repeat(s, 1000) from a",
    "select " + ", ".join(f"repeat(name, {1000 + n})" for n in range(30)) + " from projects",
    "select name.repeat(1000000) from projects",
    "select repeat(j->'$.a', 1000000) from (select '{}'::json j)",
    "select lpad(name, 1000000, 'x') from projects",
    "select rpad(name, 1000000, 'x') from projects",
    "select range(1000000)",
    "select range(0, id) from projects",
    "select generate_series(1, 10000000)",
    "select list_resize([1], 10000000)",
    "select format('{:>1000000}', name) from projects",
    "select format('{:>{}}', name, 1000000) from projects",
    "select printf('%*d', 1000000, id) from projects",
    "select [[[1 for z in range(300)] for y in range(300)] for x in range(300)]",
    "select reduce(['a', 'b'], lambda x, y: x || x)",
    "select replace(replace(repeat('x', 1000), 'x', repeat('x', 1000)), 'x', repeat('x', 1000))",
    "select levenshtein(repeat(name, 5000), repeat(name, 5000)) from projects",
    "with c0 as (select name s from projects)" + "".join(f", c{n + 1} as (select s || s s from c{n})" for n in range(30)) + " from c30",
    "with c0 as (select 1 a)" + "".join(f", c{n + 1} as (select x.*, y.* from c{n} x, c{n} y)" for n in range(20)) + " from c20",
    "with c0 as (select 1 a)" + "".join(f", c{n + 1} as (from c{n} union all from c{n})" for n in range(22)) + " from c22",
    "select 1 as a0" + "".join(f", a{n} + a{n} as a{n + 1}" for n in range(25)),
    "select " + "(" * 5000 + "1" + ")" * 5000,
    "from " + "(" * 3000 + "projects" + " join projects p using (id))" * 3000,
    "select " + "+".join(["id"] * 400) + " from projects",
    "select 1 from " + ",".join(["projects"] * 5000),
    "select " + "(select " * 90 + "1" + ")" * 90 + "+" + "+".join(["1"] * 95),
    "select '" + "x" * 100_001 + "'",
    # not a statement at all
    "",
    ";",
    "-- nothing",
    "select",
    "select 1\0; drop table projects",
    "select '\ud800'",
    "sel\u200bect 1",
    "select * from projects where (",
]


@pytest.fixture(scope="module")
def cursor():
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE projects (id INTEGER, name VARCHAR, amount DECIMAL(20,2), started DATE)")
        connection.execute("CREATE TABLE flights (id INTEGER, project INTEGER)")
        connection.execute(
            "CREATE SCHEMA _duckspawn; CREATE TABLE _duckspawn.secret AS SELECT 42 AS x; CREATE TABLE hidden AS SELECT 42 AS x"
        )
        yield connection


@pytest.mark.parametrize("sql", ATTACKS, ids=[repr(sql[:70]) for sql in ATTACKS])
def test_an_attack_is_refused(cursor, sql):
    with pytest.raises(QueryRefused):
        check(cursor, sql, TABLES)


@pytest.mark.parametrize("name", ["projects", "PROJECTS", '"Projects"', "main.projects", "Main.Projects", "projects p", "'projects'"])
def test_a_managed_table_is_read_however_it_is_written(cursor, name):
    check(cursor, f"select * from {name}", TABLES)


def test_a_table_the_reader_may_not_read_is_refused_by_its_name(cursor):
    with pytest.raises(QueryRefused, match=r"no table flights that this query may read"):
        check(cursor, "select * from projects join flights using (id)", ["projects"])


def test_the_refusal_names_the_function(cursor):
    with pytest.raises(QueryRefused, match=r"The function getenv is not allowed"):
        check(cursor, "select getenv('HOME')", TABLES)


def test_a_message_lists_no_other_names(cursor):
    with pytest.raises(QueryRefused) as refused:
        check(cursor, "select * from projcts", TABLES)
    assert "projects" not in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "sql",
    [
        "with projects as (select 1 x), b as (from projects) from b",
        "with hidden as (select 1 x) from hidden",
        "with recursive hidden(x) as (select 1 union all select x + 1 from hidden where x < 3) from hidden",
        "with hidden as (select 1 x) select * from projects where id in (select x from HIDDEN)",
        "with a as (select 1 x) (with b as (from a) from b) union all from a",
    ],
)
def test_a_cte_is_seen_where_duckdb_sees_it(cursor, sql):
    check(cursor, sql, TABLES)


def test_a_size_within_the_bounds_is_allowed(cursor):
    check(cursor, "select repeat('=', 80), lpad(name, 10, '0'), range(1000), [x * 2 for x in range(100)] from projects", TABLES)


def test_a_long_parameter_counts_in_what_is_built(cursor):
    check(cursor, "select repeat(?, 100)", TABLES, longest_parameter=10)
    with pytest.raises(QueryRefused):
        check(cursor, "select repeat(?, 100)", TABLES, longest_parameter=10_000)
