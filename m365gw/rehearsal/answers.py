"""What Exchange Online says, as it is known from its documents and from transcripts.

Each answer has a name, so that faults can be scripted by it. An answer is one line of text: code,
enhanced status, words.
"""

from __future__ import annotations

ANSWERS: dict[str, str] = {
    # at connect
    "not-active": "421 4.3.2 Service not active",
    "too-many-connections": "421 4.3.2 The maximum number of concurrent server connections has "
    "exceeded a limit, closing transmission channel",
    "timed-out": "421 4.4.1 Connection timed out",
    "too-many-errors": "421 4.7.0 Too many errors on this connection, closing transmission channel",
    # commands
    "unknown-command": "500 5.3.3 Unrecognized command",
    "line-too-long": "500 5.5.6 Authentication Exchange line is too long",
    "bad-arguments": "501 5.5.4 Invalid arguments",
    "bad-name": "501 5.5.4 Invalid domain name",
    "bad-helo": "554 5.7.506 Access Denied, Bad HELO",
    "bad-sequence": "503 5.5.1 Bad sequence of commands",
    "no-recipients": "503 5.5.2 Need rcpt command",
    # AUTH
    "auth-ok": "235 2.7.0 Authentication successful",
    "auth-failed": "535 5.7.3 Authentication unsuccessful",
    "auth-cancelled": "501 5.7.0 Authentication cancelled",
    "auth-malformed": "501 5.5.124 Invalid XOAUTH2 auth data",
    "auth-type": "504 5.7.4 Unrecognized authentication type",
    "token-ends-soon": "501 5.5.127 Invalid XOAUTH2 auth data - Token will expire soon",
    "disabled-tenant": "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is "
    "disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information.",
    "disabled-mailbox": "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is "
    "disabled for the Mailbox. Visit https://aka.ms/smtp_auth_disabled for more information.",
    "security-defaults": "535 5.7.139 Authentication unsuccessful, user is locked by your "
    "organization's security defaults policy. Contact your administrator.",
    "conditional-access": "535 5.7.139 Authentication unsuccessful, the request did not meet the "
    "criteria to be authenticated successfully. Contact your administrator.",
    "basic-disabled": "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.",
    "bad-password": "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.",
    "federation-down": "535 5.7.139 Authentication unsuccessful, the federated STS service was "
    "unreachable",
    "basic-retired": "550 5.7.30 Basic authentication is not supported for Client Submission.",
    "old-tls": "421 4.7.66 TLS 1.0 and 1.1 are not supported. Please upgrade/update your client "
    "to support TLS 1.2. Visit https://aka.ms/smtp_auth_tls.",
    "proxy-trouble": "451 4.7.0 Temporary server error. Please try again later. PRX2",
    "auth-later": "454 4.7.0 Temporary authentication failure",
    # MAIL
    "not-authenticated": "530 5.7.57 Client not authenticated to send mail.",
    "send-as": "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
    "blocked-sender": "550 5.1.8 Access denied, bad outbound sender",
    "connection-limit": "421 4.4.2 Message submission limit of this connection has been reached",
    "bad-sender": "501 5.1.7 Invalid address",
    "too-large": "552 5.3.4 Message size exceeds fixed maximum message size",
    "tenant-threshold": "550 5.7.705 Access denied, tenant has exceeded threshold",
    "low-reputation": "550 5.7.708 Access denied, traffic not accepted from this IP",
    "unregistered-domain": "550 5.7.750 Service unavailable. Client blocked from sending from "
    "unregistered domain",
    # RCPT
    "bad-recipient": "501 5.1.3 Invalid address",
    "unknown-recipient": "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found",
    "not-attributed": "550 5.7.64 TenantAttribution; Relay Access Denied",
    "direct-send": "550 5.7.68 TenantInboundAttribution; Direct Send not allowed for this "
    "organization from unauthorized sources",
    "too-many-recipients": "452 4.5.3 Too many recipients",
    # the final dot
    "concurrent": "432 4.3.2 Concurrent connections limit exceeded. Visit "
    "https://aka.ms/concurrent_sending for more information.",
    "thread-limit": "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded",
    "rate": "451 4.4.2 Message submission rate for this client has exceeded the configured limit",
    "excessive-rate": "450 4.5.127 Message rejected. Excessive message rate from sender. "
    "For more information see https://aka.ms/EXOSmtpErrors",
    "server-busy": "451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (S77719)",
    "resources": "452 4.3.1 Insufficient system resources",
    "mailbox-busy": "554 4.3.2 mailbox busy; STOREDRV; mailbox server is too busy",
    "logon-failed": "430 4.2.0 STOREDRV; mailbox logon failure; "
    "STOREDRV.Submission.Exception:ConnectionFailedTransientException.MapiExceptionLogonFailed",
    "quota": "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException."
    "MapiExceptionSubmissionQuotaExceeded; Failed to process message due to a permanent exception "
    "with message The message can't be submitted because the sender's submission quota was "
    "exceeded.",
    "daily-limit": "550 5.1.90 Your message can't be sent because you've reached your daily limit "
    "for message recipients",
    "mailbox-full": "554 5.2.0 STOREDRV.Submission.Exception:QuotaExceededException."
    "MapiExceptionShutoffQuotaExceeded; Failed to process message due to a permanent exception",
    "from-denied": "554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException."
    "MapiExceptionSendAsDenied; Failed to process message due to a permanent exception with "
    "message 5.2.252 SendAsDenied; {mailbox} not allowed to send as {sender}",
    "store-blip": "554 5.2.0 STOREDRV.Submission.Exception:StorageTransientException; Failed to "
    "process message",
    "tenant-limit": "550 5.7.233 Your message can't be sent because your tenant exceeded its daily "
    "limit for sending email to external recipients",
    "rule": "550 5.7.1 TRANSPORT.RULES.RejectMessage; the message was rejected by organization "
    "policy",
    "bare-line-feed": "550 5.6.11 SMTPSEND.BareLinefeedsAreIllegal; message contains bare "
    "linefeeds, which cannot be sent via DATA",
    "field-too-long": "554 5.6.211 Invalid MIME Content: Single text value size ({size}) exceeded "
    "allowed maximum (32768).",
    "no-from": "550 5.7.512 Access denied, message must be RFC 5322 section 3.6.2 compliant",
    "hop-count": "554 5.4.14 Hop count exceeded - possible mail loop ATTR34",
    "recipient-limit": "550 5.5.3 RESOLVER.ADR.RecipLimit; too many recipients",
}


def answer(name_or_text: str) -> str:
    """The answer of a name; a text that begins with a three-digit code stands for itself.

    ValueError: neither a name nor an answer.
    """
    known = ANSWERS.get(name_or_text)
    if known is not None:
        return known
    code, separator, _ = name_or_text.partition(" ")
    clean = "\r" not in name_or_text and "\n" not in name_or_text
    if len(code) == 3 and code.isdecimal() and code[0] in "2345" and separator and clean:
        return name_or_text
    raise ValueError(f"{name_or_text!r} is neither a known answer nor a code with text")
