"""Texts that need several requests, at every vendor: one time limit for all, and no vector that is fetched twice."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from genkit import LLM
from genkit.backends import batches
from genkit.backends.batches import joined
from genkit.backends.together import together
from genkit.errors import BadResponse, RateLimited, Timeout
from genkit.types import Embeddings, Usage
from tests.farend import Call, FarEnd

# So long that OpenAI, too, takes one at a time.
TEXTS = [f"{number}" + "x" * 200_000 for number in range(4)]
Ask = Callable[..., Embeddings]


def plain(llm: LLM, **options: Any) -> Embeddings:
    return llm.embed(TEXTS, **options)


def awaited(llm: LLM, **options: Any) -> Embeddings:
    async def main() -> Embeddings:
        async with llm:
            return await llm.aembed(TEXTS, **options)

    return asyncio.run(main())


def openai(url: str, retries: int) -> LLM:
    return LLM("openai:text-embedding-3-small", base_url=url, api_key="k", retries=retries)


def vertex(url: str, retries: int) -> LLM:
    return LLM("vertex:gemini-embedding-001", base_url=url, api_key="k", retries=retries)


def bedrock(url: str, retries: int) -> LLM:
    return LLM("bedrock:amazon.titan-embed-text-v2:0", base_url=url, api_key="k", region="eu-west-1", retries=retries)


ALL = pytest.mark.parametrize("make", [openai, vertex, bedrock])
BOTH = pytest.mark.parametrize("ask", [plain, awaited])


@dataclass
class Vendor:
    """Answers in every vendor's form, with the number at a text's beginning as its vector."""

    wait: float = 0.0
    busy: tuple[int, ...] = ()
    asked: list[int] = field(default_factory=list)

    def __call__(self, call: Call) -> None:
        body = json.loads(call.request.body)
        text = body["inputText"] if "inputText" in body else body["input"][0] if "input" in body else ""
        number = int((text or body["instances"][0]["content"])[0])
        self.asked.append(number)
        time.sleep(self.wait)
        if len(self.asked) in self.busy:
            call.answer(b'{"error": {"message": "busy"}}', status=429)
            return
        vector = [float(number), 1.0]
        answer = {
            "embedding": vector,
            "inputTextTokenCount": 1,
            "data": [{"index": 0, "embedding": vector}],
            "usage": {"prompt_tokens": 1, "total_tokens": 1},
            "predictions": [{"embeddings": {"values": vector, "statistics": {"token_count": 1}}}],
        }
        call.answer(json.dumps(answer).encode())


@ALL
@BOTH
def test_the_total_time_limit_holds_for_all_requests_together(
    make: Any, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "together", lambda work, items, **_: together(work, items, at_once=1))
    with FarEnd(Vendor(wait=0.2)) as far, pytest.raises(Timeout) as caught:
        ask(make(far.url, 0), timeout=0.5)
    assert caught.value.phase == "total"


@ALL
def test_after_a_failure_only_the_texts_without_a_vector_are_sent_again(make: Any) -> None:
    vendor = Vendor(busy=(3, 5))
    with FarEnd(vendor) as far:
        found = plain(make(far.url, 2))
    assert vendor.asked == [0, 1, 2, 2, 3, 3]
    assert [vector[0] for vector in found.vectors] == [0, 1, 2, 3]
    assert found.usage.input == 4


@ALL
def test_so_are_those_that_were_sent_at_the_same_time(make: Any) -> None:
    vendor = Vendor(busy=(3,))
    with FarEnd(vendor) as far:
        found = awaited(make(far.url, 2))
    assert [vector[0] for vector in found.vectors] == [0, 1, 2, 3]
    assert found.usage.input == 4


@ALL
def test_a_failure_has_the_vectors_that_were_there(make: Any) -> None:
    with FarEnd(Vendor(busy=(3,))) as far, pytest.raises(RateLimited) as caught:
        plain(make(far.url, 0))
    assert caught.value.backend == make.__name__
    assert caught.value.embeddings is not None
    assert [vector[0] for vector in caught.value.embeddings.vectors] == [0, 1]


def test_a_failure_among_requests_at_the_same_time_has_the_vectors_before_it() -> None:
    class Third(Vendor):
        def __call__(self, call: Call) -> None:
            third = json.loads(call.request.body)["inputText"][0] == "2"
            # After all others.
            time.sleep(0.3 if third else 0)
            self.busy = (len(self.asked) + 1,) if third else ()
            super().__call__(call)

    with FarEnd(Third()) as far, pytest.raises(RateLimited) as caught:
        awaited(bedrock(far.url, 0))
    assert caught.value.embeddings is not None
    assert [vector[0] for vector in caught.value.embeddings.vectors] == [0, 1]


def test_the_last_failure_has_the_vectors_of_all_tries() -> None:
    with FarEnd(Vendor(busy=(2, 4))) as far, pytest.raises(RateLimited) as caught:
        bedrock(far.url, 1).embed(TEXTS)
    assert caught.value.embeddings is not None
    assert [vector[0] for vector in caught.value.embeddings.vectors] == [0, 1]


def test_vectors_of_different_lengths_are_not_joined() -> None:
    with pytest.raises(BadResponse, match="length"):
        joined([Embeddings(vectors=((1.0,),)), Embeddings(vectors=((1.0, 2.0),))])


def test_joined_answers_add_up_and_tell_everything_once() -> None:
    one = Embeddings(vectors=((1.0,),), usage=Usage(input=2, output=0))
    assert joined([one, one]).usage.input == 4
    assert joined([one]) is one
