"""JSON schemas in the dialect that Gemini's JSON-schema fields take.

`responseJsonSchema` and `parametersJsonSchema` take JSON Schema, but not all of it. Where two words mean the same, the
one that is understood is sent. A bound that no word is left for becomes part of the description, so that the model
reads it, and is reported, since the answer is no longer held to it.

Source: the description of `responseJsonSchema` in the API's reference, read 2026-11-23.
"""

from __future__ import annotations

import json
from typing import Any

from ..base import Losses

__all__ = ["dialect"]

JSON = dict[str, Any]

_SCHEMAS = ("items", "additionalProperties")
_LISTS = ("anyOf", "prefixItems")
_MAPS = ("properties", "$defs", "definitions")
_KEPT = frozenset(
    {
        "$id",
        "$defs",
        "$ref",
        "$anchor",
        "definitions",
        "type",
        "description",
        "enum",
        "items",
        "prefixItems",
        "minItems",
    }
    | {"maxItems", "minimum", "maximum", "anyOf", "properties", "additionalProperties", "required", "propertyOrdering"}
    | {"format", "nullable"}
)
# They say nothing about what is valid.
_IDLE = frozenset({"title", "$schema", "$comment", "examples", "example", "default", "discriminator", "deprecated"}) | {
    "readOnly",
    "writeOnly",
}
# Between whole numbers a bound that is left out is the next one that is not.
_EXCLUSIVE = {"exclusiveMinimum": ("minimum", 1), "exclusiveMaximum": ("maximum", -1)}
_TYPES: dict[type, str] = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def dialect(schema: JSON, losses: Losses, *, subject: str, what: str) -> JSON:
    """Return a schema in Gemini's dialect.

    Args:
        schema: Any JSON schema.
        losses: Told, once, of all that the answer is no longer held to.
        subject: What the report is about: "output_schema", or "tools".
        what: Whose schema it is, for the report.
    """
    weaker: dict[str, None] = {}
    sent: JSON = _walk(schema, weaker)
    if weaker:
        words = ", ".join(weaker)
        losses.lose(subject, f"Gemini does not hold {what} to {words}; it only reads them", kind="changed")
    return sent


def _walk(schema: Any, weaker: dict[str, None]) -> Any:
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _reference(schema, weaker)
    out: JSON = {}
    said: list[str] = []
    for name, value in schema.items():
        if name == "const":
            out["enum"] = [value]
            if type(value) in _TYPES:
                out["type"] = schema.get("type", _TYPES[type(value)])
        elif name == "oneOf" and "anyOf" not in schema:
            # It is read as anyOf, which is all a choice among forms that exclude each other needs.
            out["anyOf"] = [_walk(one, weaker) for one in value]
        elif name == "allOf" and len(value) == 1:
            out |= _walk(value[0], weaker)
        elif name in _EXCLUSIVE and schema.get("type") == "integer" and type(value) is int:
            bound, step = _EXCLUSIVE[name]
            out[bound] = value + step
        elif name in _KEPT and not (name == "format" and "string" in _types(schema)):
            out["$defs" if name == "definitions" else name] = _children(name, value, weaker)
        elif name not in _IDLE:
            weaker[name] = None
            said.append(f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
    if said:
        note = ", ".join(said)
        before = schema.get("description")
        out["description"] = f"{before} ({note})" if before else note
    return out


def _reference(schema: JSON, weaker: dict[str, None]) -> JSON:
    """Return a reference alone: beside it nothing but words with a dollar sign may stand."""
    out: JSON = {}
    for name, value in schema.items():
        if name == "$ref":
            out[name] = str(value).replace("#/definitions/", "#/$defs/", 1)
        elif name.startswith("$") and name not in _IDLE:
            out[name] = _children(name, value, weaker)
        elif name == "definitions":
            out["$defs"] = _children(name, value, weaker)
        elif name not in _IDLE and name != "description":
            weaker[name] = None
    return out


def _types(schema: JSON) -> Any:
    found = schema.get("type")
    return found if isinstance(found, list) else [found]


def _children(name: str, value: Any, weaker: dict[str, None]) -> Any:
    if name in _SCHEMAS:
        return _walk(value, weaker)
    if name in _LISTS and isinstance(value, list):
        return [_walk(one, weaker) for one in value]
    if name in _MAPS and isinstance(value, dict):
        return {key: _walk(one, weaker) for key, one in value.items()}
    return value
