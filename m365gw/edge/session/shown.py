"""What a trace shows of a session: all that is said, and nothing that may be a secret.

Only what is certainly a command is shown. A response of AUTH never is, nor the first response that
stands behind its mechanism, nor a line that is no command: it may be a password out of step.
Content is shown as its size.

A session is traced from the first thing that is said while somebody watches.
"""

from __future__ import annotations

from typing import Final

from m365gw.edge.session.identity import Identity
from m365gw.smtp.replies import Reply, render
from m365gw.tracing import CLIENT, IN, NOTE, SERVER, Conversation, Tracing
from m365gw.words import octets

# Verbs that say no secret, with whether what stands behind them is shown as well.
_VERBS: Final = {
    b"EHLO": True,
    b"HELO": True,
    b"MAIL": True,
    b"RCPT": True,
    b"BDAT": True,
    b"VRFY": False,
    b"EXPN": False,
    b"NOOP": False,
    b"HELP": False,
    b"DATA": False,
    b"RSET": False,
    b"QUIT": False,
    b"STARTTLS": False,
}
# A word behind AUTH that is none of these may be anything.
_MECHANISMS: Final = (
    b"PLAIN LOGIN CRAM-MD5 DIGEST-MD5 XOAUTH2 OAUTHBEARER NTLM GSSAPI EXTERNAL ANONYMOUS"
    b" SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-256-PLUS"
).split()
_HIDDEN: Final = "[hidden]"


def shown(line: bytes, *, is_response: bool) -> str:
    """A line of a client without what may be secret. `is_response`: it answers a challenge."""
    if is_response:
        return "[response to AUTH, hidden]"
    verb, _, rest = line.partition(b" ")
    if verb.upper() == b"AUTH":
        mechanism, _, initial = rest.strip().partition(b" ")
        if mechanism.upper() not in _MECHANISMS:
            return f"{_text(verb)} {_HIDDEN}"
        return f"{_text(verb)} {_text(mechanism)}" + (f" {_HIDDEN}" if initial else "")
    is_whole = _VERBS.get(verb.upper().rstrip())
    if is_whole is None:
        return f"[{octets(len(line))} that are no command, hidden]"
    if is_whole:
        return _text(line)
    return _text(verb) + (f" {_HIDDEN}" if rest.strip() else "")


class SessionTrace:
    """One session as a trace shows it."""

    def __init__(self, tracing: Tracing, identity: Identity, listener: str) -> None:
        self._tracing = tracing
        self._identity = identity
        self._listener = listener
        self._spoken: Conversation | None = None

    def line(self, line: bytes, *, is_response: bool) -> None:
        """The client said this."""
        self._known().say(CLIENT, shown(line, is_response=is_response))

    def unreadable(self) -> None:
        """The client said something that is no line."""
        self._known().say(CLIENT, "[a line that cannot be read, hidden]")

    def leaves_by(self, mailbox: str) -> None:
        """The client's message was let in, and leaves by this mailbox."""
        if self._tracing.is_on:
            self._known().mailbox = mailbox

    def content(self, size: int) -> None:
        """The client sent so much of a message."""
        if self._tracing.is_on:
            self._known().say(CLIENT, f"[{octets(size)} of content]")

    def reply(self, reply: Reply) -> None:
        """The client was answered so."""
        self._known().say(SERVER, render(reply).decode("ascii"))

    def over(self) -> None:
        """The session has ended: the connection did, or TLS begins."""
        if self._spoken is not None:
            self._spoken.say(NOTE, "the session ends")
            self._tracing.over(self._spoken)
            self._spoken = None

    def _known(self) -> Conversation:
        """The connection, with what is known of it by now."""
        identity = self._identity
        spoken = self._spoken
        if spoken is None:
            peer = identity.peer
            name = f"{peer.host or 'unknown'}:{peer.port}"
            spoken = self._tracing.begin(IN, name, client=peer.host, listener=self._listener)
            self._spoken = spoken
            tls = f", {peer.tls}" if peer.tls else ""
            spoken.say(NOTE, f"{name} on listener {self._listener}{tls}")
        spoken.login = identity.login
        return spoken


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "backslashreplace")
