"""Embeddings on Bedrock: Titan, Cohere and Nova, each in its maker's own form, by InvokeModel."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ...errors import BadResponse, InvalidRequest, Unsupported
from ...types import CallWarning, Embeddings, EmbedRequest, Usage
from ..base import Losses
from ..extra import merged
from ..wire import Exchange, WireRequest
from . import failures
from .models import base_model
from .request import path_of

__all__ = ["Maker", "decode", "encode", "join", "maker"]

JSON = dict[str, Any]

_NOVA_PURPOSES = {"query": "GENERIC_RETRIEVAL", "document": "GENERIC_INDEX", None: "GENERIC_INDEX"}
_COHERE_PURPOSES = {"query": "search_query", "document": "search_document", None: "search_document"}


@dataclass(frozen=True, slots=True)
class Maker:
    """One form of embeddings.

    Attributes:
        prefix: Beginning of the model's id.
        form: Which form it is.
        most: Texts of one request.
        dimensions: Whether the length of the vectors can be chosen.
        purposes: Whether it tells questions from documents.
        source: Where this stands, and `checked` when it was read.
    """

    prefix: str
    form: Literal["titan-1", "titan-2", "cohere-3", "cohere-4", "nova"]
    most: int = 1
    dimensions: bool = False
    purposes: bool = False
    source: str = "https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html"
    checked: str = "2026-11-23"


_MAKERS = (
    Maker("amazon.titan-embed-text-v1", "titan-1"),
    Maker("amazon.titan-embed-g1", "titan-1"),
    Maker("amazon.titan-embed", "titan-2", dimensions=True),
    Maker("cohere.embed-english-v3", "cohere-3", most=96, purposes=True),
    Maker("cohere.embed-multilingual-v3", "cohere-3", most=96, purposes=True),
    Maker("cohere.embed", "cohere-4", most=96, dimensions=True, purposes=True),
    Maker("amazon.nova", "nova", dimensions=True, purposes=True),
)


def maker(model: str) -> Maker | None:
    """Return the form that a model's embeddings have, or None for a model that gives none."""
    base = base_model(model)
    if "embed" not in base:
        return None
    return next((row for row in _MAKERS if base.startswith(row.prefix)), None)


def encode(request: EmbedRequest, *, backend: str) -> list[WireRequest]:
    """Translate a request into as many as the model needs.

    Raises:
        InvalidRequest: If there are no texts, or one is empty.
        Unsupported: If the model gives no embeddings.
    """
    form = maker(request.model)
    if form is None:
        raise Unsupported(f"{backend} has no embeddings of model {request.model!r}", backend=backend)
    if not request.texts:
        raise InvalidRequest("there is nothing to embed: give at least one text", backend=backend)
    empty = [at for at, text in enumerate(request.texts) if not text.strip()]
    if empty:
        raise InvalidRequest(f"the text at position {empty[0]} is empty: leave it out", backend=backend)
    losses = Losses(request, backend=backend)
    losses.settings(request.settings, {"timeout"}, where=f"{backend}'s embeddings")
    if request.dimensions is not None and not form.dimensions:
        losses.lose("dimensions", f"the vectors of {request.model!r} have one length")
    if request.input_type is not None and not form.purposes:
        losses.lose("input_type", f"{request.model!r} embeds queries and documents alike")
    batches = [request.texts[at : at + form.most] for at in range(0, len(request.texts), form.most)]
    extra = request.extra.get(backend, {})
    wires = []
    for texts in batches:
        body = merged(_body(request, form, texts), extra)
        wires.append(
            WireRequest(
                path=path_of(request.model, "invoke", backend=backend),
                body=body,
                model=request.model,
                api="invoke",
                origin="",
                warnings=tuple(losses.warnings),
                timeouts=request.settings.timeout,
            )
        )
    return wires


def _body(request: EmbedRequest, form: Maker, texts: Sequence[str]) -> JSON:
    size = request.dimensions
    match form.form:
        case "titan-1":
            return {"inputText": texts[0]}
        case "titan-2":
            return {"inputText": texts[0], "normalize": True, **({"dimensions": size} if size else {})}
        case "cohere-3" | "cohere-4":
            body: JSON = {"texts": list(texts), "input_type": _COHERE_PURPOSES[request.input_type], "truncate": "NONE"}
            if form.form == "cohere-4":
                body |= {"embedding_types": ["float"], **({"output_dimension": size} if size else {})}
            return body
        case "nova":
            text = {"value": texts[0], "truncationMode": "NONE"}
            single: JSON = {"embeddingPurpose": _NOVA_PURPOSES[request.input_type], "text": text}
            if size:
                single["embeddingDimension"] = size
            return {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": single}


def decode(wire: WireRequest, data: JSON, exchange: Exchange, *, backend: str) -> Embeddings:
    """Return the vectors of one answer.

    Raises:
        BadResponse: If there is not one vector for each text, all of one length.
    """
    request_id = failures.request_id(exchange.headers)
    try:
        vectors = [_vector(value) for value in _values(data)]
    except (LookupError, TypeError, AttributeError, ValueError) as cause:
        raise BadResponse(
            f"the answer does not have the form of embeddings ({type(cause).__name__}: {cause})",
            backend=backend,
            sent=True,
            request_id=request_id,
        ) from cause
    wanted = len(wire.body["texts"]) if "texts" in wire.body else 1
    if len(vectors) != wanted or len({len(vector) for vector in vectors}) != 1 or not vectors[0]:
        lengths = sorted({len(vector) for vector in vectors})
        raise BadResponse(
            f"{wanted} texts were sent, and {len(vectors)} vectors of lengths {lengths} came back",
            backend=backend,
            sent=True,
            request_id=request_id,
        )
    return Embeddings(
        vectors=tuple(vectors),
        usage=_usage(data, exchange.headers),
        model=wire.model,
        backend=backend,
        request_id=request_id,
        warnings=wire.warnings,
    )


def _values(data: JSON) -> list[Any]:
    if "embedding" in data:
        return [data["embedding"]]
    found = data["embeddingsByType"]["float"] if "embeddingsByType" in data else data["embeddings"]
    if isinstance(found, dict):
        return list(found["float"])
    return [item["embedding"] if isinstance(item, dict) else item for item in found]


def _vector(value: Any) -> tuple[float, ...]:
    if not isinstance(value, list) or not {int, float}.issuperset(map(type, value)):
        raise TypeError("a vector is no list of numbers")
    vector = tuple(map(float, value))
    if not all(map(math.isfinite, vector)):
        raise ValueError("a vector holds a number that is none")
    return vector


def _usage(data: JSON, headers: Mapping[str, str]) -> Usage:
    tokens = data.get("inputTextTokenCount")
    if not isinstance(tokens, int):
        said = headers.get("x-amzn-bedrock-input-token-count", "")
        tokens = int(said) if said.isascii() and said.isdigit() else None
    return Usage(input=tokens, output=0)


def join(answers: Sequence[Embeddings]) -> Embeddings:
    """Return the answers to several requests as one."""
    first = answers[0]
    if len(answers) == 1:
        return first
    total = first.usage
    for answer in answers[1:]:
        total += answer.usage
    if len({len(answer.vectors[0]) for answer in answers}) != 1:
        raise BadResponse("the vectors that came back differ in length", backend=first.backend, sent=True)
    note = CallWarning(kind="note", subject="texts", message=f"texts were sent in {len(answers)} requests")
    return first.model_copy(
        update={
            "vectors": tuple(vector for answer in answers for vector in answer.vectors),
            "usage": total,
            "warnings": (*first.warnings, note),
        }
    )
