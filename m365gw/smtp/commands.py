"""SMTP commands: from one line to a value, by the grammar of RFC 5321 4.1 and its extensions.

`parse` knows what each verb may say, not when it may be said: order, policy and what is offered
are the session's. The grammar is exact where mail depends on it; it is lenient where devices
need it and nothing hangs on it: letter case, spaces at the end of a line, a space behind FROM:
or TO:, no angle brackets, any printable name in EHLO.

Failures: Refused, and nothing else, whatever the octets: 500 for what is no command (an HTTP
request, say), 502 for commands of old that nobody offers, 501 for bad syntax, 555 for unknown
parameters, 553 5.6.7 for UTF-8 without SMTPUTF8.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import field, frozen

from m365gw.smtp import parameters
from m365gw.smtp.addresses import UNPRINTABLE, forward_path, reverse_path
from m365gw.smtp.envelope import Recipient
from m365gw.smtp.replies import Refused, Reply

NEEDS_SMTPUTF8: Final = Reply(
    553, "5.6.7", "The address is not ASCII: MAIL must say SMTPUTF8 (RFC 6531)"
)


@frozen
class Ehlo:
    """EHLO; the name as the client says it."""

    name: str


@frozen
class Helo:
    """HELO; the name as the client says it."""

    name: str


@frozen
class Mail:
    """MAIL FROM with its parameters; what was not given is None, False or ""."""

    sender: str  # "" for the null sender
    size: int | None = None  # octets, RFC 1870
    body: str = ""  # "7BIT" or "8BITMIME", RFC 6152
    smtputf8: bool = False  # RFC 6531
    ret: str = ""  # "FULL" or "HDRS", RFC 3461
    envid: str = ""  # decoded, RFC 3461
    auth: str | None = None  # decoded, "" for <>; RFC 4954


@frozen
class Rcpt:
    """RCPT TO. Whether UTF-8 in the address is allowed depends on MAIL: see NEEDS_SMTPUTF8."""

    recipient: Recipient


@frozen
class Data:
    """DATA."""


@frozen
class Bdat:
    """BDAT: `size` octets follow at once (RFC 3030 2)."""

    size: int
    last: bool = False


@frozen
class Rset:
    """RSET."""


@frozen
class Noop:
    """NOOP; what it says is of no meaning."""


@frozen
class Vrfy:
    """VRFY."""

    argument: str


@frozen
class Expn:
    """EXPN."""

    argument: str


@frozen
class Help:
    """HELP; "" without a subject."""

    argument: str


@frozen
class Quit:
    """QUIT."""


@frozen
class StartTls:
    """STARTTLS (RFC 3207)."""


@frozen
class Auth:
    """AUTH (RFC 4954 4): mechanism in capitals, initial response in base64.

    `initial` is None when there is none, and b"" for "=", the response of no octets. It is a
    secret, so no `repr` shows it.
    """

    mechanism: str
    initial: bytes | None = field(default=None, repr=False)


Command = (
    Ehlo
    | Helo
    | Mail
    | Rcpt
    | Data
    | Bdat
    | Rset
    | Noop
    | Vrfy
    | Expn
    | Help
    | Quit
    | StartTls
    | Auth
)

_FROM: Final = re.compile(r"FROM:[ \t]*+", re.IGNORECASE | re.ASCII)
_TO: Final = re.compile(r"TO:[ \t]*+", re.IGNORECASE | re.ASCII)
# Any printable text is a name in EHLO: containers, printers and Windows machines break the grammar
# of host names, and no mail may be refused for that (RFC 5321 4.1.4).
_NAME: Final = re.compile(rf"[^{UNPRINTABLE}]{{1,255}}+")
_ANYTHING: Final = re.compile(r".+", re.DOTALL)
_BDAT: Final = re.compile(r"([0-9]{1,20})(?: ++(LAST))?+", re.IGNORECASE | re.ASCII)
_AUTH: Final = re.compile(r"([A-Za-z0-9_-]{1,20}+)(?: ++([A-Za-z0-9+/]++={0,2}+|=))?+", re.ASCII)


def parse(line: bytes) -> Command:
    """The command of one line, which comes without its CRLF. Raises Refused."""
    try:
        text = line.decode("utf-8").rstrip(" \t")  # RFC 5321 4.1.1: spaces at the end are allowed
    except UnicodeDecodeError:  # it holds the line, and so perhaps a password: not passed on
        raise _not_a_command("Octets that are neither ASCII nor UTF-8") from None
    verb, _, argument = text.partition(" ")
    reader = _VERBS.get(verb.upper()) if verb.isascii() else None
    if reader is None:
        raise _not_a_command("Command not recognized")
    return reader(argument.lstrip(" "))


def _asked(
    command: Callable[[str], Command], argument_is: re.Pattern[str], usage: str
) -> Callable[[str], Command]:
    """A verb that needs one argument and takes it as text."""

    def read(argument: str) -> Command:
        if not argument_is.fullmatch(argument):
            raise _syntax(usage)
        return command(argument)

    return read


def _alone(command: Command, verb: str) -> Callable[[str], Command]:
    """A verb that has no argument (RFC 5321 4.1.1, RFC 3207 4)."""

    def read(argument: str) -> Command:
        if argument:
            raise _syntax(f"{verb}, with nothing behind it")
        return command

    return read


def _mail(argument: str) -> Command:
    prefix = _FROM.match(argument)
    if not prefix:
        raise _syntax("MAIL FROM:<address>")
    sender, rest = reverse_path(argument[prefix.end() :])
    mail = Mail(str(sender), **_parameters(rest, parameters.MAIL, "MAIL FROM:<address>"))
    if not mail.smtputf8 and not mail.sender.isascii():
        raise Refused(NEEDS_SMTPUTF8)
    return mail


def _rcpt(argument: str) -> Command:
    prefix = _TO.match(argument)
    if not prefix:
        raise _syntax("RCPT TO:<address>")
    address, rest = forward_path(argument[prefix.end() :])
    return Rcpt(Recipient(str(address), **_parameters(rest, parameters.RCPT, "RCPT TO:<address>")))


def _parameters(
    rest: str, known: Mapping[str, tuple[str, parameters.Reader]], usage: str
) -> dict[str, Any]:
    if rest and not rest.startswith(" "):
        raise _syntax(f"{usage} KEYWORD=VALUE ...")
    return parameters.read_parameters(rest, known)


def _bdat(argument: str) -> Command:
    match = _BDAT.fullmatch(argument)
    if not match:
        raise _syntax("BDAT octets [LAST]")
    return Bdat(int(match[1]), last=match[2] is not None)


def _auth(argument: str) -> Command:
    match = _AUTH.fullmatch(argument)
    if not match:
        raise _syntax("AUTH mechanism [initial-response in base64]")
    initial = match[2]
    if initial is not None:
        initial = initial.removeprefix("=").encode("ascii")
    return Auth(match[1].upper(), initial)


def _not_offered(argument: str) -> Command:
    raise Refused(Reply(502, "5.5.1", "Command not implemented"))


def _not_a_command(why: str) -> Refused:
    return Refused(Reply(500, "5.5.2", why))


def _syntax(usage: str) -> Refused:
    return Refused(Reply(501, "5.5.4", f"Syntax: {usage}"))


_VERBS: Final[dict[str, Callable[[str], Command]]] = {
    "EHLO": _asked(Ehlo, _NAME, "EHLO hostname"),
    "HELO": _asked(Helo, _NAME, "HELO hostname"),
    "MAIL": _mail,
    "RCPT": _rcpt,
    "DATA": _alone(Data(), "DATA"),
    "BDAT": _bdat,
    "RSET": _alone(Rset(), "RSET"),
    "NOOP": lambda argument: Noop(),
    "VRFY": _asked(Vrfy, _ANYTHING, "VRFY user or address"),
    "EXPN": _asked(Expn, _ANYTHING, "EXPN list"),
    "HELP": Help,
    "QUIT": _alone(Quit(), "QUIT"),
    "STARTTLS": _alone(StartTls(), "STARTTLS"),
    "AUTH": _auth,
    # RFC 5321 F.1 and F.6, RFC 1985, RFC 2645: known, but no business of a submission server.
    **dict.fromkeys(("SEND", "SOML", "SAML", "TURN", "ETRN", "ATRN"), _not_offered),
}
