"""A running rehearsal and blocking clients for it, for the tests of this room."""

from __future__ import annotations

import logging
import smtplib
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msal
import requests
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from m365gw.rehearsal.limits import Limits
from m365gw.rehearsal.rehearsal import Rehearsal
from m365gw.rehearsal.tenant import APP_ID, APP_SECRET, PUBLIC_APP_ID
from tests.rehearsal.dialogue import RELAY, xoauth2

DEFAULT = ["https://outlook.office365.com/.default"]
USER_SCOPE = ["https://outlook.office.com/SMTP.Send"]
ALICE = "alice@contoso.example"

Value = TypeVar("Value")


def in_thread(call: Callable[..., Value], *args: Any, **kw: Any) -> Deferred[Value]:
    """A blocking client, in a thread of its own."""
    return deferToThread(call, *args, **kw)


class RehearsalCase(TestCase):
    """A rehearsal that runs, and blocking clients for it."""

    def setUp(self) -> Deferred[None]:
        logging.getLogger("msal").setLevel(logging.CRITICAL)
        limits = Limits.off()
        self.rehearsal = Rehearsal(Path(self.mktemp()), reactor=reactor, limits=limits)
        self.rehearsal.tenant.device_interval = 0.0  # nobody is slowed down
        self.addCleanup(self.stop)
        return Deferred.fromCoroutine(self.rehearsal.start())

    def stop(self) -> Deferred[None]:
        """Ends the rehearsal."""
        return Deferred.fromCoroutine(self.rehearsal.stop())

    def web(self) -> requests.Session:
        """An HTTP client that trusts the rehearsal's authority and nothing else."""
        session = requests.Session()
        session.verify, session.trust_env = str(self.rehearsal.certificates.authority), False
        self.addCleanup(session.close)
        return session

    def app(self, **changes: Any) -> Any:
        """MSAL for the confidential app."""
        settings = {
            "client_credential": APP_SECRET,
            "authority": self.rehearsal.authority,
            "instance_discovery": False,
            "http_client": self.web(),
        }
        return msal.ConfidentialClientApplication(APP_ID, **(settings | changes))

    def public_app(self) -> Any:
        """MSAL for the public app."""
        return msal.PublicClientApplication(
            PUBLIC_APP_ID,
            authority=self.rehearsal.authority,
            instance_discovery=False,
            http_client=self.web(),
        )

    def smtp(self, token: str, mailbox: str = RELAY) -> smtplib.SMTP:
        """smtplib, secured and signed in."""
        client = smtplib.SMTP("127.0.0.1", self.rehearsal.smtp_port, "gateway.example", timeout=120)
        client.starttls(
            context=ssl.create_default_context(cafile=str(self.rehearsal.certificates.authority))
        )
        client.ehlo()
        client.docmd("AUTH XOAUTH2")
        code, text = client.docmd(xoauth2(mailbox, token))
        assert code == 235, (code, text)
        return client
