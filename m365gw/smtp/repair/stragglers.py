"""Fields behind the end of a header that is broken off by a line that is none.

Where such a line stands, some readers end the header and others go on to the next blank line. What
the first take for text the second take for fields, and a second From among them for who wrote it.
"""

from __future__ import annotations

import re
from typing import Final

NAME_LIMIT: Final = 200  # octets of a line that are looked at
SIZE_LIMIT: Final = 262144  # octets that are looked at: no header may be larger at Microsoft

_AUTHOR = re.compile(rb"[^!-~]*(?:from|sender)[^!-9;-~]*:", re.IGNORECASE)


class Stragglers:
    """Looks at what lies behind a header that was broken off, up to the next blank line.

    `found`: there is a line that may be taken for From or Sender.
    """

    def __init__(self, stray: bytes) -> None:
        """`stray` is the line that broke the header off."""
        self.found = bool(_AUTHOR.match(stray))
        self._is_over = False
        self._size = 0
        self._line = b""  # the beginning of one that is not complete

    def feed(self, octets: bytes) -> None:
        """The next octets behind that line, any number of them."""
        if self._is_over or self.found:
            return
        self._size += len(octets)
        lines = (self._line + octets).split(b"\n")
        self._line = lines.pop()[:NAME_LIMIT]
        for line in lines:
            if line in (b"", b"\r"):
                self._is_over = True
                return
            self.found = self.found or bool(_AUTHOR.match(line))
        self._is_over = self._size > SIZE_LIMIT

    def finish(self) -> None:
        """The message is over, perhaps within a line."""
        self.feed(b"\n")
