"""Line ends made whole, and lines that are too long found, while content passes.

For clients that are allowed bare line feeds: each CR and each LF that stands alone becomes CR LF.
The dots are already taken off by then and put on again by whoever sends the message on, so a line
end made here never ends a message. Nothing here fails; memory is one octet.
"""

from __future__ import annotations

import re

from m365gw.smtp.repair.header_fields import LINE_LIMIT

LINE_ENDS = "line-ends"  # the name of this repair, which the quirk bare-lf asks for

_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_LONG = re.compile(rb"[^\n]{%d}" % (LINE_LIMIT + 2))


class LineEnds:
    """Mends line ends in chunks cut anywhere. `mended` tells whether there was one to mend."""

    def __init__(self) -> None:
        self.mended = False
        self._held_cr = False

    def feed(self, octets: bytes) -> bytes:
        """The octets that are certain after these."""
        if self._held_cr:
            octets = b"\r" + octets
        self._held_cr = octets.endswith(b"\r")
        if self._held_cr:
            octets = octets[:-1]
        octets, count = _BARE.subn(b"\r\n", octets)
        self.mended = self.mended or count > 0
        return octets

    def finish(self) -> bytes:
        """What is left at the end of the content."""
        if not self._held_cr:
            return b""
        self._held_cr, self.mended = False, True
        return b"\r\n"


class LongLines:
    """Looks for a line of more than 998 octets (RFC 5322 2.1.1); `found` tells of one."""

    def __init__(self) -> None:
        self.found = False
        self._length = 0  # of the line that is not complete, with its CR

    def feed(self, octets: bytes) -> None:
        """The next octets of the content."""
        if self.found:
            return
        first = octets.find(b"\n")
        if first < 0:
            self._length += len(octets)
            self.found = self._length > LINE_LIMIT + 1
            return
        self.found = self._length + first > LINE_LIMIT + 1 or _LONG.search(octets) is not None
        self._length = len(octets) - octets.rfind(b"\n") - 1
