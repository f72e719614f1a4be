"""What a server offers (EHLO), and an envelope written in just those terms.

A parameter is sent only when the server named its extension. What a message cannot do without
(SMTPUTF8, 8BITMIME) and the server lacks is refused here, before a word is sent, as a reply of our
own; so is an address that could end its command and begin another.

Pure. Failures: `Refused` with 550 5.6.7, 554 5.6.3, 501 5.1.3 or 501 5.1.7, all permanent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from attrs import frozen

from m365gw.smtp import xtext
from m365gw.smtp.envelope import Recipient
from m365gw.smtp.replies import Refused, Reply

NOTIFY_ORDER: Final = ("NEVER", "SUCCESS", "FAILURE", "DELAY")

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@frozen
class Extensions:
    """The keywords of one EHLO reply, in upper case, with their parameters (RFC 5321 4.1.1.1)."""

    offered: Mapping[str, str]

    @classmethod
    def of(cls, reply: Reply) -> Extensions:
        """What this reply to EHLO offers. Its first line is a greeting, no keyword."""
        offered: dict[str, str] = {}
        for line in reply.text.upper().split("\n")[1:]:
            # "AUTH=LOGIN" is how servers wrote it before RFC 2554; some still do, in addition.
            keyword, *parameters = line.replace("=", " ", 1).split()[:64] or [""]
            offered[keyword] = " ".join((*offered.get(keyword, "").split(), *parameters))
        return cls(offered)

    def __contains__(self, keyword: str) -> bool:
        return keyword in self.offered

    def has_mechanism(self, name: str) -> bool:
        """Whether AUTH lists this SASL mechanism."""
        return name in self.offered.get("AUTH", "").split()


def mail_command(
    extensions: Extensions,
    sender: str,
    *,
    size: int,
    eight_bit: bool,
    smtputf8: bool,
    ret: str,
    envid: str,
) -> bytes:
    """MAIL FROM with the parameters this server takes. `size` is in octets (RFC 1870)."""
    if smtputf8 and "SMTPUTF8" not in extensions:
        raise Refused(Reply(550, "5.6.7", "the next server takes no internationalized mail"))
    if eight_bit and "8BITMIME" not in extensions:
        raise Refused(Reply(554, "5.6.3", "the next server takes no 8-bit content"))
    command = b"MAIL FROM:<" + _octets(sender, smtputf8, "5.1.7") + b">"
    if "SIZE" in extensions:
        command += b" SIZE=%d" % size
    if "8BITMIME" in extensions:
        # Also where the client did not say so: many send 8-bit content without a word, and 7-bit
        # content may be declared so too (RFC 6152 2).
        command += b" BODY=8BITMIME"
    if smtputf8:
        command += b" SMTPUTF8"
    if "DSN" in extensions:
        if ret:
            command += b" RET=" + ret.encode("ascii")
        if envid:
            command += _parameter("ENVID", xtext.encode, envid)
    return command + b"\r\n"


def rcpt_command(extensions: Extensions, recipient: Recipient, smtputf8: bool) -> bytes:
    """RCPT TO with the parameters this server takes (RFC 3461 4.1, 4.2)."""
    command = b"RCPT TO:<" + _octets(recipient.address, smtputf8, "5.1.3") + b">"
    if "DSN" in extensions:
        if recipient.notify:
            wishes = [word for word in NOTIFY_ORDER if word in recipient.notify]
            command += b" NOTIFY=" + ",".join(wishes).encode("ascii")
        if recipient.orcpt:
            command += _parameter("ORCPT", xtext.encode_recipient, recipient.orcpt)
    return command + b"\r\n"


def _parameter(name: str, encode: Callable[[str], str], value: str) -> bytes:
    """A parameter for reports, or nothing when it cannot be said: the mail itself matters more."""
    try:
        return f" {name}={encode(value)}".encode("ascii")
    except ValueError:
        return b""


def _octets(address: str, smtputf8: bool, status: str) -> bytes:
    """An address as octets that cannot leave their angle brackets by a line end."""
    if _CONTROL.search(address):
        raise Refused(Reply(501, status, "an address holds a control character"))
    if smtputf8:
        return address.encode("utf-8")
    if not address.isascii():
        raise Refused(Reply(550, "5.6.7", "an internationalized address in a message without it"))
    return address.encode("ascii")
