"""The settings of logins: the passwords of a client, and how many may be tried."""

from __future__ import annotations

from attrs import frozen

from m365gw.config.fields import Day, Seconds, required, setting


@frozen(kw_only=True)
class Password:
    hash: str = required("As printed by: m365gw client passwd --print LOGIN", secret=True)
    label: str = setting("", "What it is called in listings and logs.")
    created: Day = setting(None, "The day it was made; only shown.")
    expires: Day = setting(None, "The last day it is good, by UTC. Without: it stays good.")
    networks: tuple[str, ...] = setting(
        (), "Networks it may be used from. Empty: from anywhere the client may log in from."
    )


@frozen(kw_only=True)
class Logins:
    wrong_limit: int = setting(5, "Wrong logins after which a session ends.")
    shortest_wait: Seconds = setting(
        1.0, "How long the answer to a wrong password waits; doubled by each further one."
    )
    longest_wait: Seconds = setting(30.0, "The longest such wait.")
    forgiven_after: Seconds = setting(
        600.0, "Time in which the count of wrong passwords halves, of an address and of a login."
    )
    address_wait_limit: int = setting(
        10, "Answers to one address that may wait; while so many do, it is told to come back (454)."
    )
    login_wait_limit: int = setting(
        30, "The same for one login, from all addresses that did not log in by it before."
    )
    check_threads: int = setting(
        2, "Chosen passwords checked at the same time, each with the memory its hash asks for."
    )
    check_limit: int = setting(64, "Chosen passwords that may wait to be checked.")
