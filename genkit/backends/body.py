"""Bodies: JSON as it is sent and as it comes, and what an error may quote of one that is something else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

from ..errors import BadResponse, InvalidRequest
from ..events import load_json
from ..transport.messages import HttpRequest, masked_bytes

__all__ = ["body_bytes", "first_words", "misshapen", "parse_object", "shortened"]

JSON = dict[str, Any]

_NOTE = 50


def body_bytes(body: JSON) -> bytes:
    """Return a request body as JSON bytes.

    Raises:
        InvalidRequest: For what JSON in UTF-8 cannot hold: lone surrogates, NaN and infinities; it says where.
    """
    try:
        content = to_json(body)
    except ValueError as error:
        raise InvalidRequest(_unsendable(body) or f"the request is not JSON: {error}") from error
    # to_json writes NaN as a bare word, which is no JSON; only then is the slow search worth it.
    if (b"NaN" in content or b"Infinity" in content) and (where := _unsendable(body)):
        raise InvalidRequest(where)
    return content


def _unsendable(value: Any, path: str = "body") -> str | None:
    match value:
        case str():
            try:
                value.encode()
            except UnicodeEncodeError:
                pass
            else:
                return None
            at = next((i for i, c in enumerate(value) if "\ud800" <= c <= "\udfff"), None)
            if at is not None:
                return (
                    f"{path} holds a lone surrogate {value[at]!r} at character {at}, which UTF-8 cannot carry; "
                    "clean the text, for example with text.encode('utf-8', 'replace').decode()"
                )
        case float():
            if not math.isfinite(value):
                return f"{path} is {value}, which JSON cannot carry"
        case dict():
            found = (
                _unsendable(item, f"{path}.{key}") or _unsendable(key, f"{path} key") for key, item in value.items()
            )
            return next((text for text in found if text), None)
        case list() | tuple():
            found = (_unsendable(item, f"{path}[{i}]") for i, item in enumerate(value))
            return next((text for text in found if text), None)
        case _:
            pass
    return None


def parse_object(
    content: bytes, headers: Mapping[str, str], *, request_id: str | None = None, request: HttpRequest | None = None
) -> JSON:
    """Return a JSON object out of an answer with status 200.

    Args:
        content: The answer's body.
        headers: Its headers.
        request_id: The vendor's id of the request, for an error.
        request: What was sent, whose secrets an error leaves out.

    Raises:
        BadResponse: If it is anything else, such as a proxy's HTML page; it quotes the beginning.
    """
    try:
        data = load_json(content)
    except ValueError as error:
        kind = headers.get("content-type", "no content type")
        message = f"the answer is not JSON ({kind}): {_quoted(content, request)!r}; is the base URL right?"
        raise BadResponse(message, sent=True, request_id=request_id) from error
    if not isinstance(data, dict):
        message = f"the answer is JSON, but not an object: {_quoted(content, request)!r}; is the base URL right?"
        raise BadResponse(message, sent=True, request_id=request_id)
    return data


def first_words(content: bytes, limit: int = 200) -> str:
    """Return the beginning of a body, for an error message."""
    text = content[: limit * 4].decode("utf-8", "replace").strip()
    return text if len(text) <= limit else text[:limit] + "..."


def _quoted(content: bytes, request: HttpRequest | None) -> str:
    return first_words(content if request is None else masked_bytes(content, request.secrets()))


def shortened(text: str, limit: int = 2_000) -> str:
    """Return a text as an error message may quote it: its beginning, and how long it is where it is cut."""
    # What was cut once, and says so, stays as it is.
    return text if len(text) <= limit + _NOTE else f"{text[:limit]}... ({len(text):,} characters in all)"


def misshapen(error: Exception, content: bytes, request: HttpRequest | None = None) -> BadResponse:
    """Return the error for an answer to `request` that a decoder stumbled over."""
    return BadResponse(
        f"the answer does not have the form that this API documents ({type(error).__name__}: {error}): "
        f"{_quoted(content, request)!r}",
        sent=True,
    )
