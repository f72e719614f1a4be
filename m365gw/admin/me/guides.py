"""What to enter where: settings to copy for mail programs, devices, web sites and scripts.

A password is filled in only on the page that shows it; elsewhere a word stands in its place.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import Final

from attrs import frozen

from m365gw.admin.me.servers import Server

PLACE: Final = "YOUR-PASSWORD"


@frozen
class Guide:
    """One program. Either `rows` are entered one by one, or `text` is copied as a whole."""

    id: str
    name: str
    steps: tuple[str, ...] = ()
    rows: tuple[tuple[str, str], ...] = ()
    text: str = ""


@frozen
class _Values:
    server: Server
    address: str
    password: str

    @property
    def rows(self) -> tuple[tuple[str, str], ...]:
        """The five things every program asks for, in its own words."""
        return (
            ("Server", self.server.host),
            ("Port", str(self.server.port)),
            ("Security", self.server.words),
            ("User name", self.address),
            ("Password", self.password),
        )


def guides(servers: Sequence[Server], address: str, password: str = PLACE) -> list[Guide]:
    """All guides, for the first of the servers; none without a server."""
    if not servers:
        return []
    values = _Values(servers[0], address, password)
    return [make(values) for make in _ALL]


def _gmail(values: _Values) -> Guide:
    steps = (
        "In Gmail on a computer: Settings > See all settings > Accounts and Import > Send mail as >"
        " Add another email address.",
        f"Name: as people shall see it. Email address: {values.address}. Next.",
        "Enter what stands below, then open the mail with the code that comes to you.",
    )
    return Guide("gmail", "Gmail, “Send mail as”", steps, values.rows)


def _thunderbird(values: _Values) -> Guide:
    steps = (
        "Settings > Account Settings > Outgoing Server (SMTP) > Add.",
        "Authentication method: Normal password. Then choose this server for your identity.",
    )
    return Guide("thunderbird", "Thunderbird", steps, values.rows)


def _outlook(values: _Values) -> Guide:
    steps = (
        "Classic Outlook: File > Account Settings > your account > Change > More Settings >"
        " Outgoing Server: My outgoing server requires authentication, Log on using.",
        "Advanced: enter server and port. Encryption: as below (Outlook calls SSL/TLS that, and"
        " STARTTLS “STARTTLS” or “TLS”).",
    )
    return Guide("outlook", "Outlook", steps, values.rows)


def _phone(values: _Values) -> Guide:
    steps = (
        "iPhone: Settings > Apps > Mail > Mail Accounts > the account > SMTP > Add Server."
        " Authentication: Password.",
        "Android: in the mail app, the account’s Outgoing settings. Require sign-in: on.",
    )
    return Guide("phone", "iPhone, iPad, Android", steps, values.rows)


def _printer(values: _Values) -> Guide:
    steps = (
        "HP: Scan > Scan to Email Setup > Outgoing Email Profiles (SMTP). Ricoh: Device Management"
        " > Configuration > E-mail. Konica Minolta: Network > E-mail Setting > E-mail TX (SMTP).",
        f"Sender (From, administrator’s address): {values.address}. It may send as nobody else.",
        "SMTP authentication: on, LOGIN or PLAIN. Not POP before SMTP, not NTLM, not OAuth.",
    )
    return Guide("printer", "Printers and scanners", steps, values.rows)


def _wordpress(values: _Values) -> Guide:
    kind = "ssl" if values.server.is_implicit else "tls"
    text = f"""\
define( 'WPMS_ON', true );
define( 'WPMS_MAILER', 'smtp' );
define( 'WPMS_MAIL_FROM', {_php(values.address)} );
define( 'WPMS_SMTP_HOST', {_php(values.server.host)} );
define( 'WPMS_SMTP_PORT', {values.server.port} );
define( 'WPMS_SSL', '{kind}' );
define( 'WPMS_SMTP_AUTH', true );
define( 'WPMS_SMTP_USER', {_php(values.address)} );
define( 'WPMS_SMTP_PASS', {_php(values.password)} );
"""
    steps = (
        "WP Mail SMTP, Post SMTP, FluentSMTP: choose Other SMTP and enter what follows; for WP Mail"
        " SMTP these lines in wp-config.php do it.",
    )
    return Guide("wordpress", "WordPress", steps, text=text)


def _environment(values: _Values) -> Guide:
    text = f"""\
SMTP_HOST={values.server.host}
SMTP_PORT={values.server.port}
SMTP_SECURE={"true" if values.server.is_implicit else "false"}
SMTP_STARTTLS={"false" if values.server.is_implicit else "true"}
SMTP_USER={values.address}
SMTP_PASSWORD={values.password}
SMTP_FROM={values.address}
"""
    return Guide("env", ".env of a program", ("Names differ between programs.",), text=text)


def _msmtp(values: _Values) -> Guide:
    text = f"""\
account default
host {values.server.host}
port {values.server.port}
auth on
tls on
tls_starttls {"off" if values.server.is_implicit else "on"}
user {values.address}
password {values.password}
from {values.address}
"""
    return Guide("msmtp", "msmtp", ("In ~/.msmtprc, with chmod 600.",), text=text)


def _swaks(values: _Values) -> Guide:
    tls = "--tls-on-connect" if values.server.is_implicit else "--tls"
    words = (
        f"swaks --server {values.server.host}:{values.server.port} {tls}",
        f"--auth-user {shlex.quote(values.address)} --auth-password {values.password}",
        f"--from {shlex.quote(values.address)} --to somebody@example.com",
    )
    return Guide("swaks", "swaks, to try it", text=" \\\n  ".join(words) + "\n")


def _curl(values: _Values) -> Guide:
    scheme = "smtps" if values.server.is_implicit else "smtp"
    words = (
        f"curl --ssl-reqd {scheme}://{values.server.host}:{values.server.port}",
        f"--user {shlex.quote(f'{values.address}:{values.password}')}",
        f"--mail-from {shlex.quote(values.address)} --mail-rcpt somebody@example.com",
        "--upload-file message.eml",
    )
    return Guide("curl", "curl", text=" \\\n  ".join(words) + "\n")


def _php(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


_ALL: Final[tuple[Callable[[_Values], Guide], ...]] = (
    _gmail,
    _thunderbird,
    _outlook,
    _phone,
    _printer,
    _wordpress,
    _environment,
    _msmtp,
    _swaks,
    _curl,
)
