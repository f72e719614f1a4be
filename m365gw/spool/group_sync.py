"""Syncing many files at once, without waiting: one flush of the disk, however many files there are.

Synced one after the other, each file waits for a flush of the disk of its own; and a thread that
waits for them contends with all others for the interpreter, at each call. Handed over together, by
Linux's own asynchronous I/O (io_submit(2), IOCB_CMD_FSYNC), the flushes become one or two, and a
descriptor tells when they are done (eventfd(2)). What is promised of each file is what fsync(2)
promises, and each has its own error.

Where the system has no such thing (another machine, a kernel before 4.18, a container that
forbids it, no room for one more context) nothing is begun here and the caller syncs in a thread.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
from collections.abc import Sequence
from typing import Final

from attrs import frozen

Results = list[OSError | None]  # of each file: why it could not be synced, if so

MOST_FILES: Final = 257  # of one group: 256 messages and their folder

_FSYNC: Final = 2  # IOCB_CMD_FSYNC, linux/aio_abi.h
_FDSYNC: Final = 3  # IOCB_CMD_FDSYNC
_TELL: Final = 1  # IOCB_FLAG_RESFD: by the descriptor named in the request


@frozen
class _Calls:
    """Numbers of the system calls, which the C library does not wrap."""

    setup: int
    destroy: int
    getevents: int
    submit: int


_GENERIC: Final = _Calls(0, 1, 4, 2)
_CALLS: Final = {"x86_64": _Calls(206, 207, 208, 209), "aarch64": _GENERIC, "riscv64": _GENERIC}

_NOTHING: Final = (None,) * 5
_syscall: Final = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long
_syscall.argtypes = (ctypes.c_long, *[ctypes.c_void_p] * len(_NOTHING))  # all of one word


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


class _Time(ctypes.Structure):
    """struct timespec."""

    _fields_ = (("seconds", ctypes.c_int64), ("nanoseconds", ctypes.c_int64))


_AT_ONCE: Final = ctypes.byref(_Time(0, 0))


class GroupSync:
    """Syncs files together, one group at a time. For one thread.

    `data_only`: as fdatasync(2) does, for files that were only overwritten.
    """

    def __init__(self, *, data_only: bool = False) -> None:
        self._calls = _calls_here()
        self._context = ctypes.c_ulong(0)  # none before it is needed
        self._requests = (_Request * MOST_FILES)()
        self._places = (ctypes.c_void_p * MOST_FILES)()
        self._events = (_Event * MOST_FILES)()
        self._results: Results = []
        self._missing = 0  # files of the group whose results were not taken yet
        self._told = 0  # how many are told to have come back
        self.event_fd = -1  # readable when files have come back; none before it is needed
        for place, request in enumerate(self._requests):
            request.data, request.flags = place, _TELL
            request.opcode = _FDSYNC if data_only else _FSYNC
            self._places[place] = ctypes.addressof(request)

    def begin(self, descriptors: Sequence[int]) -> bool:
        """Begin to sync these files. False: not at all, as they are too many or it cannot be."""
        assert not self._missing
        if len(descriptors) > MOST_FILES or self._calls is None or not self._is_ready(self._calls):
            return False
        for request, fd in zip(self._requests, descriptors, strict=False):
            request.fd = fd
        taken = _call(self._calls.submit, self._context.value, len(descriptors), self._places)
        if taken <= 0:
            self._calls = None
            return False
        self._missing, self._told = taken, 0
        self._results = [None] * taken
        # A file that is not taken cannot be synced this way, if at all: that is seldom.
        self._results += one_by_one(descriptors[taken:])
        return True

    def results(self) -> Results | None:
        """What it came to, file by file; None while some have not come back. Never waits.

        To be asked when `event_fd` is readable.
        """
        if self.event_fd >= 0:
            with contextlib.suppress(BlockingIOError):
                self._told += os.eventfd_read(self.event_fd)
        if self._calls is None or not self._missing or self._told < self._missing:
            return None
        while self._missing:  # all are there: none may be left, as nothing more would be told
            came = _call(
                self._calls.getevents, self._context.value, 0, MOST_FILES, self._events, _AT_ONCE
            )
            if came < 0 and ctypes.get_errno() == errno.EINTR:
                continue
            if came <= 0:
                return self.give_up()
            for event in self._events[:came]:
                self._results[event.data] = _error(-event.result) if event.result else None
                self._missing -= 1
        return self._results

    def give_up(self) -> Results:
        """Of what was begun nothing is known: all has failed. Nothing is begun here any more."""
        self._calls = None
        self._missing = 0
        return [_error(errno.EIO) for _ in self._results]

    def close(self) -> None:
        """Let go of what the system holds for us."""
        if self.event_fd >= 0:
            os.close(self.event_fd)
            self.event_fd = -1
        if self._context and self._calls is not None:
            _call(self._calls.destroy, self._context.value)
        self._calls = None

    def _is_ready(self, calls: _Calls) -> bool:
        """Whether there is a context; made when it is needed first."""
        if self._context:
            return True
        try:
            event_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        except OSError:  # too many open files, perhaps; another time there may be room
            return False
        if _call(calls.setup, MOST_FILES, ctypes.byref(self._context)) < 0:
            os.close(event_fd)
            self._calls = None
            return False
        self.event_fd = event_fd
        for request in self._requests:
            request.event_fd = event_fd
        return True


def one_by_one(descriptors: Sequence[int]) -> Results:
    """BLOCKING. Sync files as any system can."""
    results: Results = []
    for fd in descriptors:
        try:
            os.fsync(fd)
            results.append(None)
        except OSError as error:
            results.append(error)
    return results


def _calls_here() -> _Calls | None:
    """The numbers of this machine; None when they, or the structures above, would not fit."""
    if platform.system() != "Linux" or ctypes.sizeof(ctypes.c_long) != 8:
        return None
    return _CALLS.get(platform.machine())


def _call(number: int, *arguments: object) -> int:
    return int(_syscall(number, *arguments, *_NOTHING[len(arguments) :]))


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
