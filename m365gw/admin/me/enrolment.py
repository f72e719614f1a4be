"""From a sign-in at Microsoft to a mailbox of one's own in the directory.

The account that signed in decides which mailbox is meant, and nothing a request says. A mailbox
made here bears the id of its account: whoever signs in later under the same address with another
account (a personal one of that name, a new employee) does not get it, nor does anybody get one that
somebody else has made.

Failures: `Refusal` in words for the person; what the directory raises, otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from m365gw.admin.me.changes import Changes
from m365gw.admin.me.people import BY, Member
from m365gw.admin.refusal import Refusal
from m365gw.admin.web.returns import CALLBACK
from m365gw.config.self_service import SignIn, mailbox_by
from m365gw.config.settings import Mailbox, Settings
from m365gw.directory.orders import AddMailbox, ChangeMailbox
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.relay.tokens.failures import TokenUnavailable
from m365gw.relay.tokens.interactive import InteractiveSignIns
from m365gw.relay.tokens.person import Person
from m365gw.relay.tokens.web_sign_in import WebSignIn
from m365gw.smtp.addresses import matches

NOBODY_YET = "you"  # stands in diagnoses where nobody has signed in yet


class Enrolment:
    """Signs people in. `settings` are those in force; `probe` has a mailbox tried at once."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        sign_ins: InteractiveSignIns,
        changes: Changes,
        probe: Callable[[str], object],
    ) -> None:
        self._settings = settings
        self._sign_ins = sign_ins
        self._changes = changes
        self._probe = probe

    def apps(self) -> Sequence[SignIn]:
        """What people may sign in with; nothing while the page is closed."""
        settings = self._settings()
        return settings.sign_in if settings.self_service.enabled else ()

    def app_of_operators(self) -> SignIn | None:
        """What operators may sign in with, beside their passwords."""
        settings = self._settings()
        named = settings.web.sign_in
        return next((each for each in settings.sign_in if each.name == named), None)

    async def begin(self, app: SignIn, hint: str) -> WebSignIn:
        """Where to send a browser. The way back is where `public_url` says. Raises `Refusal`."""
        back = self._settings().web.public_url.rstrip("/") + CALLBACK
        try:
            return await self._sign_ins.begin_web(mailbox_by(app, NOBODY_YET), back, hint)
        except TokenUnavailable as problem:
            raise not_signed_in(problem) from None

    async def person(self, sign_in: WebSignIn, answer: Mapping[str, str]) -> Person:
        """Whoever came back; nothing is stored. Raises `Refusal`."""
        try:
            return await self._sign_ins.person(sign_in, answer)
        except TokenUnavailable as problem:
            raise not_signed_in(problem) from None

    async def finish(self, app: SignIn, sign_in: WebSignIn, answer: Mapping[str, str]) -> Member:
        """Whoever came back; the mailbox is there, and its sign-in stored. Raises `Refusal`."""
        person = await self.person(sign_in, answer)
        self._check_may(person)
        try:
            mailbox = await self._changes.in_turn(self._enrolled, app, person)
        except TokenUnavailable as problem:
            raise not_signed_in(problem) from None
        self._probe(mailbox.address)
        return Member(person.address, person.name, person.account, app.name)

    def may(self, member: Member) -> bool:
        """Whether somebody may still be here: not denied since, and with a mailbox."""
        return self._is_allowed(member.address) and self._own(member.account) is not None

    def address(self, member: Member) -> str:
        """The mailbox of somebody. Raises `Refusal`."""
        mailbox = self._own(member.account)
        if mailbox is None:
            raise gone()
        return mailbox.address

    def _own(self, account: str) -> Mailbox | None:
        for mailbox in self._settings().mailbox:
            if mailbox.sign_in and mailbox.account == account:
                return mailbox
        return None

    def _is_allowed(self, address: str) -> bool:
        own = self._settings().self_service
        is_denied = any(matches(each, address) for each in own.deny)
        return own.enabled and not is_denied and any(matches(each, address) for each in own.allow)

    def _check_may(self, person: Person) -> None:
        """Raises `Refusal`."""
        if not self._is_allowed(person.address):
            raise Refusal(
                403,
                f"{person.address} may not use this page.",
                "It is not among the addresses this mail gateway is for.",
                "Sign in as somebody else, or ask whoever runs it.",
            )
        if person.is_personal and not self._settings().self_service.personal_accounts:
            raise Refusal(
                403,
                f"{person.address} is a personal account.",
                "This mail gateway is for work accounts only.",
                "Sign in with your work account.",
            )

    async def _enrolled(self, app: SignIn, person: Person) -> Mailbox:
        """The mailbox of a person, made when there is none yet; its sign-in is stored."""
        own, by = self._own(person.account), f"{BY} {person.address}"
        table = {"sign_in": app.name, "tenant": app.tenant, "client_id": app.client_id}
        if own is None:
            self._check_free(person)
            values = {"address": person.address, "flow": "web", "account": person.account, **table}
            await self._changes.carry_out(AddMailbox(values), by)
        elif not self._is_allowed(own.address):
            raise Refusal(403, f"{own.address} may not use this page any more.")
        elif own.sign_in != app.name or own.until_empty:
            order = ChangeMailbox(own.address, {**table, "until_empty": None})
            await self._changes.carry_out(order, by)
        mailbox = self._own(person.account)
        if mailbox is None:
            raise gone()
        await self._sign_ins.keep(person, mailbox)
        return mailbox

    def _check_free(self, person: Person) -> None:
        """Raises `Refusal` for a mailbox that somebody else has made."""
        if any(each.address.casefold() == person.address for each in self._settings().mailbox):
            raise Refusal(
                409,
                f"{person.address} is in use here already.",
                "It was made by whoever runs the mail gateway, or by another account of that name.",
                f"Ask whoever runs it; they see it by: m365gw mailbox show {person.address}",
            )


def not_signed_in(problem: TokenUnavailable) -> Refusal:
    """Why a sign-in failed, for the person."""
    return in_own_words(problem.diagnosis)


def in_own_words(told: Diagnosis) -> Refusal:
    """A diagnosis for the person it is about: the commands of operators are not for them."""
    if "m365gw mailbox signin" in told.fix or told.who == "mailbox-user":
        fix = "Sign in again." if "m365gw" in told.fix else told.fix
    else:
        fix = f"For {told.actor_for_sender}: {told.fix}" if told.who != "nobody" else told.fix
    return Refusal(422, told.what, told.why, fix)


def gone() -> Refusal:
    """The mailbox was removed while its person was signed in."""
    return Refusal(
        410,
        "Your mailbox is not here any more.",
        "It was removed, by you or by whoever runs the mail gateway.",
        "Sign in again to begin anew.",
    )
