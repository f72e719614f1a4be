"""The whole result of an examination: the gateway itself, then each mailbox."""

from __future__ import annotations

from typing import Any, Final

from attrs import frozen

from m365gw.doctor.finding import Finding

SHAPE: Final = 1  # of `plain`; grows when a key changes its meaning or goes


@frozen
class Report:
    """All findings. `at` is in seconds since 1970; `notes` is what concerns the run itself."""

    at: float
    gateway: tuple[Finding, ...]
    mailboxes: tuple[tuple[str, tuple[Finding, ...]], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether no check failed."""
        findings = [*self.gateway, *(one for _, each in self.mailboxes for one in each)]
        return all(finding.result != "fail" for finding in findings)

    def plain(self) -> dict[str, Any]:
        """As JSON shows it; `docs/doctor.md` says what each key means."""
        return {
            "shape": SHAPE,
            "at": self.at,
            "good": self.is_good,
            "notes": list(self.notes),
            "gateway": [finding.plain() for finding in self.gateway],
            "mailboxes": [
                {"address": address, "findings": [finding.plain() for finding in findings]}
                for address, findings in self.mailboxes
            ],
        }
