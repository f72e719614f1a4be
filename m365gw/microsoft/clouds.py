"""The Microsoft clouds: where mail is handed in, who signs tokens, which scope is asked for.

A token is for one exit: SMTP and Graph are two resources with a scope each.

Host, authority, scopes and Graph are independent values; none is derived from another, because
they do not follow one pattern. World-wide values are documented by Microsoft; SMTP host and scope
of the national clouds are known from other clients only, so each of them can be overridden by a
cloud of one's own (`custom`).
"""

from __future__ import annotations

from ipaddress import ip_address
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from attrs import frozen

SUBMISSION_PORT: Final = 587
RELAY_PORT: Final = 25
INITIAL_DOMAINS: Final = (".onmicrosoft.com", ".onmicrosoft.us")


@frozen
class Cloud:
    """One cloud. `authority` holds the word TENANT; `ca_file` "" means the system's authorities."""

    name: str
    smtp_host: str
    smtp_port: int
    authority: str
    scope: str  # asked for by flows without a user
    user_scope: str  # asked for by flows with a user
    graph: str  # "https://graph.microsoft.com/v1.0"
    graph_scope: str
    graph_user_scope: str
    ca_file: str = ""
    rehearsal: bool = False
    proxy: str = ""  # on the way to sign-in; "" means none
    mx: str = ""  # takes mail for a tenant (inbound connectors); holds the word TENANT

    def host_of(self, exit: str) -> str:
        """The host mail is handed to by this exit, "smtp.office365.com:587"."""
        return (
            urlsplit(self.graph).netloc if exit == "graph" else f"{self.smtp_host}:{self.smtp_port}"
        )

    def app_scope(self, exit: str) -> str:
        """What a flow without a user asks for, for mail that leaves by this exit."""
        return self.graph_scope if exit == "graph" else self.scope

    def person_scope(self, exit: str) -> str:
        """What a flow with a user asks for, for mail that leaves by this exit."""
        return self.graph_user_scope if exit == "graph" else self.user_scope

    def authority_of(self, tenant: str) -> str:
        """The sign-in authority of one tenant."""
        return self.authority.replace("TENANT", tenant)


PRESETS: Final = MappingProxyType(
    {
        cloud.name: cloud
        for cloud in (
            Cloud(
                name="worldwide",
                smtp_host="smtp.office365.com",
                smtp_port=SUBMISSION_PORT,
                authority="https://login.microsoftonline.com/TENANT",
                scope="https://outlook.office365.com/.default",
                user_scope="https://outlook.office.com/SMTP.Send",
                graph="https://graph.microsoft.com/v1.0",
                graph_scope="https://graph.microsoft.com/.default",
                graph_user_scope="https://graph.microsoft.com/Mail.Send",
                mx="TENANT.mail.protection.outlook.com",
            ),
            Cloud(
                name="gcc-high",
                smtp_host="smtp.office365.us",
                smtp_port=SUBMISSION_PORT,
                authority="https://login.microsoftonline.us/TENANT",
                scope="https://outlook.office365.us/.default",
                user_scope="https://outlook.office365.us/SMTP.Send",
                graph="https://graph.microsoft.us/v1.0",
                graph_scope="https://graph.microsoft.us/.default",
                graph_user_scope="https://graph.microsoft.us/Mail.Send",
                mx="TENANT.mail.protection.office365.us",
            ),
            Cloud(
                name="dod",
                smtp_host="outlook-dod.office365.us",
                smtp_port=SUBMISSION_PORT,
                authority="https://login.microsoftonline.us/TENANT",
                scope="https://outlook.office365.us/.default",
                user_scope="https://outlook.office365.us/SMTP.Send",
                graph="https://dod-graph.microsoft.us/v1.0",
                graph_scope="https://dod-graph.microsoft.us/.default",
                graph_user_scope="https://dod-graph.microsoft.us/Mail.Send",
                mx="TENANT.mail.protection.office365.us",
            ),
            Cloud(
                name="china",
                smtp_host="smtp.partner.outlook.cn",
                smtp_port=SUBMISSION_PORT,
                authority="https://login.partner.microsoftonline.cn/TENANT",
                scope="https://partner.outlook.cn/.default",
                user_scope="https://partner.outlook.cn/SMTP.Send",
                graph="https://microsoftgraph.chinacloudapi.cn/v1.0",
                graph_scope="https://microsoftgraph.chinacloudapi.cn/.default",
                graph_user_scope="https://microsoftgraph.chinacloudapi.cn/Mail.Send",
                mx="TENANT.mail.protection.partner.outlook.cn",
            ),
        )
    }
)


def custom(
    name: str,
    *,
    smtp: str,
    authority: str,
    scope: str,
    user_scope: str,
    graph: str = "",
    graph_scope: str = "",
    graph_user_scope: str = "",
    ca_file: str = "",
    rehearsal: bool = False,
    proxy: str = "",
    mx: str = "",
) -> Cloud:
    """A cloud from the values of a `[cloud.NAME]` table; ValueError says in words what is wrong.

    `smtp` is "host", "host:port" or "[IPv6]:port". A loopback host is only taken when the cloud
    says `rehearsal`, so that no real configuration points at a rehearsal by accident.
    """
    host, port = split_host_port(smtp)
    if not authority.startswith("https://") or "TENANT" not in authority:
        raise ValueError(f'authority must be an https address that holds TENANT, not "{authority}"')
    if is_loopback(host) and not rehearsal:
        raise ValueError(f'"{host}" is this machine: set rehearsal = true if that is what you want')
    return Cloud(
        name,
        host,
        port,
        authority,
        scope,
        user_scope,
        graph,
        graph_scope,
        graph_user_scope,
        ca_file,
        rehearsal,
        proxy,
        mx,
    )


def mx_of(pattern: str, tenant: str) -> str:
    """The host that takes mail for a tenant, by one of its domains; "" where nobody can say.

    An id tells nothing, and for a domain with hyphens Microsoft makes up a name.
    """
    name = tenant.lower()
    for domain in INITIAL_DOMAINS:
        name = name.removesuffix(domain)
    if "-" in name or (name == tenant.lower() and "." not in name):
        return ""
    return pattern.replace("TENANT", name.replace(".", "-"))


def split_host_port(text: str, default: int = SUBMISSION_PORT) -> tuple[str, int]:
    """Host and port of "host", "host:port" or "[IPv6]:port"; without a port the default."""
    host, separator, port = text.rpartition(":")
    if not separator or text.endswith("]"):
        host, port = text, str(default)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f'an IPv6 address is written "[address]:port", not "{text}"')
    if not host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f'"{text}" is not a host and port like "smtp.example.com:587"')
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine, as far as its text tells."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
