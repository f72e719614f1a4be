"""Sign-ins that need a person: begun here, followed, and stored as the sign-in of a mailbox.

The person signs in at Microsoft, by a code on any device (`device_sign_in`) or in a browser that
comes back here (`web_sign_in`).

Failures: `TokenUnavailable` only; then nothing was stored.
"""

from __future__ import annotations

from collections.abc import Mapping

from m365gw.config.settings import Mailbox
from m365gw.microsoft.clouds import Cloud
from m365gw.relay.threads import Calls
from m365gw.relay.tokens.applications import OpenSession, SecretStore
from m365gw.relay.tokens.device_sign_in import DeviceSignIn
from m365gw.relay.tokens.https import https_session
from m365gw.relay.tokens.person import Person
from m365gw.relay.tokens.sign_in import store_sign_in
from m365gw.relay.tokens.web_sign_in import WebSignIn


class InteractiveSignIns:
    """Begins and ends them.

    `clouds` maps the names mailboxes use; `calls` runs what blocks; `open_session` gives the https
    session for a cloud.
    """

    def __init__(
        self,
        clouds: Mapping[str, Cloud],
        vault: SecretStore,
        calls: Calls,
        *,
        open_session: OpenSession = https_session,
    ) -> None:
        self._clouds = clouds
        self._vault = vault
        self._calls = calls
        self._open_session = open_session

    def configure(self, clouds: Mapping[str, Cloud]) -> None:
        """From now on these are the clouds."""
        self._clouds = clouds

    async def begin_device(self, mailbox: Mailbox) -> DeviceSignIn:
        """Start a sign-in by device code."""
        cloud = self._clouds[mailbox.cloud]
        return await self._calls.call(DeviceSignIn.begin, mailbox, cloud, self._open_session)

    async def poll_device(self, sign_in: DeviceSignIn) -> bool:
        """Whether the person has signed in; asked once each `sign_in.interval` seconds.

        Raises `TokenUnavailable` when it failed for good.
        """
        return await self._calls.call(sign_in.poll, self._vault)

    async def begin_web(
        self, mailbox: Mailbox, redirect_uri: str, hint: str | None = None
    ) -> WebSignIn:
        """Start a sign-in on Microsoft's page; `hint` is the user name it begins with."""
        cloud = self._clouds[mailbox.cloud]
        return await self._calls.call(
            WebSignIn.begin, mailbox, cloud, self._open_session, redirect_uri, hint
        )

    async def finish_web(self, sign_in: WebSignIn, arguments: Mapping[str, str]) -> None:
        """End it with what the browser brought back, as the mailbox it was begun for."""
        await self._calls.call(sign_in.finish, arguments, self._vault)

    async def person(self, sign_in: WebSignIn, arguments: Mapping[str, str]) -> Person:
        """End it as whoever signed in; nothing is stored."""
        return await self._calls.call(sign_in.person, arguments, self._vault)

    async def keep(self, person: Person, mailbox: Mailbox) -> None:
        """Store that sign-in as the one of a mailbox."""
        await self._calls.call(store_sign_in, self._vault, mailbox, person.cache)
