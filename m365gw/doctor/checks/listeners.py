"""D16: mail in: each listener greets, its certificate lasts, and no stranger may relay.

A listener that wants a PROXY header from this machine cannot be tried from here. Whether a
stranger may relay is asked of the rules themselves, with addresses that belong to nobody: whatever
a rule lets them send, that there is one for them is too much.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Final, cast

from cryptography import x509
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.protocol import Factory

from m365gw.config.settings import Listener, Settings
from m365gw.doctor.finding import Seen, bad, doubtful, good, note
from m365gw.doctor.gateway import Gateway
from m365gw.edge.admission.admission import Admission, Visitor
from m365gw.edge.admission.rules import Rule
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.remedies import Remedy
from m365gw.relay.exit.wire import Lost, Wire, cause

TIMEOUT: Final = 5.0  # seconds
WARN_DAYS: Final = 30
STRANGERS: Final = ("192.0.2.1", "2001:db8::1")  # of RFC 5737 and RFC 3849: nobody's


async def look(gateway: Gateway) -> Seen:
    """D16."""
    settings, tools = gateway.settings, gateway.tools
    names = ", ".join(one.name for one in settings.listener) or "none"
    tried = f"listeners {names}: greeting, certificate, strangers at {' and '.join(STRANGERS)}"
    trouble = _open_relay(settings) or _trusting_everybody(settings)
    if trouble is not None:
        return bad(tried, trouble.what, trouble, _fix(trouble))
    left = await tools.calls.call(_certificate_days, settings, tools.reactor.seconds())
    facts = tools.facts()
    if not facts.is_running:
        return note(tried, f"the service does not run; certificate: {_days(left)}")
    answers = []
    for place in facts.places:
        listener = next(one for one in settings.listener if one.name == place["listener"])
        words, diagnosis = await _greeting(tools.reactor, listener, place["address"])
        if diagnosis is not None:
            return bad(tried, words, diagnosis, _fix(diagnosis))
        answers.append(words)
    came_back = f"{'; '.join(answers)}; certificate: {_days(left)}"
    if left is not None and left <= WARN_DAYS:
        diagnosis = Diagnosis(
            "listener-certificate-ends",
            f"The certificate clients see: {_days(left)}.",
            "Clients that verify it will no longer connect then.",
            f"Renew {settings.tls.certificate or 'it'}; it is taken within a minute.",
            "operator",
        )
        return doubtful(tried, came_back, diagnosis, _fix(diagnosis))
    return good(tried, came_back)


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
                    f" {rule.place}.",
                    "operator",
                )
    return None


def _trusting_everybody(settings: Settings) -> Diagnosis | None:
    for listener in settings.listener:
        for network in listener.proxy_from:
            if network != "unix" and ip_network(network, strict=False).prefixlen == 0:
                return Diagnosis(
                    "proxy-from-anybody",
                    f'Listener "{listener.name}" believes a PROXY header of anybody.',
                    f"proxy_from holds {network}: everyone can say to be a trusted address.",
                    "Name the addresses of your load balancers only.",
                    "operator",
                )
    return None


async def _greeting(reactor: Any, listener: Listener, address: str) -> tuple[str, Diagnosis | None]:
    """What one listener says to a client from this machine, and what is wrong with that."""
    name = f"{listener.name} {address}"
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        return f"{name}: not on TCP", None
    if listener.proxy_from:
        return f"{name}: wants a PROXY header, not tried", None
    if listener.tls == "implicit":
        return f"{name}: TLS at once, not tried", None
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    kind: Any = TCP6ClientEndpoint if ":" in host else TCP4ClientEndpoint
    factory = Factory.forProtocol(partial(Wire, reactor))
    factory.noisy = False
    try:
        wire = cast(Wire, await kind(reactor, host, int(port), timeout=TIMEOUT).connect(factory))
        banner = await wire.reply(TIMEOUT)
    except Exception as problem:
        words = str(problem) if isinstance(problem, Lost) else cause(problem)
        diagnosis = Diagnosis(
            "listener-silent",
            f'Listener "{listener.name}" does not greet at {address}.',
            f"{words}. Its connections may all be used, or a firewall of this machine stands"
            " between.",
            "Look at m365gw status and the log.",
            "operator",
        )
        return f"{name}: {words}", diagnosis
    wire.write(b"QUIT\r\n")
    wire.hang_up()
    return f"{name}: {str(banner)[:60]}", None


def _certificate_days(settings: Settings, now: float) -> int | None:
    """Days the certificate clients see has left; None when it cannot be read. Blocking."""
    file = settings.tls.certificate or str(Path(settings.state_dir, "tls", "self-signed.crt"))
    try:
        certificate = x509.load_pem_x509_certificate(Path(file).read_bytes())
    except (OSError, ValueError):
        return None
    return (certificate.not_valid_after_utc - datetime.fromtimestamp(now, UTC)).days


def _days(left: int | None) -> str:
    if left is None:
        return "none yet"
    return f"{left} days left" if left >= 0 else "it has ended"


def _fix(diagnosis: Diagnosis) -> Remedy:
    return Remedy(diagnosis.why, diagnosis.fix, "", "operator", "after m365gw reload")
