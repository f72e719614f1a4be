"""Tests for `m365gw.directory.secret_settings`."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Mailbox
from m365gw.directory.secret_settings import SECRETS


class SecretSettingsTests(SynchronousTestCase):
    def test_every_secret_of_a_mailbox_is_put_away(self) -> None:
        """What is a secret in the configuration stands in no document of the database."""
        secret = [each.name for each in attrs.fields(Mailbox) if each.metadata.get("secret")]
        self.assertEqual(sorted(secret), sorted(SECRETS))
