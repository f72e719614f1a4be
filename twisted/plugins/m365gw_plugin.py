"""Tells twistd about m365gw. Every twistd run imports this file, so it holds one line.

Twisted's ServiceMaker carries no annotations.
"""

from twisted.application.service import ServiceMaker

m365gw = ServiceMaker(  # type: ignore[no-untyped-call]
    "m365gw", "m365gw.loading", "Store-and-forward SMTP gateway to Microsoft 365", "m365gw"
)
