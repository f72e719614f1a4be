"""Device codes (RFC 8628): handed out, approved or declined by a person, polled for."""

from __future__ import annotations

import secrets

from attrs import define
from twisted.internet.interfaces import IReactorTime

from m365gw.rehearsal.aadsts import Declined
from m365gw.rehearsal.tenant import Tenant

LETTERS = "BCDFGHJKLMNPQRSTVWXZ23456789"
SLOWER = 5.0  # seconds added to the interval by each slow_down


@define
class DeviceCode:
    """One sign-in that has begun on a device."""

    device_code: str
    user_code: str
    client_id: str
    scope: str
    ends: float
    interval: float
    polled: float = 0.0
    user: str = ""  # who has approved it
    declined: int = 0  # AADSTS number, when it will never be approved


class DeviceCodes:
    """The sign-ins that wait for somebody."""

    def __init__(self, tenant: Tenant, clock: IReactorTime) -> None:
        self._tenant = tenant
        self._clock = clock
        self._codes: dict[str, DeviceCode] = {}

    def begin(self, client_id: str, scope: str) -> DeviceCode:
        """A new pair of codes."""
        now = self._clock.seconds()
        self._codes = {name: code for name, code in self._codes.items() if code.ends + 3600 > now}
        code = DeviceCode(
            device_code="rehearsal-" + secrets.token_urlsafe(32),
            user_code="".join(secrets.choice(LETTERS) for _ in range(9)),
            client_id=client_id,
            scope=scope,
            ends=now + self._tenant.device_lifetime,
            interval=self._tenant.device_interval,
        )
        self._codes[code.device_code] = code
        return code

    def approve(self, user_code: str, user: str) -> None:
        """The person has signed in and said yes. KeyError: no such code, or no such user."""
        code = self._waiting(user_code)
        known = self._tenant.user(user)
        if known is None:
            raise KeyError(user)
        if self._tenant.device_flow_blocked:
            code.declined = 53003
        elif not known.enabled:
            code.declined = 50057
        else:
            code.user = known.name

    def decline(self, user_code: str) -> None:
        """The person has said no. KeyError: no such code."""
        self._waiting(user_code).declined = 65004

    def _waiting(self, user_code: str) -> DeviceCode:
        now = self._clock.seconds()
        for code in self._codes.values():
            if code.user_code == user_code.strip().upper() and code.ends > now:
                return code
        raise KeyError(user_code)

    def poll(self, device_code: str, client_id: str) -> DeviceCode:
        """The approved sign-in; it works once. Declined while there is none."""
        code, now = self._codes.get(device_code), self._clock.seconds()
        if code is None or code.client_id != client_id:
            raise Declined(70018)
        if now >= code.ends:
            raise Declined(70020)
        too_soon = bool(code.polled) and now - code.polled < code.interval - 0.5
        code.polled = now
        if code.declined:
            error = "authorization_declined" if code.declined == 65004 else ""
            raise Declined(code.declined, error)
        if code.user:
            del self._codes[device_code]
            return code
        if too_soon:
            code.interval += SLOWER
            raise Declined(70016, "slow_down")
        raise Declined(70016)
