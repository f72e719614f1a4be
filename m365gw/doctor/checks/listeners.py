"""D16: mail in: each listener serves a client, its certificate is good, and no stranger may relay.

The running service says where it listens; there we come as a client does (`doctor.knock`), with TLS
at once where the listener begins with it. Whether a stranger may relay is asked of the rules
themselves, with addresses that belong to nobody: whatever a rule lets them send, that there is one
for them is too much.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Final

from m365gw.config.checks.listeners import UNIX
from m365gw.config.settings import Listener, Settings
from m365gw.doctor.case import Gateway
from m365gw.doctor.checks import listener_certificate
from m365gw.doctor.finding import Seen, bad, doubtful, good, note
from m365gw.doctor.knock import Knock, Silent, knock
from m365gw.doctor.witness import Presented
from m365gw.edge.admission.admission import Admission, Visitor
from m365gw.edge.admission.rules import Rule
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.remedies import Remedy

STRANGERS: Final = ("192.0.2.1", "2001:db8::1")  # of RFC 5737 and RFC 3849: nobody's
_OWN_PREFIX: Final = 7  # fc00::/7 is the widest network that can be one's own
_TLS_FIRST: Final = {"implicit": (True,), "auto": (True, False)}  # the ways a client may begin
_FAILURES: Final = frozenset({"listener-silent", listener_certificate.ENDED})


async def look(gateway: Gateway) -> Seen:
    """D16."""
    settings, tools = gateway.settings, gateway.tools
    names = ", ".join(one.name for one in settings.listener) or "none"
    tried = f"listeners {names}: as a client, and as strangers at {' and '.join(STRANGERS)}"
    trouble = _open_relay(settings) or _trusting_everybody(settings)
    if trouble is not None:
        return bad(tried, trouble.what, trouble, _fix(trouble))
    facts = tools.facts()
    if not facts.is_running:
        words = await tools.calls.call(
            listener_certificate.on_disk, settings, tools.reactor.seconds()
        )
        return note(tried, f"the service does not run, so nobody listens; {words}")
    by_name = {one.name: one for one in settings.listener}
    met: list[str] = []
    shown: dict[str, None] = {}  # certificates, each once however many listeners show it
    doubts: list[Diagnosis] = []
    for place in facts.places:
        listener = by_name.get(place["listener"])
        if listener is None:
            continue  # removed meanwhile
        for tls_first in _TLS_FIRST.get(listener.tls, (False,)):
            words, seen = await _tried(gateway, listener, place["address"], tls_first=tls_first)
            met.append(words)
            if isinstance(seen, Diagnosis):
                doubts.append(seen)
            elif seen is not None:
                at = tools.reactor.seconds()
                shown[listener_certificate.in_words(seen, at)] = None
                doubts += listener_certificate.faults(settings, seen, at)
    came_back = "; ".join([*met, *shown]) or "there is no listener"
    if not doubts:
        return good(tried, came_back)
    worst = min(doubts, key=lambda one: one.key not in _FAILURES)
    fixes = [_fix(each) for each in dict.fromkeys([worst, *doubts])]
    return (bad if worst.key in _FAILURES else doubtful)(tried, came_back, worst, *fixes)


async def _tried(
    gateway: Gateway, listener: Listener, address: str, *, tls_first: bool
) -> tuple[str, Presented | Diagnosis | None]:
    """What a client meets at one place, in words; the certificate it sees, or what is wrong."""
    hostname = gateway.settings.hostname or "localhost"
    name = f"{listener.name} {address}{', TLS at once' if tls_first else ''}"
    try:
        seen = await knock(gateway.tools.reactor, listener, address, hostname, tls_first=tls_first)
    except Silent as silent:
        return f"{name}: {silent}", _silent(listener, address, str(silent))
    words = [", ".join(seen.steps), *_about_balancers(listener, seen)]
    return f"{name}: {'; '.join(words)}", seen.presented


def _silent(listener: Listener, address: str, words: str) -> Diagnosis:
    return Diagnosis(
        "listener-silent",
        f'Listener "{listener.name}" does not serve a client at {address}.',
        f"{words}. Its connections may all be used, or a firewall of this machine stands between.",
        "Look at m365gw status and the log.",
        "operator",
    )


def _about_balancers(listener: Listener, seen: Knock) -> Iterator[str]:
    """What our way in says about that of a load balancer."""
    if not listener.proxy_from:
        return
    here, those = seen.came_from or "a UNIX socket", ", ".join(listener.proxy_from)
    if seen.introduced:
        yield f"{here} is in proxy_from, so this came with a PROXY header as its health check"
    else:
        yield (
            f"{here} is not in proxy_from ({those}), so this came as a client without a load"
            " balancer; the way through one can only be tried from there"
        )


def _open_relay(settings: Settings) -> Diagnosis | None:
    admission = Admission(settings.client, settings.network)
    for listener in settings.listener:
        for stranger in STRANGERS:
            rule = admission.rule_for(Visitor(listener, ip_address(stranger)))
            if isinstance(rule, Rule):
                return Diagnosis(
                    "open-relay",
                    f'Anybody may send through listener "{listener.name}" without a login.',
                    f"Its networks hold the whole internet, and {rule.name} lets it send.",
                    f'Narrow networks of [[listener]] name = "{listener.name}", and the rule'
                    f" of {rule.place}.",
                    "operator",
                )
    return None


def _trusting_everybody(settings: Settings) -> Diagnosis | None:
    for listener in settings.listener:
        for network in listener.proxy_from:
            if network != UNIX and ip_network(network, strict=False).prefixlen < _OWN_PREFIX:
                return Diagnosis(
                    "proxy-from-anybody",
                    f'Listener "{listener.name}" believes a PROXY header of strangers.',
                    f"proxy_from holds {network}, a great part of the internet: whoever is there"
                    " can say to be a trusted address.",
                    "Name the addresses of your load balancers only.",
                    "operator",
                )
    return None


def _fix(diagnosis: Diagnosis) -> Remedy:
    return Remedy(diagnosis.why, diagnosis.fix, "", "operator", "m365gw reload, or a minute")
