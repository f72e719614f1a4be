"""Settings of the page on which people sign in at Microsoft and get an SMTP password of their own.

A [[sign_in]] is an app registration people may choose: one button each. A mailbox that was made by
it names it, and signs in with its credentials as they are now; so a new secret is set in one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import attrs
from attrs import frozen

from m365gw.config.fields import Day, FileName, Seconds, required, secret, setting
from m365gw.config.mailboxes import Mailbox, TokenExit


@frozen(kw_only=True)
class SignIn:
    name: str = required("What the button says, and what mailboxes made by it know it by.")
    tenant: str = required(
        'Who may sign in: a tenant id or domain; "organizations": any work account; "consumers": '
        "personal accounts (Outlook.com)."
    )
    client_id: str = required("Application (client) id of the app registration.")
    client_secret: str = secret("Its client secret. Better: client_secret_file.")
    client_secret_file: FileName = setting(
        "", "File that holds the client secret; while it is changed two, one a line, new one first."
    )
    client_secret_expires: Day = setting(
        None, "The day the client secret ends, as Entra shows it, so that it can be warned of."
    )
    certificate_file: FileName = setting(
        "", "File that holds private key and certificate, PEM or PFX, instead of a secret."
    )
    certificate_passphrase: str = secret(
        "Opens certificate_file, if it is sealed. Better: certificate_passphrase_file."
    )
    certificate_passphrase_file: FileName = setting(
        "", "File that holds the passphrase of certificate_file."
    )
    cloud: str = setting(
        "worldwide", "worldwide, gcc-high, dod, china, or a name defined as [cloud.NAME]."
    )
    exit: TokenExit = setting("smtp", "How their mail leaves: smtp, or graph.")


@frozen(kw_only=True)
class SelfService:
    enabled: bool = setting(False, "true: the page /me is there.")
    allow: tuple[str, ...] = setting(
        (), 'Who may use it, by address: "joe@contoso.com", "*@contoso.com", "*". Empty: nobody.'
    )
    deny: tuple[str, ...] = setting((), "Who may not, whatever allow says.")
    personal_accounts: bool = setting(
        False, "true: personal accounts (Outlook.com) too, where a [[sign_in]] takes them."
    )
    passwords: int = setting(3, "Most SMTP passwords of one person, 1 to 7.")
    password_lifetime: Seconds = setting(
        0.0, "A password ends so long after it was made, on a day by UTC. 0: never."
    )
    servers: tuple[str, ...] = setting(
        (),
        'What people shall enter as their server: "smtp.example.com:587", "smtp.example.com:465" '
        "(465: TLS at once, any other: STARTTLS). Empty: hostname, and the ports of the listeners "
        "that take logins.",
    )


_SHARED: Final = tuple(
    name for name in attrs.fields_dict(SignIn) if name in attrs.fields_dict(Mailbox)
)


def mailbox_by(app: SignIn, address: str) -> Mailbox:
    """A mailbox that signs in by this app registration."""
    own: dict[str, Any] = {name: getattr(app, name) for name in _SHARED}
    return Mailbox(address=address, flow="web", sign_in=app.name, **own)


def with_app(mailbox: Mailbox, apps: Sequence[SignIn]) -> Mailbox:
    """A mailbox with the credentials of the app it names, as they are now."""
    for app in apps:
        if app.name == mailbox.sign_in:
            changes: dict[str, Any] = {name: getattr(app, name) for name in _SHARED}
            return attrs.evolve(mailbox, **changes)
    return mailbox
