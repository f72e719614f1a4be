"""One message: how it stands, what happened to it, and what can be done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from attrs import frozen

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk, not_readable
from m365gw.admin.web.rows import next_try, why_waits
from m365gw.admin.web.timeline import timeline
from m365gw.admin.web.view import Answer, Redirect, Tone, View, page
from m365gw.admin.web.words import ACTIONS
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.smtp.shown_header import fields
from m365gw.smtp.verdict import Outcome
from m365gw.spool.adoption import NotAdopted
from m365gw.spool.browse import Queued, look
from m365gw.spool.health import Corrupt, Gone, SpoolError, Unusable
from m365gw.spool.names import Entry, State, parse_id, render_id
from m365gw.spool.operations import Action, Done
from m365gw.spool.outcomes import RecipientRecord
from m365gw.spool.reasons import diagnosis_of, reason_of, said
from m365gw.spool.resending import NothingFailed, copy_for_failed, failed
from m365gw.words import counted, moment, octets, span

HEADER_LIMIT = 65536  # octets of a header that are shown

_OUTCOMES = {
    Outcome.PENDING: "pending",
    Outcome.UNCERTAIN: "uncertain",
    Outcome.DELIVERED: "delivered",
    Outcome.FAILED: "failed",
}
_MAY_BE = {  # what makes sense of a message in each state
    State.INCOMING: (Action.HOLD, Action.BOUNCE, Action.REMOVE),
    State.DEFERRED: (Action.RETRY, Action.HOLD, Action.BOUNCE, Action.REMOVE),
    State.HOLD: (Action.RELEASE, Action.BOUNCE, Action.REMOVE),
    State.CORRUPT: (Action.REMOVE,),
}
_TONES: dict[Done, Tone] = {Done.DONE: "good", Done.LATER: "note", Done.UNCHANGED: "note"}


@frozen
class _Button:
    name: str
    words: str
    kind: str
    question: str
    meaning: str


def add(console: Console, desk: Desk) -> None:
    """Put the page in."""
    pages = _Pages(desk)
    console.get("/queue/<queue_id>", pages.show)
    for action in ACTIONS:
        console.post(f"/queue/<queue_id>/{action.value}", pages.act)
    console.post("/queue/<queue_id>/resend", pages.resend)


class _Pages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def show(self, view: View) -> Answer:
        desk, queue_id = self._desk, _queue_id(view)
        queued = await self._find(queue_id)
        events = desk.recent.of(queue_id)
        if queued is None and not events:
            raise Refusal(
                404,
                f"There is no message {queue_id} in the queue.",
                "It was delivered, returned or removed.",
                "The log of the gateway knows which.",
            )
        is_active = queue_id in desk.queue.active()
        waits = why_waits(queued, desk.why_waits()) if queued and not is_active else ""
        return page(
            "message.html",
            queue_id=queue_id,
            queued=queued,
            state="active" if is_active else queued.entry.state.value if queued else "gone",
            reason=reason_of(queued) if queued else "It is no longer in the queue.",
            waits=waits,
            recipients=_recipients(queued) if queued else [],
            failed=len(failed(queued.recipients)) if queued else 0,
            facts=list(_facts(queued, view.now, waits, is_active=is_active)) if queued else [],
            header=[(n, v) for n, v in fields(queued.header)] if queued else [],
            steps=timeline(queued, events),
            actions=[_button(each) for each in _MAY_BE[queued.entry.state]] if queued else [],
        )

    async def act(self, view: View) -> Answer:
        desk, queue_id = self._desk, _queue_id(view)
        action = Action(view.path.rpartition("/")[2])
        reason = f"in the console, by {view.by}" if action is Action.HOLD else ""
        (result,) = await desk.queue.act(action, [queue_id], reason)
        desk.audit(view.by, action.value, queue_id)
        desk.rolls.outdate()
        words = ACTIONS[action]
        told = {
            Done.DONE: f"{queue_id} is {words.done}.",
            Done.LATER: f"{queue_id} is being delivered: {words.done} when that has ended, if it is"
            " still here then.",
        }.get(result.result, f"{queue_id} was not {words.done}: {result.words}.")
        if action in (Action.RETRY, Action.BOUNCE) and result.result is Done.DONE:
            told = f"{queue_id} is to be {words.done}."
        is_left = action in (Action.REMOVE, Action.BOUNCE)
        to = "/queue" if is_left else f"/queue/{queue_id}"
        return Redirect(to, told, _TONES.get(result.result, "bad"))

    async def resend(self, view: View) -> Answer:
        """A copy for those recipients alone for whom it has failed."""
        desk, queue_id = self._desk, _queue_id(view)
        try:
            made = await desk.calls.call(self._copy, queue_id)
        except (Gone, NothingFailed):
            words = f"Nothing was sent: {queue_id} has failed for nobody, or is gone."
            return Redirect("/queue", words, "bad")
        except (Unusable, NotAdopted, Corrupt) as error:
            raise not_readable(str(error)) from None
        except SpoolError as error:
            raise not_readable(f"{error.cause.strerror}.") from None
        await desk.queue.act(Action.RELEASE, [made.queue_id])
        desk.audit(view.by, "resend", f"{queue_id} as {made.queue_id}")
        desk.rolls.outdate()
        words = f"Sent again to those for whom {queue_id} had failed, as {made.queue_id}."
        return Redirect(f"/queue/{made.queue_id}", words)

    def _copy(self, queue_id: str) -> Entry:
        """BLOCKING."""
        with closing(self._desk.open_spool()) as spool:
            entry = spool.find(queue_id)
            if entry is None:
                raise Gone(queue_id)
            return copy_for_failed(spool, entry)

    async def _find(self, queue_id: str) -> Queued | None:
        try:
            return await self._desk.calls.call(self._look, queue_id)
        except Unusable as error:
            raise not_readable(str(error)) from None
        except SpoolError as error:
            raise not_readable(f"{error.cause.strerror}.") from None

    def _look(self, queue_id: str) -> Queued | None:
        """BLOCKING. The message, where memory says it is or wherever a search finds it."""
        with closing(self._desk.open_spool()) as spool:
            known = self._desk.waiting(parse_id(queue_id))
            if known is not None and (queued := look(spool, known, HEADER_LIMIT)) is not None:
                return queued
            for _ in range(2):  # it may move once between being found and being opened
                entry = spool.find(queue_id)
                queued = look(spool, entry, HEADER_LIMIT) if entry is not None else None
                if entry is None or queued is not None:
                    return queued
            return None


def _queue_id(view: View) -> str:
    try:
        return render_id(parse_id(view.names["queue_id"]))
    except ValueError:
        raise Refusal(404, "That is no queue id.", "It has 13 letters and figures.") from None


def _button(action: Action) -> _Button:
    words = ACTIONS[action]
    kind = "primary" if action in (Action.RELEASE, Action.RETRY) else ""
    question = f"{words.button} this message?"
    return _Button(action.value, words.button, kind, question, words.meaning)


def _recipients(queued: Queued) -> list[dict[str, Any]]:
    """How each stands; what is the same for several is explained with the first of them."""
    explained: dict[Diagnosis | None, str] = {}
    shown = []
    for record in queued.recipients:
        plain = _recipient(record, queued)
        first = explained.setdefault(plain["diagnosis"], plain["address"])
        is_again = plain["diagnosis"] is not None and first != plain["address"]
        shown.append({**plain, "as_for": first if is_again else ""})
    return shown


def _recipient(record: RecipientRecord, queued: Queued) -> dict[str, Any]:
    return {
        "address": record.recipient.address,
        "outcome": _OUTCOMES[record.outcome],
        "said": said(record.reply) if record.at else "",
        "at": record.at,
        "diagnosis": diagnosis_of(record, queued),
    }


def _facts(queued: Queued, now: float, waits: str, *, is_active: bool) -> Iterator[tuple[str, str]]:
    entry, origin, envelope = queued.entry, queued.origin, queued.envelope
    yield "Arrived", f"{moment(entry.arrived_at)}, {span(now - entry.arrived_at)} ago"
    yield "Size", octets(entry.size)
    yield "Attempts", counted(entry.attempts, "attempt")
    if not is_active:
        yield "Next try", next_try(queued, now, waits)
    if queued.damage:
        return
    yield "Sender", envelope.sender or "<> (a report)"
    yield "Leaves by", origin.mailbox or "no mailbox"
    yield (
        "Client",
        f"{origin.client} port {origin.port}" if origin.client else "this machine",
    )
    if origin.helo:
        yield "Calls itself", origin.helo
    yield "Login", origin.login or "none"
    yield "Listener", origin.listener or "none"
    yield "Protocol", origin.protocol
    yield "TLS", origin.tls or "none"
    if envelope.envid:
        yield "Envelope id", envelope.envid
