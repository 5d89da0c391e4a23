"""Reads of a few rows or groups out of many: by one client, beside the SQL that somebody who knows DuckDB would write."""

import re
from urllib.parse import quote

from benchmarks.callers import request
from benchmarks.sides import Sides
from benchmarks.works import Aim, Work

KEY = "time_hour, carrier, flight, origin"
PAGE = 100
WITHIN = Aim(over=5)  # ms
LATE = "carrier = 'UA' AND dep_delay >= 60"
GROUPS = "SELECT carrier, count(*) AS count, sum(distance) AS sum_distance FROM flights GROUP BY carrier ORDER BY carrier"


def works(sides: Sides) -> list[Work]:
    """The late pages begin nine tenths into the table."""
    late = sides.size.rows * 9 // 10
    # Rows are made JSON after they were chosen: DuckDB would make it of every row and sort that.
    deep = f"FROM flights WHERE rowid IN (SELECT rowid FROM flights ORDER BY {KEY} LIMIT {PAGE} OFFSET {late}) ORDER BY {KEY}"
    return [
        _work(sides, "first page", "flights", f"FROM flights ORDER BY {KEY} LIMIT {PAGE}", WITHIN),
        _cursor_page(sides, late),
        _work(sides, f"page by offset at row {late:,}", f"flights?offset={late}", deep),
        _work(sides, "filtered list", "flights?carrier=UA&dep_delay__gte=60", f"FROM flights WHERE {LATE} ORDER BY {KEY} LIMIT {PAGE}"),
        _work(sides, "aggregate", f"flights/aggregate?group_by=carrier&agg={quote('count,sum(distance)')}", GROUPS, WITHIN),
    ]


def _cursor_page(sides: Sides, late: int) -> Work:
    """The cursor is the one in the Link of the page before, which is asked for by its offset."""
    _, headers = sides.ask("GET", f"/ops/flights?offset={late - PAGE}")
    link = re.match(r'</ops/([^>]+)>; rel="next"', headers["Link"])
    assert link, headers
    place = sides.raw.place("flights", KEY, late - 1)
    after = f"time_hour >= {place[0]} AND ({KEY}) > ({', '.join(place)})"  # The first by itself lets DuckDB pass by whole blocks.
    return _work(sides, f"page by cursor at row {late:,}", link[1], f"FROM flights WHERE {after} ORDER BY {KEY} LIMIT {PAGE}", WITHIN)


def _work(sides: Sides, name: str, address: str, statement: str, aim: Aim | None = None) -> Work:
    sent = request("GET", f"/ops/{address}", sides.token)
    return Work(
        name,
        lambda: sides.call([sent], 1),
        lambda: sides.raw.ask(f"SELECT to_json(r) FROM ({statement}) r", sides.size.seconds),
        aim=aim,
    )
