"""JSON schemas in the forms that Bedrock and its models take."""

from __future__ import annotations

from typing import Any

import pytest

from genkit.backends.bedrock.schemas import Unfit, closed, inlined

CITY = {"type": "object", "properties": {"name": {"type": "string"}}}


def test_every_object_is_closed_wherever_it_stands() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"anyOf": [CITY, {"type": "null"}]},
            "b": {"type": "array", "items": CITY, "minItems": 1},
            "c": {"$ref": "#/$defs/City"},
        },
        "$defs": {"City": CITY},
    }
    found, moved = closed(schema)
    shut = {**CITY, "additionalProperties": False}
    assert found["properties"]["a"]["anyOf"][0] == shut
    assert found["properties"]["b"]["items"] == shut
    assert found["$defs"]["City"] == shut
    assert found["additionalProperties"] is False
    assert moved == []
    assert "additionalProperties" not in CITY


def test_limits_move_into_descriptions() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string", "minLength": 2}, "b": {"type": "array", "items": {}, "minItems": 3}},
    }
    found, moved = closed(schema)
    assert found["properties"]["a"] == {"type": "string", "description": "minLength=2"}
    assert found["properties"]["b"]["description"] == "minItems=3"
    assert moved == ["minLength of /properties/a", "minItems of /properties/b"]


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "array"}, "root is no object"),
        ({"type": "object"}, "no 'properties'"),
        ({"type": "object", "properties": {"a": {"not": {}}}}, "'not'"),
        ({"type": "object", "properties": {"a": {"$ref": "https://x.example/s.json"}}}, "another document"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}}, "refers to itself"),
        (
            {"type": "object", "properties": {"a": {"type": "object", "additionalProperties": CITY}}},
            "not known beforehand",
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"$ref": "#/$defs/T"}},
                "$defs": {"T": {"type": "object", "properties": {"t": {"$ref": "#/$defs/T"}}}},
            },
            "refers to itself",
        ),
    ],
)
def test_what_the_grammar_cannot_hold_says_why(schema: dict[str, Any], says: str) -> None:
    with pytest.raises(Unfit, match=says):
        closed(schema)


def test_references_are_replaced_by_what_they_mean() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/a~1b"}},
        "additionalProperties": {"$ref": "#/$defs/c"},
        "$defs": {"a/b": {"$ref": "#/$defs/c"}, "c": {"type": "string"}},
    }
    string = {"type": "string"}
    assert inlined(schema) == ({"type": "object", "properties": {"a": string}, "additionalProperties": string}, True)


@pytest.mark.parametrize("reference", ["#/$defs/nothing", "other.json#/x"])
def test_references_that_lead_nowhere_stay(reference: str) -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": reference}}, "$defs": {"x": {}}}
    assert inlined(schema) == (schema, False)


def test_a_schema_without_definitions_is_as_it_was() -> None:
    assert inlined(CITY) == (CITY, True)


def shared(levels: int) -> dict[str, Any]:
    """Return a schema each of whose definitions refers twice to the next."""
    defs: dict[str, Any] = {
        f"L{at}": {"type": "object", "properties": {name: {"$ref": f"#/$defs/L{at + 1}"} for name in "ab"}}
        for at in range(levels)
    }
    return {"type": "object", "properties": {"r": {"$ref": "#/$defs/L0"}}, "$defs": {**defs, f"L{levels}": CITY}}


def test_references_to_what_is_shared_are_followed_once_each() -> None:
    assert closed(shared(60))[1] == []


def test_a_schema_that_would_grow_beyond_measure_keeps_its_references() -> None:
    assert inlined(shared(60)) == (shared(60), False)
    assert inlined(shared(5))[1] is True
