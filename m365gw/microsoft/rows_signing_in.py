"""Answers to AUTH: about the mailbox, its permissions, its sign-in or the tenant; never a message.

A token from Entra proves nothing here: it is issued even to an app without any permission, and
only 235 shows that the mailbox may send.
"""

from __future__ import annotations

from typing import Final

from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.reactions import HOUR, Scope, hold, refresh_token, retry_fast, stop
from m365gw.microsoft.rows import SIGNING_IN, Defaults, Phase, Row

HALF_HOUR: Final = 1800.0

_unsuccessful = Diagnosis(
    "auth-unsuccessful",
    "Microsoft 365 refuses the sign-in of <mailbox>, also with a fresh token.",
    "The app or user has no right on this mailbox, the service principal was registered with the"
    " wrong object id, the mailbox has no licence, or SMTP AUTH is off for it. Exchange gives the"
    " same answer for all of these.",
    "In Exchange Online PowerShell check, in this order:"
    " Get-CASMailbox <mailbox> | fl SmtpClientAuthenticationDisabled (should be False;"
    " Set-CASMailbox <mailbox> -SmtpClientAuthenticationDisabled $false);"
    " Get-ServicePrincipal | fl AppId,ObjectId (ObjectId must be the object id of the Enterprise"
    " application, not of the App registration);"
    " Add-MailboxPermission <mailbox> -User <client id> -AccessRights FullAccess."
    " In the Entra admin centre the app needs Office 365 Exchange Online > SMTP.SendAsApp with"
    " admin consent. It is tried again each hour.",
    "exchange-admin",
)
_disabled_tenant = Diagnosis(
    "smtp-auth-disabled-tenant",
    "SMTP AUTH is switched off for the whole tenant <tenant>.",
    "It is off by default in newer tenants, and it concerns OAuth too. A setting of the mailbox"
    " wins over that of the tenant.",
    "Better than the tenant switch, allow it for each mailbox of the gateway:"
    " Set-CASMailbox <mailbox> -SmtpClientAuthenticationDisabled $false (or Microsoft 365 admin"
    " centre > Users > Active users > the user > Mail > Manage email apps > Authenticated SMTP)."
    " It takes up to an hour to work.",
    "exchange-admin",
)
_disabled_mailbox = Diagnosis(
    "smtp-auth-disabled-mailbox",
    "SMTP AUTH is switched off for <mailbox>.",
    "The switch of the mailbox also concerns OAuth, and it wins over that of the tenant.",
    "Set-CASMailbox <mailbox> -SmtpClientAuthenticationDisabled $false (or Microsoft 365 admin"
    " centre > Users > Active users > the user > Mail > Manage email apps > Authenticated SMTP)."
    " It takes up to an hour to work.",
    "exchange-admin",
)
_security_defaults = Diagnosis(
    "security-defaults",
    "The security defaults of the tenant <tenant> block the sign-in.",
    "With security defaults on, Microsoft refuses SMTP AUTH.",
    "First allow each mailbox: Set-CASMailbox <mailbox> -SmtpClientAuthenticationDisabled $false."
    " If that does not help: Entra admin centre > Identity > Overview > Properties > Manage"
    " security defaults; switch them off only together with Conditional Access policies that"
    " replace them.",
    "entra-admin",
)
_criteria = Diagnosis(
    "auth-criteria",
    "A policy of the tenant refuses the sign-in of <mailbox>.",
    "Conditional Access, a risk rating or another policy did not allow it.",
    "Entra admin centre > Identity > Monitoring > Sign-in logs, user <mailbox>: the tab Conditional"
    " Access names the policy. Exclude the gateway's account or its network from it.",
    "entra-admin",
)
_password = Diagnosis(
    "password-refused",
    "Microsoft answered as to a password sign-in, and refused it.",
    "Passwords for SMTP are being retired. This gateway signs in by OAuth, so the token was not"
    " recognised as one for this mailbox.",
    "Check that tenant, client_id and cloud belong to <mailbox> and that scope is that of the"
    " cloud. It is tried again each hour.",
    "operator",
)
_sts_down = Diagnosis(
    "federation-unreachable",
    "The organisation's own sign-in server could not be reached by Microsoft.",
    "The domain is federated, and its server (often AD FS) did not answer.",
    "Nothing if it passes. If it lasts, check the federation server from outside the network.",
    "entra-admin",
)
_sts_http = Diagnosis(
    "federation-not-https",
    "The organisation's own sign-in server is not set up for HTTPS.",
    "Microsoft only signs in through a federation server with HTTPS.",
    "Correct the address of the federation server; this shows it:"
    " Get-MgDomainFederationConfiguration -DomainId DOMAIN",
    "entra-admin",
)
_proxy_error = Diagnosis(
    "mailbox-proxy-error",
    "Microsoft could not pass the sign-in on to <mailbox>.",
    "Often this passes in minutes. It is also what a user without a mailbox, a mailbox that is"
    " being moved, or a token for the wrong mailbox looks like, and then it never passes.",
    "If it lasts: Get-Mailbox <mailbox> must find it (no licence, no mailbox), and"
    " Get-MoveRequest <mailbox> must be finished. Then check that the app or user has rights on"
    " it. It is tried again each hour.",
    "exchange-admin",
)
_temporary = Diagnosis(
    "auth-temporary",
    "Microsoft could not check the sign-in at the moment.",
    "This is trouble of the service, not of the mailbox.",
    "Nothing: it is tried again, each time a little later.",
    "nobody",
)
_draining = Diagnosis(
    "auth-server-blip",
    "One of Microsoft's servers failed while signing in.",
    "This is routine; another server answers on the next connection.",
    "Nothing.",
    "nobody",
)
_lost = Diagnosis(
    "auth-connection-lost",
    "The connection broke while signing in.",
    "The network or Microsoft's front end closed it before the answer.",
    "Nothing at first. If it lasts, look for a firewall that cuts long lines or long waits.",
    "operator",
)
_malformed = Diagnosis(
    "xoauth2-malformed",
    "Microsoft could not read the sign-in data.",
    "The account and the app do not fit together, or for a High Volume Email account the app was"
    " not added to it.",
    "For High Volume Email: Add-HVEAppAccess for <mailbox> and client id <client id>. Otherwise"
    " check that address, tenant and client_id of the mailbox belong together.",
    "exchange-admin",
)
_expires_soon = Diagnosis(
    "token-expires-soon",
    "Microsoft wants a token with more life left.",
    "High Volume Email refuses tokens with less than about ten minutes left.",
    "Nothing: a fresh token is fetched. If it lasts, check the clock of this host.",
    "operator",
)
_unrecognized = Diagnosis(
    "auth-unrecognized",
    "Microsoft did not understand the AUTH command.",
    "Something between changes the dialogue, or the session was not in the state we believed.",
    "If it lasts, switch off mail inspection for port 587 on the firewall, and report it as a"
    " fault of this gateway with the log of one session.",
    "operator",
)
_mechanism = Diagnosis(
    "xoauth2-not-offered",
    "The server does not know XOAUTH2.",
    "The configured SMTP host is not a Microsoft 365 submission host, or something between answers"
    " in its place.",
    "Check the SMTP host of the mailbox's cloud (world-wide: smtp.office365.com, port 587).",
    "operator",
)
_unknown = Diagnosis(
    "unknown-auth-refused",
    "Microsoft refuses the sign-in of <mailbox> with an answer we do not know.",
    "The answer concerns the mailbox or the tenant; no message is returned for it.",
    "Read the answer; if it tells nothing, check the mailbox as for 535 5.7.3: SMTP AUTH switched"
    " on, rights of the app on the mailbox, licence. It is tried again each hour.",
    "exchange-admin",
)

_proxy_error_reaction = stop(
    Scope.MAILBOX,
    30,
    _proxy_error,
    attempts=1,
    then=refresh_token(
        stop(
            Scope.MAILBOX,
            30,
            _proxy_error,
            ceiling=HOUR,
            patience=HALF_HOUR,
            then=hold(Scope.MAILBOX, _proxy_error),
        )
    ),
)

ROWS: Final = (
    Row(
        SIGNING_IN,
        hold(Scope.TENANT, _disabled_tenant),
        words=("smtpclientauthentication is disabled for the tenant",),
    ),
    Row(
        SIGNING_IN,
        hold(Scope.MAILBOX, _disabled_mailbox),
        words=("smtpclientauthentication is disabled", "aka.ms/smtp_auth_disabled"),
    ),
    Row(SIGNING_IN, hold(Scope.TENANT, _security_defaults), words=("security defaults",)),
    Row(
        SIGNING_IN,
        hold(Scope.MAILBOX, _criteria),
        words=("did not meet the criteria to be authenticated",),
    ),
    Row(
        SIGNING_IN,
        hold(Scope.MAILBOX, _password),
        words=("basic authentication is ", "user credentials were incorrect"),
    ),
    Row(
        SIGNING_IN,
        stop(Scope.MAILBOX, 300, _sts_down, ceiling=HOUR),
        words=("sts service was unreachable",),
    ),
    Row(SIGNING_IN, hold(Scope.MAILBOX, _sts_http), words=("does not support https",)),
    Row(
        SIGNING_IN,
        refresh_token(hold(Scope.MAILBOX, _expires_soon)),
        words=("token will expire soon",),
    ),
    Row(SIGNING_IN, refresh_token(hold(Scope.MAILBOX, _unsuccessful)), status=("5.7.3",)),
    Row(SIGNING_IN, hold(Scope.MAILBOX, _criteria), status=("5.7.139",)),
    Row(SIGNING_IN, hold(Scope.MAILBOX, _password), status=("5.7.30",)),
    Row(SIGNING_IN, _proxy_error_reaction, codes=(451,), status=("4.7.0",)),
    Row(
        SIGNING_IN,
        stop(Scope.MAILBOX, 30, _temporary, ceiling=HOUR),
        codes=(454,),
        status=("4.7.0",),
    ),
    Row(SIGNING_IN, retry_fast(_draining, Scope.MAILBOX), status=("4.3.111",)),
    Row(SIGNING_IN, refresh_token(hold(Scope.MAILBOX, _malformed)), status=("5.5.124",)),
    Row(SIGNING_IN, refresh_token(hold(Scope.MAILBOX, _expires_soon)), status=("5.5.127",)),
    Row(SIGNING_IN, refresh_token(hold(Scope.MAILBOX, _unrecognized)), status=("5.3.3",)),
    Row(SIGNING_IN, hold(Scope.MAILBOX, _mechanism), status=("5.7.4", "5.5.4")),
    # XOAUTH2 as Google does it: the error is a challenge, and the answer to an empty line is 535.
    Row(
        SIGNING_IN,
        refresh_token(hold(Scope.MAILBOX, _unsuccessful)),
        codes=(334, 535),
    ),
    Row(SIGNING_IN, refresh_token(hold(Scope.MAILBOX, _unrecognized)), codes=(500,)),
    Row(SIGNING_IN, hold(Scope.MAILBOX, _mechanism), codes=(504,)),
    Row(SIGNING_IN, retry_fast(_draining, Scope.MAILBOX), codes=(421,)),
)

DEFAULTS: Final = {
    Phase.AUTH: Defaults(
        lost=stop(Scope.MAILBOX, 30, _lost, ceiling=HOUR),
        temporary=stop(Scope.MAILBOX, 30, _temporary, ceiling=HOUR),
        permanent=refresh_token(hold(Scope.MAILBOX, _unknown)),
    ),
}
