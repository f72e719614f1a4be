"""Why a connection is lost, or was never made, in words for logs, replies and the doctor. Pure."""

from __future__ import annotations

from OpenSSL import SSL
from service_identity.exceptions import VerificationError
from twisted.internet import error


class Lost(Exception):
    """The connection is gone, or may no longer be trusted. The text says why, in words."""


def cause(problem: BaseException) -> str:
    """A network or TLS failure in words."""
    if isinstance(problem, error.ConnectionDone):
        return "the other side closed the connection"
    if isinstance(problem, error.ConnectionAborted):
        return "closed by us"
    if isinstance(problem, VerificationError):
        return "TLS: the certificate is for another host name"
    if isinstance(problem, SSL.Error):
        # pyOpenSSL gives a list of (library, function, reason).
        errors = problem.args[0] if problem.args and isinstance(problem.args[0], list) else []
        return f"TLS: {'; '.join(str(each[-1]) for each in errors) or 'handshake failed'}"
    words = str(problem).rstrip(".") or type(problem).__name__
    return words[:1].lower() + words[1:]
