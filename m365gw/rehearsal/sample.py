"""The mailboxes of the default tenant, as the configuration of a gateway names them."""

from __future__ import annotations

from m365gw.rehearsal.certificates import CertificateFiles
from m365gw.rehearsal.tenant import APP_ID, APP_SECRET, PUBLIC_APP_ID, WEB_APP_ID, Tenant


def mailboxes(tenant: Tenant, certificates: CertificateFiles) -> str:
    """How the default mailboxes sign in, to be uncommented. None for a tenant of one's own."""
    if APP_ID not in tenant.apps:
        return ""
    return f"""
# Two of its mailboxes, each in two ways; relay may also send as scanner@ and
# alerts@{tenant.domain}.
# For flow "certificate" start the rehearsal with --certificate FILE.
#[[mailbox]]
#address = "relay@{tenant.domain}"
#flow = "secret"
#tenant = "{tenant.domain}"
#client_id = "{APP_ID}"
#client_secret = "{APP_SECRET}"
#cloud = "rehearsal"

#[[mailbox]]
#address = "alice@{tenant.domain}"
#flow = "device"
#tenant = "{tenant.domain}"
#client_id = "{PUBLIC_APP_ID}"
#cloud = "rehearsal"

# By a link instead of a code; without client_secret it is a public app.
#[[mailbox]]
#address = "alice@{tenant.domain}"
#flow = "web"
#tenant = "{tenant.domain}"
#client_id = "{WEB_APP_ID}"
#client_secret = "{APP_SECRET}"
#cloud = "rehearsal"

# The identity of an Azure host: start the gateway with AZURE_POD_IDENTITY_AUTHORITY_HOST=
# http://127.0.0.1:PORT, the port of the rehearsal's control interface.
#[[mailbox]]
#address = "relay@{tenant.domain}"
#flow = "managed-identity"
#tenant = "{tenant.domain}"
#cloud = "rehearsal"

# The tenant's inbound connector, which knows this certificate.
#[[mailbox]]
#address = "connector@{tenant.domain}"
#exit = "connector"
#flow = "certificate"
#tenant = "{tenant.domain}"
#certificate_file = "{certificates.gateway.resolve()}"
#cloud = "rehearsal"
"""
