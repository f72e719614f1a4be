"""A diagnosis: a failure in words for the person who has to mend it.

Logs, the console, incidents and delivery reports all show the same four sentences, so that nobody
has to translate a reply code at night.
"""

from __future__ import annotations

import re

from attrs import evolve, frozen

from m365gw.microsoft import actors
from m365gw.microsoft.actors import Who

# What may stand as it is in a command line somebody will copy. Senders come from outside.
_HARMLESS = re.compile(r"\w[\w.+=@-]*")
_QUOTES = re.compile("(['\u2018-\u201b])")  # what PowerShell takes for a single quote


@frozen
class Diagnosis:
    """What happened, why, what to do about it and who must do it.

    `key` is short, stable and unique ("smtp-auth-disabled-tenant"); metrics and incidents group by
    it. Keys that begin with "unknown-" mark answers no table knows; they are worth counting.
    The sentences may hold <mailbox>, <sender>, <tenant> and <client id>: `about` fills them in.
    """

    key: str
    what: str
    why: str
    fix: str
    who: Who

    @property
    def is_unknown(self) -> bool:
        return self.key.startswith("unknown-")

    @property
    def actor(self) -> str:
        """Who must act, in words for operators."""
        return actors.actor(self.who)

    @property
    def actor_for_sender(self) -> str:
        """Who must act, in words for the sender of a message."""
        return actors.actor_for_sender(self.who)

    def about(
        self, *, mailbox: str = "", sender: str = "", tenant: str = "", client_id: str = ""
    ) -> Diagnosis:
        """This diagnosis with real names, so that its commands can be copied.

        An empty name is not filled in. One that a shell could read as anything but a word is
        quoted, for PowerShell and the shells of Unix alike.
        """
        names = {"mailbox": mailbox, "sender": sender, "tenant": tenant, "client id": client_id}
        what, why, fix = self.what, self.why, self.fix
        for placeholder, name in names.items():
            if name:
                word = _word(name)
                what, why, fix = (
                    text.replace(f"<{placeholder}>", word) for text in (what, why, fix)
                )
        return evolve(self, what=what, why=why, fix=fix)

    def __str__(self) -> str:
        """All of it on one line, as logs show it."""
        return f"{self.what} {self.why} To do ({self.actor}): {self.fix}"


def _word(name: str) -> str:
    """A name as one word of a command line, whatever it holds."""
    if _HARMLESS.fullmatch(name):
        return name
    printable = "".join(letter if letter.isprintable() else "?" for letter in name)
    return "'" + _QUOTES.sub(r"\1\1", printable) + "'"
