"""Answers of Microsoft Graph to sendMail, as rows: the names or the status, and the reaction.

Names are those of Microsoft's lists of response codes and error pages. A permission, a quota or a
mailbox that is not there stops the mailbox; only what is wrong with the message itself ends it.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.reactions import (
    HOUR,
    Reaction,
    Scope,
    bounce,
    bounce_if_repeated,
    done,
    fewer_connections,
    hold,
    refresh_token,
    retry,
    retry_fast,
    set_aside,
    stop,
)


@frozen
class GraphRow:
    """Answers that have one of these names, or else one of these statuses.

    dsn         enhanced status for logs and reports (RFC 3463)
    is_unsure   the message may have been sent all the same
    smtp_may    SMTP, where the mailbox may use it too, is asked at once: it may take the message,
                or says which recipient is wrong
    """

    reaction: Reaction
    names: tuple[str, ...] = ()  # in lower case
    statuses: tuple[int, ...] = ()
    dsn: str = "4.0.0"
    is_unsure: bool = False
    smtp_may: bool = False


_accepted = Diagnosis(
    "accepted", "Microsoft accepted it.", "The answer is positive.", "Nothing.", "nobody"
)
_not_202 = Diagnosis(
    "graph-not-accepted",
    "Microsoft Graph gave an answer that is neither a yes nor a no.",
    "Only 202 means that it took the message. Another positive answer (200) was seen for messages"
    " that were never sent, so nobody knows what became of this one.",
    "Look for it in message trace (Exchange admin centre > Mail flow > Message trace), by its"
    " Message-ID. If it is not there: m365gw queue release; else: m365gw queue remove.",
    "operator",
)
_bad_mime = Diagnosis(
    "graph-message-malformed",
    "Microsoft Graph cannot read the message.",
    "Its structure is broken, or it is a fault of this gateway.",
    "Mend the program that made it. If others can read the message, report it with the queue id.",
    "sender",
)
_bad_recipients = Diagnosis(
    "graph-invalid-recipients",
    "Microsoft Graph refuses a recipient, and with it the whole message.",
    "One of the addresses is not valid; Graph does not say which.",
    "Check the addresses, in To, Cc and Bcc too, and send again. With SMTP as the fallback of"
    " <mailbox> the others would get it.",
    "sender",
)
_too_large = Diagnosis(
    "graph-size-exceeded",
    "The message is larger than Microsoft Graph takes.",
    "A request may have 4 MB, in which a message of about 3 MB fits; or the mailbox has a lower"
    " limit of its own.",
    'Send smaller attachments. Or the operator lets <mailbox> use SMTP too (fallback = "smtp"). If'
    " it repeats with smaller messages: lower governor.graph_request_limit.",
    "sender",
)
_quota = Diagnosis(
    "graph-mailbox-quota",
    "<mailbox> has reached its limit of recipients in 24 hours.",
    "Microsoft allows 10,000 recipients a day for a mailbox, by SMTP and Graph together. Nobody"
    " can reset it; it frees by itself as the 24 hours roll on.",
    "Nothing: it is tried again each hour. If it returns, spread the senders over several"
    " mailboxes, and set governor.recipients_per_day to the true limit.",
    "operator",
)
_blocked = Diagnosis(
    "graph-submission-blocked",
    "Microsoft has blocked <mailbox> from sending.",
    "It sent what looks like spam; or, with a personal account, a person must prove to own it.",
    "Work or school: Microsoft Defender portal > Review > Restricted entities > <mailbox> >"
    " Unblock. Personal: sign in at https://outlook.live.com as <mailbox>, answer what is asked.",
    "exchange-admin",
)
_full = Diagnosis(
    "graph-mailbox-full",
    "<mailbox> itself is full, so Microsoft takes no mail from it.",
    "Each message sent is also kept in its Sent Items.",
    "Empty Sent Items of <mailbox>, and set a retention policy for it. Get-MailboxStatistics"
    " <mailbox> | fl TotalItemSize shows the size.",
    "exchange-admin",
)
_token = Diagnosis(
    "graph-token-refused",
    "Microsoft Graph does not take the token of <mailbox>, not even a new one.",
    "It is for another service than Graph, was revoked, or a policy (Conditional Access,"
    " Continuous Access Evaluation) ended it.",
    "Check graph_scope of the cloud (world-wide: https://graph.microsoft.com/.default), and the"
    " Entra sign-in logs for client id <client id>. With a signed-in user: m365gw mailbox signin"
    " <mailbox>",
    "entra-admin",
)
_denied = Diagnosis(
    "graph-access-denied",
    "The app may not send as <mailbox> by Microsoft Graph.",
    "It has no permission Mail.Send, nobody consented to it, or the scope of its role (or an"
    " application access policy) leaves this mailbox out.",
    "Entra admin centre > App registrations > <client id> > API permissions > Microsoft Graph >"
    " Mail.Send > Grant admin consent. Or with scoped roles: New-ManagementRoleAssignment -App"
    ' <client id> -Role "Application Mail.Send" -CustomResourceScope SCOPE;'
    " Test-ServicePrincipalAuthorization <client id> -Resource <mailbox> says whether it applies."
    " It may take an hour to work.",
    "entra-admin",
)
_send_as = Diagnosis(
    "graph-send-as-denied",
    "<mailbox> may not send as the address in From (envelope sender <sender>).",
    "The address is not one of the mailbox's own, and it has no Send As right on it. Mail of other"
    " senders goes on.",
    "Grant it: Add-RecipientPermission <sender> -Trustee <mailbox> -AccessRights SendAs"
    " -Confirm:$false. If it is an alias of the mailbox: Set-OrganizationConfig"
    " -SendFromAliasEnabled $true. Held mail then goes by itself within an hour.",
    "exchange-admin",
)
_no_mailbox = Diagnosis(
    "graph-mailbox-unknown",
    "Microsoft Graph knows no mailbox <mailbox>.",
    "The address is misspelt, the user was deleted or renamed, or is of another tenant or cloud.",
    "Get-EXOMailbox <mailbox> shows whether it is there. Correct the address of the [[mailbox]],"
    " or restore the user.",
    "exchange-admin",
)
_no_rest = Diagnosis(
    "graph-mailbox-not-online",
    "<mailbox> is no mailbox that Microsoft Graph can use.",
    "It has no Exchange Online licence, is inactive, or lies on a server of the organisation.",
    "Give it an Exchange Online licence (Microsoft 365 admin centre > Active users > <mailbox> >"
    " Licences), or move it to Exchange Online.",
    "exchange-admin",
)
_throttled = Diagnosis(
    "graph-throttled",
    "<mailbox> asks Microsoft Graph too often, or too many things at once.",
    "Graph allows four requests at a time for an app and a mailbox; another program may use both.",
    "Nothing if it is rare: fewer are made for a while, and none until Graph allows it again. If it"
    " repeats, lower governor.connections, and find what else uses the app.",
    "operator",
)
_transient = Diagnosis(
    "graph-transient",
    "Microsoft Graph had a passing fault.",
    "This is trouble of the service.",
    "Nothing: it is tried again.",
    "nobody",
)
_busy = Diagnosis(
    "graph-busy",
    "Microsoft Graph, or the server of <mailbox> behind it, is too busy.",
    "This is trouble of the service.",
    "Nothing: the mailbox waits as long as Graph asks, and longer each time.",
    "nobody",
)
_gateway = Diagnosis(
    "graph-gateway-fault",
    "Between Microsoft Graph and Exchange the answer got lost.",
    "The message may have been sent before that.",
    "Nothing: [queue] on_uncertain says whether it is sent again, and it may then arrive twice.",
    "nobody",
)
_unknown = Diagnosis(
    "unknown-graph-answer",
    "Microsoft Graph gave an answer we do not know.",
    "It may be the message, the mailbox or the service; so it is taken as temporary.",
    "Nothing at first: it is tried again until the queue lifetime ends. Read the answer if it"
    " lasts.",
    "operator",
)
_lost = Diagnosis(
    "graph-connection-lost",
    "The connection to Microsoft Graph broke, or no answer came.",
    "The network, a firewall or Microsoft's front end ended it.",
    "Nothing at first: it is tried again. If it always happens to large messages, look for a"
    " firewall that cuts long connections.",
    "nobody",
)
_unreachable = Diagnosis(
    "graph-unreachable",
    "Microsoft Graph cannot be reached.",
    "The network, a firewall or a name server is in the way, or Microsoft's front end is down.",
    "If it lasts: curl -v https://graph.microsoft.com/v1.0/ on this machine (or the host of your"
    " cloud). Firewalls must let TCP port 443 out.",
    "operator",
)
_untrusted = Diagnosis(
    "graph-certificate-refused",
    "The certificate of Microsoft Graph's host cannot be verified, so nothing was sent.",
    "Something between reads TLS (a proxy, a firewall), or this machine's authorities are old.",
    "Take the host out of TLS inspection, or update ca-certificates; set the clock right.",
    "operator",
)

UNKNOWN: Final = GraphRow(retry(_unknown))
LOST: Final = retry_fast(_lost)
UNREACHABLE: Final = stop(Scope.HOST, 60, _unreachable)
UNTRUSTED: Final = stop(Scope.HOST, 300, _untrusted, alarm=True)

ROWS: Final = (
    GraphRow(done(_accepted), statuses=(202,), dsn="2.0.0"),
    GraphRow(
        stop(Scope.MAILBOX, HOUR, _quota, alarm=True),
        ("errorsubmissionquotaexceeded",),
        dsn="4.2.2",
    ),
    GraphRow(hold(Scope.MAILBOX, _blocked), ("errormessagesubmissionblocked",), dsn="4.7.1"),
    GraphRow(hold(Scope.MAILBOX, _full), ("errorquotaexceeded",), dsn="4.2.2"),
    GraphRow(hold(Scope.SENDER, _send_as), ("errorsendasdenied",), dsn="4.7.1"),
    GraphRow(
        bounce_if_repeated(_bad_mime),
        ("errormimecontentinvalidbase64string", "errormimecontentinvalid"),
        dsn="5.6.0",
    ),
    GraphRow(bounce(_bad_recipients), ("errorinvalidrecipients",), dsn="5.1.3", smtp_may=True),
    GraphRow(bounce(_too_large), ("errormessagesizeexceeded",), (413,), dsn="5.3.4", smtp_may=True),
    GraphRow(hold(Scope.MAILBOX, _no_rest), ("mailboxnotenabledforrestapi",), dsn="4.2.1"),
    GraphRow(
        hold(Scope.MAILBOX, _no_mailbox),
        ("errorinvaliduser", "resourcenotfound", "request_resourcenotfound"),
        (404,),
        dsn="4.2.1",
    ),
    GraphRow(
        refresh_token(hold(Scope.MAILBOX, _token)),
        ("invalidauthenticationtoken",),
        (401,),
        dsn="4.7.0",
    ),
    GraphRow(
        # Permissions stand in the token: one from before they were given would be refused for long.
        refresh_token(hold(Scope.MAILBOX, _denied)),
        ("erroraccessdenied", "authorization_requestdenied"),
        (403,),
        dsn="4.7.1",
    ),
    GraphRow(
        fewer_connections(_throttled, 60, HOUR),
        ("applicationthrottled", "toomanyrequests", "errorexceededconnectioncount"),
        (429,),
        dsn="4.3.2",
    ),
    GraphRow(
        stop(Scope.MAILBOX, 60, _busy, ceiling=HOUR),
        ("errorserverbusy", "errormailboxstoreunavailable"),
        (503,),
        dsn="4.3.2",
    ),
    GraphRow(retry(_transient), ("errorinternalservertransienterror",), (500,), dsn="4.3.0"),
    GraphRow(retry(_gateway), statuses=(502, 504), dsn="4.4.2", is_unsure=True),
    GraphRow(
        set_aside(_not_202, alarm=True),
        statuses=tuple(status for status in range(200, 300) if status != 202),
        dsn="4.0.0",
        is_unsure=True,
    ),
)
