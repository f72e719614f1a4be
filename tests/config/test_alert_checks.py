"""What must hold for [alerts]."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.alerts import Alerts, Webhook
from m365gw.config.checks.alerts import alert_faults
from m365gw.config.load import load
from m365gw.config.problems import ConfigError

BOXES = ["relay@contoso.com"]
BASE = """\
hostname = "relay.example.com"
[[listener]]
name = "a"
endpoint = "tcp:587"
[[alerts.webhook]]
"""


def faults(alerts: Alerts) -> list[str]:
    return [fault for _, fault, _ in alert_faults(alerts, BOXES)]


class AlertChecksTests(SynchronousTestCase):
    def webhook(self, url: str, loopback: bool = False) -> list[str]:
        return faults(Alerts(webhook=(Webhook(url=url, loopback=loopback),)))

    def test_good_ones(self) -> None:
        """Public and private receivers by https, and one on this machine that is meant."""
        for url in ("https://hooks.example.com/x", "https://10.0.0.7:8443/", "https://[fd00::7]/"):
            self.assertEqual(self.webhook(url), [])
        self.assertEqual(self.webhook("http://127.0.0.1:9000/", loopback=True), [])

    def test_bad_ones(self) -> None:
        """Each is named, and no address is repeated."""
        for url, words in (
            ("", "no https address"),
            ("ftp://hooks.example.com/s3cret", "no https address"),
            ("https://[s3cret", "no https address"),
            ("http://hooks.example.com/s3cret", "without TLS"),
            ("https://localhost/s3cret", "this machine"),
            ("https://user:s3cret@hooks.example.com/", "a name, a password"),
        ):
            with self.subTest(url=url):
                (fault,) = self.webhook(url)
                self.assertIn(words, fault)
                self.assertNotIn("s3cret", fault)
        (fault,) = self.webhook("https://hooks.example.com/", loopback=True)
        self.assertIn("points elsewhere", fault)

    def test_mail(self) -> None:
        """Addresses are such, the mailbox is there, and nobody is told too often."""
        alerts = Alerts(mail_to=("nobody",), mail_from="other@contoso.com", remind_after=60.0)
        self.assertEqual(len(faults(alerts)), 3)
        self.assertEqual(faults(Alerts(mail_to=("a@b.c",), mail_from=BOXES[0])), [])

    def test_secrets_come_from_files(self) -> None:
        """Both; one that everybody can read is a single fault."""
        folder = Path(self.mktemp())
        folder.mkdir()
        for name, text in (("url", "https://hooks.example.com/s3cret\n"), ("secret", "s3cret\n")):
            (folder / name).write_text(text)
            os.chmod(folder / name, 0o600)
        file = folder / "m365gw.toml"
        file.write_text(BASE + 'url_file = "url"\nsecret_file = "secret"\n')
        (webhook,) = load(str(file), {}).settings.alerts.webhook
        self.assertEqual(
            (webhook.url, webhook.secret), ("https://hooks.example.com/s3cret", "s3cret")
        )
        self.assertNotIn("s3cret", repr(webhook))
        os.chmod(folder / "url", 0o644)
        error = self.assertRaises(ConfigError, load, str(file), {})
        self.assertIn("can be read by everybody", str(error))
        self.assertIn("1 error;", str(error))
