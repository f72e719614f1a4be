"""What stands between a gateway and Microsoft and spoils it: firewalls, TLS inspection, a clock.

Plain switches, all off. They change what goes over the wire, never what the pretend Microsoft
decides.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet import ssl
from twisted.internet.interfaces import IOpenSSLContextFactory
from zope.interface import implementer

from m365gw.rehearsal.certificates import CertificateFiles, context_factory, inspected_pem

CERTIFICATES = ("", "other-name", "other-issuer")
EHLO = ("", "without-starttls", "blanked-out", "without-xoauth2")


@define(kw_only=True)
class Middlebox:
    """The switches. ValueError for a value that is none of a switch."""

    ehlo: str = field(default="")  # what is taken out of EHLO: see EHLO
    certificate: str = field(default="")  # which certificate clients get: see CERTIFICATES
    clock_off: float = 0.0  # seconds all times of the sign-in service are ahead
    audience: str = ""  # whom tokens are for, instead of whom they were asked for

    @ehlo.validator
    def _known_ehlo(self, attribute: object, value: str) -> None:
        if value not in EHLO:
            raise ValueError(f"ehlo cannot be {value!r}; there is {', '.join(EHLO[1:])}")

    @certificate.validator
    def _known_certificate(self, attribute: object, value: str) -> None:
        if value not in CERTIFICATES:
            raise ValueError(f"certificate cannot be {value!r}; there is {CERTIFICATES[1:]}")

    def keywords(self, offered: tuple[str, ...]) -> tuple[str, ...]:
        """The keywords of EHLO as the client sees them."""
        if self.ehlo == "without-starttls":
            return tuple(each for each in offered if each != "STARTTLS")
        if self.ehlo == "blanked-out":  # as a Cisco ASA does with what it does not know
            return tuple("X" * len(each) if each == "STARTTLS" else each for each in offered)
        if self.ehlo == "without-xoauth2":
            return tuple(each.replace(" XOAUTH2", "") for each in offered)
        return offered


@implementer(IOpenSSLContextFactory)
class Certificates:
    """The context factory of a server whose certificate depends on the switches."""

    def __init__(self, files: CertificateFiles, middlebox: Middlebox) -> None:
        self._files = files
        self._middlebox = middlebox
        self._made: dict[str, Any] = {}

    def getContext(self) -> Any:
        """What Twisted asks for at each handshake."""
        wanted = self._middlebox.certificate
        if wanted not in self._made:
            self._made[wanted] = self._make(wanted)
        return self._made[wanted].getContext()

    def _make(self, wanted: str) -> ssl.CertificateOptions:
        if wanted == "other-issuer":
            return context_factory(inspected_pem())
        file = self._files.elsewhere if wanted == "other-name" else self._files.server
        return context_factory(file.read_bytes())
