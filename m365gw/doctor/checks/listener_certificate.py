"""The certificate clients of a listener see: how long it lasts, for whom it is, who trusts it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from m365gw.config.settings import Settings
from m365gw.doctor.witness import Presented
from m365gw.microsoft.diagnosis import Diagnosis

WARN_DAYS: Final = 30
ENDED: Final = "listener-certificate-ended"


def in_words(seen: Presented, now: float) -> str:
    """Who issued it, for whom, how long it lasts."""
    left = _days_left(seen.ends_at, now)
    lasts = f"{left} days left" if left >= 0 else f"ended on {seen.ends_at:%Y-%m-%d}"
    words = f"certificate of {seen.issuer} for {', '.join(seen.names[:3])}, {lasts}"
    return f"{words}; {seen.chain_fault}" if seen.chain_fault else words


def faults(settings: Settings, seen: Presented, now: float) -> Iterator[Diagnosis]:
    """What is wrong with it for a client that asked for our hostname."""
    hostname, file = settings.hostname, settings.tls.certificate or "it"
    left = _days_left(seen.ends_at, now)
    if left < 0:
        yield Diagnosis(
            ENDED,
            "The certificate clients see has ended.",
            f"It was good until {seen.ends_at:%Y-%m-%d}. Clients that verify it cannot send.",
            f"Renew {file}; it is taken within a minute.",
            "operator",
        )
    elif left <= WARN_DAYS:
        yield Diagnosis(
            "listener-certificate-ends",
            f"The certificate clients see: {left} days left.",
            "Clients that verify it will no longer connect then.",
            f"Renew {file}; it is taken within a minute.",
            "operator",
        )
    if not seen.is_for_host:
        yield Diagnosis(
            "listener-certificate-name",
            f"The certificate clients see is not for {hostname}.",
            f"It is for {', '.join(seen.names[:6]) or 'no name'}. Clients that are told to send to"
            f" {hostname} and verify it will refuse.",
            f"Take a certificate for {hostname}, or set hostname to the name clients use.",
            "operator",
        )
    # One of our own is signed by itself, which whoever left [tls] empty knows.
    if seen.chain_fault and settings.tls.certificate and left >= 0:
        yield Diagnosis(
            "listener-certificate-untrusted",
            f"The certificate clients see is not trusted by this machine: {seen.chain_fault}.",
            f"{file} lacks the certificates between it and its authority, or that is an authority"
            " of your own.",
            f"Put the missing certificates behind the first one in {file}. If the authority is"
            " your own and your clients know it: add it to the authorities of this machine"
            " (update-ca-certificates), then this is silent.",
            "operator",
        )


def on_disk(settings: Settings, now: float) -> str:
    """How long the one clients will see lasts, by its file. BLOCKING."""
    file = settings.tls.certificate or str(Path(settings.state_dir, "tls", "self-signed.crt"))
    try:
        certificate = x509.load_pem_x509_certificate(Path(file).read_bytes())
    except (OSError, ValueError):
        return "no certificate yet"
    left = _days_left(certificate.not_valid_after_utc, now)
    return f"certificate: {left} days left" if left >= 0 else "the certificate has ended"


def _days_left(ends_at: datetime, now: float) -> int:
    return (ends_at - datetime.fromtimestamp(now, UTC)).days
