"""TLS: the certificates clients see, until when, and whether they have reason to believe them."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from m365gw.admin.web.changing import tried
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.set_up import by_field
from m365gw.admin.web.view import Answer, Page, Redirect, View
from m365gw.directory.orders import SetSettings
from m365gw.directory.registry import Rejected
from m365gw.edge.listening.tls_terms import Loaded
from m365gw.words import escaped

KEYS: Final = ("tls.certificate", "tls.key")
SOON: Final = 30  # days before its end a certificate is shown as one that ends


def add(console: Console, desk: Desk) -> None:
    """Put the pages in."""
    pages = _Pages(desk)
    console.section("TLS", "/tls", "certificate")
    console.get("/tls", pages.show)
    console.post("/tls", pages.save)


class _Pages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def show(self, view: View) -> Answer:
        return self._page(view, None, {}, [])

    async def save(self, view: View) -> Answer:
        """Other files for the first certificate; none: the self-signed one again."""
        said = {key: view.form.get(key) for key in KEYS}
        try:
            values: dict[str, str | None] = {key: text or None for key, text in said.items()}
            await tried(self._desk, SetSettings(values), view)
        except Rejected as rejected:
            fields = {r"tls\.key": "tls.key", r"tls": "tls.certificate"}
            return self._page(view, said, *by_field(rejected.problems, fields))
        return Redirect("/tls", "Clients see this certificate from now on.")

    def _page(
        self, view: View, said: dict[str, str] | None, faults: dict[str, str], others: list[str]
    ) -> Page:
        settings = self._desk.settings()
        rows = {row["key"]: row for row in self._desk.registry.single_settings()}
        now = datetime.fromtimestamp(view.now, UTC)
        return Page(
            "tls.html",
            {
                "certificates": [
                    _shown(each, number, settings.hostname, now)
                    for number, each in enumerate(self._desk.certificates())
                ],
                "listeners": [each for each in settings.listener if each.tls != "none"],
                "is_console": settings.web.tls,
                "values": said or {key: str(rows[key]["value"]) for key in KEYS},
                "locked": next((rows[k]["place"] for k in KEYS if rows[k]["origin"] == "file"), ""),
                "is_own": any(rows[key]["value"] for key in KEYS),
                "faults": faults,
                "others": others,
                "hostname": settings.hostname,
            },
            422 if faults or others else 200,
        )


def _shown(loaded: Loaded, number: int, hostname: str, now: datetime) -> dict[str, Any]:
    first = loaded.chain[0]
    left = (loaded.ends_at - now).days
    return {
        "is_first": number == 0,
        "names": [escaped(each) for each in loaded.names] or ["no name at all"],
        "fits": any(_fits(name, hostname.lower()) for name in loaded.names),
        "issuer": escaped(first.issuer.rfc4514_string()) or "nobody",
        "is_self_signed": first.issuer == first.subject,
        "begins": first.not_valid_before_utc.timestamp(),
        "ends": loaded.ends_at.timestamp(),
        "left": left,
        "tone": "bad" if left < 7 else "warn" if left < SOON else "good",
        "key": _key(first),
        "file": loaded.pair.certificate,
        "file_name": os.path.basename(loaded.pair.certificate),
        "fingerprint": first.fingerprint(hashes.SHA256()).hex(":").upper(),
        "chain": len(loaded.chain),
    }


def _fits(name: str, hostname: str) -> bool:
    """Whether a name of a certificate is that of this gateway."""
    is_wild = name.startswith("*.") and name[1:] == hostname[hostname.find(".") :]
    return name == hostname or (is_wild and "." in hostname)


def _key(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA, {key.key_size} bits"
    return f"ECDSA, {key.curve.name}" if isinstance(key, ec.EllipticCurvePublicKey) else "other"
