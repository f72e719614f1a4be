"""D03: the names of submission and login host, as this machine resolves them.

Mail goes where the system says the host is. A line in the hosts file, a search domain or a
resolver that gives another answer sends it (and the token) elsewhere, which TLS then refuses; here
it is said by its name. An address of one's own network is never Microsoft's.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from m365gw.doctor.case import Case
from m365gw.doctor.checks.clock import login_host
from m365gw.doctor.finding import Seen, bad, doubtful, good
from m365gw.doctor.lookups import Lookup
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.remedies import Remedy


async def look(case: Case) -> Seen:
    """D03. Leaves the addresses of the submission host in the case."""
    mail_host, _ = case.host_and_port
    logins = [] if case.is_connector else [login_host(case.cloud)]
    hosts = dict.fromkeys([mail_host, *logins])
    answers: list[str] = []
    doubts: list[Seen] = []
    for host in hosts:
        if _is_address(host):
            addresses: tuple[str, ...] = (host,)
            answers.append(f"{host} is an address")
        else:
            found = await case.tools.resolve(host)
            seen = _judged(case, host, found)
            if seen is not None and seen.result == "fail":
                return seen
            doubts += [seen] if seen is not None else []
            addresses = found.addresses
            answers.append(f"{host}: {', '.join(addresses)}")
        if host == mail_host:
            case.addresses = addresses
    return doubts[0] if doubts else good(f"the names {', '.join(hosts)}", "; ".join(answers))


def _judged(case: Case, host: str, found: Lookup) -> Seen | None:
    """What is wrong with an answer; None when nothing is."""
    tools = case.tools
    tried = f"the name {host}"
    asked = f"resolver {', '.join(_words_of(tools.resolv_conf, 'nameserver')) or 'unknown'}"
    if not found.addresses:
        diagnosis = Diagnosis(
            "name-unresolved",
            f"The name {host} cannot be resolved: {found.fault or 'it has no address'}.",
            "The resolver of this machine does not answer, or answers that there is no such name.",
            f"Look: getent ahosts {host}; resolvectl status. Correct {tools.resolv_conf}.",
            "operator",
        )
        return bad(tried, f"{found.fault or 'no address'} ({asked})", diagnosis, _fix(diagnosis))
    came_back = f"{', '.join(found.addresses)} ({asked})"
    line = _hosts_line(tools.hosts_file, host)
    search = _searched(host, found.canonical, _words_of(tools.resolv_conf, "search"))
    is_inside = not case.cloud.rehearsal and any(map(_is_inside, found.addresses))
    if search:
        diagnosis = Diagnosis(
            "name-search-domain",
            f"{host} is answered as {found.canonical}.",
            f"The search domain {search} is put behind it, and a wildcard there answers.",
            f"Remove the search domain from {tools.resolv_conf}, or the wildcard from {search}.",
            "operator",
        )
        return bad(tried, came_back, diagnosis, _fix(diagnosis))
    if line or is_inside:
        cause = f'{tools.hosts_file} says "{line}"' if line else "the resolver overrides the name"
        diagnosis = Diagnosis(
            "name-overridden",
            f"{host} leads to {', '.join(found.addresses)} by an override.",
            f"{cause}; Microsoft's addresses change and are never inside your network.",
            f"Remove the line from {tools.hosts_file}."
            if line
            else "Have the override removed from your DNS (or the DNS firewall) for this name.",
            "operator",
        )
        return (bad if is_inside else doubtful)(tried, came_back, diagnosis, _fix(diagnosis))
    return None


def _fix(diagnosis: Diagnosis) -> Remedy:
    return Remedy(diagnosis.why, diagnosis.fix, "", "operator", "at once, or when caches end")


def _hosts_line(hosts_file: Path, host: str) -> str:
    """The line of the hosts file that names a host, or ""."""
    for line in _lines(hosts_file):
        _, *names = line.split()
        if host.casefold() in (name.casefold() for name in names):
            return " ".join(line.split())
    return ""


def _words_of(resolv_conf: Path, keyword: str) -> list[str]:
    """What stands behind a keyword of resolv.conf, on all its lines."""
    return [
        word
        for first, *words in (line.split() for line in _lines(resolv_conf))
        if first == keyword
        for word in words
    ]


def _lines(path: Path) -> Iterator[str]:
    """The lines of a file without comments; none when it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        if bare := line.partition("#")[0].strip():
            yield bare


def _searched(host: str, canonical: str, domains: list[str]) -> str:
    """The search domain that was put behind a host, or ""."""
    name = canonical.rstrip(".").casefold()
    for domain in domains:
        if name == f"{host}.{domain.strip('.')}".casefold():
            return domain
    return ""


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_inside(address: str) -> bool:
    return not ip_address(address.partition("%")[0]).is_global
