"""Rounds: all rivals one after the other, as close together as can be, and again.

Within one round the machine is the same machine; from one to the next it may not be. So ratios are
taken within rounds, the order turns from round to round, and a round in which anything disturbed
is thrown away whole and run again, a bounded number of times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from attrs import frozen

from bench.quiet import Disturbance

SPARE = 2  # rounds that may be thrown away, for each that is wanted

Figures = TypeVar("Figures")
Round = dict[str, Figures]  # by rival


@frozen
class Unquiet(Exception):
    """Too many rounds were disturbed; how each of them was."""

    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(self.reasons)


def interleaved(
    rivals: Sequence[str],
    measure: Callable[[str], tuple[Figures, Disturbance]],
    wanted: int,
    *,
    say: Callable[[str], object],
    anyway: bool = False,
) -> list[Round[Figures]]:
    """So many quiet rounds. `anyway` keeps disturbed ones too. Raises Unquiet."""
    rounds: list[Round[Figures]] = []
    reasons: list[str] = []
    while len(rounds) < wanted:
        order = rivals if (len(rounds) + len(reasons)) % 2 == 0 else rivals[::-1]
        figures: Round[Figures] = {}
        for rival in order:
            figures[rival], disturbed = measure(rival)
            if not (disturbed.is_quiet or anyway):
                reasons.append(f"{rival}: {disturbed}")
                say(f"thrown away ({reasons[-1]})")
                break
        else:
            rounds.append(figures)
            say(f"round {len(rounds)} of {wanted}")
        if len(reasons) > SPARE * wanted:
            raise Unquiet(tuple(reasons))
    return rounds
