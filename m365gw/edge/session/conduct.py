"""How a client behaves: its errors, and its commands that lead to no message, against limits."""

from __future__ import annotations

from m365gw.config.limits import Limits
from m365gw.edge.session import answers
from m365gw.smtp.replies import Reply


class Conduct:
    """The counts of one session. A message that is stored makes up for everything before it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._errors = 0
        self._idle_commands = 0  # since the last message
        self._transactions = 0

    def command(self) -> None:
        """One more command."""
        self._idle_commands += 1

    def part_of_message(self) -> None:
        """The command just counted was part of a message: it is not idle."""
        self._idle_commands -= 1

    def begin_transaction(self) -> bool:
        """One more message is to begin; whether the session may have it."""
        self._transactions += 1
        return self._transactions <= self._limits.transaction_limit

    def message_stored(self) -> None:
        """A message came of it all."""
        self._errors = self._idle_commands = 0

    def judge(self, reply: Reply) -> Reply | None:
        """Told of each reply; the farewell when there were too many errors or idle commands."""
        if reply.is_permanent:
            self._errors += 1
            if self._errors > self._limits.hard_error_limit:
                return answers.TOO_MANY_ERRORS
        if self._idle_commands > self._limits.command_limit:
            return answers.TOO_MANY_COMMANDS
        return None
