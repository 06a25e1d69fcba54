"""AWS's own description of Bedrock, out of botocore, as a second source: what a body may hold, and what it may not."""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Iterator
from typing import Any

import botocore.session
from botocore.validate import ParamValidator


@functools.cache
def model() -> Any:
    """Return the description of bedrock-runtime."""
    return botocore.session.Session().get_service_model("bedrock-runtime")


def faults(operation: str, model_id: str, body: Any) -> list[str]:
    """Return what AWS would not take in the body of an operation, by botocore's validator and by the shapes' limits."""
    shape = model().operation_model(operation).input_shape
    given = _with_blobs({**body, "modelId": model_id}, shape)
    report = ParamValidator().validate(given, shape).generate_report()
    return [*([report] if report else []), *_limits(given, shape, "body")]


def _with_blobs(value: Any, shape: Any) -> Any:
    """Return a value as botocore takes it: bytes where JSON has base64."""
    match shape.type_name:
        case "structure" if isinstance(value, dict) and not shape.is_document_type:
            known = shape.members
            return {k: _with_blobs(v, known[k]) if k in known else v for k, v in value.items()}
        case "list" if isinstance(value, list):
            return [_with_blobs(item, shape.member) for item in value]
        case "map" if isinstance(value, dict):
            return {k: _with_blobs(v, shape.value) for k, v in value.items()}
        case "blob" if isinstance(value, str):
            try:
                return base64.b64decode(value, validate=True)
            except binascii.Error:
                return value
        case _:
            return value


def _limits(value: Any, shape: Any, path: str) -> Iterator[str]:
    """Yield what botocore does not look at: enums, patterns, longest and largest, unions of one member."""
    facts = shape.metadata
    if facts.get("union") and isinstance(value, dict) and len(value) != 1:
        yield f"{path} is a union and has {sorted(value)}"
    if isinstance(value, str) and shape.type_name == "string":
        if facts.get("enum") and value not in facts["enum"]:
            yield f"{path} is {value!r}, which is none of {facts['enum']}"
        if "pattern" in facts and not re.fullmatch(facts["pattern"], value):
            yield f"{path} is {value!r}, which does not match {facts['pattern']}"
    size = len(value) if isinstance(value, str | bytes | list | dict) else value
    if isinstance(size, int | float) and "max" in facts and size > facts["max"]:
        yield f"{path} is {size}, and at most {facts['max']} is taken"
    for inner, inner_shape, name in _inside(value, shape):
        yield from _limits(inner, inner_shape, f"{path}.{name}")


def _inside(value: Any, shape: Any) -> Iterator[tuple[Any, Any, Any]]:
    if shape.type_name == "structure" and isinstance(value, dict) and not shape.is_document_type:
        yield from ((inner, shape.members[name], name) for name, inner in value.items() if name in shape.members)
    elif shape.type_name == "list" and isinstance(value, list):
        yield from ((inner, shape.member, at) for at, inner in enumerate(value))
    elif shape.type_name == "map" and isinstance(value, dict):
        yield from ((name, shape.key, "key") for name in value)
        yield from ((inner, shape.value, name) for name, inner in value.items())
