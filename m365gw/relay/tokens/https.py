"""How MSAL reaches Entra: https with limits, and a memory of what the server said last.

MSAL by itself waits forever, follows the environment to proxies and certificates, and for some
failures raises an exception that no longer knows the server's answer. So it gets this client: each
request is bounded, the environment does not count (`proxy` and `ca_file` of the cloud do), no
redirect is followed (the next host would get the secret), and `last` keeps the error that came,
whichever way MSAL reports it.

Failures: those of `requests`. No secret is kept: of an answer only the error fields are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, Protocol

import requests
from attrs import evolve, frozen

from m365gw.microsoft.clouds import Cloud

TIMEOUT: Final = (5.0, 20.0)  # seconds to connect, seconds of silence while reading
LONGEST_RETRY_AFTER: Final = 3600.0

_CODE = re.compile(r"AADSTS(\d{4,9})\b")
_TRACE = re.compile(r"[0-9A-Za-z-]{8,64}")


class Session(Protocol):
    """The part of `requests.Session` that is used."""

    def get(
        self, url: str, *, params: Any, headers: Any, timeout: Any, allow_redirects: bool
    ) -> Any: ...

    def post(
        self, url: str, *, params: Any, data: Any, headers: Any, timeout: Any, allow_redirects: bool
    ) -> Any: ...

    def close(self) -> None: ...


@frozen
class Fault:
    """What Entra said last: HTTP status (0: no answer) and the error fields of its JSON."""

    status: int = 0
    error: str = ""
    suberror: str = ""
    codes: tuple[int, ...] = ()
    retry_after: float = 0.0  # seconds
    trace: str = ""  # its number and what Microsoft's support finds it by


class HttpsClient:
    """The `http_client` of one MSAL application. Blocking; one request at a time."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.last = Fault()

    def get(self, url: str, params: Any = None, headers: Any = None, **_: Any) -> Any:
        """GET; other keywords of MSAL (its own idea of timeouts) are not taken."""
        self.last = Fault()
        return self._noted(
            self._session.get(
                url, params=params, headers=headers, timeout=TIMEOUT, allow_redirects=False
            )
        )

    def post(
        self, url: str, params: Any = None, data: Any = None, headers: Any = None, **_: Any
    ) -> Any:
        """POST of a form."""
        self.last = Fault()
        return self._noted(
            self._session.post(
                url,
                params=params,
                data=data,
                headers=headers,
                timeout=TIMEOUT,
                allow_redirects=False,
            )
        )

    def close(self) -> None:
        """Close the connections; a client that is used again opens others."""
        self._session.close()

    def _noted(self, response: Any) -> Any:
        self.last = Fault(
            status=response.status_code, retry_after=_seconds(response.headers.get("Retry-After"))
        )
        if response.status_code >= 400:
            self.last = fault_of(self.last, _object(response.text))
        return response


def fault_of(before: Fault, answer: Mapping[str, Any]) -> Fault:
    """The fault with the error fields of this answer.

    What comes back by a browser has its number in the description only.
    """
    codes = answer.get("error_codes")
    numbers = codes if isinstance(codes, list) else []
    if not numbers and (found := _CODE.search(str(answer.get("error_description") or ""))):
        numbers = [int(found[1])]
    known = tuple(number for number in numbers if isinstance(number, int))
    return evolve(
        before,
        error=str(answer.get("error") or ""),
        suberror=str(answer.get("suberror") or ""),
        codes=known,
        trace=_trace(known, str(answer.get("trace_id") or "")),
    )


def _trace(codes: tuple[int, ...], trace_id: str) -> str:
    words = [f"AADSTS{code}" for code in codes[:1]]
    words += [f"trace {trace_id}"] if _TRACE.fullmatch(trace_id) else []
    return ", ".join(words)


def https_session(cloud: Cloud) -> requests.Session:
    """A session for a cloud: its authorities and its proxy, and nothing of the environment."""
    session = requests.Session()
    session.trust_env = False
    session.verify = cloud.ca_file or True
    if cloud.proxy:
        session.proxies = {"https": cloud.proxy}
    return session


def _object(text: str) -> Mapping[str, Any]:
    """A JSON object, or an empty one when it is none: a proxy's page, for example."""
    try:
        answer = json.loads(text)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _seconds(retry_after: str | None) -> float:
    """Retry-After in seconds; 0 when there is none, or when it is a date."""
    if retry_after is None or not (retry_after.isascii() and retry_after.isdigit()):
        return 0.0
    return min(float(retry_after), LONGEST_RETRY_AFTER)
