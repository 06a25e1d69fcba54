"""JSON schemas in the dialect that Gemini's JSON-schema fields take.

`responseJsonSchema` and `parametersJsonSchema` take JSON Schema, but not all of it. Where two words mean the same, the
one that is understood is sent. A bound that no word is left for becomes part of the description, so that the model
reads it, and is reported, since the answer is no longer held to it. Beside a reference only a title may stand: where
more does, what it refers to is written out in its place.

Source: the description of `responseJsonSchema` in the API's reference, read 2026-11-23; recorded traffic, which shows
that `default` is taken in both fields, and `title` and `oneOf` in `responseJsonSchema`. In the other, they are
uncertain: titles are left out there, and alternatives are `anyOf`, as which `oneOf` is read anyway.
"""

from __future__ import annotations

import json
from typing import Any

from ..base import Losses

__all__ = ["dialect"]

JSON = dict[str, Any]

_SCHEMAS = ("items", "additionalProperties")
_LISTS = ("anyOf", "oneOf", "prefixItems")
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
    | {"format", "nullable", "oneOf", "title", "default"}
)
# They say nothing about what is valid, and nothing to the model.
_IDLE = frozenset({"$schema", "$comment", "discriminator", "deprecated", "readOnly", "writeOnly"})
# They hold nobody to anything, so that to read them is all there is.
_READ = frozenset({"examples", "example"})
_TITLE = "title"
# Each may hold others, so that a small schema could become one without end.
_MOST_WRITTEN_OUT = 256
# Of these the nearer one counts.
_ANNOTATIONS = _READ | {"description", "default"}
# Between whole numbers a bound that is left out is the next one that is not.
_MINIMUM, _MAXIMUM = ("minimum", "exclusiveMinimum", 1), ("maximum", "exclusiveMaximum", -1)
_BOUNDS = {name: bound for bound in (_MINIMUM, _MAXIMUM) for name in bound[:2]}
_REWRITTEN = frozenset({"const", "oneOf", "allOf", *_BOUNDS})
_TYPES: dict[type, str] = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def dialect(schema: JSON, losses: Losses, *, subject: str, what: str) -> JSON:
    """Return a schema in Gemini's dialect.

    Args:
        schema: Any JSON schema.
        losses: Told, once, of all that the answer is no longer held to.
        subject: What the report is about: "output_schema", or "tools".
        what: Whose schema it is, for the report.
    """
    walk = _Walk(schema, answer=subject == "output_schema")
    sent: JSON = walk.schema(schema)
    if walk.weaker:
        words = ", ".join(walk.weaker)
        losses.lose(subject, f"Gemini does not hold {what} to {words}; it only reads them", kind="changed")
    if walk.missing:
        words = ", ".join(walk.missing)
        losses.lose(subject, f"Gemini takes no {words} of {what} beside a reference; left out", kind="changed")
    return sent


class _Walk:
    """One schema on its way into the dialect.

    Args:
        root: The whole, which holds what is referred to.
        answer: Whether it is for an answer, not for the arguments of a function.

    Attributes:
        weaker: Words that the model only reads.
        missing: Words that are left out.
    """

    def __init__(self, root: JSON, *, answer: bool) -> None:
        self.weaker: dict[str, None] = {}
        self.missing: dict[str, None] = {}
        self._root = root
        self._answer = answer
        # The references that are being written out; one that leads back to itself has no end.
        self._inside: list[str] = []
        self._written = 0

    def schema(self, schema: Any) -> Any:
        """Return a schema in the dialect."""
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            return self._reference(schema)
        match schema.get("allOf"):
            case [{"$ref": _} as one] if not one.keys() & (schema.keys() - {"allOf"}):
                return self._reference({**one, **{name: value for name, value in schema.items() if name != "allOf"}})
            case _:
                pass
        out: JSON = {}
        said: list[str] = []
        for name, value in schema.items():
            if name in _REWRITTEN and self._rewrite(name, schema, out):
                continue
            if self._keeps(name, schema):
                out["$defs" if name == "definitions" else name] = self._children(name, value)
            elif name not in _IDLE and name != _TITLE:
                if name not in _READ:
                    self.weaker[name] = None
                said.append(f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
        if said:
            note = ", ".join(said)
            before = schema.get("description")
            out["description"] = f"{before} ({note})" if before else note
        return out

    def _rewrite(self, name: str, schema: JSON, out: JSON) -> bool:
        """Say a word in another that means the same, and return whether there is one."""
        value = schema[name]
        if name == "const":
            out["enum"] = [value]
            if type(value) in _TYPES:
                out["type"] = schema.get("type", _TYPES[type(value)])
        elif name == "oneOf" and "anyOf" not in schema and not self._answer:
            out["anyOf"] = self._children(name, value)
        elif name == "allOf" and len(value) == 1:
            out |= self.schema(value[0])
        elif name in _BOUNDS and (bound := _bound(name, schema)) is not None:
            out[_BOUNDS[name][0]] = bound
        else:
            return False
        return True

    def _reference(self, schema: JSON) -> JSON:
        """Return a reference with what may stand beside it, or what it refers to with all that stands beside it."""
        beside = {name for name in schema if not name.startswith("$")} - _IDLE - {_TITLE, "definitions"}
        if beside and (whole := self._written_out(schema, beside)) is not None:
            return whole
        out: JSON = {}
        for name, value in schema.items():
            if name == "$ref":
                out[name] = str(value).replace("#/definitions/", "#/$defs/", 1)
            elif name == "definitions" or (name in _KEPT and name[0] == "$") or (name == _TITLE and self._answer):
                out["$defs" if name == "definitions" else name] = self._children(name, value)
        self.missing |= dict.fromkeys(name for name in schema if name in beside)
        return out

    def _written_out(self, schema: JSON, beside: set[str]) -> JSON | None:
        """Return what a reference means together with the words beside it; None where that cannot be one schema."""
        pointer = str(schema["$ref"])
        found = self._found(pointer)
        if found is None or pointer in self._inside or (beside - _ANNOTATIONS) & found.keys():
            return None
        if self._written == _MOST_WRITTEN_OUT:
            return None
        self._written += 1
        self._inside.append(pointer)
        try:
            out: JSON = self.schema({**found, **{name: value for name, value in schema.items() if name != "$ref"}})
        finally:
            self._inside.pop()
        return out

    def _found(self, pointer: str) -> JSON | None:
        place, _, name = pointer.rpartition("/")
        found = (
            self._root.get(place.removeprefix("#/"), {}).get(name) if place in ("#/$defs", "#/definitions") else None
        )
        return found if isinstance(found, dict) and "$ref" not in found else None

    def _children(self, name: str, value: Any) -> Any:
        if name in _SCHEMAS:
            return self.schema(value)
        if name in _LISTS and isinstance(value, list):
            return [self.schema(one) for one in value]
        if name in _MAPS and isinstance(value, dict):
            return {key: self.schema(one) for key, one in value.items()}
        return value

    def _keeps(self, name: str, schema: JSON) -> bool:
        """Return whether a word of a schema is sent as it is."""
        if name == "format":
            return "string" not in _types(schema)
        if name == _TITLE:
            return self._answer
        # It is read as anyOf, of which there is one.
        return name in _KEPT and not (name == "oneOf" and "anyOf" in schema)


def _bound(name: str, schema: JSON) -> int | float | None:
    """Return the nearer of a bound of whole numbers and one that is left out; None where they cannot be one."""
    inclusive, exclusive, step = _BOUNDS[name]
    left_out, other = schema.get(exclusive), schema.get(inclusive)
    if schema.get("type") != "integer" or type(left_out) is not int:
        return None
    bound = left_out + step
    if isinstance(other, bool) or not isinstance(other, int | float):
        return bound
    return max(bound, other) if step > 0 else min(bound, other)


def _types(schema: JSON) -> Any:
    found = schema.get("type")
    return found if isinstance(found, list) else [found]
