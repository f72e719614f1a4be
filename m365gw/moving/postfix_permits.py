"""Whom Postfix let send: trusted networks and logins, where its restrictions came to permit them.

Each list of restrictions is gone through in its order, and one that turns strangers away before it
permits is an end. What is hidden in a table or a class is not looked into, and permits nobody. A
service of master.cf may take logins where main.cf takes none.

Failures: ValueError, whose text says what cannot be followed.
"""

from __future__ import annotations

import re
from typing import Final

from attrs import field, frozen

from m365gw.moving.main_cf import MainCf, logical_lines

NETWORKS: Final = "permit_mynetworks"
LOGINS: Final = "permit_sasl_authenticated"
LISTS: Final = tuple(
    f"smtpd_{name}_restrictions" for name in ("client", "helo", "sender", "relay", "recipient")
)
_ENDS: Final = ("reject", "defer", "reject_unauth_destination", "defer_unauth_destination")
_TAKES_LOGINS: Final = re.compile(r"\bsmtpd_sasl_auth_enable\s*=\s*yes\b")


def _without_comments(text: str) -> str:
    return "\n".join(line for _, line in logical_lines(text))


@frozen
class Permits:
    """By main.cf, and the text of master.cf ("" where there is none)."""

    _config: MainCf
    _master: str = field(converter=_without_comments)

    def networks(self) -> bool:
        """Whether what `mynetworks` holds might send anywhere. Raises ValueError."""
        return self._pass(NETWORKS)

    def logins(self) -> bool:
        """Whether one could log in, and send then. Raises ValueError."""
        is_taken = self._config.value("smtpd_sasl_auth_enable") == "yes"
        is_taken = is_taken or bool(_TAKES_LOGINS.search(self._master))
        return is_taken and (LOGINS in self._master or self._pass(LOGINS))

    def _pass(self, permit: str) -> bool:
        return all(_comes_to(permit, self._config.words(name)) for name in LISTS)


def _comes_to(permit: str, restrictions: list[str]) -> bool:
    """Whether a list permits before it ends; one without an end turns nobody away."""
    first = next((word for word in restrictions if word in (permit, *_ENDS)), permit)
    return first == permit
