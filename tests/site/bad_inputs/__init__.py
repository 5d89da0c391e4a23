"""Bad requests, each by its door: what is sent, and the statuses that may answer it. None may be taken, none may be a fault of ours."""

from tests.site.bad_inputs.people import headers, people
from tests.site.bad_inputs.rows import lists, loads, rows
from tests.site.bad_inputs.stewards import queries, stewardship

BY_DOOR = {
    "rows": rows,
    "lists": lists,
    "loads": loads,
    "queries": queries,
    "stewardship": stewardship,
    "people": people,
    "headers": headers,
}
