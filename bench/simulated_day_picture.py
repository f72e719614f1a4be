"""The simulated day as a picture. Needs matplotlib, which nothing else does."""

from __future__ import annotations

from bisect import bisect_right
from importlib import import_module

from bench.simulated_day import BURST, DAY, HOUR, MINUTE, SINGLE, START, SimulatedDay
from m365gw.config.settings import Governor as Limits

STEP = 5 * MINUTE


def draw(day: SimulatedDay, limits: Limits, path: str) -> None:
    """Three rows: messages a minute, recipients of 24 hours, and how long mail waited."""
    matplotlib = import_module("matplotlib")
    matplotlib.use("agg")
    plot = import_module("matplotlib.pyplot")
    figure, (rate, recipients, delay) = plot.subplots(3, 1, figsize=(11, 12), sharex=True)
    boxes = sorted(day.microsoft.dots)
    moments = [START + STEP * number for number in range(1, int(DAY / STEP) + 1)]
    hours = [(moment - START) / HOUR for moment in moments]
    for box in boxes:
        times = [at for at, _ in day.microsoft.dots[box]]
        sums = [0]
        for _, count in day.microsoft.dots[box]:
            sums.append(sums[-1] + count)
        rate.plot(hours, [_busiest(times, moment) for moment in moments], label=box, lw=0.9)
        recipients.plot(hours, [sums[bisect_right(times, moment)] for moment in moments], lw=1.2)
    rate.axhline(limits.messages_per_minute, color="black", ls="--")
    rate.set_ylabel("messages in the busiest minute\nof each five, by mailbox")
    rate.set_ylim(0, limits.messages_per_minute + 8)
    rate.legend(ncol=5, fontsize=7, loc="upper center")
    recipients.axhline(limits.recipients_per_day, color="black", ls="--")
    recipients.set_ylabel("recipients since midnight,\nby mailbox")
    for source, name, mark in ((BURST, "first of a burst", "s"), (SINGLE, "a fax", ".")):
        waits = [wait for wait in day.waits if wait.source == source]
        delay.scatter(
            [(wait.at - START) / HOUR for wait in waits],
            [max(wait.seconds, 0.1) for wait in waits],
            s=[18 if mark == "s" else 9 for _ in waits],
            marker=mark,
            label=name,
        )
    delay.set_yscale("log")
    delay.set_ylabel(
        "seconds until a message was begun whose\nsource had nothing else in the queue"
    )
    delay.set_xlabel("hour (a mailbox that is held, or has used up its day, sends nothing)")
    delay.legend(fontsize=8)
    delay.set_xlim(0, DAY / HOUR)
    total = sum(len(dots) for dots in day.microsoft.dots.values())
    rate.set_title(
        f"A simulated day: {len(day.arrivals):,} messages handed in, {total:,} taken by Microsoft;"
        " dashed: its limits"
    )
    figure.tight_layout()
    figure.savefig(path, dpi=90)


def _busiest(times: list[float], until: float) -> int:
    """The most messages in any minute that begins in the step before."""
    first, last = bisect_right(times, until - STEP), bisect_right(times, until)
    return max(
        (bisect_right(times, times[place] + MINUTE) - place for place in range(first, last)),
        default=0,
    )
