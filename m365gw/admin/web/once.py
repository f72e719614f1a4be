"""Secrets that are shown once: a password or a token that was just made, and then nowhere again.

They wait in memory for the page that shows them, a minute at most, for the session that made them.
Failures: `Refusal` 404 for who comes a second time.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final

from attrs import field, frozen

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.view import Redirect, View

KEPT: Final = 60.0  # seconds
MOST: Final = 100


@frozen
class Secret:
    """What is shown: the secret, what it is, and what else whoever needs it has to know."""

    title: str
    words: str  # what happened
    secret: str = field(repr=False)
    back: str  # the page to go on with
    settings: Sequence[tuple[str, str]] = ()  # to be copied beside it, as name and value


class Once:
    """The secrets that wait to be shown."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[str, float, Secret]] = {}

    def show(self, view: View, secret: Secret) -> Redirect:
        """The way to the page that shows it."""
        for name, (_, at, _) in list(self._waiting.items()):
            if view.now - at > KEPT or len(self._waiting) >= MOST:
                del self._waiting[name]
        name = secrets.token_hex(16)
        self._waiting[name] = (view.session, view.now, secret)
        return Redirect(f"/once/{name}")

    def take(self, view: View) -> Secret:
        """The secret of this page. Raises `Refusal`."""
        session, at, secret = self._waiting.pop(view.names["name"], ("", 0.0, None))
        if secret is None or session != view.session or view.now - at > KEPT:
            raise Refusal(
                404,
                "This was shown already.",
                "A password or token is shown once, and kept nowhere.",
                "Make another one, and take this one away.",
            )
        return secret
