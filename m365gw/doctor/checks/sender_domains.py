"""D17: SPF, DKIM and DMARC of the domains mail is sent from. Only told: mail goes without them.

What is missing is named as the record to add. Microsoft signs and is allowed to send by these.
"""

from __future__ import annotations

from typing import Final

from m365gw.config.clouds import clouds_of
from m365gw.doctor.case import Gateway
from m365gw.doctor.finding import Seen, note
from m365gw.doctor.lookups import Answer

SPF: Final = "v=spf1 include:spf.protection.outlook.com -all"
MOST_DOMAINS: Final = 10
_RESERVED: Final = (".example", ".test", ".invalid", ".localhost", ".local", ".internal")


async def look(gateway: Gateway) -> Seen:
    """D17."""
    domains = sender_domains(gateway)
    asked = [domain for domain in domains if not f".{domain}".endswith(_RESERVED)]
    tried = f"SPF, DKIM and DMARC of {', '.join(asked) or 'no domain'}"
    words = [await _domain(gateway, domain) for domain in asked[:MOST_DOMAINS]]
    if len(asked) > MOST_DOMAINS:
        words.append(f"not asked: {', '.join(asked[MOST_DOMAINS:])}")
    return note(tried, "; ".join(words) or "no domain of a mailbox is in the public DNS")


def sender_domains(gateway: Gateway) -> list[str]:
    """The domains of mailboxes (not of a rehearsal) and of the senders that use them."""
    settings = gateway.settings
    clouds = clouds_of(settings)
    real = {one.address for one in settings.mailbox if not clouds[one.cloud].rehearsal}
    rules = (*settings.client, *settings.network, *settings.local)
    addresses = [
        *sorted(real),
        *(sender for rule in rules if rule.mailbox in real for sender in rule.senders),
    ]
    domains = (address.rpartition("@")[2].lower() for address in addresses)
    return list(dict.fromkeys(domain for domain in domains if "." in domain and "*" not in domain))


async def _domain(gateway: Gateway, domain: str) -> str:
    ask = gateway.tools.ask_dns
    spf = await ask(domain, "TXT")
    dmarc = await ask(f"_dmarc.{domain}", "TXT")
    dkim = await ask(f"selector1._domainkey.{domain}", "CNAME")
    return f"{domain}: " + ", ".join(
        [
            _spf(spf),
            _record(dkim, "DKIM", "", "Defender portal > Email authentication settings > DKIM"),
            _record(dmarc, "DMARC", "v=DMARC1", f'add TXT _dmarc.{domain} "v=DMARC1; p=none"'),
        ]
    )


def _spf(answer: Answer) -> str:
    if answer.fault:
        return f"SPF unknown ({answer.fault})"
    found = [text for text in answer.records if text.lower().startswith("v=spf1")]
    if not found:
        return f'no SPF (add TXT "{SPF}")'
    if len(found) > 1:
        return "two SPF records, which is an error (keep one)"
    is_listed = "protection.outlook." in found[0].lower()
    return "SPF lists Microsoft" if is_listed else f"SPF lacks Microsoft (add {SPF.split()[1]})"


def _record(answer: Answer, name: str, begin: str, fix: str) -> str:
    if answer.fault:
        return f"{name} unknown ({answer.fault})"
    is_there = any(text.startswith(begin) for text in answer.records)
    return f"{name} is there" if is_there else f"no {name} ({fix})"
