"""The settings of a mailbox, how it signs in, and of the cloud it lives in."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from m365gw.config.fields import Day, FileName, required, secret, setting

Flow = Literal["certificate", "secret", "device", "web", "federated", "managed-identity", "address"]
TokenExit = Literal["smtp", "graph"]
Exit = Literal["smtp", "graph", "connector"]
Fallback = Literal["", "smtp", "graph"]

# How a connector knows who sends: by the certificate of the connection, or by its address.
CONNECTOR_FLOWS = ("certificate", "address")
APP_FLOWS = ("certificate", "secret", "federated", "managed-identity")
USER_FLOWS = ("device", "web")


@frozen(kw_only=True)
class Mailbox:
    address: str = required("The Microsoft 365 mailbox mail leaves by.")
    flow: Flow = required(
        "How it signs in: certificate, secret, device, web, federated or managed-identity. Exit "
        "connector: certificate, or address (the connector knows the address we come from)."
    )
    tenant: str = required(
        'Tenant id or a verified domain of the tenant; "consumers" for Outlook.com.'
    )
    client_id: str = setting(
        "",
        "Application (client) id of the app registration. Flow managed-identity: that of a "
        "user-assigned identity; empty for the system-assigned one.",
    )
    sign_in_as: str = setting(
        "",
        "Who signs in, for flows device and web: a user name (UPN) that is not the address, or "
        "somebody who may send as a shared mailbox. Empty: the address.",
    )
    client_secret: str = secret(
        "The client secret, for flow secret, or for flow web. Better: client_secret_file."
    )
    client_secret_file: FileName = setting(
        "", "File that holds the client secret; while it is changed two, one a line, new one first."
    )
    client_secret_expires: Day = setting(
        None, "The day the client secret ends, as Entra shows it, so that it can be warned of."
    )
    certificate: str = secret(
        "Private key and certificate as PEM text, for flow certificate, or for flow web. Better: "
        "certificate_file."
    )
    certificate_file: FileName = setting(
        "",
        "File that holds them, PEM or PFX. Two of each (PEM) while they are changed, the new ones "
        "first.",
    )
    certificate_passphrase: str = secret(
        "Opens certificate_file, if it is sealed. Better: certificate_passphrase_file."
    )
    certificate_passphrase_file: FileName = setting(
        "", "File that holds the passphrase of certificate_file."
    )
    federated_token_file: FileName = setting(
        "",
        "Token of a federated identity (Kubernetes, any OIDC issuer), for flow federated; it is "
        "read anew each time.",
    )
    cloud: str = setting(
        "worldwide", "worldwide, gcc-high, dod, china, or a name defined as [cloud.NAME]."
    )
    exit: Exit = setting(
        "smtp",
        "How mail leaves: smtp; graph, where SMTP AUTH is forbidden; connector, by an inbound "
        "connector of the tenant, without mailbox and token.",
    )
    mx: str = setting(
        "",
        "Exit connector: the host that takes mail for the tenant, as the MX record of its domain "
        'says, "contoso-com.mail.protection.outlook.com". Empty: made from the tenant.',
    )
    sign_in: str = setting(
        "",
        "The [[sign_in]] by which a person made this mailbox at /me. Tenant, client_id, "
        "credentials, cloud and exit are those of that table, as they are now.",
    )
    account: str = setting("", "Whose mailbox it then is: the id of the account at Microsoft.")
    until_empty: bool = setting(
        False, "true: that person has left; it is removed once no mail waits for it."
    )
    fallback: Fallback = setting(
        "",
        "The other exit: graph, when SMTP AUTH is forbidden for the mailbox; smtp, for what Graph "
        "cannot carry. Empty: none. Each use is logged and shown by m365gw status.",
    )

    @property
    def signs_in(self) -> str:
        """The account a person signs in as for it."""
        return self.sign_in_as or self.address

    @property
    def has_token(self) -> bool:
        """Whether it signs in with a token of Entra, as all do but those of a connector."""
        return self.exit != "connector"


@frozen(kw_only=True)
class CustomCloud:
    based_on: str = setting(
        "",
        "The Microsoft cloud whose values hold where none is given here: worldwide, gcc-high, dod "
        "or china.",
    )
    smtp: str = setting("", 'Submission host and port: "127.0.0.1:2587".')
    authority: str = setting(
        "", 'Sign-in authority; TENANT is replaced: "https://127.0.0.1:8443/TENANT".'
    )
    scope: str = setting(
        "", "Scope asked for by flows without a user. Empty: as based_on, else as worldwide."
    )
    user_scope: str = setting(
        "", "Scope asked for by flows with a user. Empty: as based_on, else as worldwide."
    )
    graph: str = setting(
        "", 'Base address of Graph, for exit graph: "https://127.0.0.1:8443/graph/v1.0".'
    )
    graph_scope: str = setting(
        "", "Scope for Graph asked for by flows without a user. Empty: as the scopes above."
    )
    graph_user_scope: str = setting(
        "", "Scope for Graph asked for by flows with a user. Empty: as the scopes above."
    )
    mx: str = setting(
        "",
        "Host that takes mail for a tenant, for exit connector; TENANT is replaced: "
        '"TENANT.mail.protection.outlook.com".',
    )
    ca_file: FileName = setting(
        "", "PEM file: trust only this authority, for SMTP, Graph and sign-in."
    )
    proxy: str = setting(
        "",
        'HTTP proxy on the way to sign-in: "http://proxy.example.com:3128". Empty: none, whatever '
        "the environment says.",
    )
    rehearsal: bool = setting(
        False, "True: this is a rehearsal on loopback, not Microsoft. Needed for any loopback host."
    )
