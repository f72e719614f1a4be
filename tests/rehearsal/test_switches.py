"""Tests of changes given as JSON values."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from m365gw.rehearsal.limits import Limits
from m365gw.rehearsal.middlebox import Middlebox
from m365gw.rehearsal.switches import apply_switches
from m365gw.rehearsal.tenant import APP_ID, Secret, default_tenant

RELAY = "relay@contoso.example"


class SwitchesTests(SynchronousTestCase):
    """What can be changed, and what cannot."""

    def setUp(self) -> None:
        self.tenant = default_tenant()
        self.middlebox = Middlebox()
        self.limits = Limits()

    def apply(self, **values: object) -> None:
        """Applies changes."""
        apply_switches(self.tenant, self.limits, self.middlebox, values)

    def test_everything_can_be_changed(self) -> None:
        """Tenant, limits, mailboxes, users, apps."""
        self.apply(
            tenant={"smtp_auth_disabled": True, "token_lifetime": 60},
            limits={"messages_per_minute": 0, "rate_mode": "refuse"},
            mailboxes={RELAY: {"smtp_auth_disabled": False, "aliases": ["x@y"]}},
            users={RELAY: {"enabled": False}},
            apps={APP_ID: {"secrets": [{"value": "new", "ends": 5.0}], "roles": []}},
        )
        mailbox = self.tenant.mailbox(RELAY)
        assert mailbox is not None
        self.assertEqual((mailbox.smtp_auth_disabled, mailbox.aliases), (False, ("x@y",)))
        self.assertTrue(self.tenant.smtp_auth_disabled)
        self.assertEqual(self.limits.rate_mode, "refuse")
        self.assertFalse(self.tenant.users[RELAY].enabled)
        app = self.tenant.apps[APP_ID]
        self.assertEqual((app.secrets, app.roles), ((Secret(value="new", ends=5.0),), frozenset()))

    def test_what_is_not_there_is_added(self) -> None:
        """A new mailbox has an owner at once."""
        self.apply(mailboxes={"New@contoso.example": {}}, apps={"app": {"public": True}})
        self.assertIsNotNone(self.tenant.mailbox("new@contoso.example"))
        self.assertIsNotNone(self.tenant.user("new@contoso.example"))
        self.assertTrue(self.tenant.apps["app"].public)

    def test_one_mistake_changes_nothing(self) -> None:
        """Unknown names and values of the wrong kind are told, and all stays as it was."""
        for wrong in (
            {"foo": {}},
            {"tenant": {"foo": 1}},
            {"tenant": {"mailboxes": {}}},
            {"tenant": {"security_defaults": 1}},
            {"limits": {"messages_per_minute": "many"}},
            {"limits": {"messages_per_minute": -1}},
            {"limits": {"rate_mode": "explode"}},
            {"mailboxes": {RELAY: {"full": "yes"}}},
            {"mailboxes": {RELAY: {"aliases": "x@y"}}},
            {"mailboxes": {RELAY: {"foo": 1}}},
            {"mailboxes": [RELAY]},
        ):
            with self.assertRaises(ValueError, msg=str(wrong)):
                self.apply(**({"users": {RELAY: {"enabled": False}}} | wrong))
        self.assertEqual(self.tenant, default_tenant())
        self.assertEqual(self.limits, Limits())
