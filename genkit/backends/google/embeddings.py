"""Embeddings: three routes to vectors, which go by place and model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...errors import BadResponse, InvalidRequest
from ...types import CallWarning, Embeddings, EmbedRequest, Usage
from ..base import Losses
from ..extra import merged
from ..wire import Exchange, WireRequest
from . import failures
from .counts import count
from .models import Vendor, base_name

__all__ = ["decode", "embeds", "encode", "join"]

JSON = dict[str, Any]

# Texts in one request: https://ai.google.dev/api/embeddings and
# https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api, read 2026-11-23.
_MOST_BATCH = 100
_MOST_INSTANCES = 250
_TASKS = {"query": "RETRIEVAL_QUERY", "document": "RETRIEVAL_DOCUMENT"}
# The second generation is told its task in the text: https://ai.google.dev/gemini-api/docs/embeddings, read 2026-11-23.
_PREFIXES = {"query": "task: search result | query: ", "document": "title: none | text: "}


def embeds(model: str) -> bool:
    """Return whether a model gives vectors, by its name."""
    return "embedding" in base_name(model).lower()


def encode(request: EmbedRequest, vendor: Vendor, *, name: str, resource: str) -> list[WireRequest]:
    """Translate a request into as many as the route needs.

    Args:
        request: The request; `extra` is merged last, into each text's own options where texts are sent together.
        vendor: Whose door it goes through.
        name: The backend's name.
        resource: The model's name in paths, such as "models/gemini-embedding-001".

    Raises:
        InvalidRequest: If there are no texts, or one is empty.
    """
    if not request.texts:
        raise InvalidRequest("there is nothing to embed: give at least one text", backend=name)
    empty = [at for at, text in enumerate(request.texts) if not text]
    if empty:
        raise InvalidRequest(
            f"the text at position {empty[0]} is empty, and an empty text has no embedding: leave it out", backend=name
        )
    losses = Losses(request, backend=name)
    losses.settings(request.settings, {"timeout"}, where=f"{name}'s embeddings")
    texts, task = _with_task(request, losses)
    extra = request.extra.get(name, {})
    if vendor == "google":
        bodies = _batches(request, texts, task, extra, resource)
        path = ":batchEmbedContents"
    elif _old(request.model):
        bodies, path = _instances(request, texts, task, extra), ":predict"
    else:
        bodies, path = _single(request, texts, extra), ":embedContent"
    return [
        WireRequest(
            path=path,
            body=body,
            model=request.model,
            api=path[1:],
            origin="",
            warnings=tuple(losses.warnings),
            timeouts=request.settings.timeout,
        )
        for body in bodies
    ]


def _old(model: str) -> bool:
    """Return whether a model stands behind Vertex AI's older route."""
    wanted = base_name(model)
    return "gemini" not in wanted or wanted.startswith(("gemini-embedding-001", "gemini-embedding-exp"))


def _with_task(request: EmbedRequest, losses: Losses) -> tuple[Sequence[str], str | None]:
    """Return the texts as they are sent, and the task as it is named beside them."""
    if request.input_type is None:
        return request.texts, None
    if _old(request.model):
        return request.texts, _TASKS[request.input_type]
    prefix = _PREFIXES[request.input_type]
    losses.lose("input_type", f"this model is told it in the text, which begins with {prefix!r}", kind="changed")
    return [prefix + text for text in request.texts], None


def _batches(request: EmbedRequest, texts: Sequence[str], task: str | None, extra: JSON, resource: str) -> list[JSON]:
    common: JSON = {"model": resource}
    if task is not None:
        common["taskType"] = task
    if request.dimensions is not None:
        common["outputDimensionality"] = request.dimensions
    ones = [merged({**common, "content": {"parts": [{"text": text}]}}, extra) for text in texts]
    return [{"requests": ones[at : at + _MOST_BATCH]} for at in range(0, len(ones), _MOST_BATCH)]


def _instances(request: EmbedRequest, texts: Sequence[str], task: str | None, extra: JSON) -> list[JSON]:
    # The first Gemini model takes one text at a time there.
    most = 1 if "gemini" in request.model else _MOST_INSTANCES
    told = {"task_type": task} if task is not None else {}
    ones = [{"content": text, **told} for text in texts]
    parameters = {"parameters": {"outputDimensionality": request.dimensions}} if request.dimensions is not None else {}
    return [merged({"instances": ones[at : at + most], **parameters}, extra) for at in range(0, len(ones), most)]


def _single(request: EmbedRequest, texts: Sequence[str], extra: JSON) -> list[JSON]:
    config: JSON = {}
    if request.dimensions is not None:
        config["embedContentConfig"] = {"outputDimensionality": request.dimensions}
    return [merged({"content": {"parts": [{"text": text}]}, **config}, extra) for text in texts]


def decode(wire: WireRequest, data: JSON, exchange: Exchange, *, backend: str) -> Embeddings:
    """Return the vectors of one answer, in the order of its texts.

    Raises:
        GenkitError: If the answer is an error in spite of its status 200.
        BadResponse: If there is not one vector for each text, all of one length.
    """
    if error := data.get("error"):
        raise failures.in_stream(error, backend=backend)
    try:
        found, tokens, cut = _read(wire, data)
        vectors = tuple([_vector(one) for one in found])
    except (LookupError, TypeError, AttributeError, ArithmeticError, ValueError) as cause:
        raise BadResponse(
            f"the answer does not have the form of embeddings ({type(cause).__name__}: {cause})",
            backend=backend,
            sent=True,
        ) from cause
    sent = len(wire.body.get("requests") or wire.body.get("instances") or (1,))
    if len(vectors) != sent or len({len(vector) for vector in vectors}) != 1:
        raise BadResponse(
            f"{sent} texts were sent, and {len(vectors)} vectors came back, not all of one length or not as many",
            backend=backend,
            sent=True,
        )
    warnings = wire.warnings
    if cut:
        message = f"{cut} of the texts were longer than the model reads, and were cut by the vendor"
        warnings = (*warnings, CallWarning(kind="note", subject="texts", message=message))
    return Embeddings(
        vectors=vectors,
        usage=Usage(input=tokens, output=0, raw=data.get("usageMetadata") or data.get("metadata") or None),
        model=wire.model,
        backend=backend,
        request_id=exchange.headers.get("x-request-id"),
        warnings=warnings,
    )


def _read(wire: WireRequest, data: JSON) -> tuple[list[Any], int | None, int]:
    """Return the vectors as they came, the tokens of all texts, and how many texts were cut."""
    if wire.api == "predict":
        embeddings = [prediction["embeddings"] for prediction in data["predictions"]]
        statistics = [one.get("statistics") or {} for one in embeddings]
        counts = [count(one, "token_count") for one in statistics]
        known = [number for number in counts if number is not None]
        tokens = sum(known) if len(known) == len(counts) else None
        return [one["values"] for one in embeddings], tokens, sum(bool(one.get("truncated")) for one in statistics)
    tokens = count(data.get("usageMetadata"), "promptTokenCount")
    if wire.api == "embedContent":
        return [data["embedding"]["values"]], tokens, int(bool(data.get("truncated")))
    return [one["values"] for one in data["embeddings"]], tokens, 0


def _vector(values: Any) -> tuple[float, ...]:
    if not isinstance(values, list) or not values or not {int, float}.issuperset(map(type, values)):
        raise TypeError("a vector is no list of numbers")
    vector = tuple(map(float, values))
    if not all(map(math.isfinite, vector)):
        raise ValueError("a vector holds a number that is none")
    return vector


def join(answers: Sequence[Embeddings]) -> Embeddings:
    """Return the answers to several requests as one."""
    first = answers[0]
    if len(answers) == 1:
        return first
    total = first.usage
    for answer in answers[1:]:
        total += answer.usage
    notes = {warning: None for answer in answers for warning in answer.warnings}
    note = CallWarning(kind="note", subject="texts", message=f"texts were sent in {len(answers)} requests")
    return first.model_copy(
        update={
            "vectors": tuple([vector for answer in answers for vector in answer.vectors]),
            "usage": total,
            "warnings": (*notes, note),
        }
    )
