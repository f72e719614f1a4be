"""Sign-ins of people while the service runs, each known by an id nobody can guess.

They end when they are done, failed or given up, and are forgotten after half an hour. After a
sign-in the mailbox is tried at once, so that what waited for it goes.

Failures: `TokenUnavailable` when a sign-in failed; `Refusal` 404 for an unknown mailbox or sign-in,
409 for a mailbox that signs in without a person.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from attrs import frozen
from twisted.internet.interfaces import IReactorTime

from m365gw.admin.refusal import Refusal
from m365gw.config.mailboxes import USER_FLOWS
from m365gw.config.settings import Mailbox, Settings
from m365gw.relay.tokens.device_sign_in import DeviceSignIn
from m365gw.relay.tokens.failures import TokenUnavailable
from m365gw.relay.tokens.interactive import InteractiveSignIns
from m365gw.relay.tokens.web_sign_in import WebSignIn

LIFE: Final = 1800.0  # seconds a sign-in may be under way
MOST: Final = 100  # at a time; the oldest give way
FOREIGN: Final = "signin-foreign"  # an answer to another sign-in, which does not end this one

Kind = TypeVar("Kind", DeviceSignIn, WebSignIn)


@frozen
class _UnderWay:
    mailbox: Mailbox
    sign_in: DeviceSignIn | WebSignIn
    began_at: float


class SigningIn:
    """Begins, follows and ends sign-ins. `probe` has a mailbox tried."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        sign_ins: InteractiveSignIns,
        probe: Callable[[str], object],
        clock: IReactorTime,
    ) -> None:
        self._settings = settings
        self._sign_ins = sign_ins
        self._probe = probe
        self._clock = clock
        self._under_way: dict[str, _UnderWay] = {}

    async def begin(self, address: str, redirect_uri: str) -> dict[str, Any]:
        """Begin one; gives its id and what the person has to do.

        With a `redirect_uri`, where the browser comes back to, for flow web; else by a code.
        """
        mailbox = self._mailbox(address)
        if mailbox.flow == "web" and redirect_uri:
            web = await self._sign_ins.begin_web(mailbox, redirect_uri)
            return self._begun(mailbox, web) | {"auth_uri": web.auth_uri, "state": web.state}
        device = await self._sign_ins.begin_device(mailbox)
        return self._begun(mailbox, device) | {
            "user_code": device.user_code,
            "verification_uri": device.verification_uri,
            "interval": device.interval,
            "expires_in": device.expires_in,
        }

    async def poll(self, name: str) -> dict[str, Any]:
        """Whether the person has entered the code, and the sign-in is stored."""
        mailbox, sign_in = self._found(name, DeviceSignIn)
        try:
            is_done = await self._sign_ins.poll_device(sign_in)
        except TokenUnavailable:
            self.cancel(name)
            raise
        return self._said(name, mailbox, is_done)

    async def finish(self, name: str, arguments: Mapping[str, str]) -> dict[str, Any]:
        """Store one that a browser came back from with these parameters in its address."""
        mailbox, sign_in = self._found(name, WebSignIn)
        try:
            await self._sign_ins.finish_web(sign_in, arguments)
        except TokenUnavailable as problem:
            if problem.diagnosis.key != FOREIGN:
                self.cancel(name)
            raise
        return self._said(name, mailbox, True)

    def cancel(self, name: str) -> dict[str, Any]:
        """Forget one; that it is not known does no harm."""
        self._under_way.pop(name, None)
        return {}

    def _mailbox(self, address: str) -> Mailbox:
        mailboxes = self._settings().mailbox
        for mailbox in mailboxes:
            if mailbox.address.casefold() == address.casefold():
                if mailbox.flow in USER_FLOWS:
                    return mailbox
                words = f'{address} has flow "{mailbox.flow}": it signs in without a person.'
                raise Refusal(409, words)
        known = ", ".join(each.address for each in mailboxes) or "none"
        raise Refusal(404, f"There is no mailbox {address}.", f"Known: {known}.")

    def _begun(self, mailbox: Mailbox, sign_in: DeviceSignIn | WebSignIn) -> dict[str, Any]:
        now = self._clock.seconds()
        past = [name for name, one in self._under_way.items() if now - one.began_at > LIFE]
        for name in [*past, *list(self._under_way)[: 1 - MOST]]:
            self.cancel(name)
        name = secrets.token_urlsafe(24)
        self._under_way[name] = _UnderWay(mailbox, sign_in, now)
        return {"id": name, "address": mailbox.address, "sign_in_as": mailbox.signs_in}

    def _found(self, name: str, kind: type[Kind]) -> tuple[Mailbox, Kind]:
        under_way = self._under_way.get(name)
        if under_way is not None:
            self._mailbox(under_way.mailbox.address)  # nothing is stored for one that was removed
        if under_way is None or not isinstance(under_way.sign_in, kind):
            raise Refusal(404, "This sign-in is over, or never was.", "", "Begin again.")
        return under_way.mailbox, under_way.sign_in

    def _said(self, name: str, mailbox: Mailbox, is_done: bool) -> dict[str, Any]:
        if is_done:
            self.cancel(name)
            self._probe(mailbox.address)
        return {"address": mailbox.address, "done": is_done}
