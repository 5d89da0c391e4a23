"""Notices: told within the caller's transaction, sent by the owner, tried until they are taken."""

import hashlib
import hmac
import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.db import transaction
from django.utils import timezone

from projects import jobs, notices, owner
from projects.models import Notice
from projects.store.connection import Store
from tests.projects.ontology import NOWHERE

SECRET = "only the receiver knows"
PATIENCE = 15  # seconds


class Receiver:
    """A real webhook that checks signatures for itself: it takes what is signed, once its `refusals` are used up."""

    def __init__(self) -> None:
        self.refusals: list[int] = []
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.taken: list[dict] = []
        self.awake = threading.Event()  # One that sleeps answers nothing.
        self.awake.set()

    def receive(self, path: str, headers: dict[str, str], body: bytes) -> int:
        self.seen.append((path, headers, body))
        self.awake.wait(PATIENCE)
        if self.refusals:
            return self.refusals.pop(0)
        if headers.get("X-Spawn-Signature") != "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest():
            return 401
        self.taken.append(json.loads(body))
        return 204


@pytest.fixture
def receiver(settings) -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = made.receive(self.path, dict(self.headers), body)
            with suppress(OSError):
                self.send_response(status)
                if status in (302, 307):
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    settings.NOTIFY_URL, settings.NOTIFY_SECRET = f"http://127.0.0.1:{server.server_address[1]}/hooks/s3cret/", SECRET
    yield made
    made.awake.set()
    server.shutdown()
    server.server_close()


class Postbox:
    """A real mail server: whom each mail was for, and its text; `shut` makes it refuse."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], str]] = []
        self.shut = False


@pytest.fixture
def postbox(settings) -> Iterator[Postbox]:
    made = Postbox()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            people: list[str] = []
            self.say("220 ready")
            while line := self.rfile.readline().decode().strip():
                verb = line.split(":")[0].upper()
                if verb == "RCPT TO":
                    people.append(line.split(":")[1].strip("<>"))
                self.say("354 go on" if verb == "DATA" else "451 not now" if made.shut and verb == "MAIL FROM" else "250 so be it")
                if verb == "DATA":
                    made.mails.append((people, b"".join(iter(self.rfile.readline, b".\r\n")).decode()))
                    self.say("250 kept")

        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.server_address[1]
    settings.NOTIFY_MAIL, settings.DEFAULT_FROM_EMAIL = ["ann@example.org", "bob@example.org"], "duckspawn@example.org"
    yield made
    server.shutdown()
    server.server_close()


def awaited(condition: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)
    assert condition()


def told(**more: object) -> Notice:
    """The one notice of a plan that waits."""
    notices.tell(notices.PLAN_WAITS, "turbines", {"plan": 7, **more})
    return Notice.objects.latest("id")


def make_due(notice: Notice, *, age: timedelta | None = None) -> None:
    """As if its wait were over, and, where an age is given, as if it had been told so long ago."""
    told_at = notice.created_at if age is None else timezone.now() - age
    Notice.objects.filter(pk=notice.pk).update(due_at=timezone.now(), created_at=told_at)


# Telling.


@pytest.mark.django_db
def test_where_nobody_is_to_be_told_nothing_is_kept() -> None:
    notices.tell(notices.PLAN_WAITS, "turbines", {"plan": 7})
    assert Notice.objects.count() == 0
    assert not notices.deliver()


@pytest.mark.django_db
def test_a_notice_stands_or_falls_with_what_it_tells_of(receiver: Receiver) -> None:
    class Regret(Exception):
        pass

    with suppress(Regret), transaction.atomic():
        told()
        raise Regret
    assert (Notice.objects.count(), notices.deliver(), receiver.seen) == (0, False, [])
    with transaction.atomic():
        told()
    assert notices.deliver()
    assert [one["event"] for one in receiver.taken] == ["plan.waits"]


@pytest.mark.django_db
def test_any_value_can_be_told(receiver: Receiver) -> None:
    rows = [{"price": Decimal("12.50"), "day": datetime(2026, 1, 31, tzinfo=UTC), "ratio": float("nan"), "huge": 10**30}]
    told(rows=rows, text="a\0b\ud800c")
    assert notices.deliver()
    body = receiver.taken[0]["body"]
    assert body["rows"] == [{"price": "12.50", "day": "2026-01-31 00:00:00+00:00", "ratio": None, "huge": 10**30}]
    assert (body["plan"], body["text"]) == (7, "a?b?c")


# The webhook.


@pytest.mark.django_db
def test_a_delivery_names_its_event_and_is_signed(receiver: Receiver) -> None:
    notice = told()
    assert notices.deliver()
    [(path, headers, _)] = receiver.seen
    assert path == "/hooks/s3cret/"
    assert headers["X-Spawn-Event"] == "plan.waits"
    assert headers["X-Spawn-Delivery"] == str(notice.pk)
    assert headers["Content-Type"] == "application/json"
    at = notice.created_at.isoformat().replace("+00:00", "Z")
    assert receiver.taken == [{"id": notice.pk, "event": "plan.waits", "table": "turbines", "at": at, "body": {"plan": 7}}]
    notice.refresh_from_db()
    assert notice.sent_at and not notice.error
    assert not notices.deliver()
    assert len(receiver.seen) == 1


@pytest.mark.django_db
def test_a_receiver_with_another_secret_takes_nothing(receiver: Receiver, settings) -> None:
    settings.NOTIFY_SECRET = "another"
    notice = told()
    assert not notices.deliver()
    notice.refresh_from_db()
    assert (receiver.taken, notice.sent_at, notice.error) == ([], None, "The receiver answered 401.")


@pytest.mark.django_db
@pytest.mark.parametrize("status", [302, 307, 404, 500])
def test_what_is_not_taken_is_tried_again_after_waits_that_grow(receiver: Receiver, status: int) -> None:
    waits = [1, 5, 30, 120, 600, 3600, 3600]
    receiver.refusals = [status] * len(waits)
    notice = told()
    for tries, wait in enumerate(waits, 1):
        assert not notices.deliver()
        assert not notices.deliver()  # Not before its wait is over.
        notice.refresh_from_db()
        assert (notice.attempts, notice.sent_at, notice.error) == (tries, None, f"The receiver answered {status}.")
        assert wait - 2 < (notice.due_at - timezone.now()).total_seconds() <= wait
        make_due(notice)
    assert notices.deliver()
    notice.refresh_from_db()
    assert notice.sent_at and not notice.error
    assert len({body for _, _, body in receiver.seen}) == 1
    assert {path for path, _, _ in receiver.seen} == {"/hooks/s3cret/"}


@pytest.mark.django_db
def test_after_a_day_a_notice_is_given_up_with_its_error_kept(receiver: Receiver, caplog) -> None:
    receiver.refusals = [500]
    notice = told()
    make_due(notice, age=timedelta(hours=23, minutes=59, seconds=59.5))
    assert not notices.deliver()
    assert "given up" in caplog.text
    make_due(notice, age=timedelta(hours=24, minutes=1))
    assert not notices.deliver()
    notice.refresh_from_db()
    assert (len(receiver.seen), notice.sent_at, notice.error) == (1, None, "The receiver answered 500.")


@pytest.mark.django_db
def test_a_notice_that_nobody_had_the_time_to_send_is_sent_late(receiver: Receiver) -> None:
    make_due(told(), age=timedelta(days=3))
    assert notices.deliver()
    assert len(receiver.taken) == 1


@pytest.mark.django_db
@pytest.mark.parametrize("address", [f"{NOWHERE}/hooks/s3cret", "http://no.such.host.invalid/hooks/s3cret"])
def test_a_receiver_that_is_not_there_is_said_without_its_address(settings, caplog, address: str) -> None:
    settings.NOTIFY_URL, settings.NOTIFY_SECRET = address, SECRET
    notice = told()
    assert not notices.deliver()
    notice.refresh_from_db()
    assert notice.error == "The receiver gave no answer: nothing answers there, or the connection broke off."
    assert "(plan.waits) was not taken by" in caplog.text
    assert "s3cret" not in caplog.text + notice.error and SECRET not in caplog.text + notice.error


@pytest.mark.django_db
def test_a_receiver_that_sleeps_is_left_in_time(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "PATIENCE", 0.3)
    receiver.awake.clear()
    notice = told()
    started = time.monotonic()
    assert not notices.deliver()
    assert time.monotonic() - started < 3
    notice.refresh_from_db()
    assert notice.error == "The receiver gave no answer: it did not answer within 0.3 seconds."


# Mail.


@pytest.mark.django_db
def test_one_mail_for_each_notice_goes_to_all_who_are_named(postbox: Postbox) -> None:
    notices.tell(notices.JOB_FAILED, "turbines\nBcc: all@example.org", {"error": "There is no table named ghösts."})
    assert notices.deliver()
    [(people, text)] = postbox.mails
    assert people == ["ann@example.org", "bob@example.org"]
    assert "Subject: DuckDB Spawn: job.failed turbines Bcc: all@example.org" in text
    assert "A job failed." in text
    assert not notices.deliver()
    assert len(postbox.mails) == 1


@pytest.mark.django_db
def test_a_mail_that_is_refused_is_tried_again(postbox: Postbox, caplog) -> None:
    postbox.shut = True
    notice = told()
    assert not notices.deliver()
    notice.refresh_from_db()
    assert (notice.error, notice.attempts, postbox.mails) == ("The mail server answered 451.", 1, [])
    assert "(plan.waits) was not taken by" in caplog.text
    postbox.shut = False
    make_due(notice)
    assert notices.deliver()
    assert len(postbox.mails) == 1


@pytest.mark.django_db
def test_a_mail_server_that_is_not_there_is_said(postbox: Postbox, settings) -> None:
    settings.EMAIL_PORT = 1
    notice = told()
    assert not notices.deliver()
    notice.refresh_from_db()
    assert notice.error == "The mail server did not take it (ConnectionRefusedError)."


@pytest.mark.django_db
def test_a_dead_webhook_does_not_hold_up_the_mail_nor_send_it_twice(receiver: Receiver, postbox: Postbox) -> None:
    receiver.refusals = [500, 500]
    told()
    assert not notices.deliver()
    by = {notice.channel: notice for notice in Notice.objects.all()}
    assert (bool(by["mail"].sent_at), by["webhook"].sent_at, len(postbox.mails)) == (True, None, 1)
    make_due(by["webhook"])
    assert not notices.deliver()
    make_due(by["webhook"])
    assert notices.deliver()
    assert (len(receiver.taken), len(postbox.mails)) == (1, 1)


# Keeping.


@pytest.mark.django_db
def test_what_was_sent_a_week_ago_is_forgotten(receiver: Receiver) -> None:
    old, fresh, failed = told(), told(), told()
    long_ago = timezone.now() - timedelta(days=8)
    Notice.objects.filter(pk=old.pk).update(sent_at=long_ago, created_at=long_ago)
    Notice.objects.filter(pk=fresh.pk).update(sent_at=timezone.now() - timedelta(days=6), created_at=long_ago)
    Notice.objects.filter(pk=failed.pk).update(attempts=9, created_at=long_ago)
    notices.forget_old()
    assert set(Notice.objects.values_list("pk", flat=True)) == {fresh.pk, failed.pk}


# Who tells.


@pytest.mark.django_db(transaction=True)
def test_a_job_that_fails_is_told(receiver: Receiver, store: Store) -> None:
    jobs.leave("load", {"table": "ghosts", "spool": "job-0.csv", "nulls": []})
    jobs.leave("verify_audit", {})
    failing, done = jobs.next_job(), jobs.next_job()
    assert failing and done
    for job in (failing, done):
        jobs.run(store, job)
    assert notices.deliver()
    [one] = receiver.taken
    assert (one["event"], one["table"]) == ("job.failed", "ghosts")
    said = {"job": str(failing.id), "kind": "load", "error": "There is no table named ghosts.", "created_by": None}
    assert one["body"] == said


# The owner.


@pytest.fixture
def running(store: Store, transactional_db: None) -> Iterator[Store]:
    """An owner at work in this process."""
    owner.start_owner()
    yield store
    owner.stop_owner()


@pytest.mark.django_db(transaction=True)
def test_the_owner_sends_what_is_told_and_tries_again_under_one_id(receiver: Receiver, postbox: Postbox, running: Store) -> None:
    receiver.refusals = [503]
    told()
    awaited(lambda: receiver.taken and postbox.mails)
    first, second = (headers["X-Spawn-Delivery"] for _, headers, _ in receiver.seen)
    assert first == second
    awaited(lambda: not Notice.objects.filter(sent_at=None).exists())


@pytest.mark.django_db(transaction=True)
def test_the_owner_forgets_old_notices_at_its_start(receiver: Receiver, store: Store) -> None:
    old = told()
    Notice.objects.filter(pk=old.pk).update(sent_at=timezone.now() - timedelta(days=8))
    owner.start_owner()
    try:
        awaited(lambda: not Notice.objects.exists())
    finally:
        owner.stop_owner()


@pytest.mark.django_db(transaction=True)
def test_an_owner_stops_although_a_receiver_sleeps_and_sends_it_after_the_next_start(
    receiver: Receiver, running: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "PATIENCE", 1.0)
    receiver.awake.clear()
    notice = told()
    awaited(lambda: receiver.seen)
    started = time.monotonic()
    owner.stop_owner()
    assert time.monotonic() - started < owner.STOPPING / 2
    assert not [thread for thread in threading.enumerate() if thread.name == "duckspawn-notices"]
    receiver.awake.set()
    notice.refresh_from_db()
    assert (notice.sent_at, notice.attempts) == (None, 1)
