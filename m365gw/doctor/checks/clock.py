"""D02: the clock of this host against the clock of the login host (HTTP header Date).

Assertions signed with a certificate live ten minutes and tokens begin at a time, so a clock that
is wrong by minutes stops all sign-ins. The login host is asked on the way tokens are fetched.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

from m365gw.doctor.case import Case
from m365gw.doctor.finding import Seen, bad, doubtful, good
from m365gw.microsoft.clouds import Cloud
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.remedies import Remedy
from m365gw.relay.tokens.https import TIMEOUT, Session

WARN: Final = 60.0  # seconds
FAIL: Final = 300.0

_unreachable = Diagnosis(
    "login-host-unreachable",
    "The login host could not be asked for the time.",
    "A firewall, a proxy or TLS inspection stands between, or the host is down.",
    "Open port 443 outbound to the login host, without TLS inspection.",
    "operator",
)


def login_host(cloud: Cloud) -> str:
    """The host of the authority."""
    return urlsplit(cloud.authority).hostname or ""


async def look(case: Case) -> Seen:
    """D02."""
    cloud, tools = case.cloud, case.tools
    url = f"{cloud.authority_of(case.mailbox.tenant)}/v2.0/.well-known/openid-configuration"
    tried = f"the header Date of https://{urlsplit(url).netloc}"
    try:
        before = tools.reactor.seconds()
        stated = await tools.calls.call(_date, tools.open_session(cloud), url)
    except Exception as problem:
        return doubtful(tried, _why(problem), _unreachable, _open(cloud))
    if stated is None:
        return doubtful(tried, "the answer has no usable Date", _unreachable, _open(cloud))
    off = (before + tools.reactor.seconds()) / 2 - stated
    return judged(tried, off)


def judged(tried: str, off: float) -> Seen:
    """What a difference of so many seconds means; positive: this host is ahead."""
    amount = f"{abs(off):.0f} seconds" if abs(off) < 2 * WARN else f"{abs(off) / 60:.0f} minutes"
    words = f"this host is {amount} {'ahead' if off > 0 else 'behind'}"
    if abs(off) < WARN:
        return good(tried, words)
    diagnosis = Diagnosis(
        "clock-wrong",
        f"The clock is off: {words}.",
        "Nothing sets it, or what sets it is wrong. Signed sign-ins are refused then"
        " (AADSTS700024), and tokens seem to be of another time.",
        "Switch on NTP: timedatectl set-ntp true; then look: timedatectl status",
        "operator",
    )
    fix = Remedy(
        diagnosis.why,
        "On this machine, as root: timedatectl set-ntp true (in a container: on its host)",
        "",
        "operator",
        "a minute",
    )
    return (bad if abs(off) >= FAIL else doubtful)(tried, words, diagnosis, fix)


def _date(session: Session, url: str) -> float | None:
    """Seconds since 1970, as the host says. Blocking."""
    try:
        answer: Any = session.get(
            url, params=None, headers=None, timeout=TIMEOUT, allow_redirects=False
        )
        return parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return None
    finally:
        session.close()


def _why(problem: Exception) -> str:
    """The kind of failure; the text of `requests` repeats all of the address."""
    return type(problem).__name__


def _open(cloud: Cloud) -> Remedy:
    words = f"On the firewall: allow TCP 443 to {login_host(cloud)}, exempt from TLS inspection"
    return Remedy(_unreachable.why, words, "", "operator", "at once")
