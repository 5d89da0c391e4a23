"""Clients of a server that is killed under them. Each writes rows of its own, and knows what each of them may be afterwards."""

import random
import threading
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import requests

OWN = 1_000_000_000  # keys of a client's own rows begin at its number times this
LOADED = 40  # rows of a load
PADDING = "x" * 3_000  # of each loaded row, so that the log grows to where it is folded in

Value = tuple[str, int] | None  # a row's name and amount; None where there is none


@dataclass
class Load:
    """A load whose answer nobody got: all of its rows are there, or none. `job` is the address of one that was left to the server."""

    rows: dict[int, Value]
    job: str = ""


@dataclass
class Asked:
    """A request under an Idempotency-Key, to be sent again until it is answered."""

    key: str
    path: str
    body: bytes | str
    kind: str
    status: int


@dataclass
class Known:
    """What one client knows: what each row may be, how many rows may have a tag, what was not answered, what was answered strangely."""

    rows: dict[int, set[Value]] = field(default_factory=dict)
    tags: dict[str, set[int]] = field(default_factory=dict)
    loads: list[Load] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    done: int = 0
    unknown: int = 0

    def certain(self) -> list[int]:
        """The keys of the rows that are there for sure."""
        return [key for key, values in self.rows.items() if len(values) == 1 and values != {None}]


class Client(threading.Thread):
    """Does one thing after the other until the server is gone or the round is ended."""

    def __init__(self, url: str, headers: dict, ended: threading.Event, rng: random.Random) -> None:
        super().__init__(daemon=True)
        self.url, self.ended, self.rng = url, ended, rng
        self.session = requests.Session()
        self.session.headers.update(headers)
        self.strange: list[str] = []

    def run(self) -> None:
        while not self.ended.is_set():
            try:
                self.act()
            except requests.RequestException:
                return

    def act(self) -> None:
        raise NotImplementedError

    def send(self, method: str, path: str, wanted: Iterable[int], **more) -> requests.Response | None:
        """The answer, where it is one of those that are wanted; 503 means that nothing was begun. Raises where none came."""
        answer = self.session.request(method, self.url + path, timeout=60, **more)
        if answer.status_code in wanted:
            return answer
        if answer.status_code != 503:
            self.strange.append(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return None


class Writer(Client):
    """Creates, changes and deletes rows, loads files, with and without an Idempotency-Key. What is not answered may be done or not."""

    def __init__(self, *about, number: int, known: Known) -> None:
        super().__init__(*about)
        self.first, self.known = (number + 1) * OWN, known
        self.strange = known.strange

    def act(self) -> None:
        deeds: list[tuple[Callable[[], None], int]] = [
            (self.create, 10),
            (self.create_tagged, 8),
            (self.change, 8),
            (self.replace, 4),
            (self.delete, 4),
            (self.load, 1),
            (self.leave_load, 1),
        ]
        self.rng.choices([deed for deed, _ in deeds], [weight for _, weight in deeds])[0]()

    def write(self, method: str, path: str, wanted: int, may_be: Callable[[bool | None], None], **more) -> None:
        """Sends it; `may_be` is told whether it was done, None where nobody knows."""
        may_be(None)
        self.known.unknown += 1
        done = self.send(method, path, (wanted,), **more)
        self.known.unknown -= 1
        self.known.done += bool(done)
        may_be(bool(done))

    def row(self, key: int, value: Value) -> Callable[[bool | None], None]:
        before = self.known.rows.get(key, {None})

        def may_be(done: bool | None) -> None:
            self.known.rows[key] = before | {value} if done is None else {value} if done else before

        return may_be

    def fresh(self) -> tuple[int, Value]:
        return self.first + len(self.known.rows) + 1, ("new", self.rng.randrange(10**6))

    def create(self) -> None:
        key, value = self.fresh()
        body = {"id": key, "name": value[0], "amount": value[1]}
        self.write("POST", "/ops/ledger", 201, self.row(key, value), json=body)

    def create_tagged(self) -> None:
        """A row whose key the server gives, so that one that is made twice would be two."""
        tag, promised = uuid.uuid4().hex, self.rng.random() < 0.7

        def may_be(done: bool | None) -> None:
            self.known.tags[tag] = {0, 1} if done is None else {int(done)}

        if not promised:
            self.write("POST", "/ops/events", 201, may_be, json={"tag": tag})
            return
        asked = Asked(uuid.uuid4().hex, "/ops/events", f'{{"tag": "{tag}"}}', "application/json", 201)
        self.promised(asked, may_be)

    def promised(self, asked: Asked, may_be: Callable[[bool | None], None]) -> None:
        self.known.asked.append(asked)
        headers = {"Idempotency-Key": asked.key, "Content-Type": asked.kind}
        self.write("POST", asked.path, asked.status, may_be, data=asked.body, headers=headers)
        self.known.asked.remove(asked)

    def change(self) -> None:
        if keys := self.known.certain():
            key = self.rng.choice(keys)
            ((name, _),) = self.known.rows[key]
            amount = self.rng.randrange(10**6)
            self.write("PATCH", f"/ops/ledger/{key}", 200, self.row(key, (name, amount)), json={"amount": amount})

    def replace(self) -> None:
        if keys := self.known.certain():
            key, value = self.rng.choice(keys), (f"replaced {uuid.uuid4().hex}", self.rng.randrange(10**6))
            body = {"id": key, "name": value[0], "amount": value[1]}
            self.write("PUT", f"/ops/ledger/{key}", 200, self.row(key, value), json=body)

    def delete(self) -> None:
        if keys := self.known.certain():
            key = self.rng.choice(keys)
            self.write("DELETE", f"/ops/ledger/{key}", 204, self.row(key, None))

    def load(self) -> None:
        load, body = self.file()
        asked = Asked(uuid.uuid4().hex, "/ops/ledger", body, "text/csv", 200)
        self.known.loads.append(load)
        self.promised(asked, self.loaded(load))
        self.known.loads.remove(load)

    def leave_load(self) -> None:
        """A load that the server is left to do as a job: its answer only says that it will be done or refused."""
        load, body = self.file()
        self.known.loads.append(load)
        self.loaded(load)(None)
        headers = {"Content-Type": "text/csv", "Prefer": "respond-async"}
        answer = self.send("POST", "/ops/ledger", (202,), data=body, headers=headers)
        load.job = answer.headers["Location"] if answer else ""
        if answer is None:
            self.loaded(load)(False)
            self.known.loads.remove(load)

    def file(self) -> tuple[Load, str]:
        first, _ = self.fresh()
        rows = {first + n: (PADDING, self.rng.randrange(10**6)) for n in range(LOADED)}
        lines = "".join(f"{key},{name},{amount}\n" for key, (name, amount) in rows.items())
        return Load(rows), f"id,name,amount\n{lines}"

    def loaded(self, load: Load) -> Callable[[bool | None], None]:
        def may_be(done: bool | None) -> None:
            for key, value in load.rows.items():
                self.known.rows[key] = {None, value} if done is None else {value} if done else {None}

        return may_be


class Reader(Client):
    """Reads pages, counts and the change feed, whose numbers only grow."""

    def act(self) -> None:
        for path in ("/ops/ledger?limit=5", "/ops/ledger/aggregate?agg=count,sum(amount)", "/ops/events?sort=-tag&limit=5"):
            self.send("GET", path, (200,))
        answer = self.send("GET", "/ops/ledger/changes?limit=500", (200,))
        numbers = [entry["seq"] for entry in answer.json()] if answer else []
        if numbers != sorted(set(numbers)):
            self.strange.append(f"the change feed goes {numbers}")


def document(**more: str | None) -> dict:
    columns = {"id": "BIGINT", "name": "VARCHAR", "amount": "BIGINT", "note": "VARCHAR", **more}
    return {
        "name": "ledger",
        "primary_key": ["id"],
        "columns": [{"name": name, "type": kind, "required": name == "id"} for name, kind in columns.items() if kind],
    }


EVENTS = {
    "name": "events",
    "columns": [{"name": "id", "type": "UUID", "generated": "uuid", "required": True}, {"name": "tag", "type": "VARCHAR"}],
    "primary_key": ["id"],
}
# Additive, a rebuild for the key's type, a column that goes to an archive, a plain cast.
SCHEMAS = (document(), document(colour="VARCHAR"), document(id="HUGEINT"), document(note=None), document(amount="HUGEINT"))


class Steward(Client):
    """Sends one schema after the other, approves what waits, applies it, and now and then takes it back."""

    applied = 0

    def act(self) -> None:
        wanted = {"schema": self.rng.choice(SCHEMAS)}
        answer = self.send("PUT", "/admin/tables/ledger", (200, 202, 409), json=wanted)
        plan = answer.json().get("plan") if answer else None
        if not plan or not plan.get("id"):
            return
        number, confirm = plan["id"], {"confirm": "ledger"}
        if plan["state"] == "proposed":
            self.send("POST", f"/admin/plans/{number}/approve", (200, 409), json={"reason": "because"})
            answer = self.send("POST", f"/admin/plans/{number}/apply", (200, 409), json=confirm)
            plan = answer.json() if answer and answer.status_code == 200 else plan
        if plan["state"] == "applied":
            self.applied += 1
            if self.rng.random() < 0.5:
                self.send("POST", f"/admin/plans/{number}/undo", (200, 202, 409), json=confirm)
