"""The two dialects of schemas that were recorded: JSON schema, and the subset of OpenAPI with types in capitals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["bare", "is_openapi", "json_schema"]

JSON = dict[str, Any]

# Below these, names are the user's.
_NAMED = frozenset({"$defs", "definitions", "patternProperties", "properties"})
_DATA = frozenset({"const", "default", "enum", "example", "examples"})


def is_openapi(schema: Any) -> bool:
    """Return whether a schema has types in capitals."""
    if isinstance(schema, list):
        return any(map(is_openapi, schema))
    if not isinstance(schema, dict):
        return False
    kind = schema.get("type")
    return (isinstance(kind, str) and kind.isupper()) or any(map(is_openapi, schema.values()))


def json_schema(schema: JSON) -> JSON:
    """Return the JSON schema of a schema in the subset of OpenAPI."""

    def change(one: JSON) -> JSON:
        facts = {
            {"any_of": "anyOf", "min_items": "minItems", "max_items": "maxItems"}.get(k, k): v for k, v in one.items()
        }
        facts = {k: v for k, v in facts.items() if k not in ("property_ordering", "propertyOrdering")}
        kind = facts.get("type")
        if isinstance(kind, str):
            facts["type"] = kind.lower()
            if facts.pop("nullable", False):
                facts["type"] = [kind.lower(), "null"]
        return facts

    return _each(schema, change)


def bare(schema: JSON) -> JSON:
    """Return a schema without titles."""
    return _each(schema, lambda one: {key: value for key, value in one.items() if key != "title"})


def _each(schema: Any, change: Callable[[JSON], JSON]) -> Any:
    """Change every schema in a schema."""
    if isinstance(schema, list):
        return [_each(item, change) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _inside(key, value, change) for key, value in change(schema).items()}


def _inside(key: str, value: Any, change: Callable[[JSON], JSON]) -> Any:
    if key in _DATA:
        return value
    if key in _NAMED and isinstance(value, dict):
        return {name: _each(item, change) for name, item in value.items()}
    return _each(value, change)
