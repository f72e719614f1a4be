"""What people see of their own mailbox: its state, their passwords, settings to copy, a test mail.

Nothing a request says decides whose mailbox it is: that is the account that is signed in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final

from attrs import evolve

from m365gw.admin.me.enrolment import in_own_words
from m365gw.admin.me.guides import PLACE, guides
from m365gw.admin.me.people import Member, People
from m365gw.admin.me.self_service import SelfService
from m365gw.admin.refusal import Refusal
from m365gw.admin.web.console import Console
from m365gw.admin.web.pages import me_sign_in
from m365gw.admin.web.pages.me_sign_in import ME, welcome
from m365gw.admin.web.returns import Returns
from m365gw.admin.web.view import Answer, Redirect, View, page
from m365gw.microsoft.diagnosis import Diagnosis

# Of the steps of a test mail: how each is called, and its tone.
STEPS: Final[Mapping[str, tuple[str, str]]] = {
    "accepted": ("Accepted by the mail gateway", "good"),
    "token": ("Your sign-in at Microsoft", "note"),
    "sent": ("Taken by Microsoft", "good"),
    "deferred": ("Not now", "warn"),
    "held": ("Held", "warn"),
    "bounced": ("Refused", "bad"),
    "uncertain": ("Not certain", "warn"),
}

OwnPage = Callable[[View, Member], Awaitable[Answer]]


def add(console: Console, service: SelfService, people: People, returns: Returns) -> None:
    """Put the pages in."""
    pages = _Pages(service, people)

    def own(function: OwnPage) -> Callable[[View], Awaitable[Answer]]:
        """A page for people who are signed in, and still may be here."""

        async def asked(view: View) -> Answer:
            member = people.of(view.browser, is_used=not view.part)
            if member is None:
                return Redirect(ME)
            if not service.enrolment.may(member):
                people.end(view.browser)
                return Redirect(ME, key="")
            return await function(view, member)

        return asked

    me_sign_in.add(console, service.enrolment, people, returns)
    console.get(ME, pages.show, role=None)
    console.post(f"{ME}/passwords", own(pages.make), role=None)
    console.post(f"{ME}/passwords/<password>/reset", own(pages.reset), role=None)
    console.post(f"{ME}/passwords/<password>/remove", own(pages.remove), role=None)
    console.post(f"{ME}/test", own(pages.test), role=None)
    console.get(f"{ME}/test/<queue_id>", own(pages.follow), role=None)
    console.post(f"{ME}/leave", own(pages.leave), role=None)


class _Pages:
    def __init__(self, service: SelfService, people: People) -> None:
        self._service = service
        self._people = people

    async def show(self, view: View) -> Answer:
        """The mailbox; or the way to it."""
        member = self._people.of(view.browser, is_used=not view.part)
        if member is None or not self._service.enrolment.may(member):
            self._people.end(view.browser)
            return welcome(self._service.enrolment)
        client, fault = None, None
        try:
            client = self._service.passwords.client(member)
        except Refusal as refusal:
            fault = refusal
        names = [each.name for each in self._service.enrolment.apps()]
        mailbox = self._service.mailbox(member)
        return page(
            "me.html",
            mailbox=mailbox,
            told=None if mailbox["state"] == "ready" else _told(mailbox["diagnosis"]),
            passwords=list(map(_used, client["passwords"])) if client else [],
            most=self._service.passwords.most,
            again=names.index(member.app) if member.app in names else None,
            fault=fault,
            **self._settings(member, PLACE),
        )

    async def make(self, view: View, member: Member) -> Answer:
        made = await self._service.passwords.add(member, view.form.get("label"))
        return self._shown(member, *made)

    async def reset(self, view: View, member: Member) -> Answer:
        made = await self._service.passwords.reset(member, view.names["password"])
        return self._shown(member, *made)

    async def remove(self, view: View, member: Member) -> Answer:
        label = await self._service.passwords.remove(member, view.names["password"])
        return Redirect(ME, f"“{label}” is removed, and good for nothing any more.")

    async def test(self, view: View, member: Member) -> Answer:
        queue_id = await self._service.send_test(member)
        return Redirect(f"{ME}/test/{queue_id}")

    async def follow(self, view: View, member: Member) -> Answer:
        """The steps so far; a part of the page waits until there is one more."""
        queue_id = view.names["queue_id"]
        seen = view.query.number("seen")
        news = await self._service.follow(member, queue_id, seen)
        return page(
            "me_test.html",
            member=member,
            address=self._service.enrolment.address(member),
            queue_id=queue_id,
            steps=[_step(each) for each in news["steps"]],
            outcome=news["outcome"],
            told=_told(news["mailbox"]["diagnosis"]),
        )

    async def leave(self, view: View, member: Member) -> Answer:
        is_all = await self._service.leave(member)
        self._people.end_all(member.account)
        gone = Refusal(
            200,
            "Your access is deleted.",
            "" if is_all else "Mail that waits is still sent; then the sign-in is removed.",
            "Remove the passwords from your programs and devices too.",
        )
        return welcome(self._service.enrolment, gone)

    def _shown(self, member: Member, label: str, password: str) -> Answer:
        """The one page that shows a password."""
        shown = page("me_password.html", label=label, password=password)
        return evolve(shown, values={**shown.values, **self._settings(member, password)})

    def _settings(self, member: Member, password: str) -> dict[str, Any]:
        """What both pages show of the settings to copy."""
        address, servers = self._service.enrolment.address(member), self._service.servers()
        return {
            "member": member,
            "address": address,
            "servers": servers,
            "guides": guides(servers, address, password),
        }


def _told(diagnosis: Mapping[str, Any] | None) -> Refusal | None:
    """A diagnosis for the person whose mailbox it is."""
    return None if diagnosis is None else in_own_words(Diagnosis(**diagnosis))


def _used(password: Mapping[str, Any]) -> dict[str, Any]:
    """A password with the time of its last use in seconds since 1970, or None."""
    at = password["last_used"]
    return {**password, "used_at": datetime.fromisoformat(at).timestamp() if at else None}


def _step(step: Mapping[str, Any]) -> dict[str, Any]:
    title, tone = STEPS.get(step["step"], (step["step"], "note"))
    return {"title": title, "tone": tone, "at": step["at"], "words": step["words"]}
