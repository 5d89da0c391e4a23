"""One row a request: creates and point reads."""

import json
import random

from benchmarks.callers import request
from benchmarks.files import CELLS
from benchmarks.sides import Sides
from benchmarks.works import Aim, Work

ASKED = 2000  # keys that are read, drawn from all of them


def works(sides: Sides) -> list[Work]:
    creates = [_create(sides, 1), _create(sides, 16, Aim("bare", 0.6)), _create(sides, 64)]
    return [*creates, _read(sides, 1, Aim("bare", 0.5)), _read(sides, 16, Aim("bare", 0.5))]


def _create(sides: Sides, clients: int, aim: Aim | None = None) -> Work:
    body = json.dumps(CELLS).encode()
    ours, bare = (request("POST", path, sides.token, body) for path in ("/ops/projects", "/bare"))
    return Work(
        f"create, {_clients(clients)}",
        lambda: sides.call([ours], clients),
        lambda: sides.raw.create(clients, sides.size.seconds),
        lambda: sides.call([bare], clients),
        aim,
    )


def _read(sides: Sides, clients: int, aim: Aim) -> Work:
    keys = random.sample(sides.keys, min(len(sides.keys), ASKED))
    ours = [request("GET", f"/ops/projects/{key}", sides.token) for key in keys]
    bare = request("GET", "/bare", sides.token)
    return Work(
        f"point read, {_clients(clients)}",
        lambda: sides.call(ours, clients),
        lambda: sides.raw.read(keys, clients, sides.size.seconds),
        lambda: sides.call([bare], clients),
        aim,
    )


def _clients(number: int) -> str:
    return f"{number} client{'s' if number > 1 else ''}"
