"""Mailboxes as a table, and one mailbox on a page, from what the registry says of them.

Without a running service only what was set is known, and what stops a mailbox; the rest is left
out then.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from m365gw.cli.accounts.made_in import Row, made_in, made_in_column
from m365gw.cli.words import counted, escaped, moment, short_span, to_do

_ROW = "%-32s  %-13s  %-12s  %7s  %-15s  %-13s  %s"
_HEADS = ("MAILBOX", "STATE", "FLOW", "WAITING", "SENT TODAY", "CREDENTIAL", "MADE IN")
_CERTAINTY = {
    "stated": ", as was said when it was set",
    "hint": ", by what Microsoft writes; a policy may end it sooner",
}
_KINDS = {"secret": "client secret", "client-certificate": "certificate"}


def lines(rows: Sequence[Row], now: float) -> Iterator[str]:
    """A line for each mailbox, and under it what is wrong; `now` in seconds since 1970."""
    if rows:
        yield _ROW % _HEADS
    for row in rows:
        said = _ROW % (
            escaped(row["address"]),
            row.get("state", "-"),
            row["flow"],
            row.get("waits", "-"),
            _used(row, "day"),
            _nearest_end(row, now),
            made_in_column(row),
        )
        yield said.rstrip()
        yield from map(escaped, _wrong(row, now, "  "))
    yield _counted(rows)


def page(row: Row, now: float) -> Iterator[str]:
    """All of one mailbox."""
    return map(escaped, _page(row, now))


def _page(row: Row, now: float) -> Iterator[str]:
    yield f"Mailbox        {row['address']}"
    if row["exit"] == "connector":
        yield f"Known by       {row['flow']}, tenant {row['tenant']}, cloud {row['cloud']}"
    else:
        yield f"Signs in       flow {row['flow']}, tenant {row['tenant']}, application"
        yield f"               {row['client_id'] or '(of this machine)'}, cloud {row['cloud']}"
    fallback = f", or {row['fallback']} where that is shut" if row.get("fallback") else ""
    yield f"Leaves by      {row['exit']}{fallback}"
    yield f"Made in        {made_in(row)}"
    if "state" in row:
        since = f" since {moment(row['since'])}" if row["since"] else ""
        yield f"State          {row['state']}{since}"
        yield from _wrong(row, now, "               ")
    if "waits" in row:
        yield f"Waiting        {counted(row['waits'], 'message')}"
        for words, key in (
            ("connections", "connections"),
            ("in a minute", "minute"),
            ("recipients in a day", "day"),
        ):
            yield f"Used           {_used(row, key)} {words}"
    for end in row.get("credentials", ()):
        yield f"Credential     {_KINDS.get(end['kind'], end['kind'])}: {_end(end, now)}"
    if row.get("renews_at"):
        yield f"Next refresh   in {short_span(row['renews_at'] - now)}"
    for incident in row.get("incidents", ()):
        yield from _incident(incident)


def by_fallback(row: Row) -> Iterator[str]:
    """A line when its fallback is used: how often, since when, why."""
    use = row.get("fallback_use")
    if use:
        exits = "SMTP instead of Graph" if use["exit"] == "smtp" else "Graph instead of SMTP"
        sent = counted(use["messages"], "message")
        yield f"{sent} by {exits} since {moment(use['since'])}: {use['why']}"


def _wrong(row: Row, now: float, indent: str) -> Iterator[str]:
    """What keeps it from sending: what, why, what to do, who must."""
    yield from (indent + line for line in by_fallback(row))
    told = row.get("diagnosis")
    if told is not None:
        yield f"{indent}{told['what']} {told['why']}"
        yield f"{indent}{to_do(told)}"
        if row["until"] and row["until"] > now:
            yield f"{indent}It is tried again in {short_span(row['until'] - now)}."
    elif row.get("why"):
        yield f"{indent}{row['why']}"


def _used(row: Row, key: str) -> str:
    if "budget" not in row:
        return "-"
    use = row["budget"][key]
    limit = "any" if use["limit"] is None else f"{use['limit']:,.0f}"
    return f"{use['used']:,.0f} of {limit}"


def _nearest_end(row: Row, now: float) -> str:
    ends = [end["ends_at"] for end in row.get("credentials", ()) if end["ends_at"] is not None]
    if not ends:
        return "-"
    return "ENDED" if min(ends) <= now else f"ends in {short_span(min(ends) - now)}"


def _end(end: Mapping[str, Any], now: float) -> str:
    at = end["ends_at"]
    if at is None:
        return "its end is not known"
    day = time.strftime("%d %b %Y", time.localtime(at))
    words = f"ended on {day}" if at <= now else f"good until {day}, for {short_span(at - now)}"
    return words + _CERTAINTY.get(end["certainty"], "")


def _incident(incident: Mapping[str, Any]) -> Iterator[str]:
    closed = incident.get("closed_at")
    until = f" until {moment(closed)}" if closed else ", open"
    yield f"Incident       {moment(incident['opened_at'])}{until}: {incident['what']}"


def _counted(rows: Sequence[Row]) -> str:
    if not rows:
        return "No mailboxes. To make one: m365gw mailbox add"
    return "1 mailbox." if len(rows) == 1 else f"{len(rows):,} mailboxes."
