"""What is mended of one message while it passes: only what its listener asks for.

The header is held until it is complete (it is bounded by `header_size_limit`), mended and passed
on; line ends are mended as they come; over-long lines are looked for, and mended in a second pass
over the draft when there are some. A message where nothing of this is asked for never gets here.

Failures: Refused for an author the rule does not allow (`authorship`), those of the spool in the
second pass, and 552 5.3.4 for what that makes too large.
"""

from __future__ import annotations

from attrs import evolve

from m365gw.edge.admission.authorship import settle
from m365gw.edge.admission.rules import Rule
from m365gw.smtp.content import Faults
from m365gw.smtp.repair.header_fields import HeaderFields
from m365gw.smtp.repair.header_repair import Facts, mend
from m365gw.smtp.repair.line_ends import LINE_ENDS, LineEnds, LongLines
from m365gw.smtp.repair.reencoding import reencode, survey
from m365gw.smtp.replies import Refused, Reply
from m365gw.spool.draft import Draft

LONG_LINES = "long-lines"
FROM = "from"


class Mending:
    """One message being mended. `done` and `left` name repairs for the log."""

    def __init__(self, wanted: frozenset[str], facts: Facts, rule: Rule, sender: str) -> None:
        """`left` is what was broken and left alone for a signature's sake.

        `rule` says whom the message may be from; `sender` is that of its envelope.
        """
        self.done: list[str] = []
        self.left: list[str] = []
        self._wanted = wanted
        self._facts = facts
        self._rule = rule
        self._sender = sender
        self._held: bytearray | None = bytearray()  # the header, until it is complete
        self._line_ends = LineEnds() if LINE_ENDS in wanted else None
        self._long_lines = LongLines() if LONG_LINES in wanted else None

    @property
    def has_long_lines(self) -> bool:
        """Whether there is an over-long line to mend."""
        return self._long_lines is not None and self._long_lines.found

    def feed(self, octets: bytes, *, is_header: bool) -> bytes:
        """The octets to store instead of these; `is_header`: the header goes on behind them.

        Raises Refused.
        """
        if self._line_ends is not None:
            octets = self._line_ends.feed(octets)
        if self._held is None:
            return self._watched(octets)
        self._held += octets
        return b"" if is_header else self._pass_header()

    def finish(self) -> bytes:
        """What is left to store at the end of the message. Raises Refused."""
        last = self._line_ends.finish() if self._line_ends is not None else b""
        if self._held is None:
            octets = self._watched(last)
        else:
            self._held += last
            octets = self._pass_header()
        if self._line_ends is not None and self._line_ends.mended:
            self.done.append(LINE_ENDS)
        return octets

    def pardon(self, faults: Faults) -> Faults:
        """The faults that stay when line ends are mended: a NUL."""
        return faults if self._line_ends is None else Faults(nul=faults.nul)

    def reencode(self, draft: Draft, most: int) -> Draft:
        """BLOCKING. The message with its over-long lines mended.

        Raises SpoolError, and Refused when that makes it larger than `most` octets: encoded text
        may have three times its size, and nobody would take it from us.
        """
        found = survey(draft.octets())
        if found.is_sealed:
            self.left.append(LONG_LINES)
        if not found.parts:
            return draft
        again = draft.again()
        try:
            for octets in reencode(draft.octets(), found.parts):
                again.write(octets)
                if again.size > most:
                    raise Refused(_grown_too_large(most))
        except Exception:
            again.discard()
            raise
        draft.discard()
        if LONG_LINES not in self.done:
            self.done.append(LONG_LINES)
        return again

    def _pass_header(self) -> bytes:
        octets, self._held = bytes(self._held or b""), None
        header, length = HeaderFields.parse(octets)
        body = octets[length:]
        if body and not header.blank_line and self._rule.judges_from:
            # Else some readers would look behind the line that broke it off for another From.
            header = evolve(header, blank_line=b"\r\n")
        mended = mend(header, self._wanted, self._facts)
        may_add = FROM in self._wanted
        header, done, left = settle(self._rule, mended.header, self._sender, may_add=may_add)
        self.done += (*mended.done, *done)
        self.left += (*mended.left, *left)
        return header.octets() + self._watched(body)

    def _watched(self, octets: bytes) -> bytes:
        if self._long_lines is not None:
            self._long_lines.feed(octets)
        return octets


def _grown_too_large(limit: int) -> Reply:
    words = (
        f"The message has lines of more than 998 octets, and encoded anew it is larger than the "
        f"{limit} octets allowed here. The program that made it has to encode its attachments"
    )
    return Reply(552, "5.3.4", words)
