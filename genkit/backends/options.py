"""What the options of backends may be: checked where they are written, not at the first call that meets them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import SecretStr

from ..errors import ConfigError
from ..types import FetchPolicy

__all__ = ["check_options"]


def check_options(options: Mapping[str, Any], *, backend: str) -> None:
    """Check the values of options by name; None says nothing, and a name that is not known here is passed over.

    Raises:
        ConfigError: For a value that cannot be. It is not shown where it may hold a secret.
    """
    for name, value in options.items():
        if value is None or name not in _KINDS:
            continue
        kind, fits = _KINDS[name]
        if not fits(value):
            shown = _named(value) if name in _SECRET else f"{value!r:.60}"
            raise ConfigError(f"{name}= must be {kind}, not {shown}", backend=backend)
        if name == "headers":
            _check_headers(value, backend)


def _check_headers(headers: Mapping[Any, Any], backend: str) -> None:
    for name, value in headers.items():
        if not isinstance(name, str):
            raise ConfigError(f"headers= has a name that is no text but {_named(name)}", backend=backend)
        if not isinstance(value, str):
            raise ConfigError(f"headers[{name!r:.60}] must be a text, not {_named(value)}", backend=backend)


def _named(value: object) -> str:
    return f"a {type(value).__name__}"


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_key(value: object) -> bool:
    return isinstance(value, str | SecretStr) or callable(value)


def _is_trust(value: object) -> bool:
    # By its name: ssl takes time to load, and is loaded where there is a context.
    contexts = (kind for kind in type(value).__mro__ if kind.__name__ == "SSLContext")
    return isinstance(value, str | os.PathLike) or any(contexts)


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


_SECRET = frozenset({"api_key", "base_url", "credential", "headers", "proxy"})
_TEXT = ("a text", _is_text)
_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "api_key": ("a text, or a function that returns one", _is_key),
    "base_url": _TEXT,
    "proxy": _TEXT,
    "ca": ("the path of a file or directory, or an ssl.SSLContext", _is_trust),
    "headers": ("a dict of texts", lambda value: isinstance(value, Mapping)),
    "max_bytes": ("a whole number of bytes from 1", _is_size),
    "api": ("'auto', 'responses' or 'chat'", lambda value: value in ("auto", "responses", "chat")),
    "credential": (
        "an object with get_token(scope), as azure-identity has them",
        lambda value: callable(getattr(value, "get_token", None)),
    ),
    "fetch": ("a FetchPolicy, True or False", lambda value: isinstance(value, FetchPolicy | bool)),
    "organization": _TEXT,
    "project": _TEXT,
    "location": _TEXT,
    "api_version": _TEXT,
    "region": _TEXT,
    "profile": _TEXT,
    "device": _TEXT,
    "dtype": _TEXT,
    "revision": _TEXT,
    "trust_remote_code": ("True or False", lambda value: isinstance(value, bool)),
}
