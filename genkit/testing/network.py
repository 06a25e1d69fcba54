"""A block on the network: what is under test may talk to this machine only."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

__all__ = ["loopback_only"]

_INTERNET = (socket.AF_INET, socket.AF_INET6)


@contextmanager
def loopback_only() -> Iterator[None]:
    """Refuse connections, datagrams and name look-ups that leave this machine.

    IPv4 and IPv6 loopback and unix sockets work. What is refused fails the test, and no `except Exception` of
    the code under test can hide that. Sockets that are not Python's own (uvloop, c-ares) are out of reach.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "sendto", "sendmsg"):
            if hasattr(socket.socket, name):
                patch.setattr(socket.socket, name, _guarded_send(getattr(socket.socket, name), name))
        for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr"):
            patch.setattr(socket, name, _guarded_lookup(getattr(socket, name)))
        yield


def _guarded_send(original: Callable[..., Any], name: str) -> Callable[..., Any]:
    def guarded(self: socket.socket, *arguments: Any) -> Any:
        address = _address(name, arguments)
        if self.family in _INTERNET and isinstance(address, tuple) and address and not _here(address[0]):
            if name.startswith("connect"):
                # Whoever made it expects an OSError, and would leave it open behind this one.
                self.close()
            _refuse(f"a connection to {_shown(address[0])}, port {address[1] if len(address) > 1 else '?'},")
        return original(self, *arguments)

    return guarded


def _address(name: str, arguments: tuple[Any, ...]) -> object:
    """Return the address among the arguments, which is last in `sendto` and fourth in `sendmsg`."""
    if name == "sendmsg":
        return arguments[3] if len(arguments) > 3 else None
    return arguments[-1] if arguments else None


def _guarded_lookup(original: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(host: Any, *arguments: Any, **options: Any) -> Any:
        if not _here(host) and not _is_address(host):
            _refuse(f"a look-up of the name {_shown(host)}")
        return original(host, *arguments, **options)

    return guarded


def _refuse(what: str) -> None:
    pytest.fail(
        f"{what} was refused: tests with mock_llm stay on this machine. Give the code under test the fixture "
        "(it is an LLM), or a server on 127.0.0.1; a test that needs the network should not use mock_llm"
    )


def _shown(host: object) -> str:
    return repr(host.decode("ascii", "replace") if isinstance(host, bytes) else host)


def _text(host: object) -> str:
    return (host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else str(host)).rstrip(".").lower()


def _here(host: object) -> bool:
    """Return whether a host is this machine, without asking a name server."""
    if host is None:
        return True
    text = _text(host)
    if text in ("", "localhost", socket.gethostname().lower()) or text.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    inner = getattr(address, "ipv4_mapped", None) or address
    # 0.0.0.0 and :: as a destination are this machine.
    return bool(inner.is_loopback or inner.is_unspecified)


def _is_address(host: object) -> bool:
    """Return whether a host is a numeric address, for which nobody is asked."""
    try:
        ipaddress.ip_address(_text(host).partition("%")[0])
    except ValueError:
        return False
    return True
