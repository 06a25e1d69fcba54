"""Vectors of another length than was asked for, from every backend on the wire."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from genkit.backends.bedrock import Bedrock
from genkit.backends.google import Google
from genkit.backends.openai import OpenAI
from genkit.errors import Unsupported
from genkit.types import Embeddings, EmbedRequest
from tests.farend import FarEnd, answer

BACKENDS: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "openai": (
        lambda url: OpenAI(base_url=url, api_key="k"),
        "text-embedding-3-small",
        {"data": [{"index": 0, "embedding": [0.5, 1.0]}]},
    ),
    "google": (
        lambda url: Google(base_url=url, api_key="k"),
        "gemini-embedding-001",
        {"embeddings": [{"values": [0.5, 1.0]}]},
    ),
    "bedrock": (
        lambda url: Bedrock(base_url=url, region="eu-west-1", api_key="k"),
        "amazon.titan-embed-text-v2:0",
        {"embedding": [0.5, 1.0], "inputTextTokenCount": 1},
    ),
}


@pytest.fixture(params=["embed", "aembed"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("name", sorted(BACKENDS))
def test_vectors_of_another_length_than_was_asked_for_are_reported(name: str, way: str) -> None:
    make, model, reply = BACKENDS[name]

    async def alone(request: EmbedRequest) -> Embeddings:
        try:
            return await backend.aembed(request)
        finally:
            await backend.aclose()

    def embed(dimensions: int, **fields: Any) -> Embeddings:
        request = EmbedRequest(model=model, texts=("a",), dimensions=dimensions, **fields)
        found: Embeddings = asyncio.run(alone(request)) if way == "aembed" else backend.embed(request)
        return found

    with FarEnd(answer(json.dumps(reply).encode())) as far:
        backend = make(far.url)
        found = embed(256)
        assert [(warning.kind, warning.subject) for warning in found.warnings] == [("changed", "dimensions")]
        assert "have 2, not 256" in found.warnings[0].message
        assert embed(2).warnings == ()
        assert embed(256, on_unsupported="ignore").warnings == ()
        for strict in ({"on_unsupported": "error"}, {"require": frozenset({"dimensions"})}):
            with pytest.raises(Unsupported, match="dimensions"):
                embed(256, **strict)
        backend.close()
