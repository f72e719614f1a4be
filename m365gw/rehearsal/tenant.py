"""The pretend tenant: mailboxes, users, app registrations, and the switches an admin can set.

Plain values. `default_tenant` is a small organisation that works at once; everything in it can be
changed while the rehearsal runs. Addresses compare without regard to letter case.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from attrs import define, evolve, field, frozen

SMTP_ROLE = "SMTP.SendAsApp"
SMTP_SCOPE = "SMTP.Send"
MAIL_SEND = "Mail.Send"  # role and scope of Graph
OUTLOOK = frozenset({"https://outlook.office365.com", "https://outlook.office.com"})
GRAPH = "https://graph.microsoft.com"
RESOURCES = OUTLOOK | {GRAPH}

TENANT_ID = "00000000-0000-4000-8000-0000000000ca"
APP_ID = "00000000-0000-4000-8000-0000000000a1"
PUBLIC_APP_ID = "00000000-0000-4000-8000-0000000000a2"
WEB_APP_ID = "00000000-0000-4000-8000-0000000000a3"
IDENTITY_ID = "00000000-0000-4000-8000-0000000000a4"
APP_SECRET = "rehearsal~secret~that~opens~nothing"
IDENTITY_HEADER = "rehearsal-identity-header"  # what App Service gives as IDENTITY_HEADER
AUDIENCE = "api://AzureADTokenExchange"  # whom a federated token is for
CONSENT = ("given", "user", "admin")
MANAGED = ("", "system", "user")


def matches(pattern: str, address: str) -> bool:
    """Whether an address fits "a@example.com", "*@example.com" or "*", whatever the case."""
    return fnmatchcase(address.lower(), pattern.lower())


def matches_any(patterns: Iterable[str], address: str) -> bool:
    """Whether an address fits one of several patterns."""
    return any(matches(pattern, address) for pattern in patterns)


@frozen(kw_only=True)
class Mailbox:
    """A mailbox and what its owner and the admin have set for it."""

    address: str
    aliases: tuple[str, ...] = ()
    send_as: tuple[str, ...] = ()  # patterns of foreign addresses it has Send As for
    full_access: tuple[str, ...] = ()  # users who may open it: a shared mailbox
    smtp_auth_disabled: bool | None = None  # None: as the tenant says
    licensed: bool = True
    blocked: bool = False  # on the list of restricted entities: 550 5.1.8
    full: bool = False  # its Sent Items have filled it
    recipient_limit: int = 500  # Set-Mailbox -RecipientLimits; above it the mail comes back
    max_send_size: int = 36_700_160  # octets; Set-Mailbox -MaxSendSize

    def may_send_as(self, address: str) -> bool:
        """Whether an address may stand in MAIL FROM or From of mail from this mailbox."""
        return matches_any((self.address, *self.aliases, *self.send_as), address)


@frozen(kw_only=True)
class User:
    """Somebody who can sign in. The name (UPN) is also the address of the user's mailbox."""

    name: str
    enabled: bool = True
    mailbox: str = ""  # its address, where it is not the name
    personal: bool = False  # an Outlook.com account, which signs in at /consumers
    id: str = ""  # kept when the user is renamed; made from the name when empty

    @property
    def object_id(self) -> str:
        return self.id or str(uuid.uuid5(uuid.UUID(TENANT_ID), self.name.lower()))

    def owns(self, address: str) -> bool:
        """Whether a mailbox is this user's own."""
        return (self.mailbox or self.name).lower() == address.lower()


@frozen(kw_only=True)
class Secret:
    """A client secret and the time (seconds since the epoch) it ends; 0: never."""

    value: str = field(repr=False)
    ends: float = 0.0


@frozen(kw_only=True)
class Federation:
    """A federated credential: whose tokens prove the app, and the key they are checked with."""

    issuer: str
    subject: str
    audience: str = AUDIENCE
    key: str = ""  # PEM


@frozen(kw_only=True)
class App:
    """An app registration with its service principal in Exchange."""

    client_id: str
    name: str = "m365gw rehearsal"
    secrets: tuple[Secret, ...] = ()
    certificates: tuple[bytes, ...] = ()  # PEM
    federations: tuple[Federation, ...] = ()
    redirect_uris: tuple[str, ...] = ()  # where its users are sent back to
    consent: str = "given"  # or who has to give it yet: "user", "admin"
    personal: bool = False  # personal accounts may sign in, too
    managed: str = ""  # "system", "user": it is the managed identity of an Azure host
    public: bool = False  # "Allow public client flows"
    enabled: bool = True
    # Application permissions with admin consent, and delegated ones with consent.
    roles: frozenset[str] = frozenset({SMTP_ROLE, MAIL_SEND})
    scopes: frozenset[str] = frozenset({SMTP_SCOPE, MAIL_SEND})
    mailboxes: tuple[str, ...] = ()  # patterns: FullAccess for the service principal, or RBAC scope
    rbac: bool = False  # role "Application SMTP.SendAsApp" instead of SMTP.SendAsApp in Entra


@define(kw_only=True)
class Tenant:
    """An organisation, its people and its switches. May be changed at any time."""

    tenant_id: str = TENANT_ID
    domain: str = "contoso.example"
    mailboxes: dict[str, Mailbox] = field(factory=dict)  # by address in lower case
    users: dict[str, User] = field(factory=dict)  # by name in lower case
    apps: dict[str, App] = field(factory=dict)  # by client id
    # Domains of the tenant, and its inbound connector: the name of the certificate it knows (as
    # "*.contoso.example" too; "": none), the addresses it knows.
    accepted_domains: tuple[str, ...] = ("contoso.example", "devices.contoso.example")
    connector: str = "gateway.contoso.example"
    connector_addresses: tuple[str, ...] = ()
    reject_direct_send: bool = False
    smtp_auth_disabled: bool = False
    security_defaults: bool = False
    conditional_access: bool = False  # a policy blocks the sign-in at SMTP
    device_flow_blocked: bool = False  # a policy blocks the device code flow
    from_demanded: bool = True  # 5.7.512 without a From field, as Exchange Online says it
    error_challenge: bool = False  # a failed XOAUTH2 is told by a 334 first, as Google does
    sessions_end_with_token: bool = False  # no MAIL FROM after the access token has ended
    refresh_tokens_once: bool = False  # a refresh token dies when it is used
    token_lifetime: float = 4500.0
    refresh_token_lifetime: float = 90 * 86400.0  # without use
    token_length: int = 1800  # an access token has at least so many characters
    device_lifetime: float = 900.0
    device_interval: float = 5.0  # polling faster is told to slow down; 0: never told

    def mailbox(self, address: str) -> Mailbox | None:
        """The mailbox with this primary address."""
        return self.mailboxes.get(address.lower())

    def accepts(self, address: str) -> bool:
        """Whether an address is of a domain of the tenant."""
        return address.rpartition("@")[2].lower() in self.accepted_domains

    def user(self, name: str) -> User | None:
        """The user of this name."""
        return self.users.get(name.lower())

    def add_mailbox(self, mailbox: Mailbox) -> None:
        """Adds or replaces a mailbox, and the user who owns it when there is none yet."""
        self.mailboxes[mailbox.address.lower()] = mailbox
        self.users.setdefault(mailbox.address.lower(), User(name=mailbox.address))

    def change_mailbox(self, address: str, **changes: Any) -> None:
        """Changes fields of a mailbox. KeyError: no such mailbox; TypeError: no such field."""
        self.mailboxes[address.lower()] = evolve(self.mailboxes[address.lower()], **changes)

    def change_user(self, name: str, **changes: Any) -> None:
        """Changes fields of a user. KeyError: no such user; TypeError: no such field."""
        self.users[name.lower()] = evolve(self.users[name.lower()], **changes)

    def change_app(self, client_id: str, **changes: Any) -> None:
        """Changes fields of an app. KeyError: no such app; TypeError: no such field."""
        self.apps[client_id] = evolve(self.apps[client_id], **changes)

    def roles_for(self, app: App, resource: str) -> frozenset[str]:
        """The roles of an app that stand in its token for a resource."""
        of_graph = app.roles & {MAIL_SEND}
        return of_graph if resource == GRAPH else app.roles - of_graph

    def register_certificate(self, client_id: str, pem: bytes) -> None:
        """Uploads a certificate to an app registration."""
        app = self.apps[client_id]
        self.apps[client_id] = evolve(app, certificates=(*app.certificates, pem))

    def rename_user(self, name: str, new: str) -> None:
        """Gives a user another name. The mailbox keeps its address. KeyError: no such user."""
        user = self.users.pop(name.lower())
        self.users[new.lower()] = evolve(
            user, name=new, id=user.object_id, mailbox=user.mailbox or user.name
        )

    def rename_mailbox(self, address: str, new: str) -> None:
        """Gives a mailbox another address; the old one is nobody's then. KeyError: none such.

        Rights on the mailbox stay: they belong to it and not to its address.
        """
        mailbox = self.mailboxes.pop(address.lower())
        self.mailboxes[new.lower()] = evolve(mailbox, address=new)
        for name, user in self.users.items():
            if user.owns(address):
                self.users[name] = evolve(user, mailbox=new)
        for client_id, app in self.apps.items():
            named = (new if one.lower() == address.lower() else one for one in app.mailboxes)
            self.apps[client_id] = evolve(app, mailboxes=tuple(named))

    def smtp_auth_refusal(self, mailbox: Mailbox) -> str:
        """Who has SMTP AUTH switched off: "tenant", "mailbox" or "". The mailbox's word wins."""
        if mailbox.smtp_auth_disabled is not None:
            return "mailbox" if mailbox.smtp_auth_disabled else ""
        return "tenant" if self.smtp_auth_disabled else ""


def default_tenant() -> Tenant:
    """Contoso: a relay mailbox, a shared one, a person, an app with a secret, a public app; and
    somebody with a mailbox at Outlook.com."""
    tenant = Tenant()
    tenant.add_mailbox(
        Mailbox(
            address="relay@contoso.example",
            aliases=("scanner@contoso.example", "alerts@contoso.example"),
            send_as=("*@devices.contoso.example",),
        )
    )
    tenant.add_mailbox(
        Mailbox(address="shared@contoso.example", full_access=("alice@contoso.example",))
    )
    tenant.add_mailbox(Mailbox(address="alice@contoso.example"))
    tenant.add_mailbox(Mailbox(address="joe@outlook.example"))
    tenant.change_user("joe@outlook.example", personal=True)
    tenant.apps[APP_ID] = App(
        client_id=APP_ID,
        secrets=(Secret(value=APP_SECRET),),
        mailboxes=("relay@contoso.example", "shared@contoso.example"),
    )
    tenant.apps[PUBLIC_APP_ID] = App(
        client_id=PUBLIC_APP_ID,
        name="m365gw rehearsal sign-in",
        public=True,
        redirect_uris=("http://localhost", "http://localhost/auth/callback"),
        personal=True,
    )
    tenant.apps[WEB_APP_ID] = App(
        client_id=WEB_APP_ID,
        name="m365gw rehearsal console",
        secrets=(Secret(value=APP_SECRET),),
        redirect_uris=(
            "http://localhost",
            "http://localhost/auth/callback",
            "https://relay.example.com/auth/callback",
        ),
        roles=frozenset(),
    )
    tenant.apps[IDENTITY_ID] = App(
        client_id=IDENTITY_ID,
        name="m365gw rehearsal host",
        managed="system",
        mailboxes=("relay@contoso.example",),
    )
    return tenant
