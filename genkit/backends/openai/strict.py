"""OpenAI's strict mode: which JSON schemas it takes.

https://developers.openai.com/api/docs/guides/structured-outputs (supported schemas), read 2026-11-23.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..base import Losses
from ..services import Service

__all__ = ["is_strict", "strictness"]

_REFUSED = (
    "oneOf",
    "allOf",
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
)
_LOOKAROUND = ("(?=", "(?!", "(?<=", "(?<!")


def is_strict(schema: Mapping[str, Any]) -> str | None:
    """Return None for a schema that strict mode takes, else why not: the first thing it refuses, and where."""
    if schema.get("type") != "object" or "anyOf" in schema:
        return "its root is no plain object"
    return next(_faults(schema, ""), None)


def strictness(
    wanted: bool | None, schema: Mapping[str, Any], service: Service, losses: Losses, *, subject: str, what: str
) -> bool:
    """Return whether strict mode can be asked for; where it is wanted and refused, report that it is not sent.

    Args:
        wanted: Whether the caller wants it.
        schema: What the model is to be held to.
        service: Where it goes; what compatible services take in strict mode is their own affair.
        losses: Hears of it.
        subject: What the report is about.
        what: The schema's name in it.
    """
    if not wanted or service.rules == "free":
        return bool(wanted)
    why = is_strict(schema)
    if why is not None:
        losses.lose(subject, f"strict mode takes no such schema as {what}: {why}; strict=False is sent", kind="changed")
    return why is None


def _faults(schema: Any, path: str) -> Iterator[str]:
    where = path or "its root"
    if not isinstance(schema, Mapping):
        yield f"{where} is no schema of its own"
        return
    if "$ref" in schema and len(schema) > 1:
        yield f"{where} has something beside its $ref"
    if not schema.keys() & {"type", "anyOf", "$ref", "enum", "const"}:
        yield f"{where} has no type"
    for word in _REFUSED:
        if word in schema:
            yield f"{where} has {word!r}"
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and any(sign in pattern for sign in _LOOKAROUND):
        yield f"the pattern of {where} looks around"
    types = schema.get("type")
    kinds = types if isinstance(types, list | tuple) else [types]
    if "object" in kinds:
        yield from _object_faults(schema, where)
    if "array" in kinds and "items" not in schema:
        yield f"{where} is an array without 'items'"
    for name, inner, key in _inner(schema):
        yield from _faults(inner, f"{path}/{name}" if key is None else f"{path}/{name}/{key}")


def _object_faults(schema: Mapping[str, Any], where: str) -> Iterator[str]:
    if schema.get("additionalProperties") is not False:
        yield f"{where} does not say additionalProperties: false"
    properties, required = schema.get("properties"), schema.get("required", ())
    if not isinstance(properties, Mapping):
        yield f"{where} has no 'properties'"
    elif isinstance(required, list | tuple):
        optional = [name for name in properties if name not in required]
        if optional:
            yield f"{where} does not require {', '.join(map(repr, optional))}"


def _inner(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any, str | int | None]]:
    """Yield the schemas inside a schema: the keyword, the schema, and its name or place there."""
    for word in ("properties", "$defs", "definitions"):
        if isinstance(group := schema.get(word), Mapping):
            for name, inner in group.items():
                yield word, inner, name
    if "items" in schema:
        yield "items", schema["items"], None
    if isinstance(choices := schema.get("anyOf"), list | tuple):
        for at, inner in enumerate(choices):
            yield "anyOf", inner, at
