"""Answers within a transaction about what the mailbox, its senders or the tenant may do.

Most of them are 5yz, and none of them is the message's fault: a block is lifted, a right is
granted, and then the same message goes through. They may come at MAIL FROM, at RCPT TO or after
the data, whenever Exchange gets round to the check, so they hold in all three places.
"""

from __future__ import annotations

from typing import Final

from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.reactions import (
    Scope,
    hold,
    refresh_token,
    retry,
    retry_fast,
    retry_then,
)
from m365gw.microsoft.rows import SENDING, Phase, Row

SENDER_OR_CONTENT: Final = frozenset({Phase.MAIL, Phase.DATA})

_not_signed_in = Diagnosis(
    "session-not-signed-in",
    "Microsoft says that the session of <mailbox> is not signed in.",
    "The sign-in ended within the session, or SMTP AUTH was switched off meanwhile.",
    "A new token is tried first. If it lasts: Set-CASMailbox <mailbox>"
    " -SmtpClientAuthenticationDisabled $false",
    "exchange-admin",
)
_send_as = Diagnosis(
    "send-as-denied",
    "<mailbox> may not send as <sender>.",
    "The address in MAIL FROM or in the From header is not one of the mailbox's own, and it has no"
    " Send As right on it. Mail of other senders goes on.",
    "Grant it: Add-RecipientPermission <sender> -Trustee <mailbox> -AccessRights SendAs"
    " -Confirm:$false (with an app: -Trustee and its object id, which Get-ServicePrincipal shows)."
    " If <sender> is an alias of the mailbox: Set-OrganizationConfig -SendFromAliasEnabled $true."
    " Or let the gateway use a mailbox that owns the address. Held mail then goes by itself within"
    " an hour.",
    "exchange-admin",
)
_domain = Diagnosis(
    "sender-domain-unregistered",
    "The domain of <sender> is not registered in the tenant.",
    "Microsoft only takes mail from domains the tenant has proven to own.",
    "Add the domain: Microsoft 365 admin centre > Settings > Domains > Add domain. Or send from an"
    " address of a registered domain.",
    "exchange-admin",
)
_restricted = Diagnosis(
    "mailbox-restricted",
    "Microsoft has blocked <mailbox> from sending: suspected spam.",
    "It sent more than allowed, or mail that looks like spam; perhaps a device or a login behind"
    " it is abused.",
    "First find what sent it (m365gw queue list). Then Microsoft Defender portal > Review >"
    " Restricted entities > <mailbox> > Unblock. It takes up to an hour to work.",
    "exchange-admin",
)
_banned = Diagnosis(
    "sender-banned",
    "Microsoft has banned <mailbox> from sending: spam or abuse was detected.",
    "Its service rates the account or the address it sends from as abused.",
    "Check Microsoft Defender portal > Review > Restricted entities; if <mailbox> is not listed,"
    " open a support case with the answer in brackets.",
    "exchange-admin",
)
_tenant_threshold = Diagnosis(
    "tenant-blocked",
    "The tenant <tenant> has sent too much suspicious mail and is blocked.",
    "Microsoft limits the whole tenant until it is satisfied that the cause is gone.",
    "Find and stop the cause (Defender portal > Email & collaboration > Explorer), then open a"
    " support case in the Microsoft 365 admin centre with the whole answer.",
    "exchange-admin",
)
_tenant_ip = Diagnosis(
    "tenant-ip-not-accepted",
    "Microsoft does not take mail of the tenant <tenant> from this address.",
    "New and trial tenants that send from addresses of low reputation get this answer.",
    "Open a support case in the Microsoft 365 admin centre with the whole answer, or send from"
    " another public address.",
    "exchange-admin",
)
_full = Diagnosis(
    "mailbox-full",
    "<mailbox> itself is full, so Microsoft takes no mail from it.",
    "Each message sent is also kept in its Sent Items.",
    "Empty Sent Items of <mailbox>, and set a retention policy for it. Get-MailboxStatistics"
    " <mailbox> | fl TotalItemSize shows the size; or keep no copies: Set-Mailbox <mailbox>"
    " -MessageCopyForSMTPClientSubmissionEnabled $false",
    "exchange-admin",
)
_no_logon = Diagnosis(
    "mailbox-logon-failure",
    "Microsoft could not open <mailbox> to send from it.",
    "If it does not pass, the app or user that signs in has no right to open the mailbox.",
    "Add-MailboxPermission <mailbox> -User <client id> -AccessRights FullAccess (with a signed-in"
    " user: -User and the user's address). It takes some minutes to work.",
    "exchange-admin",
)
_personal_proof = Diagnosis(
    "personal-proof-needed",
    "Microsoft wants proof that this Outlook.com account belongs to a person.",
    "Its service found the sending unusual.",
    "Sign in once at https://outlook.live.com as <mailbox> and answer what is asked.",
    "mailbox-user",
)
_personal_suspended = Diagnosis(
    "personal-suspended",
    "Microsoft has suspended this Outlook.com account.",
    "Its service found abuse, or thinks it did.",
    "Sign in at https://outlook.live.com as <mailbox> and follow the way to recover the account.",
    "mailbox-user",
)
_no_relay = Diagnosis(
    "unable-to-relay",
    "Microsoft does not relay for this session.",
    "The configured host is not the submission host, or the session is not signed in.",
    "Check the SMTP host of the mailbox's cloud (world-wide: smtp.office365.com, port 587)."
    " It is tried again each hour.",
    "operator",
)
_store_blip = Diagnosis(
    "store-transient",
    "Microsoft's mailbox store had a passing fault.",
    "The text says it is transient, though the code is that of a refusal.",
    "Nothing: it is tried again.",
    "nobody",
)
_draining = Diagnosis(
    "session-closed",
    "Microsoft closed the session.",
    "A server goes out of service, or the session was idle or old.",
    "Nothing: it is tried again on another connection.",
    "nobody",
)

ROWS: Final = (
    Row(
        SENDER_OR_CONTENT,
        hold(Scope.MAILBOX, _full),
        words=("quotaexceeded", "mailbox full", "mailbox is full"),
    ),
    Row(
        SENDING,
        retry_then(2, hold(Scope.SENDER, _send_as)),
        words=("sendasdenied", "not allowed to send as"),
    ),
    Row(SENDING, hold(Scope.SENDER, _send_as), words=("permissions to send as this sender",)),
    Row(
        SENDING,
        retry_then(3, hold(Scope.MAILBOX, _no_logon)),
        words=("mailbox logon failure", "mapiexceptionlogonfailed"),
    ),
    Row(
        SENDING,
        hold(Scope.MAILBOX, _personal_proof),
        words=("verdict is hipsend", "verdict is hipnotify", "verdict is showtierupgrade"),
    ),
    Row(SENDING, hold(Scope.MAILBOX, _personal_suspended), words=("verdict is suspend",)),
    Row(SENDING, hold(Scope.MAILBOX, _no_relay), words=("unable to relay",)),
    Row(SENDING, retry_fast(_draining), words=("service not active",)),
    Row(SENDING, retry(_store_blip), words=("transient",)),
    Row(SENDING, refresh_token(hold(Scope.MAILBOX, _not_signed_in)), status=("5.7.57",)),
    Row(SENDING, hold(Scope.SENDER, _send_as), status=("5.7.60",)),
    Row(SENDING, retry_then(2, hold(Scope.SENDER, _send_as)), status=("5.2.252",)),
    Row(SENDING, hold(Scope.MAILBOX, _restricted), status=("5.1.8",)),
    Row(SENDING, hold(Scope.MAILBOX, _banned), status=("5.7.501-503", "5.7.511")),
    Row(SENDING, hold(Scope.TENANT, _tenant_ip), status=("5.7.708",)),
    Row(SENDING, hold(Scope.SENDER, _domain), status=("5.7.750",)),
    Row(SENDING, hold(Scope.TENANT, _tenant_threshold), status=("5.7.700-702", "5.7.704-749")),
    Row(SENDING, refresh_token(hold(Scope.MAILBOX, _not_signed_in)), codes=(530,)),
    Row(SENDING, retry_then(3, hold(Scope.MAILBOX, _no_logon)), codes=(430,)),
    Row(SENDING, retry_fast(_draining), codes=(421,)),
)
