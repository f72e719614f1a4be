"""Messages put into a spool for tests, at a time of their choosing."""

from __future__ import annotations

from m365gw.smtp.envelope import Envelope, Origin, Recipient
from m365gw.spool.names import Entry
from m365gw.spool.spool import Spool

NOW = 1_763_000_000.0  # the clock of `filled` spools
CONTENT = b"From: <scan@contoso.com>\r\nSubject: test\r\n\r\nHello.\r\n"
ORIGIN = Origin(
    client="192.0.2.7",
    port=40123,
    helo="scanner3",
    protocol="ESMTPSA",
    tls="TLSv1.3 TLS_AES_256_GCM_SHA384",
    login="printer3",
    listener="submission",
    mailbox="relay@contoso.com",
)


def new_spool(path: str) -> Spool:
    """A writable spool whose clock stands still."""
    return Spool.open(path, hostname="gw.example.com", clock=lambda: NOW)


def put(
    spool: Spool,
    *recipients: str,
    sender: str = "scan@contoso.com",
    content: bytes = CONTENT,
    origin: Origin = ORIGIN,
    envelope: Envelope | None = None,
) -> Entry:
    """Accept one message; its entry."""
    addresses = tuple(Recipient(address) for address in recipients or ("a@example.com",))
    draft = spool.draft(envelope or Envelope(sender, addresses), origin)
    draft.write(content)
    draft.finish()
    (entry,) = spool.commit([draft])
    assert isinstance(entry, Entry), entry
    return entry
