"""Embeddings: requests in batches the service takes, vectors back in the order of the texts."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Sequence
from typing import Any

from ...errors import BadResponse, InvalidRequest
from ...types import CallWarning, Embeddings, EmbedRequest, Usage
from ..base import Losses
from ..services import Service
from ..wire import Exchange, WireRequest
from . import failures
from .chat import merge_extra, merged_extra

__all__ = ["MOST_TEXTS", "decode", "encode", "join"]

JSON = dict[str, Any]

# https://developers.openai.com/api/reference/resources/embeddings, read 2026-11-23: an array of at most 2048 inputs,
# 8192 tokens in each and 300,000 in all. Tokens are not counted here; four bytes are never less than one of them.
MOST_TEXTS = 2048
_MOST_BYTES = 300_000


def encode(request: EmbedRequest, service: Service) -> list[WireRequest]:
    """Translate a request into as many as the service needs.

    Raises:
        InvalidRequest: If there are no texts, or one is empty.
    """
    if not request.texts:
        raise InvalidRequest("there is nothing to embed: give at least one text", backend=service.name)
    empty = [at for at, text in enumerate(request.texts) if not text]
    if empty:
        raise InvalidRequest(
            f"the text at position {empty[0]} is empty, and an empty text has no embedding: leave it out",
            backend=service.name,
        )
    losses = Losses(request, backend=service.name)
    losses.settings(request.settings, {"timeout"}, where=f"{service.name}'s embeddings")
    if request.input_type is not None:
        losses.lose("input_type", f"{service.name} embeds queries and documents alike")
    return [_wire(request, texts, service, losses) for texts in _batches(request.texts)]


def _wire(request: EmbedRequest, texts: Sequence[str], service: Service, losses: Losses) -> WireRequest:
    body: JSON = {"model": request.model, "input": list(texts)}
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    if service.rules != "free":
        # A third of the size of numbers in decimal, and exact; not every compatible service knows it.
        body["encoding_format"] = "base64"
    merge_extra(body, merged_extra(request, service), stream=False)
    return WireRequest(
        path="/embeddings",
        body=body,
        model=request.model,
        api="embeddings",
        origin="",
        warnings=tuple(losses.warnings),
        timeouts=request.settings.timeout,
    )


def _batches(texts: Sequence[str]) -> list[Sequence[str]]:
    """Cut the texts where a limit is reached; one that is too long by itself goes alone, and is refused there."""
    batches: list[Sequence[str]] = []
    begin = size = 0
    for at, text in enumerate(texts):
        length = len(text.encode("utf-8", "surrogatepass"))
        if at > begin and (at - begin >= MOST_TEXTS or size + length > _MOST_BYTES):
            batches.append(texts[begin:at])
            begin, size = at, 0
        size += length
    batches.append(texts[begin:])
    return batches


def decode(wire: WireRequest, data: JSON, exchange: Exchange, *, backend: str) -> Embeddings:
    """Return the vectors of one answer, in the order of its inputs.

    Raises:
        GenkitError: If the answer is an error in spite of its status 200.
        BadResponse: If there is not one vector for each input, all of one length.
    """
    request_id = failures.request_id(exchange.headers)
    error = data.get("error")
    if error or data.get("object") == "error":
        raise failures.in_stream(error or data, backend=backend, request_id=request_id)
    try:
        return Embeddings(
            vectors=_vectors(wire, data),
            usage=_usage(data.get("usage")),
            model=str(data.get("model") or wire.model),
            backend=backend,
            request_id=request_id,
            warnings=wire.warnings,
        )
    except BadResponse as failed:
        failed.backend, failed.request_id = backend, request_id
        raise
    except (LookupError, TypeError, AttributeError, ArithmeticError, ValueError, struct.error) as cause:
        raise BadResponse(
            f"the answer does not have the form of embeddings ({type(cause).__name__}: {cause})",
            backend=backend,
            sent=True,
            request_id=request_id,
        ) from cause


def _vectors(wire: WireRequest, data: JSON) -> tuple[tuple[float, ...], ...]:
    wanted = wire.body["input"]
    # A list of numbers, by way of `extra`, is one text in tokens.
    count = len(wanted) if isinstance(wanted, list) and not isinstance(wanted[0], int) else 1
    found = _by_index(data["data"])
    if sorted(found) != list(range(count)):
        raise BadResponse(
            f"{count} texts were sent, and the vectors that came back are numbered {sorted(found)[:10]}", sent=True
        )
    lengths = sorted({len(vector) for vector in found.values()})
    if lengths[0] == 0:
        raise BadResponse("a vector that came back is empty", sent=True)
    if len(lengths) > 1:
        raise BadResponse(f"the vectors that came back differ in length: {lengths[:10]}", sent=True)
    return tuple(found[index] for index in range(count))


def _by_index(items: Any) -> dict[int, tuple[float, ...]]:
    if not isinstance(items, list):
        raise TypeError(f"the data are a {type(items).__name__}, not a list")
    found: dict[int, tuple[float, ...]] = {}
    for position, item in enumerate(items):
        index = item.get("index")
        if index is None:
            index = position
        if type(index) is not int or index in found:
            raise ValueError(f"{index!r} is no number for a vector, or stands twice")
        found[index] = _vector(item["embedding"])
    return found


def _vector(value: Any) -> tuple[float, ...]:
    """Return a vector out of base64 (little-endian 32-bit floats), or out of a list where the service sends that."""
    if isinstance(value, str):
        content = base64.b64decode(value, validate=True)
        vector = struct.unpack(f"<{len(content) // 4}f", content)
    elif not isinstance(value, list) or not {int, float}.issuperset(map(type, value)):
        raise TypeError("a vector is no list of numbers")
    else:
        vector = tuple(map(float, value))
    # One number that is none spoils the sum; the sum of large ones may be infinite as well.
    if not math.isfinite(sum(vector)) and not all(map(math.isfinite, vector)):
        raise ValueError("a vector holds a number that is none")
    return vector


def _usage(counts: Any) -> Usage:
    counts = counts if isinstance(counts, dict) else {}
    found = (counts.get(name) for name in ("prompt_tokens", "total_tokens"))
    tokens = next((count for count in found if type(count) is int and count >= 0), None)
    return Usage(input=tokens, output=0, raw=counts or None)


def join(answers: Sequence[Embeddings]) -> Embeddings:
    """Return the answers to several batches as one."""
    first = answers[0]
    if len(answers) == 1:
        return first
    total = first.usage
    for answer in answers[1:]:
        total += answer.usage
    note = CallWarning(kind="note", subject="texts", message=f"texts were sent in {len(answers)} requests")
    return first.model_copy(
        update={
            "vectors": tuple(vector for answer in answers for vector in answer.vectors),
            "usage": total,
            "warnings": (*first.warnings, note),
        }
    )
