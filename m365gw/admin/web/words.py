"""What can be done to messages, in the words of buttons and questions."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from m365gw.spool.operations import Action


@frozen
class Words:
    """One action: its button, what messages are afterwards, and what it means for them."""

    button: str
    done: str
    meaning: str
    is_grave: bool = False  # nothing brings them back


ACTIONS: Final = {
    Action.RETRY: Words(
        "Try now",
        "tried at once",
        "A mailbox that may not send now keeps its messages waiting all the same.",
    ),
    Action.HOLD: Words(
        "Hold", "held", "They wait until somebody releases them, and no time runs against them."
    ),
    Action.RELEASE: Words("Release", "released", "They go on at once, the oldest first."),
    Action.BOUNCE: Words(
        "Return",
        "returned to the sender",
        "The sender gets a report that says that an operator did it.",
        is_grave=True,
    ),
    Action.REMOVE: Words(
        "Remove", "removed", "Nobody is told, and nothing brings them back.", is_grave=True
    ),
}
