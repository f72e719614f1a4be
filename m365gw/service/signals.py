"""What signals mean: SIGHUP reads the configuration anew, SIGTERM ends the service in good order.

Twisted ends the service at SIGTERM and SIGINT, but logs a failure when one comes again; here a
second one is said to be heard, and changes nothing.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from threading import current_thread, main_thread
from typing import Any


def listen(reactor: Any, reload: Callable[[], object], stop: Callable[[], object]) -> None:
    """Call `reload` at SIGHUP and `stop` at SIGTERM and SIGINT, in the reactor, from now on.

    Only the main thread hears signals; elsewhere (in a test) this does nothing.
    """
    if current_thread() is not main_thread():
        return

    def on(number: int, call: Callable[[], object]) -> None:
        # Not reactor.callLater: the signal interrupts whatever the reactor does.
        signal.signal(number, lambda *_: reactor.callFromThread(call))

    on(signal.SIGHUP, reload)  # at once, as its default would end the program
    # Twisted sets these two when it runs, after services have started.
    reactor.callWhenRunning(on, signal.SIGTERM, stop)
    reactor.callWhenRunning(on, signal.SIGINT, stop)
