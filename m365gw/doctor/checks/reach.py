"""D04: does each address of the submission host take a connection, and greet."""

from __future__ import annotations

from typing import Final

from m365gw.doctor.case import Case
from m365gw.doctor.finding import Seen, bad, doubtful, good
from m365gw.doctor.visit import ANSWER_TIMEOUT, Arrival, Visit, arrive
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.remedies import Remedy
from m365gw.microsoft.replies import Phase, react

_closed: Final = Diagnosis(
    "port-closed",
    "No address of the submission host takes a connection.",
    "A firewall of yours or of your provider blocks the port; 25 is blocked by many providers.",
    "Open the port outbound from this machine.",
    "operator",
)
_silent: Final = Diagnosis(
    "no-banner",
    "The connection stands, but nobody greets.",
    "A firewall or a mail proxy takes the connection in Microsoft's place and says nothing.",
    "Exempt this machine from mail inspection for the submission host.",
    "operator",
)
_some: Final = Diagnosis(
    "some-addresses-unreachable",
    "Some addresses of the submission host do not answer.",
    "Often IPv6 is set up on this machine but leads nowhere; each connection may lose time by it.",
    "Mend IPv6 on this machine, or switch it off.",
    "operator",
)


async def look(case: Case) -> Seen:
    """D04. Keeps the first connection that greets, for D05 and D06."""
    host, port = case.host_and_port
    tried = f"TCP {port} to {', '.join(case.addresses)}, and a greeting"
    arrivals = await arrive(case.tools.reactor, case.addresses, port)
    came_back = "; ".join(_words(each) for each in arrivals)
    greeted = [each for each in arrivals if each.banner is not None and each.banner.code == 220]
    for each in arrivals:
        if each.wire is not None and (not greeted or each is not greeted[0]):
            Visit(each.wire, case.settings.hostname).close()
    if not greeted:
        return _failed(case, arrivals, tried, came_back, f"{host}, TCP port {port}")
    assert greeted[0].wire is not None
    case.visit = Visit(greeted[0].wire, case.settings.hostname)
    if len(greeted) < len(arrivals):
        return doubtful(tried, came_back, _some, _on_firewall(_some, f"{host}, TCP port {port}"))
    return good(tried, came_back)


def _failed(case: Case, arrivals: list[Arrival], tried: str, came_back: str, place: str) -> Seen:
    refused = next((each.banner for each in arrivals if each.banner is not None), None)
    if refused is not None:
        diagnosis = case.named(react(Phase.CONNECT, refused).diagnosis)
        return bad(tried, came_back, diagnosis, case.remedy(diagnosis))
    diagnosis = _silent if any(each.is_connected for each in arrivals) else _closed
    return bad(tried, came_back, diagnosis, _on_firewall(diagnosis, place))


def _on_firewall(diagnosis: Diagnosis, place: str) -> Remedy:
    words = f"On the firewall: allow outbound to {place}, without inspection of mail"
    return Remedy(diagnosis.why, words, "", "operator", "at once")


def _words(arrival: Arrival) -> str:
    if arrival.banner is not None:
        first = str(arrival.banner).partition("\n")[0]
        return f"{arrival.address}: {first} after {arrival.seconds:.2f} s"
    if arrival.is_connected:
        return f"{arrival.address}: connected, no greeting within {ANSWER_TIMEOUT:g} s"
    return f"{arrival.address}: {arrival.fault}"
