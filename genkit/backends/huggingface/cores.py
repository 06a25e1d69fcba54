"""How many CPU threads a piece of torch's work uses, set for the calling thread alone.

`torch.set_num_threads` is no tool for this: the number is the process's, and a thread that is born while it is low
keeps the low number for ever. OpenMP and MKL, which do the work, each have a number per thread; they are told
themselves. Where they cannot be found, nothing is limited.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import torch

__all__ = ["limited"]

_Setter: TypeAlias = Callable[[int], int]

# A name is found in the libraries that these need, too. Windows looks into the library itself only.
_LIBRARIES = ("libtorch_cpu.so", "libtorch_cpu.dylib", "libiomp5md.dll")

_forked = False


def _after_fork() -> None:
    global _forked  # noqa: PLW0603  # what a process is cannot be handed to it otherwise
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def limited(threads: int) -> Iterator[None]:
    """Use at most so many threads in the block, and one in a forked child: OpenMP waits there for threads for ever."""
    # Asking also makes a new thread take the process's number over, before it gets another here.
    usual = torch.get_num_threads()
    wanted = 1 if _forked else threads
    openmp = _setter("omp_set_num_threads")
    if openmp is None or wanted >= usual:
        yield
        return
    mkl = _setter("MKL_Set_Num_Threads_Local")
    before = 0 if mkl is None else mkl(wanted)
    openmp(wanted)
    try:
        yield
    finally:
        openmp(usual)
        if mkl is not None:
            mkl(before)


@lru_cache
def _setter(name: str) -> _Setter | None:
    for library in _LIBRARIES:
        try:
            found = ctypes.CDLL(str(Path(torch.__file__).with_name("lib") / library))[name]
        except (OSError, AttributeError):
            continue
        found.argtypes, found.restype = [ctypes.c_int], ctypes.c_int
        return found
    return None
