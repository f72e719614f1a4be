"""What the API tells of a running gateway."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.interfaces import IReactorTime

from m365gw import __version__
from m365gw.config.settings import Settings
from m365gw.service.drain import Drain
from m365gw.service.mail_in import MailIn
from m365gw.service.mail_out import MailOut
from m365gw.service.reload import Reload
from m365gw.spool.health import SpoolError
from m365gw.spool.spool import Spool


class Status:
    """Answers questions about the gateway. Times are seconds since 1970."""

    def __init__(
        self,
        spool: Spool,
        mail_in: MailIn,
        mail_out: MailOut,
        reload: Reload,
        drain: Drain,
        clock: IReactorTime,
    ) -> None:
        self._spool = spool
        self._in = mail_in
        self._out = mail_out
        self._reload = reload
        self._drain = drain
        self._started_at = clock.seconds()

    def status(self) -> dict[str, Any]:
        """GET /status."""
        troubles = self._troubles()
        return {
            "version": __version__,
            "pid": os.getpid(),
            "started_at": self._started_at,
            "hostname": self._reload.settings.hostname,
            "is_draining": self._drain.until is not None,
            "drains_until": self._drain.until,
            "health": {"good": not troubles, "troubles": troubles},
            "queue": {
                "in_flight": self._out.dispatch.in_flight,
                "scheduled": len(self._out.schedule),
                "without_mailbox": self._out.without_mailbox,
            },
            "connections": self._in.census.connections,
            "listeners": self._in.listening.places(),
        }

    def mailboxes(self) -> list[dict[str, Any]]:
        """Each mailbox: its state, its budget and what waits for it."""
        return [one.plain() for one in self._out.overview()]

    def _troubles(self) -> list[dict[str, str]]:
        """Why no mail can be taken now, for each cause."""
        troubles = []
        health = self._spool.health
        if health.closed:
            troubles.append(
                {
                    "what": "The disk of the spool failed; no mail is taken or sent.",
                    "why": f"The system says: {health.cause}.",
                    "fix": "Look at the disk (dmesg, smartctl, df -h).",
                }
            )
        shortage = lack_of_space(self._spool, self._reload.settings)
        if shortage and not health.closed:
            troubles.append(shortage)
        return troubles


def lack_of_space(spool: Spool, settings: Settings) -> dict[str, str]:
    """What is wrong when the spool has too little room to take mail; {} when it has enough."""
    limits = settings.limits
    try:
        free, files = spool.free_space(), spool.free_files()
    except SpoolError:
        return {}  # what is wrong then is told otherwise
    what = "The disk of the spool is nearly full; no mail is taken (452), what is there goes."
    if free <= limits.minimal_free_space:
        return {
            "what": what,
            "why": f"{free:,} octets are free on {settings.spool_dir}, and minimal_free_space is"
            f" {limits.minimal_free_space:,}.",
            "fix": "Make room, or lower [limits] minimal_free_space.",
        }
    if files is not None and files <= limits.minimal_free_inodes:
        return {
            "what": what,
            "why": f"The disk of {settings.spool_dir} has room for {files:,} more files, and"
            f" minimal_free_inodes is {limits.minimal_free_inodes:,}.",
            "fix": "Remove small files there (df -i shows them).",
        }
    return {}
