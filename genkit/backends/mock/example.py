"""The smallest value that fits a JSON schema, always the same for the same schema."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from .pattern import sample

__all__ = ["ExampleError", "example"]

_FORMATS = {
    "date": "2000-01-01",
    "date-time": "2000-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "a@example.com",
    "idn-email": "a@example.com",
    "hostname": "example.com",
    "idn-hostname": "example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "uri": "https://example.com/",
    "uri-reference": "/",
    "iri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "json-pointer": "/a",
    "regex": "a",
    "byte": "",
    "ipv4network": "127.0.0.0/8",
    "ipv6network": "::/0",
    "ipvanyaddress": "127.0.0.1",
    "path": "a",
    "json-string": "{}",
}


class ExampleError(ValueError):
    """No value was found; the message says at which place of the schema, and why."""


def example(schema: Mapping[str, Any] | bool) -> Any:
    """Return a minimal instance of a JSON schema (draft 2020-12 and its ancestors, as far as models are asked for it).

    Optional properties are left out, arrays are as short as allowed, of alternatives the first possible one is taken.

    Raises:
        ExampleError: If the schema is contradictory, or uses what is not known here.
    """
    return _Maker(schema).make(schema, "$", ())


# The references that are being followed: one that comes again has no end.
_Trail: TypeAlias = tuple[str, ...]


class _Maker:
    def __init__(self, root: Mapping[str, Any] | bool) -> None:
        self._root = root

    def make(self, schema: Any, path: str, trail: _Trail) -> Any:
        if schema is True:
            return ""
        if not isinstance(schema, Mapping):
            raise ExampleError(f"{path}: nothing fits the schema {schema!r}")
        schema, trail = self._flat(schema, path, trail)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            if not schema["enum"]:
                raise ExampleError(f"{path}: an empty enum")
            return next(iter(schema["enum"]))
        for choice in ("anyOf", "oneOf"):
            if choice in schema:
                return self._first(schema, choice, path, trail)
        return self._typed(schema, path, trail)

    def _flat(self, schema: Mapping[str, Any], path: str, trail: _Trail) -> tuple[Mapping[str, Any], _Trail]:
        """Resolve `$ref` and `allOf` into one schema."""
        if "$ref" in schema:
            reference = schema["$ref"]
            if reference in trail:
                raise ExampleError(f"{path}: {reference!r} refers to itself without an end")
            target, trail = self._flat(self._resolve(reference, path), path, (*trail, reference))
            schema = _merged(target, {key: value for key, value in schema.items() if key != "$ref"})
        if "allOf" in schema:
            merged: Mapping[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
            parts = [self._flat(part, path, trail) for part in schema["allOf"] if isinstance(part, Mapping)]
            for flat, followed in parts:
                merged = _merged(merged, flat)
                trail = tuple(dict.fromkeys(trail + followed))
            schema = merged
        return schema, trail

    def _resolve(self, reference: str, path: str) -> Mapping[str, Any]:
        if not reference.startswith("#"):
            raise ExampleError(f"{path}: {reference!r} points outside the schema")
        found: Any = self._root
        for step in reference.lstrip("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, Mapping) and name in found:
                found = found[name]
            elif isinstance(found, list) and name.isdigit() and int(name) < len(found):
                found = found[int(name)]
            else:
                raise ExampleError(f"{path}: {reference!r} points to nothing")
        return found if isinstance(found, Mapping) else {}

    def _first(self, schema: Mapping[str, Any], choice: str, path: str, trail: _Trail) -> Any:
        rest = {key: value for key, value in schema.items() if key != choice}
        problems = []
        for option in schema[choice]:
            try:
                return self.make(_merged(rest, option) if isinstance(option, Mapping) else option, path, trail)
            except ExampleError as error:
                problems.append(str(error))
        raise ExampleError(problems[0] if problems else f"{path}: {choice} without alternatives")

    def _typed(self, schema: Mapping[str, Any], path: str, trail: _Trail) -> Any:
        kinds = schema.get("type", _implied(schema))
        makers: dict[str, Callable[[], Any]] = {
            "object": lambda: self._object(schema, path, trail),
            "array": lambda: self._array(schema, path, trail),
            "string": lambda: _string(schema, path),
            "integer": lambda: _number(schema, path, whole=True),
            "number": lambda: _number(schema, path, whole=False),
            "boolean": lambda: False,
            "null": lambda: None,
        }
        problem: ExampleError | None = None
        for kind in [kinds] if isinstance(kinds, str) else kinds:
            if kind not in makers:
                problem = ExampleError(f"{path}: unknown type {kind!r}")
                continue
            try:
                return makers[kind]()
            except ExampleError as error:
                problem = problem or error
        raise problem or ExampleError(f"{path}: no type")

    def _object(self, schema: Mapping[str, Any], path: str, trail: _Trail) -> dict[str, Any]:
        properties: Mapping[str, Any] = schema.get("properties", {})
        other = schema.get("additionalProperties", True)
        names = list(dict.fromkeys(schema.get("required", ())))
        names += [name for name in properties if name not in names][
            : max(schema.get("minProperties", 0) - len(names), 0)
        ]
        value = {name: self.make(properties.get(name, other), f"{path}.{name}", trail) for name in names}
        while len(value) < schema.get("minProperties", 0):
            name = f"key{len(value) + 1}"
            value[name] = self.make(other, f"{path}.{name}", trail)
        return value

    def _array(self, schema: Mapping[str, Any], path: str, trail: _Trail) -> list[Any]:
        first: Sequence[Any] = schema.get("prefixItems", ())
        items = schema.get("items", True)
        least = max(schema.get("minItems", 0), 1 if "contains" in schema else 0)
        made: list[Any] = []
        for i in range(least):
            inner = first[i] if i < len(first) else items
            if "contains" in schema and i == 0 and not first:
                inner = _merged(inner, schema["contains"]) if isinstance(inner, Mapping) else schema["contains"]
            made.append(self.make(inner, f"{path}[{i}]", trail))
            if schema.get("uniqueItems") and made[-1] in made[:-1]:
                made[-1] = self._another(inner, made, f"{path}[{i}]", trail)
        return made

    def _another(self, schema: Any, taken: list[Any], path: str, trail: _Trail) -> Any:
        """Return an instance that is not yet in a list of unique items."""
        flat = self._flat(schema, path, trail)[0] if isinstance(schema, Mapping) else {}
        for other in _variants(flat, taken):
            if other not in taken[:-1]:
                return other
        raise ExampleError(f"{path}: no further different item found")


def _variants(schema: Mapping[str, Any], taken: list[Any]) -> Iterator[Any]:
    last = taken[-1]
    if "enum" in schema:
        yield from schema["enum"]
    elif isinstance(last, bool):
        yield not last
    elif isinstance(last, int | float):
        step = schema.get("multipleOf", 1)
        top = schema.get("maximum", schema.get("exclusiveMaximum", math.inf))
        for i in range(1, len(taken) + 1):
            if last + i * step < top or ("maximum" in schema and last + i * step == top):
                yield last + i * step
    elif isinstance(last, str) and "pattern" not in schema and "format" not in schema:
        for i in range(len(taken)):
            longer = f"{last}{i}"
            if len(longer) <= schema.get("maxLength", math.inf):
                yield longer


def _implied(schema: Mapping[str, Any]) -> str:
    if schema.keys() & {"properties", "required", "additionalProperties", "minProperties"}:
        return "object"
    if schema.keys() & {"items", "prefixItems", "minItems", "contains"}:
        return "array"
    if schema.keys() & {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}:
        return "number"
    return "string"


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema that asks for both."""
    merged = {**one, **other}
    if "properties" in one and "properties" in other:
        both = one["properties"].keys() & other["properties"].keys()
        merged["properties"] = {**one["properties"], **other["properties"]} | {
            name: {"allOf": [one["properties"][name], other["properties"][name]]} for name in both
        }
    if "required" in one and "required" in other:
        merged["required"] = list(dict.fromkeys([*one["required"], *other["required"]]))
    if "enum" in one and "enum" in other:
        merged["enum"] = [value for value in one["enum"] if value in other["enum"]]
    for name, pick in (("minimum", max), ("maximum", min), ("minLength", max), ("maxLength", min), ("minItems", max)):
        if name in one and name in other:
            merged[name] = pick(one[name], other[name])
    for choice in ("anyOf", "oneOf"):
        if choice in one and choice in other:
            merged[choice] = one[choice]
            merged["allOf"] = [*merged.get("allOf", ()), {choice: other[choice]}]
    return merged


def _string(schema: Mapping[str, Any], path: str) -> str:
    least, most = schema.get("minLength", 0), schema.get("maxLength", math.inf)
    if (form := schema.get("format")) in _FORMATS and "pattern" not in schema:
        text = _FORMATS[str(form)]
        if least <= len(text) <= most:
            return text
        raise ExampleError(f"{path}: no {form} of {least} to {most} characters known")
    if "pattern" not in schema:
        if least > most:
            raise ExampleError(f"{path}: minLength {least} is above maxLength {most}")
        return "a" * int(least)
    pattern: str = schema["pattern"]
    offers: list[Any] = [sample(pattern, least), schema.get("default"), *schema.get("examples", ())]
    for offer in offers:
        if isinstance(offer, str) and least <= len(offer) <= most and _fits(pattern, offer):
            return offer
    raise ExampleError(f"{path}: no text for the pattern {pattern!r} found")


def _fits(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return False


def _number(schema: Mapping[str, Any], path: str, *, whole: bool) -> int | float:
    low, high = _bound(schema, "minimum", "exclusiveMinimum"), _bound(schema, "maximum", "exclusiveMaximum")
    step = schema.get("multipleOf", 1 if whole else None)
    if whole and step is not None and not float(step).is_integer():
        step = 1
    for value in _numbers(low, high, step):
        above = low is None or value >= low
        below = high is None or value <= high
        inside = value != schema.get("exclusiveMinimum") and value != schema.get("exclusiveMaximum")
        if above and below and inside and math.isfinite(value):
            return int(value) if whole or float(value).is_integer() else value
    raise ExampleError(
        f"{path}: no number between {low} and {high}" + (f" that is a multiple of {step}" if step else "")
    )


def _numbers(low: float | None, high: float | None, step: float | None) -> Iterator[float]:
    yield 0
    start = low if low is not None else high
    if start is None:
        return
    if step:
        # The first multiples inside: one may be excluded by an exclusive bound.
        first = math.ceil(start / step) if low is not None else math.floor(start / step)
        sign = 1 if low is not None else -1
        yield first * step
        yield (first + sign) * step
        return
    yield start
    if low is not None and high is not None:
        yield (low + high) / 2
    yield start + (1 if low is not None else -1)


def _bound(schema: Mapping[str, Any], name: str, exclusive: str) -> float | None:
    bounds = [
        float(value) if isinstance(value, float) else value
        for value in (schema.get(name), schema.get(exclusive))
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    if not bounds:
        return None
    tightest: float = max(bounds) if name == "minimum" else min(bounds)
    return tightest
