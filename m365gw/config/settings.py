"""Every setting of the gateway: its name, type, default and meaning, said once, here.

The classes mirror the tables of `m365gw.toml`. The loader builds them, the sample file and the
reference are held against them by tests. Durations are seconds, sizes are octets; both may be
written with units ("5d", "25M") in the file. A field named `x_file` is a file that holds the
secret `x`.
"""

from __future__ import annotations

from typing import Any, Literal

from attrs import field, fields, frozen

from m365gw.config.alerts import Alerts
from m365gw.config.directory import Directory
from m365gw.config.doctor import Doctor
from m365gw.config.fields import FileName, Octets, Seconds, meaning_of, required, secret, setting
from m365gw.config.limits import Limits
from m365gw.config.local import Local
from m365gw.config.logins import Logins, Password
from m365gw.config.mailboxes import CustomCloud as CustomCloud
from m365gw.config.mailboxes import Mailbox as Mailbox
from m365gw.config.permissions import Permissions
from m365gw.config.self_service import SelfService as SelfService
from m365gw.config.self_service import SignIn as SignIn
from m365gw.config.web import Web

TlsMode = Literal["none", "starttls", "require", "implicit", "auto"]
AuthMode = Literal["off", "offer", "require"]
Quirk = Literal["plaintext-auth", "auth-equals", "no-helo-name", "legacy-tls", "bare-lf"]
Repair = Literal[
    "date",
    "message-id",
    "from",
    "repeated",
    "bcc",
    "header-text",
    "display-name",
    "long-lines",
]


@frozen(kw_only=True)
class Certificate:
    certificate: FileName = required("PEM file: certificate and chain.")
    key: FileName = required("PEM file: the private key.")


@frozen(kw_only=True)
class Tls:
    certificate: FileName = setting(
        "", "PEM file: certificate and chain. Empty: a self-signed one is made in state_dir/tls."
    )
    key: FileName = setting("", "PEM file: the private key. Empty only together with certificate.")
    extra: tuple[Certificate, ...] = setting(
        (), "More certificates, for clients that ask for one of the names in them (SNI)."
    )


@frozen(kw_only=True)
class Listener:
    name: str = required("Name in logs and rules.")
    endpoint: str = required(
        'Where to listen, as a Twisted endpoint: "tcp:587", "tcp:25:interface=10.0.0.1".'
    )
    tls: TlsMode = setting(
        "starttls",
        "none, starttls (offered), require (STARTTLS before mail), implicit (TLS at once), or auto "
        "(TLS at once or STARTTLS, as the client begins).",
    )
    auth: AuthMode = setting(
        "require", "off, offer, or require (a login before mail, unless the client is in networks)."
    )
    proxy_from: tuple[str, ...] = setting(
        (),
        "Load balancers (networks) that must send a PROXY header here; "
        '"unix": those that come by a UNIX socket. Empty: nobody may.',
    )
    networks: tuple[str, ...] = setting(
        (),
        "Trusted networks that may relay here without AUTH, as far as a [[network]] rule says what "
        "they, or a part of them, may send.",
    )
    quirks: tuple[Quirk, ...] = setting(
        (),
        'Exceptions for old devices: "plaintext-auth" allows AUTH without TLS, '
        '"auth-equals" offers it a second time as "AUTH=PLAIN LOGIN", '
        '"no-helo-name" takes HELO with nothing behind it, '
        '"legacy-tls" takes TLS 1.0 and 1.1 and old ciphers, "bare-lf" mends line ends inside of '
        "messages (both need quirk_networks).",
    )
    quirk_networks: tuple[str, ...] = setting(
        (), "The networks the quirks are for. Empty: every client of the listener."
    )
    repair: tuple[Repair, ...] = setting(
        (), "What is mended of messages that come here, and only where it is broken."
    )


@frozen(kw_only=True)
class Client(Permissions):
    login: str = required("SMTP login name.")
    password_hash: str = secret("As printed by: m365gw client add --print LOGIN")
    password: tuple[Password, ...] = setting(
        (), "More passwords, each good beside the others, so that they can be changed one by one."
    )
    networks: tuple[str, ...] = setting(
        (), "Networks it may log in from. Empty: from anywhere the listener is reached from."
    )
    realms: tuple[str, ...] = setting(
        (),
        "What a device may put around the login: LOGIN@REALM or REALM\\LOGIN. "
        '"*": anything. Letter case does not count.',
    )


@frozen(kw_only=True)
class Network(Permissions):
    cidr: str = required('The network: "10.1.0.0/16", "2001:db8::/48", "127.0.0.1".')


@frozen(kw_only=True)
class Queue:
    queue_run_delay: Seconds = setting(
        300.0, "How often the spool is looked through for what memory does not know."
    )
    minimal_backoff_time: Seconds = setting(300.0, "Shortest time between two attempts.")
    maximal_backoff_time: Seconds = setting(4000.0, "Longest time between two attempts.")
    maximal_queue_lifetime: Seconds = setting(
        432000.0, "A message that could not be sent for so long is returned. 0: one attempt."
    )
    bounce_queue_lifetime: Seconds = setting(
        432000.0, "The same for reports; never longer than maximal_queue_lifetime."
    )
    on_uncertain: Literal["retry", "hold"] = setting(
        "retry",
        "When it is unknown whether Microsoft took a message: retry (it may arrive twice) or hold.",
    )
    delivery: bool = setting(True, "false: accept and keep, deliver nothing.")
    postmaster: str = setting(
        "", "Where reports go that have no sender to go to. Empty: they are held."
    )
    report_from: str = setting(
        "", "The mailbox delivery reports leave by. Empty: the one of the message."
    )
    report_limit: int = setting(
        30, "Reports to one address in an hour; what is more is told in summaries."
    )
    delay_warning_time: Seconds = setting(
        0.0, "A sender is told once that a message still waits after so long. 0: never."
    )
    confirm_delay_cleared: bool = setting(
        False, "true: who was told of a delay is also told when it is over."
    )


@frozen(kw_only=True)
class Governor:
    connections: int = setting(
        2, "Connections to Microsoft a mailbox may have at a time; Microsoft allows 3."
    )
    messages_per_minute: float = setting(
        30.0, "Messages a minute a mailbox may send; Microsoft allows 30."
    )
    burst: int = setting(3, "Messages that may go at once after a quiet time.")
    recipients_per_day: int = setting(
        10000, "Recipients a mailbox may send to in 24 hours; Microsoft allows 10,000."
    )
    recipients_per_message: int = setting(100, "Recipients of one transaction; more are split.")
    tenant_external_recipients_per_day: int = setting(
        0,
        "External recipients all mailboxes of one tenant may send to in 24 hours; 0: not counted,"
        " as it depends on the licences. Get-LimitsEnforcementStatus shows it.",
    )
    internal_domains: tuple[str, ...] = setting(
        (), "Domains of your tenants, whose recipients are not external."
    )
    connector_connections: int = setting(
        4, "Connections a mailbox of exit connector may have at a time."
    )
    connector_messages_per_minute: float = setting(
        120.0,
        "Messages a minute a mailbox of exit connector may send. Microsoft names no limit of a "
        "connector.",
    )
    connector_recipients_per_day: int = setting(
        0, "Recipients a mailbox of exit connector may send to in 24 hours; 0: not counted."
    )
    graph_request_limit: Octets = setting(
        4194304, "Largest request Graph takes. A message is a third larger in it: 4M carries 3M."
    )
    messages_per_connection: int = setting(20, "Messages after which a connection is closed.")
    connection_age: Seconds = setting(240.0, "Age after which a connection is closed.")
    connection_idle: Seconds = setting(30.0, "Idle time after which a connection is closed.")


@frozen(kw_only=True)
class Log:
    format: Literal["plain", "json"] = setting(
        "plain", "plain (lines as Postfix writes them) or json (one object a line)."
    )
    level: Literal["debug", "info", "warn", "error"] = setting(
        "info", "The least important level that is written."
    )


@frozen(kw_only=True)
class Settings:
    """The whole configuration, checked. Relative file names are relative to the file's folder."""

    hostname: str = setting(
        "", "Name in the greeting, EHLO and trace headers. Empty: the host's own name."
    )
    state_dir: FileName = setting(
        "/var/lib/m365gw", "Keys, certificates, and the database where no other is named."
    )
    spool_dir: FileName = setting("/var/spool/m365gw", "The queue.")
    control_socket: FileName = setting(
        "/run/m365gw/control.sock", "Where commands reach the service. Empty: nowhere."
    )
    control_socket_mode: Literal["0600", "0660"] = setting(
        "0600", "Who may use it: the user of the service (0600), or its group too (0660)."
    )
    maildrop_dir: FileName = setting(
        "/var/spool/m365gw-maildrop",
        "Where sendmail leaves mail of local programs. Only used with a [[local]] rule.",
    )
    directory: Directory = setting(
        Directory(), "Mailboxes, clients and sign-ins made beside this file."
    )
    tls: Tls = setting(Tls(), "The certificate clients see.")
    listener: tuple[Listener, ...] = setting((), "Where mail comes in.")
    mailbox: tuple[Mailbox, ...] = setting((), "Microsoft 365 mailboxes mail leaves by.")
    cloud: dict[str, CustomCloud] = field(
        factory=dict, metadata={"meaning": "Clouds of your own, or other values for Microsoft's."}
    )
    client: tuple[Client, ...] = setting((), "SMTP logins.")
    network: tuple[Network, ...] = setting((), "Networks that may relay without a login.")
    local: tuple[Local, ...] = setting((), "Users of this machine that may send by sendmail.")
    queue: Queue = setting(Queue(), "When to try, when to give up.")
    limits: Limits = setting(Limits(), "Bounds of what is accepted.")
    logins: Logins = setting(Logins(), "How many passwords may be tried, and how fast.")
    governor: Governor = setting(Governor(), "Microsoft's limits, kept before they bite.")
    web: Web = setting(Web(), "The console: where, and for how long.")
    sign_in: tuple[SignIn, ...] = setting(
        (), "App registrations by which people may sign in at the page /me."
    )
    self_service: SelfService = setting(
        SelfService(), "The page /me: people get an SMTP password for their own mailbox."
    )
    log: Log = setting(Log(), "What is logged and how.")
    alerts: Alerts = setting(Alerts(), "Who is told of incidents.")
    doctor: Doctor = setting(Doctor(), "When the gateway examines itself.")


def meanings(kind: type[Any]) -> dict[str, str]:
    """Setting name to meaning, for one settings class."""
    return {attribute.name: meaning_of(attribute) for attribute in fields(kind)}
