"""What changes in a message file: how each recipient stands, why the message is held, and which
report told its sender of a delay.

These lines stand behind what never changes (`record`), each of fixed width, and are overwritten in
place:

    X-M365GW-Outcome: T 1767225600 451 4.3.2 try later     one for each recipient
    X-M365GW-Reason: why the message is held
    X-M365GW-Warning: - -------------    no report of a delay
    X-M365GW-Warning: N 4Q7BX2K9M3PDW    this report is being made
    X-M365GW-Warning: W 4Q7BX2K9M3PDW    it was made, and is durable

A power loss may leave new and old octets side by side in a text, never in one letter. So only the
letters are relied on; the texts are for people, and for recognising a reply when it comes again.
Failures: `Corrupt` for an outcome whose letter cannot be read.
"""

from __future__ import annotations

import re

from attrs import frozen

from m365gw.smtp.envelope import Recipient
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome
from m365gw.spool.health import Corrupt

TEXT_WIDTH = 180  # octets kept of a reply, and of a reason
NO_REPLY = Reply(0, "", "")  # of a recipient that was not tried yet
NO_WARNING = b"X-M365GW-Warning: - -------------\r\n"

_OUTCOME = b"X-M365GW-Outcome: "
LETTER_OFFSET = len(_OUTCOME)  # of the letter in an outcome line
_OUTCOME_LENGTH = len(_OUTCOME) + 1 + 1 + 10 + 1 + TEXT_WIDTH + 2
_REASON = b"X-M365GW-Reason: "
_REASON_LENGTH = len(_REASON) + TEXT_WIDTH + 2
_REPLY = re.compile(r"([0-9]{3}) ([0-9]\.[0-9]{1,3}\.[0-9]{1,3}|-)(?: (.*))?")
_WARNING = re.compile(rb"X-M365GW-Warning: ([NW]) ([0-9A-Z]{13})\r\n")


@frozen
class RecipientRecord:
    """One recipient and how it stands: outcome, last reply, and since when it is that reply.

    `reply` is NO_REPLY and `at` 0 before the first attempt; `at` is in seconds since the
    epoch.
    """

    recipient: Recipient
    outcome: Outcome
    reply: Reply
    at: float


@frozen
class DelayWarning:
    """The report that tells the sender of a delay, by its queue id; `is_made`: it is durable."""

    report: str
    is_made: bool


def changing_length(recipients: int) -> int:
    """Octets of the part of a block that is overwritten in place."""
    return recipients * _OUTCOME_LENGTH + _REASON_LENGTH + len(NO_WARNING)


def fresh(recipients: int) -> bytes:
    """The changing part of a message that nobody has tried yet."""
    return _UNTRIED * recipients + _UNTOLD


def outcome_span(recipient: int) -> slice:
    """Where the line of a recipient is in the changing part."""
    return slice(recipient * _OUTCOME_LENGTH, (recipient + 1) * _OUTCOME_LENGTH)


def reason_span(recipients: int) -> slice:
    """Where the reason is in the changing part."""
    start = recipients * _OUTCOME_LENGTH
    return slice(start, start + _REASON_LENGTH)


def warning_span(recipients: int) -> slice:
    """Where the warning is in the changing part."""
    start = recipients * _OUTCOME_LENGTH + _REASON_LENGTH
    return slice(start, start + len(NO_WARNING))


def render_outcome(outcome: Outcome, reply: Reply, at: float) -> bytes:
    """The outcome line of one recipient; always of the same length."""
    return b"%s%s %010d %s\r\n" % (_OUTCOME, outcome.value.encode(), int(at), _fit(_text(reply)))


def parse_outcome(line: bytes) -> tuple[Outcome, Reply, float]:
    """Outcome, last reply and its time. Only the letter must be whole; the rest is advice."""
    start = len(_OUTCOME)
    try:
        outcome = Outcome(line[start : start + 1].decode("ascii"))
    except ValueError as error:
        raise Corrupt("the outcome of a recipient cannot be read") from error
    at = line[start + 2 : start + 12]
    found = _REPLY.match(line[start + 13 :].decode("ascii", "replace").rstrip())
    if found is None or not at.isdigit():
        return outcome, NO_REPLY, 0.0
    status = "" if found[2] == "-" else found[2]
    return outcome, Reply(int(found[1]), status, found[3] or ""), float(at)


def render_reason(text: str) -> bytes:
    """The reason line; always of the same length."""
    return b"%s%s\r\n" % (_REASON, _fit(text))


def parse_reason(line: bytes) -> str:
    """The reason, "" for none."""
    return line[len(_REASON) :].decode("ascii", "replace").strip()


def render_warning(warning: DelayWarning) -> bytes:
    """The line; always of the same length."""
    letter = b"W" if warning.is_made else b"N"
    return b"X-M365GW-Warning: %s %s\r\n" % (letter, warning.report.encode("ascii"))


def parse_warning(line: bytes) -> DelayWarning | None:
    """The warning, None for none: also when a power loss left half of one."""
    found = _WARNING.fullmatch(line)
    return DelayWarning(found[2].decode("ascii"), found[1] == b"W") if found else None


def is_same_reply(one: Reply, other: Reply) -> bool:
    """Whether two replies say the same, as kept here.

    What stands in brackets names a server and a time and differs from answer to answer.
    """
    return (one.code, one.status, _gist(one)) == (other.code, other.status, _gist(other))


def _gist(reply: Reply) -> bytes:
    return _fit(_text(reply)).partition(b"[")[0].rstrip()


def _text(reply: Reply) -> str:
    if not (reply.code or reply.status or reply.text.strip()):
        return ""
    return f"{reply.code:03d} {reply.status or '-'} {reply.text}"


def _fit(text: str) -> bytes:
    """Text as exactly TEXT_WIDTH printable octets."""
    kept = " ".join(text.split()).encode("ascii", "replace")[:TEXT_WIDTH]
    return re.sub(rb"[^ -~]", b"?", kept).ljust(TEXT_WIDTH)


# Every message that comes in begins with these.
_UNTRIED = render_outcome(Outcome.PENDING, NO_REPLY, 0.0)
_UNTOLD = render_reason("") + NO_WARNING
