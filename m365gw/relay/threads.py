"""A few threads of their own for calls that block.

Sign-in calls may hang for many seconds; in the reactor's own pool they would keep others waiting.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Thread
from typing import Any, ParamSpec, Protocol, TypeVar

from twisted.internet.threads import deferToThread, deferToThreadPool
from twisted.python.threadpool import ThreadPool

P = ParamSpec("P")
T = TypeVar("T")


class Calls(Protocol):
    """Whatever can run a blocking call somewhere else and await its result."""

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T: ...


class Threads:
    """At most `size` threads, started when first needed.

    `may_be_left`: calls that wait for a network do not keep the program from ending.
    """

    def __init__(self, reactor: Any, size: int, name: str, *, may_be_left: bool = False) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(minthreads=0, maxthreads=size, name=name)
        self._pool.threadFactory = partial(Thread, daemon=may_be_left)  # type: ignore[assignment]
        self._may_be_left = may_be_left

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of this call, made in one of the threads. Raises what it raises."""
        if not self._pool.started:
            self._pool.start()
        return await deferToThreadPool(self._reactor, self._pool, function, *args, **kwargs)

    async def stop(self) -> None:
        """Wait for the calls under way, unless they may be left, and end the threads."""
        if self._pool.started and not (self._may_be_left and self._pool.working):
            await deferToThread(self._pool.stop)
