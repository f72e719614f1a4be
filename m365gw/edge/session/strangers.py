"""Clients that do not speak SMTP, known by the first octets of what they send.

They are closed at once instead of being answered line by line: else a web page could have a browser
say SMTP commands in the body of a request. And the log says in plain words what has come to the
wrong door: nobody should have to read a hex dump at night.
"""

from __future__ import annotations

from typing import Final

_TLS: Final = b"\x16\x03"  # a handshake record (RFC 8446 5.1)
_PROXY_V2: Final = b"\r\n\r\n\0\r\nQUIT\n"
_HTTP: Final = frozenset(
    {
        *(b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT"),
        b"PRI",  # begins HTTP/2
    }
)


def recognise(first: bytes) -> str:
    """What a client speaks instead of SMTP and what to do about it, in words; "" if nothing."""
    if first.startswith(_TLS):
        return (
            "The client began TLS at once, but this listener expects plain text first. "
            'Set the client to STARTTLS, or the listener to tls = "auto" (both) or "implicit"'
        )
    if first.startswith((_PROXY_V2, b"PROXY ")):
        return (
            "The client sent a PROXY header, which this listener does not take from it. "
            "If it is your load balancer, add its address to proxy_from of the listener"
        )
    if first[:8].partition(b" ")[0] in _HTTP:
        return "The client sent an HTTP request. A browser or a scanner has the wrong port"
    if first.startswith(b"SSH-"):
        return "The client speaks SSH. A login or a scanner has the wrong port"
    return ""
