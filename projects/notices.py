"""Notices: what waits for a person or went wrong, told to people outside by a webhook and by mail.

A notice is a row that belongs to its caller's transaction. The owner sends it in a thread of its own, so nobody waits for a receiver, and
keeps trying until it is taken. One that was taken while nobody could hear the answer comes twice, under one id.
"""

import hashlib
import hmac
import json
import logging
import smtplib
from collections.abc import Callable, Mapping
from datetime import UTC, timedelta
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import Q
from django.utils import timezone

from projects.models import Notice
from schema_registry import documents, transport

log = logging.getLogger(__name__)

PLAN_WAITS = "plan.waits"
PLAN_FAILED = "plan.failed"
DRIFT_FOUND = "drift.found"
JOB_FAILED = "job.failed"
SENTENCES = {
    PLAN_WAITS: "A plan waits for a person.",
    PLAN_FAILED: "A plan failed.",
    DRIFT_FOUND: "A table has drifted from its schema.",
    JOB_FAILED: "A job failed.",
}

PATIENCE = 10.0  # seconds that a webhook has to answer
WAITS = (1, 5, 30, 120, 600, 3600)  # seconds after each try; the last one is for all further tries
TRIED = timedelta(hours=24)  # after this long nobody tries again
SENT_KEPT = timedelta(days=7)
UNSENT_KEPT = timedelta(days=90)
MOST = 100  # notices that are taken at a time


class NotTaken(Exception):
    """The receiver did not take the notice; its text is a plain sentence that tells no secret."""


def tell(event: str, table: str, body: Mapping[str, Any]) -> None:
    """Records a notice for each way that is set up, within the caller's transaction; it is sent later, by the owner.

    `body` is JSON; what JSON does not know becomes text.
    """
    plain = _kept(json.loads(json.dumps(body, default=str), parse_constant=lambda name: None))
    ways = [channel for channel, address in _addresses().items() if address]
    Notice.objects.bulk_create(
        Notice(channel=channel, event=event, table=_kept(table)[:100], body=plain, due_at=timezone.now()) for channel in ways
    )


def _kept(value: Any) -> Any:
    """The JSON value with every text as every database can keep it."""
    match value:
        case str():
            return value.encode(errors="replace").decode().replace("\0", "?")
        case list():
            return [_kept(item) for item in value]
        case dict():
            return {_kept(name): _kept(item) for name, item in value.items()}
        case _:
            return value


def _addresses() -> dict[str, Any]:
    """Where each way leads; nowhere where it is off."""
    return {Notice.Channel.WEBHOOK: settings.NOTIFY_URL, Notice.Channel.MAIL: settings.NOTIFY_MAIL}


def deliver(is_ending: Callable[[], bool] = lambda: False) -> bool:
    """Sends what is due, the oldest first; True where something was sent and no way failed.

    A way that fails is left alone until the next call, so that one dead receiver does not hold up the other.
    """
    sent = [_deliver_by(channel, is_ending) for channel, address in _addresses().items() if address]
    return any(sent) and all(outcome is not False for outcome in sent)


def _deliver_by(channel: str, is_ending: Callable[[], bool]) -> bool | None:
    """Whether all that was due was taken; None where nothing was."""
    due = _due(channel)
    return all(not is_ending() and _is_taken(notice) for notice in due) if due else None


def _due(channel: str) -> list[Notice]:
    now = timezone.now()
    is_due = Q(due_at__lte=now) | Q(due_at__gt=now + timedelta(seconds=WAITS[-1]))  # Later than any wait: the clock was set back.
    waiting = Notice.objects.filter(is_due, channel=channel, sent_at=None)
    # One that nobody had the time to try is tried, however old it is.
    return list(waiting.filter(Q(created_at__gt=now - TRIED) | Q(attempts=0)).order_by("due_at", "id")[:MOST])


def _is_taken(notice: Notice) -> bool:
    notice.attempts += 1
    _put_off(notice, "The owner stopped before the answer came.")  # Written first: whatever comes, the next try is a later one.
    try:
        _SENDERS[notice.channel](notice)
    except NotTaken as refusal:
        _put_off(notice, str(refusal))
        _say_failed(notice)
        return False
    notice.sent_at, notice.error = timezone.now(), ""
    notice.save(update_fields=["sent_at", "error"])
    return True


def _put_off(notice: Notice, error: str) -> None:
    wait = WAITS[min(notice.attempts, len(WAITS)) - 1]
    notice.due_at, notice.error = timezone.now() + timedelta(seconds=wait), error
    notice.save(update_fields=["attempts", "due_at", "error"])


def _say_failed(notice: Notice) -> None:
    is_over = notice.due_at > notice.created_at + TRIED
    level, what = (logging.ERROR, "is given up") if is_over else (logging.WARNING, "was not taken")
    log.log(
        level, "the notice %s (%s) %s by %s at try %s: %s", notice.pk, notice.event, what, notice.channel, notice.attempts, notice.error
    )


def forget_old() -> None:
    """Deletes notices that were sent seven days ago, and those that nobody took in ninety."""
    now = timezone.now()
    Notice.objects.filter(Q(sent_at__lt=now - SENT_KEPT) | Q(sent_at=None, created_at__lt=now - UNSENT_KEPT)).delete()


# The two ways.


def _post(notice: Notice) -> None:
    body = _written(notice)
    headers = {
        "Content-Type": "application/json",
        "X-Spawn-Event": notice.event,
        "X-Spawn-Delivery": str(notice.pk),
        "X-Spawn-Signature": signature(body),
    }
    try:
        with transport.session() as over:
            answer = transport.post(over, settings.NOTIFY_URL, seconds=PATIENCE, data=body, headers=headers)
    except transport.NoAnswer as failure:
        raise NotTaken(f"The receiver gave no answer: {failure.reason}.") from failure
    if not 200 <= answer.status < 300:
        raise NotTaken(f"The receiver answered {answer.status}.")


def _written(notice: Notice) -> bytes:
    """The body of a delivery: the same bytes at every try."""
    at = notice.created_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    whole = {"id": notice.pk, "event": notice.event, "table": notice.table, "at": at, "body": notice.body}
    return json.dumps(whole).encode()


def signature(body: bytes) -> str:
    """What a receiver compares: the HMAC-SHA256 of the body with NOTIFY_SECRET, after `sha256=`."""
    return "sha256=" + hmac.new(settings.NOTIFY_SECRET.encode(), body, hashlib.sha256).hexdigest()


def _mail(notice: Notice) -> None:
    subject = " ".join(f"DuckDB Spawn: {notice.event} {notice.table}".split())
    where = f"Table: {notice.table}\n" if notice.table else ""
    text = f"{SENTENCES.get(notice.event, notice.event)}\n\n{where}At: {notice.created_at:%Y-%m-%d %H:%M:%S} UTC\n\n"
    try:
        EmailMessage(subject, text + documents.pretty(notice.body) + "\n", to=settings.NOTIFY_MAIL).send()
    except smtplib.SMTPResponseException as refusal:
        raise NotTaken(f"The mail server answered {refusal.smtp_code}.") from refusal
    except (smtplib.SMTPException, OSError) as failure:
        raise NotTaken(f"The mail server did not take it ({type(failure).__name__}).") from failure


_SENDERS: dict[str, Callable[[Notice], None]] = {Notice.Channel.WEBHOOK: _post, Notice.Channel.MAIL: _mail}
