"""The smallest instance of a JSON schema, checked against pydantic where a model can say what is valid."""

from __future__ import annotations

import datetime as dt
import enum
import ipaddress
import json
import re
import uuid
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, EmailStr, Field, HttpUrl, TypeAdapter

from genkit.backends.mock.example import ExampleError, example


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Node(BaseModel):
    value: int
    next: Node | None
    children: list[Node]


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: Annotated[int, Field(ge=1, le=9)]


class Dog(BaseModel):
    kind: Literal["dog"]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=3, max_length=5)]
    code: Annotated[str, Field(pattern=r"^[A-Z]{2}-\d{3,5}(\.[a-f]+)?$")]
    share: Annotated[float, Field(gt=0, lt=1)]
    even: Annotated[int, Field(gt=3, multiple_of=4)]
    negative: Annotated[int, Field(lt=0)]
    tags: Annotated[set[str], Field(min_length=2)]
    unique: Annotated[set[Colour], Field(min_length=2)]
    pair: tuple[int, str]
    when: dt.datetime
    day: dt.date
    time: dt.time
    span: dt.timedelta
    id: uuid.UUID
    address: ipaddress.IPv4Address
    site: HttpUrl
    colour: Colour
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    table: dict[str, int]
    maybe: int | None
    flag: bool
    nothing: None
    later: int = 3


@pytest.mark.parametrize(
    "kind",
    [Node, Strict, list[Node], dict[str, Strict], int | str, Annotated[list[int], Field(min_length=3)], Colour, bool],
)
def test_the_example_of_a_type_is_valid(kind):
    adapter = TypeAdapter(kind)
    adapter.validate_json(json.dumps(example(adapter.json_schema())))


def test_it_is_always_the_same():
    schema = TypeAdapter(Strict).json_schema()
    assert example(schema) == example(schema)


def test_optional_properties_are_left_out():
    assert "later" not in example(Strict.model_json_schema())


def test_a_schema_that_refers_to_itself_ends_where_it_may():
    assert example(Node.model_json_schema()) == {"value": 0, "next": None, "children": []}


def test_the_same_reference_may_stand_twice_beside_each_other():
    schema = {
        "$defs": {"A": {"type": "integer", "minimum": 2}},
        "allOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/A"}],
    }
    assert example(schema) == 2


def test_references_may_use_escapes_and_the_old_keyword():
    schema = {"definitions": {"a/b~c": {"const": 7}}, "$ref": "#/definitions/a~1b~0c"}
    assert example(schema) == 7


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({}, ""),
        (True, ""),
        ({"properties": {"a": {}}, "required": ["a"]}, {"a": ""}),
        ({"type": ["null", "string"]}, None),
        ({"type": "object", "minProperties": 2, "additionalProperties": {"type": "integer"}}, {"key1": 0, "key2": 0}),
        ({"type": "array", "contains": {"const": 5}}, [5]),
        ({"enum": [None, 1]}, None),
        ({"oneOf": [{"type": "string", "minLength": 2, "maxLength": 1}, {"type": "integer"}]}, 0),
        ({"allOf": [{"minimum": 3}, {"minimum": 5, "type": "integer"}]}, 5),
        ({"type": "number", "exclusiveMinimum": 0.25, "exclusiveMaximum": 0.5}, 0.375),
        ({"type": "integer", "minimum": 0.5}, 1),
        ({"type": "integer", "maximum": -2.5}, -3),
        ({"type": "string", "format": "unknown-to-all"}, ""),
    ],
)
def test_the_least_that_fits(schema, value):
    assert example(schema) == value


@pytest.mark.parametrize(
    "pattern",
    [
        r"^\d{5}$",
        r"^[A-Z][a-z]+( [A-Z][a-z]+)*$",
        r"^(red|green)$",
        r"^#(?:[0-9a-fA-F]{3}){1,2}$",
        r"^\+?[1-9]\d{1,14}$",
        r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$",
        r"^(?P<year>\d{4})-(0[1-9]|1[0-2])$",
        r"a.c",
        r"^\w+\\\.$",
        r"^[\]\-x]{2}$",
        r"^.{3,}$",
        "^[\u4e00-\u9fff]{2}$",
    ],
)
def test_a_text_for_a_pattern_is_found(pattern):
    assert re.search(pattern, example({"type": "string", "pattern": pattern}))


def test_a_pattern_beyond_it_takes_the_default_where_that_fits():
    assert example({"type": "string", "pattern": r"^(?=.*\d)[a-z\d]{4}$", "default": "abc1"}) == "abc1"


@pytest.mark.parametrize(
    "schema",
    [
        False,
        {"enum": []},
        {"type": "string", "minLength": 3, "maxLength": 2},
        {"type": "integer", "minimum": 3, "maximum": 2},
        {"type": "integer", "exclusiveMinimum": 2, "exclusiveMaximum": 3},
        {"$ref": "#/nowhere"},
        {"$ref": "https://example.com/schema"},
        {"$defs": {"A": {"required": ["a"], "properties": {"a": {"$ref": "#/$defs/A"}}}}, "$ref": "#/$defs/A"},
        {"type": "string", "pattern": r"(\d)\1{2}(?<!0)"},
        {"type": "array", "minItems": 3, "uniqueItems": True, "items": {"type": "boolean"}},
        {"type": "color"},
        {"required": ["a"], "properties": {}, "additionalProperties": False},
    ],
)
def test_what_has_no_example_is_an_error_that_says_where(schema):
    with pytest.raises(ExampleError, match=r"^\$"):
        example(schema)


def test_an_email_has_an_at_sign():
    pytest.importorskip("email_validator")
    adapter = TypeAdapter(EmailStr)
    adapter.validate_python(example(adapter.json_schema()))
