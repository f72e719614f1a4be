"""What a webhook gets: a JSON body, and headers that prove from whom it is (`docs/incidents.md`).

The signature is HMAC-SHA256 over the time of sending and the body, so that a request recorded by
somebody else cannot be sent again much later. Pure; nothing fails here.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time

from m365gw.alerts.event import Event

VERSION = 1  # of the body; fields may be added to it without a new one


def body(event: Event) -> bytes:
    """The body: one JSON object. `text` is all that a chat needs."""
    return json.dumps(
        {
            "version": VERSION,
            "event": f"incident.{event.kind.value}",
            "gateway": event.gateway,
            "at": iso(event.at),
            "text": event.text,
            "incident": event.incident.plain()
            | {
                "opened_at": iso(event.incident.opened_at),
                "closed_at": iso(event.incident.closed_at),
            },
        },
        ensure_ascii=False,
    ).encode("utf-8", "replace")


def headers(content: bytes, delivery: str, secret: str, at: float) -> dict[str, str]:
    """The headers of one attempt. `delivery` stays the same when it is repeated."""
    stamp = str(int(at))
    fields = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "m365gw",
        "X-M365GW-Delivery": delivery,
        "X-M365GW-Timestamp": stamp,
    }
    if secret:
        fields["X-M365GW-Signature"] = f"v1={signature(content, secret, stamp)}"
    return fields


def signature(content: bytes, secret: str, stamp: str) -> str:
    """Hexadecimal HMAC-SHA256 of the timestamp, a dot, and the body."""
    signed = stamp.encode() + b"." + content
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def iso(at: float | None) -> str | None:
    """A time as RFC 3339 writes it."""
    return None if at is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
