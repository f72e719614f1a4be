"""Which mailboxes there are, and which stops concern each of them.

A mailbox shares its tenant with some and its host with more; a sender on it is its own. A mailbox
that was taken out of the configuration is no longer listed, but still known: deliveries that were
under way come to their end.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve

from m365gw.config.clouds import cloud_of, clouds_of
from m365gw.config.settings import Settings
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.reactions import Reaction, Scope
from m365gw.relay.stops.stops import Account, Key


def accounts_of(settings: Settings) -> list[Account]:
    """The mailboxes of a configuration, as their stops see them."""
    clouds = clouds_of(settings)
    return [
        Account(
            mailbox.address,
            mailbox.tenant,
            cloud_of(mailbox, clouds).host_of(mailbox.exit),
            mailbox.client_id,
            mailbox.exit,
        )
        for mailbox in settings.mailbox
    ]


class Roster:
    """The configured mailboxes, by address."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._accounts: dict[str, Account] = {}
        self._keys: dict[str, tuple[Key, ...]] = {}
        self.addresses: tuple[str, ...] = ()
        self.configure(accounts)

    def configure(self, accounts: Iterable[Account]) -> None:
        """From now on these are the mailboxes."""
        accounts = list(accounts)
        self.addresses = tuple(account.address for account in accounts)
        for account in accounts:
            self._accounts[account.address] = account
            self._keys[account.address] = (
                ("paused", account.address),
                (Scope.MAILBOX.value, account.address),
                (Scope.TENANT.value, account.tenant.casefold()),
                (Scope.HOST.value, account.host),
            )

    def __contains__(self, mailbox: str) -> bool:
        return mailbox in self.addresses

    def account(self, mailbox: str) -> Account | None:
        """What a mailbox shares with others; also of one that is no longer configured."""
        return self._accounts.get(mailbox)

    def keys(self, mailbox: str) -> tuple[Key, ...]:
        """What can stop a mailbox as a whole."""
        return self._keys.get(mailbox, ((Scope.MAILBOX.value, mailbox),))

    def covering(self, mailbox: str, sender: str) -> tuple[Key, ...]:
        """What can stop a sender on a mailbox."""
        return (*self.keys(mailbox), self.key(Scope.SENDER, mailbox, sender))

    def key(self, scope: Scope, mailbox: str, sender: str) -> Key:
        """The one of these that has this scope."""
        if scope is Scope.SENDER:
            return scope.value, f"<{sender.casefold()}> on {mailbox}"
        return next(key for key in self.keys(mailbox) if key[0] == scope.value)

    def is_known(self, key: Key) -> bool:
        """Whether a stop can concern any configured mailbox."""
        if key[0] == Scope.SENDER.value:
            return key[1].rpartition(" on ")[2] in self.addresses
        return any(key in self._keys[address] for address in self.addresses)

    def named(self, reaction: Reaction, mailbox: str, sender: str) -> Reaction:
        """A reaction whose diagnosis names this mailbox and sender, ready to be read."""
        account = self._accounts[mailbox]
        told = reaction.diagnosis.about(
            mailbox=mailbox,
            sender=sender or "<>",
            tenant=account.tenant,
            client_id=account.client_id,
        )
        return evolve(reaction, diagnosis=told)

    def named_for_all(self, reaction: Reaction, mailbox: str, sender: str) -> Reaction:
        """A reaction as a stop keeps it: of a tenant or a host it names no mailbox or sender."""
        if reaction.scope not in (Scope.TENANT, Scope.HOST):
            return self.named(reaction, mailbox, sender)
        told = reaction.diagnosis.about(tenant=self._accounts[mailbox].tenant)
        return evolve(reaction, diagnosis=told)

    def shown_to(self, mailbox: str, diagnosis: Diagnosis) -> Diagnosis:
        """What stops a tenant or a host, as one of its mailboxes shows it."""
        account = self._accounts.get(mailbox)
        if account is None:
            return diagnosis
        return diagnosis.about(mailbox=mailbox, client_id=account.client_id)
