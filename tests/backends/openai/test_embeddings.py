"""Embeddings on OpenAI's wire."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from typing import Any

import pytest

from genkit.backends.openai import OpenAI, embeddings
from genkit.backends.services import SERVICES
from genkit.backends.wire import Exchange, WireRequest
from genkit.errors import BadResponse, InvalidRequest, RateLimited, Unsupported
from genkit.types import EmbedRequest, Settings
from tests.farend import Call, FarEnd, answer

OPENAI = SERVICES["openai"]


def request(*texts: str, **fields: Any) -> EmbedRequest:
    return EmbedRequest(model="text-embedding-3-small", texts=texts, **fields)


def packed(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def reply(*vectors: Any, **fields: Any) -> dict[str, Any]:
    data = [{"object": "embedding", "index": at, "embedding": vector} for at, vector in enumerate(vectors)]
    return {"data": data, "model": "m-1", "usage": {"prompt_tokens": 3, "total_tokens": 3}, **fields}


def decoded(wire: WireRequest, data: dict[str, Any]) -> Any:
    return embeddings.decode(wire, data, Exchange({"x-request-id": "r"}), backend="openai")


def wire(*texts: str, **fields: Any) -> WireRequest:
    found = embeddings.encode(request(*texts, **fields), OPENAI)
    assert len(found) == 1
    return found[0]


def test_texts_go_in_one_list_and_vectors_are_asked_for_in_base64() -> None:
    assert wire("a", "b", dimensions=8).body == {
        "model": "text-embedding-3-small",
        "input": ["a", "b"],
        "dimensions": 8,
        "encoding_format": "base64",
    }


def test_base64_is_decoded_exactly() -> None:
    got = decoded(wire("a"), reply(packed(0.5, -1.25)))
    assert got.vectors == ((0.5, -1.25),)
    assert (got.model, got.backend, got.request_id, got.usage.input, got.usage.total) == ("m-1", "openai", "r", 3, 3)


def test_lists_of_numbers_are_taken_too() -> None:
    assert decoded(wire("a"), reply([1, 0.5])).vectors == ((1.0, 0.5),)


def test_vectors_are_put_in_the_order_of_the_texts() -> None:
    data = reply([1.0], [2.0])
    data["data"].reverse()
    assert decoded(wire("a", "b"), data).vectors == ((1.0,), (2.0,))


def test_vectors_without_an_index_are_in_order() -> None:
    data = reply([1.0], [2.0])
    for item in data["data"]:
        del item["index"]
    assert decoded(wire("a", "b"), data).vectors == ((1.0,), (2.0,))


@pytest.mark.parametrize("data", [reply([1.0]), reply([1.0], [2.0], [3.0]), {"data": []}])
def test_a_wrong_number_of_vectors_is_a_bad_response(data: dict[str, Any]) -> None:
    with pytest.raises(BadResponse, match="2 texts"):
        decoded(wire("a", "b"), data)


@pytest.mark.parametrize("data", [{}, {"data": None}, reply("?!"), reply("abc="), reply(None), {"data": ["x"]}])
def test_an_answer_of_another_form_is_a_bad_response(data: dict[str, Any]) -> None:
    with pytest.raises(BadResponse):
        decoded(wire("a"), data)


@pytest.mark.parametrize("form", [{"error": {"message": "m", "code": "rate_limit_exceeded"}}, {"object": "error"}])
def test_an_error_inside_the_answer_is_the_typed_error(form: dict[str, Any]) -> None:
    with pytest.raises(RateLimited):
        decoded(wire("a"), {"message": "m", "code": "rate_limit_exceeded", **form})


@pytest.mark.parametrize("texts", [(), ("a", "")])
def test_nothing_to_embed_is_refused(texts: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest, match=r"nothing|empty"):
        embeddings.encode(request(*texts), OPENAI)


def test_the_kind_of_text_is_reported_since_openai_does_not_ask_for_it() -> None:
    assert [w.subject for w in wire("a", input_type="query").warnings] == ["input_type"]
    with pytest.raises(Unsupported):
        wire("a", input_type="query", require=frozenset({"input_type"}))


def test_settings_of_generation_are_reported() -> None:
    assert [w.subject for w in wire("a", settings=Settings(temperature=1, timeout=2)).warnings] == ["temperature"]


def test_vendor_only_options_are_merged_last() -> None:
    body = wire("a", extra={"openai": {"user": "u", "encoding_format": "float"}}).body
    assert (body["user"], body["encoding_format"]) == ("u", "float")


def test_tokens_given_by_extra_are_one_text() -> None:
    tokens = wire("a", extra={"openai": {"input": [1, 2, 3]}})
    assert decoded(tokens, reply([1.0])).vectors == ((1.0,),)


def test_more_texts_than_one_request_takes_go_in_several() -> None:
    wires = embeddings.encode(request(*["a"] * 2049), OPENAI)
    assert [len(w.body["input"]) for w in wires] == [2048, 1]


def test_long_texts_go_in_several_requests_without_losing_any() -> None:
    texts = ["x" * 120_000] * 5 + ["y" * 400_000, "z"]
    wires = embeddings.encode(request(*texts), OPENAI)
    assert [text for w in wires for text in w.body["input"]] == texts
    assert [len(w.body["input"]) for w in wires] == [2, 2, 1, 1, 1]


def number_texts(call: Call) -> None:
    """Answer each text with the vector of its own number."""
    texts = json.loads(call.request.body)["input"]
    call.answer(json.dumps(reply(*[packed(float(text)) for text in texts])).encode())


def test_several_requests_give_one_answer_in_order_with_all_usage() -> None:
    texts = [str(number) for number in range(2050)]
    with FarEnd(number_texts) as far:
        backend = OpenAI(base_url=far.url)
        got = backend.embed(request(*texts))
        later = asyncio.run(with_close(backend, request(*texts)))
        backend.close()
    assert got == later
    assert [vector[0] for vector in got.vectors] == [float(text) for text in texts]
    assert got.usage.total == 6
    assert [(w.kind, w.subject) for w in got.warnings] == [("note", "texts")]
    assert len(far.requests) == 4


async def with_close(backend: OpenAI, asked: EmbedRequest) -> Any:
    got = await backend.aembed(asked)
    await backend.aclose()
    return got


def test_a_failure_of_the_far_end_is_typed() -> None:
    with FarEnd(answer(b'{"error": {"message": "slow"}}', status=429, headers={"retry-after": "3"})) as far:
        backend = OpenAI(base_url=far.url)
        with pytest.raises(RateLimited) as caught:
            backend.embed(request("a"))
        backend.close()
    assert (caught.value.retry_after, caught.value.backend) == (3.0, "openai")


@pytest.mark.parametrize(
    "data",
    [
        reply([1.0], usage=[1]),
        reply([1.0], usage="x"),
        reply([1.0], usage={"prompt_tokens": "7"}),
        reply([1.0], usage={"prompt_tokens": True}),
        reply([1.0], usage={"prompt_tokens": -1}),
        reply([1.0], model=5),
    ],
)
def test_odd_words_beside_the_vectors_cost_no_vector(data: dict[str, Any]) -> None:
    got = decoded(wire("a"), data)
    assert got.vectors == ((1.0,),)
    assert isinstance(got.model, str)
    assert got.usage.input in (None, 3)


@pytest.mark.parametrize(
    "data",
    [
        {"data": [{"index": "a", "embedding": [1.0]}]},
        {"data": [{"index": True, "embedding": [1.0]}]},
        {"data": [{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [2.0]}]},
        reply([]),
        reply(""),
        reply([float("nan")]),
        reply(packed(float("inf"))),
        reply(["1"]),
        reply([10**400]),
        {"data": {"index": 0}},
        {"data": 5},
        {"data": [None]},
    ],
    ids=str,
)
def test_vectors_that_are_none_are_a_bad_response_which_says_whose(data: dict[str, Any]) -> None:
    with pytest.raises(BadResponse) as caught:
        decoded(wire("a"), data)
    assert (caught.value.backend, caught.value.request_id, caught.value.sent) == ("openai", "r", True)


def test_vectors_numbered_by_words_and_numbers_are_a_bad_response() -> None:
    data = {"data": [{"index": "a", "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}]}
    with pytest.raises(BadResponse):
        decoded(wire("a", "b"), data)


def test_vectors_of_several_lengths_are_a_bad_response() -> None:
    with pytest.raises(BadResponse, match="length"):
        decoded(wire("a", "b"), reply([1.0], [1.0, 2.0]))
