"""What every answer of the console says to the browser, so that a page can do no harm.

The policy allows scripts, styles and pictures from the console's own files alone: no inline script,
no inline style, no frame round it. Whatever a hostile subject line got into a page would be dead.
"""

from __future__ import annotations

from typing import Any, Final

from m365gw.admin.web.arrival import Arrival

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

_ALWAYS: Final = {
    b"content-security-policy": POLICY,
    b"x-content-type-options": "nosniff",
    b"x-frame-options": "DENY",
    # Not no-referrer: browsers would then send "Origin: null" with our own forms.
    b"referrer-policy": "same-origin",
    b"cross-origin-opener-policy": "same-origin",
    b"cross-origin-resource-policy": "same-origin",
    b"permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
    b"cache-control": "no-store",
    b"x-robots-tag": "noindex",
}
_HTTPS_FOR: Final = "max-age=31536000"


def secure(headers: Any, arrival: Arrival | None = None) -> None:
    """Put these headers on an answer, before anything else is put on it."""
    headers.removeHeader(b"server")
    for name, value in _ALWAYS.items():
        headers.setRawHeaders(name, [value])
    if arrival is not None and arrival.is_https and arrival.is_public:
        headers.setRawHeaders(b"strict-transport-security", [_HTTPS_FOR])
