"""JSON schemas as Bedrock takes them: closed and plain for its own grammar, without references for some models.

https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html, read 2026-11-23.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Unfit", "closed", "inlined"]

JSON = dict[str, Any]

# The grammar cannot hold to these; the model reads of them in the description.
_LIMITS = (
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "maxItems", "uniqueItems", "minProperties", "maxProperties"),
)
_REFUSED = ("patternProperties", "not", "if", "then", "else", "dependentSchemas", "dependentRequired", "prefixItems")
_GROUPS = ("properties", "$defs", "definitions")
_LISTS = ("anyOf", "oneOf", "allOf")
# References that share what they refer to double it at every step.
_MOST_INLINED = 5_000


class Unfit(Exception):
    """A schema that the service's grammar cannot hold; the text says why."""


class _TooLarge(Exception):
    """A schema that grows beyond measure without its references."""


def closed(schema: Mapping[str, Any]) -> tuple[JSON, list[str]]:
    """Return a schema in the form that the service holds answers to, and the limits it cannot hold them to.

    Every object is closed (which only narrows what it allows), and limits move into the descriptions.

    Raises:
        Unfit: If it says something that has no such form.
    """
    if schema.get("type") != "object":
        raise Unfit("its root is no object")
    if _recurs(schema):
        raise Unfit("it refers to itself")
    moved: list[str] = []
    return _closed(schema, "", moved), moved


def _closed(schema: Mapping[str, Any], path: str, moved: list[str]) -> JSON:
    where = path or "its root"
    found: JSON = dict(schema)
    for word in _REFUSED:
        if word in found:
            raise Unfit(f"{where} has {word!r}")
    if str(found.get("$ref", "#")).partition("#")[0]:
        raise Unfit(f"{where} refers to another document")
    limits = {word: found.pop(word) for word in _LIMITS if word in found}
    if found.get("minItems", 0) not in (0, 1):
        limits["minItems"] = found.pop("minItems")
    if limits:
        moved += [f"{word} of {where}" for word in limits]
        told = ", ".join(f"{word}={value}" for word, value in limits.items())
        found["description"] = f"{found['description']} ({told})" if found.get("description") else told
    kinds = found.get("type")
    if "object" in (kinds if isinstance(kinds, list) else [kinds]) or "properties" in found:
        if found.get("additionalProperties", False) not in (False, True):
            raise Unfit(f"{where} has keys that are not known beforehand")
        if "properties" not in found:
            raise Unfit(f"{where} has no 'properties'")
        found["additionalProperties"] = False
    return _each(found, lambda inner, name: _closed(inner, f"{path}/{name}", moved))


def _each(schema: JSON, change: Any) -> JSON:
    """Change every schema inside a schema."""
    for word in _GROUPS:
        if isinstance(group := schema.get(word), Mapping):
            schema[word] = {
                name: change(inner, f"{word}/{name}") if isinstance(inner, Mapping) else inner
                for name, inner in group.items()
            }
    for word in _LISTS:
        if isinstance(group := schema.get(word), list | tuple):
            schema[word] = [
                change(inner, f"{word}/{at}") if isinstance(inner, Mapping) else inner for at, inner in enumerate(group)
            ]
    if isinstance(items := schema.get("items"), Mapping):
        schema["items"] = change(items, "items")
    if isinstance(more := schema.get("additionalProperties"), Mapping):
        schema["additionalProperties"] = change(more, "additionalProperties")
    return schema


def inlined(schema: Mapping[str, Any]) -> tuple[JSON, bool]:
    """Return a schema with what it refers to in place of the references, and whether that worked throughout.

    A schema that refers to itself keeps those references, and the definitions they need; one that would grow beyond
    measure keeps all of them.
    """
    if "$defs" not in schema and "definitions" not in schema:
        return dict(schema), True
    whole, count = True, 0

    def change(inner: Mapping[str, Any], name: str, inside: tuple[str, ...] = ()) -> JSON:  # noqa: ARG001  # _each's form
        nonlocal whole, count
        count += 1
        if count > _MOST_INLINED:
            raise _TooLarge
        found = dict(inner)
        reference = found.get("$ref")
        if isinstance(reference, str):
            target = _target(schema, reference)
            if target is None or reference in inside:
                whole = False
                return found
            del found["$ref"]
            return change({**target, **found}, "", (*inside, reference))
        return _each(found, lambda deeper, name: change(deeper, name, inside))

    bare = {name: value for name, value in schema.items() if name not in ("$defs", "definitions")}
    try:
        result = change(bare, "")
    except _TooLarge:
        return dict(schema), False
    if not whole:
        result |= {name: schema[name] for name in ("$defs", "definitions") if name in schema}
    return result, whole


def _target(schema: Mapping[str, Any], reference: str) -> Mapping[str, Any] | None:
    if not reference.startswith("#/"):
        return None
    found: Any = schema
    for name in reference[2:].split("/"):
        found = found.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else None


def _recurs(schema: Mapping[str, Any]) -> bool:
    """Return whether a schema refers to itself, or to nothing; each definition is looked at once."""
    inside: set[str] = set()
    done: set[str] = set()

    def follows(value: Any) -> bool:
        for reference in _references(value) - done:
            target = _target(schema, reference)
            if target is None and not reference.startswith("#"):
                continue
            if reference in inside or target is None:
                return False
            inside.add(reference)
            if not follows(target):
                return False
            inside.remove(reference)
            done.add(reference)
        return True

    return not follows({name: value for name, value in schema.items() if name not in ("$defs", "definitions")})


def _references(value: Any) -> set[str]:
    match value:
        case Mapping():
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*(_references(item) for item in value.values()))
        case list() | tuple():
            return set[str]().union(*(_references(item) for item in value))
        case _:
            return set()
