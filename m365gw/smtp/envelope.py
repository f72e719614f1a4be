"""The envelope of a message: who sent it, to whom, and what was asked for its delivery.

Immutable values. Addresses are text as they go on the wire, without angle brackets, with the
local part's case and quoting kept; "" is the null sender.
"""

from __future__ import annotations

from attrs import field, frozen


@frozen(cache_hash=True)
class Recipient:
    """One RCPT TO, with its delivery status wishes (RFC 3461 4.1, 4.2)."""

    address: str
    notify: frozenset[str] = frozenset()  # of NEVER, SUCCESS, FAILURE, DELAY; empty: not asked
    orcpt: str = ""  # decoded "rfc822;user@example.com", or "" when not given


@frozen
class Envelope:
    """MAIL FROM and RCPT TO of one message (RFC 5321, 6152, 6531, 3461)."""

    sender: str
    recipients: tuple[Recipient, ...]
    eight_bit: bool = False  # BODY=8BITMIME
    smtputf8: bool = False
    ret: str = ""  # "FULL", "HDRS" or "" when not given
    envid: str = ""  # decoded


@frozen(cache_hash=True)
class Origin:
    """Where a message came from and by which door, for logs, trace headers and the queue tool."""

    client: str  # address of the client as text, "127.0.0.1"; "" for messages made here
    port: int = 0
    helo: str = ""
    protocol: str = "SMTP"  # the "with" word of RFC 3848: ESMTP, ESMTPS, ESMTPSA, UTF8SMTPSA, ...
    tls: str = ""  # "TLSv1.3 TLS_AES_256_GCM_SHA384", or ""
    login: str = ""  # authenticated login, or ""
    listener: str = ""  # name of the listener
    mailbox: str = field(default="")  # address of the Microsoft mailbox it leaves by

    @property
    def source(self) -> str:
        """What takes turns inside a mailbox: the login, or the client's address without one."""
        return self.login or self.client
