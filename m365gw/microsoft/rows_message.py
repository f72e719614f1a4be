"""Answers within a transaction that are about this message or one of its recipients.

Only here does mail end in a bounce, and only by a row that says so or by a refusal that comes
twice, ten minutes apart.
"""

from __future__ import annotations

from typing import Final

from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.reactions import bounce, bounce_if_repeated, retry, retry_fast, split
from m365gw.microsoft.rows import SENDING, Defaults, Phase, Row

AT_MAIL: Final = frozenset({Phase.MAIL})
AT_RCPT: Final = frozenset({Phase.RCPT})
AT_DATA: Final = frozenset({Phase.DATA})

_sender_syntax = Diagnosis(
    "sender-address-invalid",
    "The address of the sender is not valid: <sender>.",
    "Microsoft cannot read it as a mail address.",
    "Correct the sender address in the program or device that sent the message.",
    "sender",
)
_too_large = Diagnosis(
    "message-too-large",
    "The message is larger than the sending mailbox may send.",
    "The limit is 35 MB unless it was raised; attachments grow by a third on the way.",
    "Send fewer or smaller attachments, or raise the limit: Set-Mailbox <mailbox> -MaxSendSize"
    " 150MB",
    "sender",
)
_recipient_syntax = Diagnosis(
    "recipient-address-invalid",
    "The recipient's address is not valid.",
    "Microsoft cannot read it as a mail address.",
    "Correct the address and send again.",
    "sender",
)
_recipient_unknown = Diagnosis(
    "recipient-unknown",
    "There is no such recipient.",
    "The address does not exist at its domain, or not any more.",
    "Check the address for a typing mistake and send again.",
    "sender",
)
_recipient_blocked = Diagnosis(
    "recipient-refuses",
    "The recipient's side does not take this mail.",
    "A rule or a block list over there refuses it.",
    "Ask the recipient in another way to allow your address.",
    "sender",
)
_hve_external = Diagnosis(
    "high-volume-external",
    "High Volume Email accounts cannot send to addresses outside the organisation.",
    "The message left by a High Volume Email mailbox, but its recipient is external.",
    "Give this sender a normal mailbox in the gateway's rules, then send again.",
    "operator",
)
_too_many = Diagnosis(
    "too-many-recipients",
    "Microsoft takes fewer recipients at a time than were offered.",
    "There is a limit for each message, by default 500.",
    "Nothing: the others are sent in further transactions. If it repeats, lower"
    " governor.recipients_per_message, or: Set-Mailbox <mailbox> -RecipientLimits 1000",
    "nobody",
)
_pair_rate = Diagnosis(
    "recipient-pair-rate",
    "This sender writes to this recipient too often.",
    "Microsoft limits the rate for each pair.",
    "Nothing: it is tried again later.",
    "nobody",
)
_recipient_rate = Diagnosis(
    "recipient-rate",
    "The recipient gets too much mail at the moment.",
    "A mailbox may receive 3,600 messages an hour, a third of them from one sender.",
    "Nothing: it is tried again later.",
    "nobody",
)
_busy = Diagnosis(
    "service-busy",
    "Microsoft is short of resources.",
    "This is trouble of the service.",
    "Nothing: it is tried again later.",
    "nobody",
)
_blocked_by_tenant = Diagnosis(
    "recipient-blocked-by-tenant",
    "The tenant's own block list names this recipient or its domain.",
    "Microsoft then refuses the message for all its recipients; they are tried one by one.",
    "If the mail is wanted: Defender portal > Policies & rules > Threat policies > Tenant"
    " Allow/Block Lists, remove the entry, and send again.",
    "exchange-admin",
)
_rule = Diagnosis(
    "transport-rule",
    "A mail flow rule of the organisation refuses the message.",
    "An administrator made a rule that this message meets.",
    "The text of the answer often says which rule: Exchange admin centre > Mail flow > Rules."
    " Change the message or the rule, and send again.",
    "exchange-admin",
)
_bad_mime = Diagnosis(
    "message-malformed",
    "Microsoft cannot read the message.",
    "Its structure is broken, or a header field is longer than 32,768 characters.",
    "Mend the program that made it; the answer names the place.",
    "sender",
)
_bare_line_feed = Diagnosis(
    "bare-line-feed",
    "The message holds line feeds without carriage returns.",
    "The gateway does not take such messages, so it should never send one.",
    "Please report this as a fault of the gateway, with the queue id.",
    "operator",
)
_no_from = Diagnosis(
    "from-missing",
    "The message has no valid From header.",
    "Microsoft requires exactly one with an address.",
    "Set the sender's address in the program or device that made the message.",
    "sender",
)
_loop = Diagnosis(
    "mail-loop",
    "The message goes round in a circle.",
    "It passed too many servers: two of them send it to each other.",
    "Look at its Received fields for a name that repeats, and correct the route there (forwarding"
    " rule, connector, or this gateway's clients).",
    "operator",
)
_out_of_step = Diagnosis(
    "dialogue-out-of-step",
    "Microsoft and this gateway disagree about where they are in the dialogue.",
    "It is not the message: a device between may change commands, or it is a fault of the gateway.",
    "If it lasts, switch off mail inspection for port 587 on the firewall, and report it with the"
    " log of one session.",
    "operator",
)
_store = Diagnosis(
    "unknown-store-error",
    "Microsoft's mailbox store refuses the message with an error we do not know.",
    "It may be the message, the mailbox or the store.",
    "It is tried again; only if the same answer comes ten minutes later or more, the message is"
    " returned. Read the answer: the name after Exception: tells most.",
    "operator",
)
_mixed = Diagnosis(
    "unknown-mixed-classes",
    "Microsoft's answer is both temporary and final: its code and its status disagree.",
    "So it is taken as temporary.",
    "Nothing at first: it is tried again until the queue lifetime ends. Read the answer if it"
    " lasts.",
    "operator",
)
_temporary = Diagnosis(
    "unknown-temporary",
    "Microsoft said: not now.",
    "The answer is a temporary one without a known cause.",
    "Nothing at first: it is tried again. Read the answer if it lasts.",
    "nobody",
)
_permanent = Diagnosis(
    "unknown-refused",
    "Microsoft refuses the message with an answer we do not know.",
    "It may be the message, or a condition that passes.",
    "It is tried again; only if the same answer comes ten minutes later or more, the message is"
    " returned. Read the answer.",
    "operator",
)
_lost = Diagnosis(
    "connection-lost",
    "The connection broke while the message was sent.",
    "The network, a firewall or Microsoft's front end closed it before the answer.",
    "Nothing at first: it is tried again. If it always happens to large messages, look for a"
    " firewall that cuts long connections.",
    "nobody",
)

_unknown_refusal = bounce_if_repeated(_permanent)

MIXED: Final = retry(_mixed)  # code and status of different classes, and no row that knows it

ROWS: Final = (
    Row(SENDING, retry(_pair_rate), words=("rate from sender to recipient",)),
    Row(AT_DATA, bounce(_rule), words=("transport.rules.rejectmessage",)),
    Row(AT_RCPT | AT_DATA, split(retry(_too_many)), words=("resolver.adr.reciplimit",)),
    Row(AT_DATA, bounce_if_repeated(_bad_mime), words=("invalid mime content",)),
    Row(AT_MAIL, bounce(_sender_syntax), status=("5.1.7",)),
    Row(AT_MAIL | AT_DATA, bounce(_too_large), status=("5.3.4", "5.2.3")),
    Row(AT_MAIL | AT_DATA, bounce(_too_large), codes=(552,), status=("",)),
    Row(AT_RCPT, bounce(_recipient_syntax), status=("5.1.3",)),
    Row(AT_RCPT, bounce(_recipient_unknown), status=("5.1.1", "5.1.10", "5.4.1")),
    Row(AT_RCPT, split(retry(_too_many)), status=("4.5.3",)),
    Row(AT_RCPT, split(retry(_too_many)), codes=(452,), status=("",)),
    Row(AT_RCPT | AT_DATA, split(retry(_too_many)), status=("5.5.3",)),
    Row(
        AT_RCPT,
        bounce(_recipient_blocked),
        status=("5.7.504-505", "5.7.507", "5.7.510"),
    ),
    Row(AT_RCPT, bounce(_hve_external, alarm=True), status=("5.5.105",)),
    Row(SENDING, retry(_recipient_rate), status=("5.2.121-122",)),
    Row(SENDING, retry(_busy), codes=(421, 450, 451, 452), status=("4.3.1", "4.3.2")),
    Row(
        AT_RCPT | AT_DATA,
        split(bounce(_blocked_by_tenant)),
        status=("5.7.703",),
    ),
    Row(AT_DATA, bounce(_rule), status=("5.7.900-999",)),
    Row(AT_DATA, bounce_if_repeated(_bad_mime), status=("5.6.0", "5.6.211")),
    Row(AT_DATA, bounce_if_repeated(_bare_line_feed, alarm=True), status=("5.6.11",)),
    Row(AT_DATA, bounce(_no_from), status=("5.7.512",)),
    Row(AT_DATA, bounce(_loop, alarm=True), status=("5.4.14", "5.4.6")),
    Row(SENDING, retry(_out_of_step), codes=(500, 502, 503)),
    Row(AT_DATA, bounce_if_repeated(_store), words=("storedrv", "exception:"), last=True),
)

DEFAULTS: Final = dict.fromkeys(
    SENDING,
    Defaults(lost=retry_fast(_lost), temporary=retry(_temporary), permanent=_unknown_refusal),
)
