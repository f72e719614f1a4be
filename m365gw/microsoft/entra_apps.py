"""Entra errors about the app registration, our configuration of it, and the service itself."""

from __future__ import annotations

from typing import Final

from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.entra_rows import EntraRow, EntraVerdict

FIVE_MINUTES: Final = 300.0

_permission = Diagnosis(
    "app-permission-missing",
    "The app lacks the permission to send mail, or declares it wrongly.",
    "App registrations name each permission they use.",
    "Entra admin centre > App registrations > the app > API permissions: for flows without a user"
    " APIs my organization uses > Office 365 Exchange Online > Application > SMTP.SendAsApp; for"
    " sign-in by a user Microsoft Graph > Delegated > SMTP.Send. Then Grant admin consent.",
    "entra-admin",
)
_no_user = Diagnosis(
    "user-unknown",
    "There is no user <mailbox> in the tenant.",
    "The address has a typing mistake, or tenant names another organisation.",
    "Correct address or tenant of the mailbox in m365gw.toml.",
    "operator",
)
_account_type = Diagnosis(
    "account-type",
    "This kind of account cannot sign in to this app or tenant.",
    "A personal account met a work tenant, or the other way round.",
    "Set tenant of the mailbox: the organisation's id or domain for work accounts, consumers for"
    " Outlook.com; and the supported account types of the app registration to match.",
    "operator",
)
_not_multi_tenant = Diagnosis(
    "app-single-tenant",
    "The app only works in its own tenant.",
    "It is registered for one tenant, but common was asked.",
    "Set tenant of the mailbox to the tenant's id or domain.",
    "operator",
)
_no_tenant = Diagnosis(
    "tenant-unknown",
    "There is no tenant <tenant>.",
    "The id or domain has a typing mistake, or the tenant has no subscription any more.",
    "Correct tenant of the mailbox: Entra admin centre > Overview shows Tenant ID and primary"
    " domain.",
    "operator",
)
_other_cloud = Diagnosis(
    "tenant-in-other-cloud",
    "The tenant <tenant> lives in another Microsoft cloud.",
    "Tokens of one cloud are worth nothing in another.",
    "Set cloud of the mailbox: worldwide, gcc-high, dod or china.",
    "operator",
)
_no_app = Diagnosis(
    "app-unknown",
    "The tenant does not know the app <client id>.",
    "client_id has a typing mistake, the app is registered in another tenant, or nobody in this"
    " tenant has consented to it yet.",
    "Correct client_id or tenant of the mailbox (Entra admin centre > App registrations >"
    " Application (client) ID), or grant consent in this tenant.",
    "operator",
)
_app_disabled = Diagnosis(
    "app-disabled",
    "The app <client id> is switched off or gone.",
    "An administrator disabled it, or it was deleted.",
    "Entra admin centre > Enterprise applications > the app > Properties > Enabled for users to"
    " sign in: Yes.",
    "entra-admin",
)
_wrong_secret = Diagnosis(
    "secret-wrong",
    "Microsoft does not accept the client secret.",
    "Often the secret's id was copied instead of its value, which is shown only once.",
    "Entra admin centre > App registrations > the app > Certificates & secrets > New client"
    " secret; copy the column Value into the file of client_secret_file.",
    "operator",
)
_secret_expired = Diagnosis(
    "secret-expired",
    "The client secret has expired.",
    "Secrets end after at most two years.",
    "Entra admin centre > App registrations > the app > Certificates & secrets > New client"
    " secret; copy the column Value into the file of client_secret_file. A certificate lasts"
    " longer: flow certificate.",
    "entra-admin",
)
_not_public = Diagnosis(
    "app-not-public",
    "The app wants a secret or certificate, and none was sent.",
    "Sign-in by device code needs an app that allows public client flows.",
    "Entra admin centre > App registrations > the app > Authentication > Allow public client"
    " flows: Yes.",
    "entra-admin",
)
_public = Diagnosis(
    "app-is-public",
    "The app is a public one and takes no secret.",
    "A secret or certificate is configured for it.",
    "Use flow device for this mailbox, or set Allow public client flows of the app to No.",
    "operator",
)
_certificate = Diagnosis(
    "certificate-unknown",
    "Microsoft does not know the certificate the gateway signs with.",
    "It was not uploaded to the app, was removed, has expired, or belongs to another key.",
    "Entra admin centre > App registrations > the app > Certificates & secrets > Certificates >"
    " Upload certificate: the one in certificate_file, or, of a key made here, the .cer file of"
    " its page in the console, or a new one by m365gw mailbox renew <mailbox>.",
    "entra-admin",
)
_clock = Diagnosis(
    "clock-wrong",
    "Microsoft says that what the gateway signed is not valid at this time.",
    "The clock of this host is wrong by minutes; or, with flow federated, the token in"
    " federated_token_file has ended and nobody renews it.",
    "Mend the clock: timedatectl set-ntp true; timedatectl status. With flow federated look at what"
    " writes the file (ls -l tells when it did last).",
    "operator",
)
_no_resource = Diagnosis(
    "exchange-missing",
    "The tenant has no Exchange Online, or the scope names another service.",
    "The service the token is for does not exist in the tenant.",
    "Check that the tenant has Exchange Online licences, and cloud of the mailbox (the scope is"
    " https://outlook.office365.com/.default world-wide).",
    "operator",
)
_scope = Diagnosis(
    "scope-malformed",
    "Microsoft does not understand the scope that was asked for.",
    "It has a typing mistake, or names several services.",
    "Correct scope or user_scope of the mailbox's cloud.",
    "operator",
)
_redirect = Diagnosis(
    "redirect-mismatch",
    "The address Microsoft should return to is not registered.",
    "It must be the same as in the app registration, letter by letter.",
    "Entra admin centre > App registrations > the app > Authentication > Redirect URIs: add the"
    " gateway's public address followed by /auth/callback.",
    "entra-admin",
)
_client = Diagnosis(
    "app-credential-refused",
    "Microsoft does not accept the app's secret or certificate.",
    "It is wrong, expired or of another app.",
    "Check client_id and secret or certificate of the mailbox against Entra admin centre > App"
    " registrations > the app > Certificates & secrets.",
    "operator",
)
_flow = Diagnosis(
    "flow-not-allowed",
    "The app may not sign in by this flow.",
    "Its registration does not allow it.",
    "For flow device: Authentication > Allow public client flows: Yes. Otherwise choose another"
    " flow for the mailbox.",
    "entra-admin",
)
_request_loop = Diagnosis(
    "request-loop",
    "Microsoft sees the same request too often.",
    "The gateway should not do that.",
    "Nothing: it waits five minutes. Please report it as a fault of the gateway.",
    "operator",
)
_service = Diagnosis(
    "entra-unavailable",
    "Microsoft's sign-in service has trouble.",
    "It answers that it cannot serve the request now.",
    "Nothing: it is tried again. https://status.cloud.microsoft shows large outages.",
    "nobody",
)
_throttled = Diagnosis(
    "entra-throttled",
    "Microsoft's sign-in service wants fewer requests.",
    "Too many came from this app or address.",
    "Nothing: it waits as long as it was told.",
    "nobody",
)
_unreachable = Diagnosis(
    "entra-unreachable",
    "Microsoft's sign-in service could not be reached, or gave no answer that makes sense.",
    "The network, the name service, a proxy, a firewall that opens TLS, or Microsoft's front end.",
    "Nothing at first: it is tried again and the mail waits. If it lasts:"
    " curl -v https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration",
    "operator",
)
_unknown = Diagnosis(
    "unknown-entra-error",
    "Microsoft's sign-in service answers with an error we do not know.",
    "What is unknown is taken as temporary.",
    "Read the answer in the log; its AADSTS number is explained at"
    " https://login.microsoftonline.com/error. It is tried again.",
    "operator",
)

SERVICE: Final = EntraVerdict("retry", _service)
THROTTLED: Final = EntraVerdict("retry", _throttled)
UNREACHABLE: Final = EntraVerdict("retry", _unreachable)
UNKNOWN: Final = EntraVerdict("retry", _unknown)

ROWS: Final = (
    EntraRow(EntraVerdict("config", _permission), (65005, 650056, 650057)),
    EntraRow(EntraVerdict("config", _no_user), (50034,)),
    EntraRow(EntraVerdict("config", _account_type), (50020, 90130, 500208, 9002332)),
    EntraRow(EntraVerdict("config", _not_multi_tenant), (50194,)),
    EntraRow(EntraVerdict("config", _no_tenant), (90002, 900023)),
    EntraRow(EntraVerdict("config", _other_cloud), (90038,)),
    EntraRow(EntraVerdict("config", _no_app), (700016,)),
    EntraRow(EntraVerdict("config", _app_disabled), (70001, 7000112)),
    EntraRow(EntraVerdict("config", _wrong_secret), (7000215,)),
    EntraRow(EntraVerdict("config", _secret_expired), (7000222,)),
    EntraRow(EntraVerdict("config", _not_public), (7000218,)),
    EntraRow(EntraVerdict("config", _public), (700025,)),
    EntraRow(EntraVerdict("config", _certificate), (700027,)),
    EntraRow(EntraVerdict("config", _clock), (500133, 700024)),
    EntraRow(EntraVerdict("config", _no_resource), (500011,)),
    EntraRow(
        EntraVerdict("config", _scope),
        (28002, 28003, 70011, 700022),
        vague=("invalid_scope", "invalid_resource"),
    ),
    EntraRow(EntraVerdict("config", _redirect), (50011,)),
    EntraRow(EntraVerdict("config", _client), (70002,), vague=("invalid_client",)),
    EntraRow(
        EntraVerdict("config", _flow), vague=("unauthorized_client", "unsupported_grant_type")
    ),
    EntraRow(EntraVerdict("retry", _request_loop, least_wait=FIVE_MINUTES), (50196,)),
    EntraRow(
        SERVICE,
        (40010, 50033, 50087, 70012, 80005, 90006, 90012, 90024, 90033, 90055, 90090),
        ("temporarily_unavailable", "server_error"),
    ),
)
