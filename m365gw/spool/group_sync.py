"""Syncing many files at once: one wait for the disk, however many files there are.

Synced one after the other, each file waits for a flush of the disk of its own, and between two of
them the thread waits for the interpreter. Handed over together, by Linux's own asynchronous I/O
(io_submit(2), IOCB_CMD_FSYNC), the flushes become one or two. What is promised of each file is
what fsync(2) promises, and each has its own error.

Where the system has no such thing (another machine, a kernel before 4.18, a container that
forbids it, no room for one more context) nothing is synced here and the caller does it one by one.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import weakref
from collections.abc import Sequence
from threading import Lock
from typing import Final

from attrs import frozen

MOST_FILES: Final = 256  # handed over at a time

_FSYNC: Final = 2  # IOCB_CMD_FSYNC, linux/aio_abi.h


@frozen
class _Calls:
    """Numbers of the system calls, which the C library does not wrap."""

    setup: int
    destroy: int
    getevents: int
    submit: int


_GENERIC: Final = _Calls(0, 1, 4, 2)
_CALLS: Final = {"x86_64": _Calls(206, 207, 208, 209), "aarch64": _GENERIC, "riscv64": _GENERIC}

_syscall: Final = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long


class _Request(ctypes.Structure):
    """struct iocb of linux/aio_abi.h, as little-endian machines have it."""

    _fields_ = (
        ("data", ctypes.c_uint64),  # given back with the event
        ("key", ctypes.c_uint32),
        ("rw_flags", ctypes.c_int32),
        ("opcode", ctypes.c_uint16),
        ("priority", ctypes.c_int16),
        ("fd", ctypes.c_uint32),
        ("buffer", ctypes.c_uint64),
        ("length", ctypes.c_uint64),
        ("offset", ctypes.c_int64),
        ("reserved", ctypes.c_uint64),
        ("flags", ctypes.c_uint32),
        ("event_fd", ctypes.c_uint32),
    )


class _Event(ctypes.Structure):
    """struct io_event of linux/aio_abi.h."""

    _fields_ = (
        ("data", ctypes.c_uint64),
        ("request", ctypes.c_uint64),
        ("result", ctypes.c_int64),  # 0, or an error number, negative
        ("result2", ctypes.c_int64),
    )


class GroupSync:
    """Syncs files together. Any thread may; one at a time does, the others wait."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._calls = _calls_here()
        self._context = ctypes.c_ulong(0)  # none before it is needed
        self._requests = (_Request * MOST_FILES)()
        self._places = (ctypes.c_void_p * MOST_FILES)()
        self._events = (_Event * MOST_FILES)()
        for place, request in enumerate(self._requests):
            request.data, request.opcode = place, _FSYNC
            self._places[place] = ctypes.addressof(request)

    def sync(self, descriptors: Sequence[int]) -> list[OSError | None]:
        """BLOCKING. Sync the first of these files, as many as will go; it may be that none goes.

        The result says of each of those whether it failed. A file of which nothing is known
        afterwards has failed.
        """
        with self._lock:
            if self._calls is None or not self._has_context(self._calls):
                return []
            descriptors = descriptors[:MOST_FILES]
            for request, fd in zip(self._requests, descriptors, strict=False):
                request.fd = fd
            taken = _call(self._calls.submit, self._context, len(descriptors), self._places)
            if taken < 0:
                self._calls = None
                return []
            return self._wait(taken, self._calls)

    def _has_context(self, calls: _Calls) -> bool:
        if not self._context:
            if _call(calls.setup, MOST_FILES, ctypes.byref(self._context)) < 0:
                self._calls = None
                return False
            weakref.finalize(self, _call, calls.destroy, self._context)
        return True

    def _wait(self, taken: int, calls: _Calls) -> list[OSError | None]:
        results: list[OSError | None] = [_error(errno.EIO)] * taken
        missing = taken
        while missing:
            came = _call(calls.getevents, self._context, missing, missing, self._events, None)
            if came < 0 and ctypes.get_errno() == errno.EINTR:
                continue
            if came < 0:
                self._calls = None  # what comes late must not be taken for another's
                break
            for event in self._events[:came]:
                results[event.data] = _error(-event.result) if event.result else None
            missing -= came
        return results


def _calls_here() -> _Calls | None:
    """The numbers of this machine; None when they, or the structures above, would not fit."""
    if platform.system() != "Linux" or ctypes.sizeof(ctypes.c_long) != 8:
        return None
    return _CALLS.get(platform.machine())


def _call(number: int, *arguments: object) -> int:
    words = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    return int(_syscall(ctypes.c_long(number), *words))


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
