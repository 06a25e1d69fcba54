"""What the synchronous engine asks of the operating system: waiting on a socket without being deaf to anything else."""

from __future__ import annotations

import functools
import ipaddress
import os
import re
import selectors
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

from .waiting import within

__all__ = ["WOULD_BLOCK", "begins_answer", "connect", "readable", "resolve", "wait"]

WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""What a socket without a timeout raises where it would have to wait."""

# How often a connect looks whether it was ended, on systems where a shutdown does not wake it.
_CHECK_S = 0.2
_INTERIM_HEADS = re.compile(rb"(?:HTTP/1\.\d 1[^\n]*\n(?:[^\r\n][^\n]*\n)*\r?\n)*")
# Where the first digit of the status stands in "HTTP/1.1 200 OK".
_STATUS = len("HTTP/1.1 ")
_LONGEST_INTERIM = 65_536
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)


def resolve(host: str, port: int, limit: float | None, *, ended: Callable[[], bool]) -> list[Any]:
    """Return the addresses of a host within `limit` seconds, as `socket.getaddrinfo` does.

    The system's resolver cannot be interrupted, so a thread asks it and is left behind where the answer comes too late.
    What needs no resolver, an address or localhost, needs no thread.

    Args:
        host: A name or an address.
        port: The port.
        limit: None for no limit.
        ended: Whether another thread has ended this.

    Raises:
        OSError: If there is no such name, or it takes too long (`TimeoutError`), or is ended.
        UnicodeError: If it can be no name.
    """
    if host == "localhost" or _is_address(host):
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return within(
        limit,
        functools.partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM),
        ended=ended,
        name="genkit-resolver",
    )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def connect(sock: socket.socket, address: object, limit: float | None, *, ended: Callable[[], bool]) -> None:
    """Connect within `limit` seconds; the socket does not block afterwards.

    Args:
        sock: What to connect.
        address: Where to.
        limit: None for no limit.
        ended: Whether another thread has ended this; it shuts the socket down as well, to wake the wait where it can.

    Raises:
        OSError: If it fails, is ended, or takes too long (`TimeoutError`).
    """
    until = None if limit is None else time.monotonic() + limit
    sock.settimeout(0)
    try:
        sock.connect(address)  # type: ignore[arg-type]  # as getaddrinfo gave it
    except BlockingIOError:
        while not ended():
            left = _CHECK_S if until is None else until - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out") from None
            if wait(sock, selectors.EVENT_WRITE, min(left, _CHECK_S)):
                break
        if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(code, os.strerror(code)) from None
    if ended():
        raise ConnectionAbortedError("closed on our side")


def wait(sock: socket.socket, events: int, timeout: float | None) -> int:
    """Wait until one of `events` is possible on `sock`; return those that are, none when the time is over."""
    with _Selector() as selector:
        selector.register(sock, events)
        ready: int = 0
        for _, found in selector.select(timeout):
            ready |= found
        return ready


def readable(sock: socket.socket) -> bool:
    """Return whether there are bytes, or an end, to read on the socket itself, below TLS."""
    try:
        sock.settimeout(0)
        # Cheaper than poll, and free of its Windows branch; not SSLSocket.recv, which would decrypt.
        socket.socket.recv(sock, 1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def begins_answer(data: bytes | bytearray) -> bool:
    """Return whether `data`, read before the request was sent, begins more than informational answers (100, 103)."""
    interim = _INTERIM_HEADS.match(data)
    rest = data[interim.end() :] if interim is not None else data
    return len(data) > _LONGEST_INTERIM or (len(rest) > _STATUS and rest[_STATUS] != ord("1"))
