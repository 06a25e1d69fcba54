"""What an official client has beside address and identity, and is not taken over: it is refused, or warned about."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from ...errors import ConfigError

__all__ = ["say_what_stays"]


def say_what_stays(client: object, *, name: str, own_way: bool) -> None:
    """Say what of an official client calls will not use.

    Its HTTP client may hold a proxy, certificates or hooks that no call must get past, so it is refused; its time limit
    and its number of retries are warned about.

    Args:
        client: An `OpenAI` or `AzureOpenAI` client, or an async one.
        name: The backend's name.
        own_way: Whether `http_client`, `proxy` or `ca` says how to send; the client's own HTTP client then has no say.

    Raises:
        ConfigError: If the client was made with an HTTP client, and nothing says how to send instead.
    """
    known: Any = client
    sender = getattr(known, "_client", None)
    # The SDK's own are made by a class of that name.
    if sender is not None and not own_way and "HttpxClientWrapper" not in type(sender).__name__:
        raise ConfigError(
            "client= was made with an HTTP client of its own, whose proxy, certificates and hooks are not taken over: "
            "pass it as http_client= too, or say proxy= or ca= here",
            backend=name,
        )
    package: Any = sys.modules.get("openai")
    found = {
        "max_retries": ("retries", getattr(known, "max_retries", None), getattr(package, "DEFAULT_MAX_RETRIES", None)),
        "timeout": ("timeout", getattr(known, "timeout", None), getattr(package, "DEFAULT_TIMEOUT", None)),
    }
    for attribute, (option, value, usual) in found.items():
        if value is not None and usual is not None and value != usual:
            warnings.warn(
                f"{attribute}={value!r} of client= is not taken over by the backend {name!r}: pass {option}= to the "
                "LLM or the call",
                UserWarning,
                stacklevel=2,
            )
