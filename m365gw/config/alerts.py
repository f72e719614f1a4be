"""The settings of alerts: who is told of incidents, and how."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from m365gw.config import fields
from m365gw.config.fields import FileName, Seconds, setting


@frozen(kw_only=True)
class Webhook:
    url: str = fields.secret(
        "Where news is posted, an https address; a secret, as whoever knows it can post there."
    )
    url_file: FileName = setting("", "File that holds the address.")
    secret: str = fields.secret("Signs what is posted (HMAC-SHA256). Better: secret_file.")
    secret_file: FileName = setting("", "File that holds the secret.")
    ca_file: FileName = setting("", "PEM file: trust only this authority.")
    loopback: bool = setting(
        False, "True: the receiver is on this machine. Needed for any loopback address."
    )


@frozen(kw_only=True)
class Alerts:
    level: Literal["info", "warn", "error"] = setting(
        "warn", "Of which incidents people are told: those of this level and above."
    )
    mail_to: tuple[str, ...] = setting((), "Addresses that are told by mail.")
    mail_from: str = setting(
        "",
        "The mailbox such mail leaves by. Empty, or when that may not send: any that may, and "
        "rather another one than that the news is about.",
    )
    remind_after: Seconds = setting(
        86400.0, "What is still open is told again each time so long has passed. 0: never."
    )
    webhook: tuple[Webhook, ...] = setting((), "Receivers of a POST for each piece of news.")
