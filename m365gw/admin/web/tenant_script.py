"""What the administrator of a tenant is given for a mailbox: its certificate, and the script.

Of a key pair only the certificate leaves.
"""

from __future__ import annotations

import base64

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from m365gw.admin.web.set_up import NOBODY
from m365gw.config.key_pairs import KeyPair, Unusable, read_pairs
from m365gw.config.settings import Mailbox
from m365gw.microsoft.setup_script.plan import ENVIRONMENTS, MODES, Plan
from m365gw.microsoft.setup_script.script import render, render_undo


def key_pair_of(mailbox: Mailbox) -> KeyPair | None:
    """The newest key pair of a mailbox, where it is kept here."""
    try:
        return read_pairs(mailbox.certificate.encode())[0] if mailbox.certificate else None
    except Unusable:
        return None


def octets_of(pair: KeyPair) -> bytes:
    """The certificate as Entra takes it: DER, for a file named .cer."""
    return x509.load_pem_x509_certificate(pair.chain.encode()).public_bytes(Encoding.DER)


def script_of(mailbox: Mailbox, redirect_uri: str, *, is_undo: bool = False) -> str:
    """The PowerShell that sets the tenant up, or the one that takes it all back.

    `redirect_uri` is where a browser comes back to after a sign-in. ValueError where none can be
    written.
    """
    if mailbox.flow not in MODES:
        raise ValueError(f'Flow "{mailbox.flow}" is set up on the Azure host, not by a script.')
    if mailbox.exit == "connector":
        raise ValueError("The script for its connector: m365gw script connector")
    pair = key_pair_of(mailbox)
    plan = Plan(
        mode=mailbox.flow,
        mailboxes=(mailbox.address,),
        tenant=mailbox.tenant,
        client_id="" if mailbox.client_id == NOBODY else mailbox.client_id,
        exit="graph" if mailbox.exit == "graph" else "smtp",
        cloud=mailbox.cloud if mailbox.cloud in ENVIRONMENTS else "worldwide",
        certificate=base64.b64encode(octets_of(pair)).decode() if pair else "",
        redirect_uri=redirect_uri if mailbox.flow == "web" else "",
    )
    return (render_undo if is_undo else render)(plan)
