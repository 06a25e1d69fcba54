"""JSON schemas in Gemini's dialect: what is the same is sent, and what is weaker is reported."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from genkit.backends.google.schema import dialect
from genkit.types import Schema
from tests.backends.google.cases import NEW, lost, request, wire_of


class Silent:
    """Losses that must not be."""

    def lose(self, subject: str, why: str, **_: Any) -> None:
        raise AssertionError(f"{subject}: {why}")


class Heard:
    """Losses that are written down."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def lose(self, subject: str, why: str, *, kind: str) -> None:
        self.told.append(f"{subject} {kind}: {why}")


def same(schema: dict[str, Any]) -> dict[str, Any]:
    """Return what is sent for a schema of which nothing is lost."""
    losses: Any = Silent()
    return dialect(schema, losses, subject="output_schema", what="'answer'")


def weaker(schema: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return what is sent for a schema of which something is lost, and the one report."""
    losses: Any = Heard()
    sent = dialect(schema, losses, subject="output_schema", what="'answer'")
    (told,) = losses.told
    return sent, told


def test_a_constant_is_the_only_choice() -> None:
    assert same({"const": "a"}) == {"enum": ["a"], "type": "string"}
    assert same({"const": 3, "type": "number"}) == {"enum": [3], "type": "number"}
    assert same({"const": True}) == {"enum": [True], "type": "boolean"}


def test_titles_and_examples_say_nothing_and_are_left_out() -> None:
    assert same({"title": "T", "type": "string", "examples": ["x"], "default": "y", "$schema": "s"}) == {
        "type": "string"
    }


def test_a_property_may_be_called_title() -> None:
    schema = {"type": "object", "properties": {"title": {"type": "string", "title": "Title"}}, "required": ["title"]}
    assert same(schema)["properties"] == {"title": {"type": "string"}}


def test_one_of_is_any_of() -> None:
    assert same({"oneOf": [{"type": "string"}, {"const": 1}]}) == {
        "anyOf": [{"type": "string"}, {"enum": [1], "type": "integer"}]
    }


def test_bounds_that_are_left_out_are_the_next_whole_numbers() -> None:
    sent = same({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 10})
    assert sent == {"type": "integer", "minimum": 1, "maximum": 9}


def test_between_fractions_there_is_no_next_number() -> None:
    sent, told = weaker({"type": "number", "exclusiveMinimum": 0})
    assert sent == {"type": "number", "description": "exclusiveMinimum: 0"}
    assert "'answer' to exclusiveMinimum" in told


@pytest.mark.parametrize("kind", ["string", ["string", "null"]])
def test_the_format_of_a_text_is_part_of_its_description(kind: Any) -> None:
    sent, told = weaker({"type": kind, "format": "date", "description": "When"})
    assert sent == {"type": kind, "description": "When (format: date)"}
    assert "format" in told


def test_the_format_of_a_number_is_kept() -> None:
    assert same({"type": "integer", "format": "int32"}) == {"type": "integer", "format": "int32"}


@pytest.mark.parametrize(
    ("word", "value"),
    [("pattern", "^a$"), ("minLength", 1), ("uniqueItems", True), ("multipleOf", 2), ("not", {"type": "null"})],
)
def test_words_it_is_not_held_to_are_told_and_reported_once(word: str, value: Any) -> None:
    schema = {"type": "object", "properties": {"a": {word: value}, "b": {word: value}}}
    sent, told = weaker(schema)
    assert word in sent["properties"]["a"]["description"]
    assert told.startswith("output_schema changed:")


def test_beside_a_reference_nothing_stands() -> None:
    schema = {
        "$ref": "#/definitions/Node",
        "description": "x",
        "definitions": {"Node": {"title": "N", "type": "object"}},
    }
    assert same(schema) == {"$ref": "#/$defs/Node", "$defs": {"Node": {"type": "object"}}}


class Inner(BaseModel):
    """A part of it."""

    colour: str
    child: Inner | None = None


class Outer(BaseModel):
    """What pydantic writes for recursive models."""

    inner: Inner
    kind: str | int
    many: list[Inner]


def test_what_pydantic_writes_for_recursive_models_loses_nothing() -> None:
    sent = same(Outer.model_json_schema())
    assert sent["properties"]["inner"] == {"$ref": "#/$defs/Inner"}
    assert "title" not in str(sent)


def test_the_given_schema_stays_as_it_was() -> None:
    schema = {"type": "object", "properties": {"a": {"const": 1, "title": "A"}}}
    before = str(schema)
    same(schema)
    assert str(schema) == before


def test_a_weaker_schema_of_the_answer_is_reported() -> None:
    form = Schema(json_schema={"type": "object", "properties": {"a": {"type": "string", "pattern": "^x"}}})
    assert lost(request(model=NEW, output_schema=form)) == [("changed", "output_schema")]


def test_the_description_of_a_schema_is_sent() -> None:
    form = Schema(json_schema={"type": "object"}, description="A person")
    sent = wire_of(request(model=NEW, output_schema=form)).body["generationConfig"]["responseJsonSchema"]
    assert sent == {"type": "object", "description": "A person"}


def test_one_schema_in_all_of_is_that_schema() -> None:
    assert same({"allOf": [{"const": 1}], "title": "T"}) == {"enum": [1], "type": "integer"}


def test_bounds_beside_a_reference_are_reported() -> None:
    sent, told = weaker({"$ref": "#/$defs/A", "minLength": 3, "$defs": {"A": {"type": "string"}}})
    assert sent == {"$ref": "#/$defs/A", "$defs": {"A": {"type": "string"}}}
    assert "minLength" in told


def test_a_choice_beside_a_choice_is_told() -> None:
    sent, told = weaker({"anyOf": [{"type": "string"}], "oneOf": [{"minLength": 1}]})
    assert sent["anyOf"] == [{"type": "string"}]
    assert "oneOf" in told
