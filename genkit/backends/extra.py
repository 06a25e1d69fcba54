"""Vendor-only options, `Request.extra`, on their way into a body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["merged"]

JSON = dict[str, Any]


def merged(before: JSON, extra: Mapping[str, Any], *, choices: frozenset[str] = frozenset()) -> JSON:
    """Return a body with vendor-only options merged in, so that they win.

    Objects are merged at every depth, tools are added to the request's own, and everything else is replaced: schemas,
    too, and objects that are now of another `type`.

    Args:
        before: The body, which stays as it is.
        extra: The options.
        choices: Names of fields that hold one of several objects, so that another one replaces it.
    """
    out = dict(before)
    for name, value in extra.items():
        match out.get(name), value:
            case dict() as one, dict() if name not in choices and _mixes(name, one, value):
                out[name] = merged(one, value, choices=choices)
            case list() as one, list() if name == "tools":
                out[name] = [*one, *value]
            case _:
                out[name] = value
    return out


def _mixes(name: str, one: JSON, other: JSON) -> bool:
    """Return whether two objects may become one; a schema is a whole, and so is what says which kind it is."""
    return not name.endswith("Schema") and ("type" not in other or one.get("type") == other["type"])
