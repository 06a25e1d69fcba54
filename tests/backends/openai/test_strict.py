"""Which JSON schemas OpenAI's strict mode takes."""

from __future__ import annotations

from typing import Any

import pytest

from genkit.backends.openai.strict import is_strict


def closed(**properties: Any) -> dict[str, Any]:
    """Return an object that strict mode takes, if it takes its properties."""
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


TEXT = {"type": "string"}


@pytest.mark.parametrize(
    "schema",
    [
        closed(),
        {"type": "object", "properties": {}, "additionalProperties": False},
        closed(city=TEXT, days={"type": "array", "items": {"type": "integer"}}),
        closed(inner=closed(city=TEXT)),
        closed(city={"anyOf": [TEXT, {"type": "null"}]}),
        closed(city={"type": ["string", "null"], "description": "A city.", "pattern": "^[a-z]+$"}),
        closed(unit={"enum": ["C", "F"]}),
        {**closed(city={"$ref": "#/$defs/City"}), "$defs": {"City": closed(name=TEXT)}},
        closed(default=TEXT, oneOf=TEXT),
    ],
)
def test_strict_mode_takes_closed_objects_that_require_all_they_have(schema: dict[str, Any]) -> None:
    assert is_strict(schema) is None


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({}, "root"),
        (TEXT, "root"),
        ({"$ref": "#/$defs/A", "$defs": {"A": closed()}}, "root"),
        ({**closed(), "anyOf": [closed()]}, "root"),
        ({"type": "object", "additionalProperties": False}, "'properties'"),
        ({"type": "object", "properties": {}}, "additionalProperties"),
        ({**closed(), "additionalProperties": TEXT}, "additionalProperties"),
        ({**closed(city=TEXT, day=TEXT), "required": ["city"]}, "'day'"),
        (closed(inner={"type": "object", "properties": {}}), "/properties/inner"),
        (closed(inner={"type": ["object", "null"], "properties": {}}), "/properties/inner"),
        (closed(list={"type": "array"}), "'items'"),
        (closed(list={"type": "array", "items": {}}), "/properties/list/items has no type"),
        (closed(list={"type": "array", "items": {"type": "object"}}), "/properties/list/items"),
        (closed(any={}), "/properties/any has no type"),
        (closed(any=True), "/properties/any"),
        (closed(city={"oneOf": [TEXT], "type": "string"}), "'oneOf'"),
        (closed(city={"allOf": [TEXT], "type": "string"}), "'allOf'"),
        (closed(city={"anyOf": [TEXT, {"type": "object"}]}), "/properties/city/anyOf/1"),
        (closed(city={"$ref": "#/$defs/A", "description": "A city."}), "$ref"),
        ({**closed(), "$defs": {"A": {"type": "object"}}}, "/$defs/A"),
        (closed(city={"type": "string", "pattern": "(?=a)b"}), "pattern"),
    ],
)
def test_what_strict_mode_refuses_is_named_with_its_place(schema: dict[str, Any], why: str) -> None:
    assert why in (is_strict(schema) or "")
