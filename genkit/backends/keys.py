"""Functions of the user's that give a key: called so that no error shows what they know."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from ..errors import AuthenticationFailed, ConfigError, GenkitError
from ..transport.waiting import in_thread

__all__ = ["acalled", "called"]


def called(source: Callable[[], Any], name: str) -> Any:
    """Return what a function for the key of backend `name` gives.

    Raises:
        ConfigError: If it is asynchronous.
        AuthenticationFailed: If it fails.
    """
    key = _begun(source, name)
    if not inspect.isawaitable(key):
        return key
    # Nobody will await it, of which Python would complain.
    close = getattr(key, "close", None)
    if close is not None:
        close()
    raise ConfigError(
        "the function that gives the key is asynchronous: use the a-methods, or give one that is not", backend=name
    )


async def acalled(source: Callable[[], Any], name: str) -> Any:
    """Do what `called` does for a function of either kind; one that is not asynchronous runs in a thread."""
    if inspect.iscoroutinefunction(source):
        key = _begun(source, name)
    else:
        key = await in_thread(functools.partial(_begun, source, name), name="genkit-credential")
    if not inspect.isawaitable(key):
        return key
    try:
        return await key
    except GenkitError:
        raise
    except Exception as error:
        raise _failed(error, name) from error


def _begun(source: Callable[[], Any], name: str) -> Any:
    try:
        return source()
    except GenkitError:
        raise
    except Exception as error:
        raise _failed(error, name) from error


def _failed(error: Exception, name: str) -> AuthenticationFailed:
    # Only its class: its words may hold a secret.
    return AuthenticationFailed(
        f"the function that gives the key for {name!r} failed ({type(error).__name__})", backend=name
    )
