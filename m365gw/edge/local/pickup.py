"""Picks up what local programs left in the maildrop, and takes it into the spool.

Every second it looks. A message stands under the rule of the user that owns its file, and under the
same limits as one that comes by SMTP. It is removed from the maildrop only when it is in the spool
durably, and before it goes there its queue id is noted beside it. So after a crash it is known
whether it got there; when that cannot be told, because it may have been delivered meanwhile, it is
taken once more, with the same Message-ID, and the log says that it may arrive twice.

What is refused goes to the folder `refused`, with a line in the log: nobody waits for a reply that
could be told. What cannot be stored at present stays, and is tried again. Nothing is lost, and
nothing is looked at for ever: what cannot even be moved is said once and left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from m365gw.config.settings import Settings
from m365gw.edge.admission.allowances import Allowances
from m365gw.edge.local.local_mail import fill, judge
from m365gw.edge.local.local_users import LocalUser, LocalUsers
from m365gw.edge.local.maildrop import Mail, Maildrop, NotMail
from m365gw.edge.receiving.intake import Intake
from m365gw.events import EventLog
from m365gw.smtp.envelope import Origin
from m365gw.smtp.replies import Refused, Reply
from m365gw.spool.names import Entry
from m365gw.spool.operations import numbers_of
from m365gw.spool.spool import Spool

LISTENER: Final = "maildrop"  # the "listener" of local mail in its Origin
LOOK_SECONDS: Final = 1.0
PATIENCE: Final = 60  # looks until what could not be stored is tried again
MOST: Final = 100  # messages of one look

UNCERTAIN: Final = (
    "it was to be stored as {} when the service ended, and is not there now. It is taken again, "
    "with the same Message-ID: if it was delivered before, it arrives twice"
)

_log = Logger()


class Pickup:
    """Takes mail from a maildrop. `in_thread` runs a function in a thread kept for this alone."""

    def __init__(
        self,
        *,
        maildrop: Maildrop,
        settings: Settings,
        spool: Spool,
        intake: Intake,
        allowances: Allowances,
        clock: IReactorTime,
        in_thread: Callable[..., Deferred[Any]],
        log: EventLog,
    ) -> None:
        self._maildrop = maildrop
        self._spool = spool
        self._allowances = allowances
        self._clock = clock
        self._in_thread = in_thread
        self._log = log
        self._left: set[str] = set()  # cannot be moved: said once, and left alone
        self._stored: set[str] = set()  # queue ids in the spool, whose files are still there
        self._looks = 0
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock
        self._ended: Deferred[Any] | None = None
        self.configure(settings, intake)

    def configure(self, settings: Settings, intake: Intake) -> None:
        """Go by these rules and limits from the next message on, and tell `sendmail` of them."""
        self._intake = intake
        self._settings = settings
        self._users = LocalUsers(settings.local)
        try:
            self._maildrop.post(self._users.permitted, settings.limits.message_size_limit)
        except OSError as error:  # it only serves to tell users sooner
            self._warn("maildrop.unwritten", f"sendmail is not told of the rules: {error}")

    def start(self) -> None:
        """Look every second from now on."""
        self._ended = self._loop.start(LOOK_SECONDS)

    async def stop(self) -> None:
        """Look no more; returns when the message in hand is done."""
        if self._ended is not None:
            self._loop.stop()
            await self._ended
        self._maildrop.close()

    def _look(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._pick_up())

    async def _pick_up(self) -> None:
        """One look. Never fails: a loop that ended would leave mail lying for ever."""
        try:
            names = await self._left_over() if self._looks % PATIENCE == 0 else []
            self._looks += 1
            taken, failed = await self._in_thread(self._maildrop.take, MOST, self._left)
            for name, why in failed.items():
                self._left.add(name)
                self._warn("message.refused", f"it cannot be moved and stays: {why}", file=name)
        except Exception:
            _log.failure("The maildrop could not be looked into")
            return
        for name in names + taken:
            if not self._loop.running:
                return  # it stops: the rest lies in taken/ until the next start
            try:
                await self._receive(name)
            except Exception:
                _log.failure("Local mail {name} could not be taken; it is tried again", name=name)

    async def _left_over(self) -> list[str]:
        """What was taken and not finished: by an earlier run, or when it could not be stored."""
        again = []
        await self._in_thread(self._maildrop.sweep, self._clock.seconds())
        leftovers = await self._in_thread(self._maildrop.leftovers)
        noted = numbers_of(queue_id for _, queue_id in leftovers if queue_id)
        found = await self._in_thread(self._spool.find_all, noted) if noted else {}
        in_spool = self._stored | {noted[number] for number in found}
        for name, queue_id in leftovers:
            if queue_id in in_spool:
                await self._in_thread(self._maildrop.done, name, queue_id)
                self._stored.discard(queue_id)
                continue
            if queue_id:
                await self._in_thread(self._maildrop.forget_note, name, queue_id)
                self._warn("message.uncertain", UNCERTAIN.format(queue_id), file=name)
            again.append(name)
        return again

    async def _receive(self, name: str) -> None:
        """Take one message into the spool, or put it aside."""
        try:
            mail = await self._in_thread(self._maildrop.open, name)
        except NotMail as error:
            await self._refuse(name, Reply(550, "5.6.0", f"This is no mail: {error}"))
            return
        user = self._users.user(mail.uid)
        try:
            await self._store(mail, user)
        except (Refused, NotMail) as error:
            reply = error.reply if isinstance(error, Refused) else Reply(550, "5.6.0", str(error))
            if reply.is_permanent:
                await self._refuse(name, reply, uid=mail.uid, user=user.name)
            else:
                self._warn("message.delayed", f"not stored yet: {reply}", uid=mail.uid, file=name)
        finally:
            mail.close()

    async def _store(self, mail: Mail, user: LocalUser) -> None:
        """Raises Refused and NotMail; after a 4xx the message is to be tried again."""
        settings = self._settings
        envelope, admitted = judge(mail, user, settings.limits, settings.hostname)
        allowance = self._allowances.of(admitted.rule)
        self._intake.check_space(mail.size)
        origin = Origin(
            "", protocol="", login=user.name, listener=LISTENER, mailbox=admitted.mailbox
        )
        content = self._intake.begin(envelope, origin, admitted.rule)
        noted = False
        try:
            at = datetime.fromtimestamp(self._clock.seconds(), UTC)
            faults = await self._in_thread(
                fill, content, mail, envelope.sender, settings.hostname, at, settings.limits
            )
            if content.refusal is not None:
                raise Refused(content.refusal)
            await self._in_thread(self._maildrop.note, mail.name, content.queue_id)
            noted = True
            allowance.spend(len(envelope.recipients))
            entry: Entry = await self._intake.accept(content, faults)
        except Exception:
            allowance.recover()
            content.abandon()
            if noted:
                await self._in_thread(self._maildrop.forget_note, mail.name, content.queue_id)
            raise
        self._log.emit(
            "message.queued",
            "pickup",
            entry.queue_id,
            uid=mail.uid,
            from_=envelope.sender,
            size=content.size,
            nrcpt=len(envelope.recipients),
            mailbox=admitted.mailbox,
        )
        self._stored.add(entry.queue_id)
        await self._in_thread(self._maildrop.done, mail.name, entry.queue_id)
        self._stored.discard(entry.queue_id)

    async def _refuse(self, name: str, reply: Reply, **fields: Any) -> None:
        await self._in_thread(self._maildrop.refuse, name)
        note = f"{reply}; it is kept in the folder refused of the maildrop"
        self._warn("message.refused", note, file=name, **fields)

    def _warn(self, event: str, note: str, **fields: Any) -> None:
        self._log.emit(event, "pickup", "NOQUEUE", level="warn", note=note, **fields)
