"""What a gateway needs in its configuration to use a rehearsal: `cloud.toml` in its folder.

The cloud, and below it, as comments to be taken away, a mailbox for each flow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from m365gw.rehearsal.certificates import CertificateFiles
from m365gw.rehearsal.props import CERTIFICATE, TOKEN
from m365gw.rehearsal.tenant import APP_ID, APP_SECRET, PUBLIC_APP_ID, WEB_APP_ID, Tenant


class Running(Protocol):
    """What is written of: a rehearsal that listens."""

    tenant: Tenant
    folder: Path
    certificates: CertificateFiles

    @property
    def host(self) -> str: ...

    def ports(self) -> dict[str, int]:
        """smtp, https, control and mx."""
        ...


def settings_text(rehearsal: Running) -> str:
    """The text, as TOML. The mailboxes are those of `default_tenant`; none for another tenant."""
    host, ports = rehearsal.host, rehearsal.ports()
    cloud = f"""\
# A rehearsal on this machine, not Microsoft 365.
[cloud.rehearsal]
rehearsal = true
smtp = "{host}:{ports["smtp"]}"
authority = "https://{host}:{ports["https"]}/TENANT"
graph = "https://{host}:{ports["https"]}/graph/v1.0"
mx = "{host}:{ports["mx"]}"
ca_file = "{rehearsal.certificates.authority.resolve()}"
"""
    if APP_ID not in rehearsal.tenant.apps:
        return cloud
    folder, domain = rehearsal.folder.resolve(), rehearsal.tenant.domain
    relay, alice, shared = (f"{name}@{domain}" for name in ("relay", "alice", "shared"))
    pem, token = str(folder / CERTIFICATE), str(folder / TOKEN)
    known = str(rehearsal.certificates.gateway.resolve())
    lines = [
        cloud,
        '# Its mailboxes, each flow once: take the "#" away. relay may also send as scanner@ and',
        f'# alerts@{domain}. With exit = "graph" the mail of one leaves by Graph.',
        _mailbox(relay, "secret", domain, APP_ID, client_secret=APP_SECRET),
        "# Key and certificate lie ready; the rehearsal knows them.",
        _mailbox(relay, "certificate", domain, APP_ID, certificate_file=pem),
        "# The rehearsal is the OIDC issuer, too, and writes a new token each minute.",
        _mailbox(relay, "federated", domain, APP_ID, federated_token_file=token),
        "# The identity of an Azure host. Start the gateway, and m365gw doctor without it, with",
        f"# AZURE_POD_IDENTITY_AUTHORITY_HOST=http://{host}:{ports['control']}",
        _mailbox(relay, "managed-identity", domain),
        "# By a code that somebody types on another device.",
        _mailbox(alice, "device", domain, PUBLIC_APP_ID),
        "# By a link. Without client_secret, and with the client_id above, it is a public app.",
        _mailbox(alice, "web", domain, WEB_APP_ID, client_secret=APP_SECRET),
        "# A shared mailbox: alice signs in for it.",
        _mailbox(shared, "web", domain, PUBLIC_APP_ID, sign_in_as=alice),
        "# A personal account, as of Outlook.com.",
        _mailbox("joe@outlook.example", "web", "consumers", PUBLIC_APP_ID),
        "# The tenant's inbound connector, which knows this certificate.",
        _mailbox(
            f"connector@{domain}",
            "certificate",
            domain,
            exit="connector",
            certificate_file=known,
        ),
    ]
    return "\n".join(lines)


def _mailbox(address: str, flow: str, tenant: str, client_id: str = "", **more: str) -> str:
    """One [[mailbox]], each line behind a "#"."""
    values = {"address": address, "flow": flow, "tenant": tenant, "client_id": client_id, **more}
    lines = [f'#{name} = "{value}"' for name, value in values.items() if value]
    return "\n".join(["#[[mailbox]]", *lines, '#cloud = "rehearsal"', ""])
