"""A lock between processes (and threads) on a file that is never deleted."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["locked"]

_PAUSE_S = 0.1
# On Windows a locked byte cannot be read; the holder's name stands before it.
_LOCKED_BYTE = 1 << 20


@contextmanager
def locked(path: Path, *, waiting: Callable[[str], None] = lambda _: None) -> Iterator[None]:
    """Hold the lock on `path` for the time of the block. The system frees it when the process ends in whatever way.

    Args:
        path: Made if it is not there.
        waiting: Told once, before waiting, who holds the lock.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        told = False
        while not _try(handle):
            if not told:
                told = True
                waiting(_holder(handle))
            time.sleep(_PAUSE_S)
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, f"process {os.getpid()}".encode())
        try:
            yield
        finally:
            os.ftruncate(handle, 0)
            _release(handle)
    finally:
        os.close(handle)


def _holder(handle: int) -> str:
    os.lseek(handle, 0, os.SEEK_SET)
    return os.read(handle, 100).decode(errors="replace") or "another process"


if sys.platform == "win32":

    def _try(handle: int) -> bool:
        os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _release(handle: int) -> None:
        os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)

else:

    def _try(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _release(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)
