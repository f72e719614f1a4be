"""Taking a new configuration, or new entries of the directory, while mail flows: all or nothing.

Everything that can go wrong is done first: the files are read and checked, certificates loaded, new
ports bound. Only when all that succeeded the running gateway is changed, in one turn of the
reactor. A configuration with a fault changes nothing, and every fault is in the log and in the
answer to whoever asked, with its place and what to do.

What cannot change while the gateway runs (`changes.FIXED`) stays as it is until a restart, and is
said; the rest applies. A gateway that is ending takes nothing new, also when its end began while
the files were read: it would listen again.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import DeferredLock
from twisted.internet.threads import deferToThread

from m365gw.config.problems import ConfigError, Problem
from m365gw.config.settings import Settings
from m365gw.edge.listening.listeners import ListenFailed
from m365gw.edge.listening.tls_terms import CertificateUnusable
from m365gw.edge.local.maildrop_folders import MaildropUnusable
from m365gw.events import EventLog
from m365gw.incidents import Incidents
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.service.changes import Changes, changes
from m365gw.service.mail_in import MailIn
from m365gw.service.mail_out import MailOut

REJECTED = "configuration-rejected"  # the key of its incident


class Rejected(Exception):
    """The new configuration was not taken; nothing has changed."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("the new configuration was not taken")
        self.problems = problems


class Ending(Exception):
    """The gateway drains or stops, and takes no new configuration."""

    def __init__(self) -> None:
        super().__init__("The gateway is stopping and takes no new configuration.")


class Reload:
    """Keeps the settings that hold now, and takes new ones.

    `configured` is what the file said, `settings` that with the entries made beside it. `read`
    reads the file, `merge` reads the entries and sets them beside it; both block. `is_ending` says
    whether the gateway drains or stops; `apply_also` gives new settings to whoever else wants
    them, and cannot fail.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        configured: Settings,
        read: Callable[[], Settings],
        merge: Callable[[Settings], Settings],
        is_ending: Callable[[], bool],
        mail_in: MailIn,
        mail_out: MailOut,
        log: EventLog,
        incidents: Incidents,
        apply_also: Callable[[Settings], object],
    ) -> None:
        self.settings = settings
        self.configured = configured
        self._read = read
        self._merge = merge
        self._is_ending = is_ending
        self._in = mail_in
        self._out = mail_out
        self._log = log
        self._incidents = incidents
        self._apply_also = apply_also
        self._turn = DeferredLock()  # one at a time, in the order they were asked for

    async def reload(self) -> Changes:
        """Read the configuration anew and go on with it. Raises `Rejected` and `Ending`."""
        change = await self._in_turn(self._read)
        self._incidents.close(REJECTED)
        words = "; ".join(change.changed) or "nothing has changed"
        self._say(f"configuration read anew: {words}", change.needs_restart)
        return change

    async def refresh(self) -> Changes:
        """Go on with the entries of the directory as they are now; the file is not read.

        Raises `Rejected` and `Ending`.
        """
        change = await self._in_turn(lambda: self.configured)
        if change.changed:
            self._say(f"directory read anew: {'; '.join(change.changed)}", ())
        return change

    async def _in_turn(self, read: Callable[[], Settings]) -> Changes:
        await self._turn.acquire()
        try:
            return await self._take(read)
        except Rejected as rejected:
            self._say_rejected(rejected.problems)
            raise
        finally:
            self._turn.release()

    async def _take(self, read: Callable[[], Settings]) -> Changes:
        self._check_goes_on()
        try:
            # In a thread: there may be thousands of clients, and the database may hang.
            configured, wanted = await deferToThread(self._wanted, read)
            self._check_goes_on()
            change = changes(self.settings, wanted)
            prepared = self._in.prepare(change.settings)
        except ConfigError as error:
            raise Rejected(error.problems) from None
        except (CertificateUnusable, ListenFailed, MaildropUnusable) as error:
            raise Rejected((Problem("", str(error)),)) from None
        self._in.take(prepared)
        self._out.apply(change.settings)
        self._apply_also(change.settings)
        self._log.configure(format=change.settings.log.format, level=change.settings.log.level)
        self.settings, self.configured = change.settings, configured
        return change

    def _wanted(self, read: Callable[[], Settings]) -> tuple[Settings, Settings]:
        configured = read()
        return configured, self._merge(configured)

    def _check_goes_on(self) -> None:
        if self._is_ending():
            raise Ending

    def _say(self, note: str, needs_restart: tuple[str, ...]) -> None:
        self._log.emit("service.reloaded", "master", note=note)
        if needs_restart:
            note = f"{', '.join(needs_restart)} changes only with a restart; all else applies"
            self._log.emit("service.needs_restart", "master", level="warn", note=note)

    def _say_rejected(self, problems: tuple[Problem, ...]) -> None:
        note = "the new configuration was not taken; the gateway goes on with the one it has"
        self._log.emit("service.not_reloaded", "master", level="error", note=note)
        for problem in problems:
            where = f"{problem.place}: " if problem.place else ""
            end = "" if problem.fault.endswith((".", "?")) else "."
            note = f"{where}{problem.fault}{end} {problem.remedy}".strip()
            self._log.emit("service.problem", "master", level="error", note=note)
        self._incidents.open(_rejected(problems), level="error")


def _rejected(problems: tuple[Problem, ...]) -> Diagnosis:
    first = problems[0]
    where = f"{first.place}: " if first.place else ""
    more = f" There are {len(problems)} problems in all." if len(problems) > 1 else ""
    return Diagnosis(
        REJECTED,
        "A new configuration was not taken; the gateway goes on with the one it has.",
        f"{where}{first.fault.rstrip('.')}.{more}",
        "m365gw check shows every problem. Mend them, then m365gw reload. Do not restart before:"
        " the service would not start.",
        "operator",
    )
