"""Questions put to a session, and what they come to: always a reply, whatever goes wrong.

A refusal becomes its reply. What is not foreseen is logged, and answered 451 4.3.0: what is
unknown is temporary, and no message is refused for good because of a fault of ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.logger import Logger
from twisted.python.failure import Failure

from m365gw.edge.session import answers
from m365gw.edge.session.speaker import Answer
from m365gw.smtp.replies import Refused, Reply

BROKEN: Final = "A command failed in a way that is not foreseen; its client may try again"

_log = Logger()


def ask(question: Callable[..., Answer], *arguments: bytes) -> Answer:
    """The answer to a question. Raises nothing; what a Deferred gives is for `reply_of`."""
    try:
        return question(*arguments)
    except Refused as refused:
        return refused.reply
    except Exception:
        _log.failure(BROKEN)
        return answers.FAILED


def reply_of(result: Reply | Failure) -> Reply:
    """The reply that a Deferred answer has come to."""
    if isinstance(result, Reply):
        return result
    if isinstance(result.value, Refused):
        return result.value.reply
    _log.failure(BROKEN, result)
    return answers.FAILED
