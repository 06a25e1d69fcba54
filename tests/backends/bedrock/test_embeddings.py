"""Embeddings: each maker's form, and answers that are not what they should be."""

from __future__ import annotations

from typing import Any

import pytest

from genkit.backends.bedrock import embeddings
from genkit.backends.wire import Exchange
from genkit.errors import BadResponse, InvalidRequest, Unsupported
from genkit.types import Embeddings, EmbedRequest, Usage

TITAN_1, TITAN_2 = "amazon.titan-embed-text-v1", "amazon.titan-embed-text-v2:0"
COHERE_3, COHERE_4 = "cohere.embed-english-v3", "us.cohere.embed-v4:0"
NOVA = "amazon.nova-2-multimodal-embeddings-v1:0"


def bodies(model: str, *texts: str, **fields: Any) -> list[dict[str, Any]]:
    request = EmbedRequest(model=model, texts=texts or ("one",), **fields)
    return [wire.body for wire in embeddings.encode(request, backend="bedrock")]


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (TITAN_1, {"inputText": "one"}),
        (TITAN_2, {"inputText": "one", "normalize": True, "dimensions": 256}),
        (COHERE_3, {"texts": ["one"], "input_type": "search_query", "truncate": "NONE"}),
        (
            COHERE_4,
            {
                "texts": ["one"],
                "input_type": "search_query",
                "truncate": "NONE",
                "embedding_types": ["float"],
                "output_dimension": 256,
            },
        ),
        (
            NOVA,
            {
                "taskType": "SINGLE_EMBEDDING",
                "singleEmbeddingParams": {
                    "embeddingPurpose": "GENERIC_RETRIEVAL",
                    "text": {"value": "one", "truncationMode": "NONE"},
                    "embeddingDimension": 256,
                },
            },
        ),
    ],
)
def test_each_maker_is_asked_in_its_own_form(model: str, body: dict[str, Any]) -> None:
    assert bodies(model, dimensions=256, input_type="query") == [body]


def test_what_a_model_lacks_is_reported() -> None:
    request = EmbedRequest(model=TITAN_1, texts=("one",), dimensions=256, input_type="query")
    (wire,) = embeddings.encode(request, backend="bedrock")
    assert [warning.subject for warning in wire.warnings] == ["dimensions", "input_type"]


@pytest.mark.parametrize(("model", "requests"), [(TITAN_2, 97), (NOVA, 97), (COHERE_3, 2)])
def test_texts_go_in_as_many_requests_as_the_model_needs(model: str, requests: int) -> None:
    assert len(bodies(model, *(f"text {i}" for i in range(97)))) == requests


def test_extra_options_of_the_text_leave_the_text_where_it_is() -> None:
    extra = {"bedrock": {"singleEmbeddingParams": {"text": {"truncationMode": "END"}}}}
    (sent,) = bodies(NOVA, extra=extra)
    assert sent["singleEmbeddingParams"]["text"] == {"value": "one", "truncationMode": "END"}


def test_extra_options_come_last() -> None:
    assert bodies(COHERE_3, extra={"bedrock": {"truncate": "END"}})[0]["truncate"] == "END"


def test_a_model_without_embeddings_is_refused() -> None:
    with pytest.raises(Unsupported, match="no embeddings"):
        bodies("amazon.nova-lite-v1:0")


@pytest.mark.parametrize("texts", [("one", ""), (" ",)])
def test_an_empty_text_is_refused_with_its_place(texts: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest, match=f"position {len(texts) - 1}"):
        bodies(TITAN_2, *texts)
    with pytest.raises(InvalidRequest, match="nothing to embed"):
        embeddings.encode(EmbedRequest(model=TITAN_2, texts=()), backend="bedrock")


@pytest.mark.parametrize(
    ("model", "data"),
    [
        (TITAN_2, {"embedding": [0.5, 1], "inputTextTokenCount": 3}),
        (COHERE_3, {"embeddings": [[0.5, 1]], "response_type": "embeddings_floats"}),
        (COHERE_4, {"embeddings": {"float": [[0.5, 1]]}}),
        (NOVA, {"embeddings": [{"embedding": [0.5, 1], "embeddingType": "TEXT"}]}),
    ],
)
def test_each_form_gives_vectors_and_counts(model: str, data: dict[str, Any]) -> None:
    (wire,) = embeddings.encode(EmbedRequest(model=model, texts=("one",)), backend="bedrock")
    headers = {"x-amzn-bedrock-input-token-count": "3", "x-amzn-requestid": "r"}
    found = embeddings.decode(wire, data, Exchange(headers), backend="bedrock")
    assert (found.vectors, found.usage.input, found.request_id) == (((0.5, 1.0),), 3, "r")


def test_vectors_of_several_requests_are_one_answer() -> None:
    def answer(*vector: float) -> Embeddings:
        return Embeddings(vectors=(vector,), usage=Usage(input=3, output=0), backend="bedrock")

    joined = embeddings.join([answer(1.0, 2.0), answer(3.0, 4.0)])
    assert joined.vectors == ((1.0, 2.0), (3.0, 4.0))
    assert joined.usage.input == 6
    assert [warning.kind for warning in joined.warnings] == ["note"]
    with pytest.raises(BadResponse, match="differ in length"):
        embeddings.join([answer(1.0, 2.0), answer(3.0)])


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"embedding": []},
        {"embedding": ["a"]},
        {"embedding": [float("nan")]},
        {"embedding": [True]},
        {"embeddings": [[1.0], [2.0]]},
        {"embeddings": 7},
    ],
)
def test_an_answer_of_another_form_is_a_bad_response(data: dict[str, Any]) -> None:
    (wire,) = embeddings.encode(EmbedRequest(model=TITAN_2, texts=("one",)), backend="bedrock")
    with pytest.raises(BadResponse):
        embeddings.decode(wire, data, Exchange(), backend="bedrock")
