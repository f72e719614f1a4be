"""What goes wrong with identities that need no secret: federated ones, and those of Azure hosts.

Facts: Microsoft's troubleshooting of workload identity federation (AADSTS70021, 700211 to 700213),
and its table of answers of the instance metadata service (IMDS).
"""

from __future__ import annotations

from typing import Final

from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.entra_rows import EntraRow, EntraVerdict

_no_match = Diagnosis(
    "federation-unknown",
    "Microsoft knows no federated credential of the app <client id> that fits the token.",
    "Issuer, subject and audience of the token must stand in the app registration letter by letter;"
    " a new one takes some minutes to be known.",
    "Entra admin centre > App registrations > the app > Certificates & secrets > Federated"
    " credentials: compare issuer, subject (system:serviceaccount:NAMESPACE:NAME in Kubernetes) and"
    " audience (api://AzureADTokenExchange) with the token in federated_token_file.",
    "entra-admin",
)
_not_signed = Diagnosis(
    "federation-signature",
    "Microsoft cannot check the signature of the federated token.",
    "The issuer has changed its keys, or does not publish them where its name says.",
    "Check that ISSUER/.well-known/openid-configuration and the keys it names can be read from the"
    " internet; then renew the token.",
    "operator",
)
_unknown_identity = Diagnosis(
    "managed-identity-unknown",
    "The Azure host gives no token: it does not have the identity that was asked for.",
    "No managed identity is assigned to it, or client_id names another one.",
    "Azure portal > the virtual machine or app > Identity: switch System assigned on, or add the"
    " user-assigned identity whose client id is client_id of the mailbox.",
    "operator",
)
_no_host = Diagnosis(
    "managed-identity-unreachable",
    "No Azure host answers to give out a token.",
    "Flow managed-identity works only on an Azure host (virtual machine, App Service, Azure Arc),"
    " and only where 169.254.169.254 is not blocked.",
    "If this host is not in Azure, choose another flow: certificate or federated. If it is:"
    " curl -H Metadata:true"
    " 'http://169.254.169.254/metadata/instance?api-version=2021-02-01'",
    "operator",
)
_host_busy = Diagnosis(
    "managed-identity-busy",
    "The Azure host gives no token at the moment.",
    "Its metadata service is being updated, or is asked too often.",
    "Nothing: it is tried again.",
    "nobody",
)

ROWS: Final = (
    EntraRow(EntraVerdict("admin", _no_match), (70021, 700211, 700212, 700213)),
    EntraRow(EntraVerdict("config", _not_signed), (50013,)),
)

UPDATE: Final = 70.0  # seconds; the metadata service is back after so long at most


def explain_identity(http_status: int) -> EntraVerdict:
    """The verdict on an answer of an Azure host without a token; 0 when none answered."""
    if http_status in (404, 410):
        return EntraVerdict("retry", _host_busy, least_wait=UPDATE)
    if http_status == 429 or http_status >= 500:
        return EntraVerdict("retry", _host_busy)
    if http_status >= 400:
        return EntraVerdict("config", _unknown_identity)
    return EntraVerdict("retry", _no_host)
