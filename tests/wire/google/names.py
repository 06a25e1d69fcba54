"""One spelling for bodies that were recorded in several: the JSON names of the protocol, and standard base64."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

__all__ = ["FREE", "plain_bytes", "protocol_names"]

JSON = dict[str, Any]

# Below these the names are the user's.
FREE = frozenset(
    {"args", "labels", "parameters", "parametersJsonSchema", "response", "responseJsonSchema", "responseSchema"}
)
_BYTES = frozenset({"data", "thoughtSignature"})


def protocol_names(body: Any) -> Any:
    """Return a body with snake_case names in camelCase, which are the same fields to the vendor."""
    return _mapped(body, lambda name: re.sub(r"_(\w)", lambda found: found[1].upper(), name), lambda _, value: value)


def plain_bytes(body: Any) -> Any:
    """Return a body with its bytes in standard base64, where they were in the alphabet for URLs."""

    def plain(name: str, value: Any) -> Any:
        return value.replace("-", "+").replace("_", "/") if name in _BYTES and isinstance(value, str) else value

    return _mapped(body, lambda name: name, plain)


def _mapped(value: Any, name: Callable[[str], str], leaf: Callable[[str, Any], Any]) -> Any:
    if isinstance(value, list):
        return [_mapped(item, name, leaf) for item in value]
    if not isinstance(value, dict):
        return value
    found = {name(key): item for key, item in value.items()}
    return {key: item if key in FREE else _mapped(leaf(key, item), name, leaf) for key, item in found.items()}
