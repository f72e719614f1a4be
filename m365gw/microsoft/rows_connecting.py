"""Answers to the connection, EHLO and STARTTLS: never about one message.

They concern the host as seen from here, so all mailboxes wait together.
"""

from __future__ import annotations

from typing import Final

from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.reactions import HOUR, Scope, hold, retry_fast, stop
from m365gw.microsoft.rows import ANYWHERE, BEFORE_MAIL, CONNECTING, Defaults, Phase, Row

QUARTER_HOUR: Final = 900.0

_unreachable = Diagnosis(
    "host-unreachable",
    "Microsoft 365 could not be reached.",
    "The connection was refused, timed out or broke: the network, the name service, a firewall or"
    " Microsoft's front end.",
    "Nothing at first: it is tried again each minute and the mail waits. If it lasts, look at name"
    " service and firewall: nc -vz smtp.office365.com 587",
    "operator",
)
_draining = Diagnosis(
    "host-draining",
    "One of Microsoft's servers is going out of service.",
    "This is routine; the next connection reaches another one.",
    "Nothing.",
    "nobody",
)
_host_connections = Diagnosis(
    "host-connections",
    "Microsoft takes no more connections from this address at the moment.",
    "There is a limit of connections for each client address or server.",
    "Nothing if it is rare. If it repeats, lower governor.connections, and look for other programs"
    " that send from the same address.",
    "operator",
)
_old_tls = Diagnosis(
    "tls-too-old",
    "Microsoft refuses the TLS version of this host.",
    "TLS 1.2 is the least that is taken; the TLS library of this host, or a device between that"
    " opens TLS, offers less.",
    "Update OpenSSL and remove settings that force TLS 1.0 or 1.1 (openssl version;"
    " /etc/ssl/openssl.cnf), or take the device out of the path. It is tried"
    " again each hour.",
    "operator",
)
_bad_helo = Diagnosis(
    "helo-refused",
    "Microsoft refuses the name this gateway gives in EHLO.",
    "The name is not a valid host name, or it is Microsoft's own.",
    'Set hostname in m365gw.toml to the full name of this host, like "relay.example.com".',
    "operator",
)
_no_starttls = Diagnosis(
    "starttls-missing",
    "The server does not offer STARTTLS, so nothing was sent to it.",
    "Microsoft always offers it: something between, often a firewall with mail inspection, takes"
    " it out, or the configured host is not Microsoft's.",
    "Switch off SMTP inspection for port 587 on the firewall (Cisco: no inspect esmtp), and check"
    " the SMTP host of the mailbox's cloud.",
    "operator",
)
_no_xoauth2 = Diagnosis(
    "xoauth2-missing",
    "The server does not offer AUTH XOAUTH2, so this gateway cannot sign in.",
    "Microsoft always offers it after STARTTLS: the configured host is another one, or a device"
    " between answers in its place.",
    "Check the SMTP host of the mailbox's cloud, and switch off mail inspection on the firewall.",
    "operator",
)
_certificate = Diagnosis(
    "certificate-refused",
    "The server's certificate could not be verified, so nothing was sent to it.",
    "A device between opens TLS with a certificate of its own, the host's list of authorities is"
    " old, the clock is wrong, or the host name does not fit the certificate.",
    "Look at it: openssl s_client -starttls smtp -connect smtp.office365.com:587. Then exempt the"
    " host from TLS inspection, update ca-certificates, or mend the clock.",
    "operator",
)
_ip_throttled = Diagnosis(
    "ip-throttled",
    "Microsoft slows this address down (server busy).",
    "Its reputation service sees unusual traffic from this public address, or it is short of"
    " capacity.",
    "Nothing at first: it is tried again in 5 to 15 minutes. If it lasts for hours, check that no"
    " other host sends spam through the same public address.",
    "nobody",
)
_ip_banned = Diagnosis(
    "ip-banned",
    "Microsoft does not take mail from this public address.",
    "The address exceeded a limit or is on Microsoft's block list.",
    "Find out what sends from this address and stop it, then ask for removal at"
    " https://sender.office.com, or send from another address. Mail waits meanwhile.",
    "operator",
)
_temporary = Diagnosis(
    "connecting-temporary",
    "Microsoft said: not now, before any mail was offered.",
    "This is trouble of the service or of the connection, not of a message.",
    "Nothing: it is tried again in a minute.",
    "nobody",
)
_permanent = Diagnosis(
    "unknown-connecting-refused",
    "Microsoft refuses this host before any mail was offered.",
    "The answer is not a known one. It concerns the connection, so no message is returned for it.",
    "Read the answer. It is tried again every 5 minutes; if it lasts, check the SMTP host, the"
    " hostname setting and the public address of this host.",
    "operator",
)

_lasting_refusal = stop(
    Scope.HOST,
    300,
    _permanent,
    patience=QUARTER_HOUR,
    then=stop(Scope.HOST, 300, _permanent, alarm=True),
)

ROWS: Final = (
    Row(
        BEFORE_MAIL,
        stop(Scope.HOST, 300, _no_starttls, alarm=True),
        codes=(0,),
        words=("starttls is not offered",),
    ),
    Row(
        BEFORE_MAIL,
        stop(Scope.HOST, 300, _no_xoauth2, alarm=True),
        codes=(0,),
        words=("xoauth2 is not offered",),
    ),
    Row(
        BEFORE_MAIL,
        stop(Scope.HOST, 300, _certificate, alarm=True),
        codes=(0,),
        words=("certificate",),
    ),
    Row(BEFORE_MAIL, stop(Scope.HOST, 60, _host_connections), words=("concurrent server conn",)),
    Row(BEFORE_MAIL, stop(Scope.HOST, 60, _host_connections), words=("concurrent connections",)),
    Row(BEFORE_MAIL, retry_fast(_draining, Scope.HOST), words=("service not active",)),
    Row(
        ANYWHERE,
        hold(Scope.MAILBOX, _old_tls),
        status=("4.7.66", "5.7.66", "5.7.67"),
    ),
    Row(
        BEFORE_MAIL,
        stop(Scope.HOST, 300, _bad_helo, alarm=True),
        status=("5.7.506",),
    ),
    Row(
        ANYWHERE,
        stop(Scope.HOST, 300, _ip_throttled, ceiling=QUARTER_HOUR),
        status=("4.7.500-699", "4.7.850-899"),
    ),
    Row(
        ANYWHERE,
        stop(Scope.HOST, HOUR, _ip_banned, alarm=True),
        status=("5.7.508", "5.7.606-649"),
    ),
    Row(
        frozenset({Phase.EHLO}),
        stop(Scope.HOST, 300, _bad_helo, alarm=True),
        codes=(501, 554),
    ),
)

DEFAULTS: Final = dict.fromkeys(
    CONNECTING,
    Defaults(
        lost=stop(Scope.HOST, 60, _unreachable),
        temporary=stop(Scope.HOST, 60, _temporary),
        permanent=_lasting_refusal,
    ),
)
