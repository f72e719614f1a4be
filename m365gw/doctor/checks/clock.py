"""D02: is the login host reached; and the clock of this host against its own (header Date).

Assertions signed with a certificate live ten minutes and tokens begin at a time, so a clock that
is wrong by minutes stops all sign-ins. The login host is asked on the way tokens are fetched.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

from requests.exceptions import SSLError

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
    "The login host cannot be reached.",
    "A firewall or a proxy stands between, or the host is down.",
    "Open port 443 outbound to the login host, or set proxy of the mailbox's cloud.",
    "operator",
)
_untrusted = Diagnosis(
    "login-host-certificate",
    "The certificate of the login host is not trusted, or not for its name.",
    "Most likely a firewall of yours inspects TLS (D06 names who issued its certificate).",
    "Exempt the login host from TLS inspection, or give ca_file of the mailbox's cloud.",
    "operator",
)
_undated = Diagnosis(
    "login-host-undated",
    "The login host did not say what time it is.",
    "A proxy stands between and takes the header Date away.",
    "Look at the clock yourself: timedatectl status",
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
        # The kind of failure only; the text of `requests` repeats all of the address.
        diagnosis = _untrusted if isinstance(problem, SSLError) else _unreachable
        return bad(tried, type(problem).__name__, diagnosis, _open(cloud, diagnosis))
    if stated is None:
        return doubtful(tried, "the answer has no usable Date", _undated)
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


def _open(cloud: Cloud, diagnosis: Diagnosis) -> Remedy:
    words = f"On the firewall: allow TCP 443 to {login_host(cloud)}, exempt from TLS inspection"
    return Remedy(diagnosis.why, words, "", "operator", "at once")
