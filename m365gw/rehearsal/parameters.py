"""The arguments of MAIL, RCPT, EHLO and BDAT, read as strictly as the standard has them.

Each function raises `Wrong` with the name of the answer (see `answers`) that a client gets.
"""

from __future__ import annotations

import re

from attrs import frozen

ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+"
QUOTED = r'"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*"'
LABEL = (
    r"[A-Za-z0-9\u0080-\U0010ffff](?:[A-Za-z0-9\u0080-\U0010ffff-]*[A-Za-z0-9\u0080-\U0010ffff])?"
)
DOMAIN = rf"(?:{LABEL}(?:\.{LABEL})*|\[[\x21-\x5a\x5e-\x7e]+\])"
MAILBOX = re.compile(rf"((?:{ATOM}(?:\.{ATOM})*|{QUOTED}))@({DOMAIN})")
HOST = re.compile(rf"{DOMAIN}")
PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([\x21-\x3c\x3e-\x7e]+))?")
XTEXT = re.compile(r"(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})*")

BODIES = frozenset({"7BIT", "8BITMIME", "BINARYMIME"})
NOTIFY_WORDS = frozenset({"SUCCESS", "FAILURE", "DELAY"})


class Wrong(Exception):
    """An argument that is refused; carries the name of the answer."""

    def __init__(self, answer: str) -> None:
        super().__init__(answer)
        self.answer = answer


@frozen
class MailArguments:
    """MAIL FROM. `sender` is "" for the null sender; `size` 0 when it was not given."""

    sender: str
    parameters: tuple[str, ...] = ()
    size: int = 0
    body: str = "7BIT"
    smtputf8: bool = False


@frozen
class RcptArguments:
    """RCPT TO."""

    recipient: str
    parameters: tuple[str, ...] = ()


def mail_arguments(text: str) -> MailArguments:
    """The arguments of MAIL, without the verb: "FROM:<a@example.com> SIZE=100"."""
    sender, given = _path(text, "FROM:<", "bad-sender")
    size, body, smtputf8 = 0, "7BIT", False
    for name, value in _named(given).items():
        if name == "SIZE" and value.isascii() and value.isdecimal() and len(value) <= 20:
            size = int(value)
        elif name == "BODY" and value.upper() in BODIES:
            body = value.upper()
        elif name == "SMTPUTF8" and not value:
            smtputf8 = True
        elif (name == "RET" and value.upper() in ("FULL", "HDRS")) or (
            name in ("ENVID", "AUTH") and value and XTEXT.fullmatch(value)
        ):
            continue
        else:
            raise Wrong("bad-arguments")
    if sender and not MAILBOX.fullmatch(sender):
        raise Wrong("bad-sender")
    if not sender.isascii() and not smtputf8:
        raise Wrong("bad-sender")
    return MailArguments(sender, given, size, body, smtputf8)


def rcpt_arguments(text: str, *, smtputf8: bool) -> RcptArguments:
    """The arguments of RCPT, without the verb: "TO:<b@example.com> NOTIFY=NEVER"."""
    recipient, given = _path(text, "TO:<", "bad-recipient")
    for name, value in _named(given).items():
        if name == "NOTIFY" and _is_notify(value.upper()):
            continue
        if name == "ORCPT" and _is_original_recipient(value):
            continue
        raise Wrong("bad-arguments")
    if not MAILBOX.fullmatch(recipient) or len(recipient.encode()) > 254:
        raise Wrong("bad-recipient")
    if not recipient.isascii() and not smtputf8:
        raise Wrong("bad-recipient")
    return RcptArguments(recipient, given)


def bdat_arguments(text: str) -> tuple[int, bool]:
    """Size and LAST of BDAT."""
    words = text.split(" ")
    last = len(words) == 2 and words[1].upper() == "LAST"
    if len(words) > 2 or (len(words) == 2 and not last):
        raise Wrong("bad-arguments")
    if not (words[0].isascii() and words[0].isdecimal() and len(words[0]) <= 20):
        raise Wrong("bad-arguments")
    return int(words[0]), last


def host_argument(text: str) -> str:
    """The name of EHLO or HELO: a domain or an address literal."""
    if not HOST.fullmatch(text) or not text.isascii() or len(text) > 255:
        raise Wrong("bad-name")
    return text


def _path(text: str, start: str, refusal: str) -> tuple[str, tuple[str, ...]]:
    """The address between the angle brackets, and the parameters behind them."""
    if text[: len(start)].upper() != start:
        raise Wrong("bad-arguments")
    end = _closing_bracket(text, len(start))
    if end < 0:
        raise Wrong(refusal)
    behind = text[end + 1 :]
    if behind and not behind.startswith(" "):
        raise Wrong("bad-arguments")
    return text[len(start) : end], tuple(behind[1:].split(" ")) if behind else ()


def _closing_bracket(text: str, start: int) -> int:
    if text[start : start + 1] != '"':
        return text.find(">", start)
    quoted = re.compile(QUOTED).match(text, start)
    return text.find(">", quoted.end()) if quoted else -1


def _named(parameters: tuple[str, ...]) -> dict[str, str]:
    named: dict[str, str] = {}
    for parameter in parameters:
        match = PARAMETER.fullmatch(parameter)
        if match is None or match[1].upper() in named:
            raise Wrong("bad-arguments")
        named[match[1].upper()] = match[2] or ""
    return named


def _is_notify(value: str) -> bool:
    words = value.split(",")
    return value == "NEVER" or (NOTIFY_WORDS.issuperset(words) and len(set(words)) == len(words))


def _is_original_recipient(value: str) -> bool:
    kind, semicolon, address = value.partition(";")
    return bool(semicolon and kind and address and XTEXT.fullmatch(address))
