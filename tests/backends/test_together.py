"""Several requests of one call at the same time: in order, bounded, and all ended by the first failure."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from genkit import LLM
from genkit.backends.bedrock import Bedrock
from genkit.backends.google import Google
from genkit.backends.together import AT_ONCE, together
from genkit.backends.wire import WireBackend
from genkit.errors import ServerError
from genkit.types import EmbedRequest
from tests.farend import Call, FarEnd

TEXTS = tuple(str(number) for number in range(20))


class Work:
    """Work that takes a while, and knows how much of it was under way at once."""

    def __init__(self, fails: int | None = None) -> None:
        self.fails = fails
        self.under_way = self.most = 0
        self.begun: list[int] = []
        self.cancelled: list[int] = []

    async def __call__(self, item: int) -> int:
        self.begun.append(item)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            # Later ones are done first.
            for _ in range(20 - item % 10):
                await asyncio.sleep(0)
            if item == self.fails:
                raise ServerError("no")
            if self.fails is not None:
                await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled.append(item)
            raise
        finally:
            self.under_way -= 1
        return item * item


@pytest.mark.parametrize("count", [1, 2, 8, 30])
def test_what_comes_back_is_in_order_and_no_more_than_allowed_is_under_way(count: int) -> None:
    work = Work()
    assert asyncio.run(together(work, range(count))) == [item * item for item in range(count)]
    assert work.most == min(count, AT_ONCE)


def test_the_first_failure_cancels_the_rest_and_is_the_error() -> None:
    work = Work(fails=3)
    with pytest.raises(ServerError, match="no"):
        asyncio.run(together(work, range(30)))
    assert work.begun == list(range(AT_ONCE))
    assert sorted(work.cancelled) == [item for item in range(AT_ONCE) if item != 3]


def test_a_cancellation_ends_everything_that_is_under_way() -> None:
    async def cancel() -> Work:
        work = Work(fails=99)
        task = asyncio.create_task(together(work, range(30)))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return work

    work = asyncio.run(cancel())
    assert sorted(work.cancelled) == list(range(AT_ONCE))
    assert work.under_way == 0


class Vectors:
    """A far end with one vector for each text, which waits until several texts are there."""

    def __init__(self, answer: Callable[[float], Any], *, together: int) -> None:
        self._answer = answer
        self._barrier = threading.Barrier(together, timeout=10)

    def __call__(self, call: Call) -> None:
        text = json.dumps(json.loads(call.request.body))
        number = next(number for number in reversed(TEXTS) if f'"{number}"' in text)
        if int(number) < self._barrier.parties:
            self._barrier.wait()
        call.answer(json.dumps(self._answer(float(number))).encode())


def titan(number: float) -> Any:
    return {"embedding": [number], "inputTextTokenCount": 1}


def nova(number: float) -> Any:
    return {"embeddings": [{"embeddingType": "TEXT", "embedding": [number]}]}


def vertex(number: float) -> Any:
    return {"embedding": {"values": [number]}, "usageMetadata": {"promptTokenCount": 1}}


def bedrock(url: str) -> WireBackend:
    return Bedrock(base_url=url, region="us-east-1", api_key="k")


def cloud(url: str) -> WireBackend:
    return Google(name="vertex", base_url=url, api_key="k")


KINDS = [
    (bedrock, "amazon.titan-embed-text-v2:0", titan),
    (bedrock, "amazon.nova-2-multimodal-embeddings-v1:0", nova),
    (cloud, "gemini-embedding-2", vertex),
]


@pytest.mark.parametrize(("make", "model", "answer"), KINDS)
def test_texts_that_need_a_request_each_go_together_where_that_is_asynchronous(
    make: Callable[[str], WireBackend], model: str, answer: Callable[[float], Any]
) -> None:
    async def embed(far: FarEnd) -> Any:
        backend = make(far.url)
        found = await backend.aembed(EmbedRequest(model=model, texts=TEXTS))
        await backend.aclose()
        return found

    with FarEnd(Vectors(answer, together=AT_ONCE)) as far:
        found = asyncio.run(embed(far))
        assert len(far.requests) == len(TEXTS)
    assert found.vectors == tuple((float(text),) for text in TEXTS)


@pytest.mark.parametrize(("make", "model", "answer"), KINDS)
def test_they_go_one_after_another_where_it_is_not(
    make: Callable[[str], WireBackend], model: str, answer: Callable[[float], Any]
) -> None:
    with FarEnd(Vectors(answer, together=1)) as far:
        backend = make(far.url)
        found = backend.embed(EmbedRequest(model=model, texts=TEXTS))
        backend.close()
        assert len({asked.connection for asked in far.requests}) == 1
    assert found.vectors == tuple((float(text),) for text in TEXTS)


def test_a_refused_text_ends_the_call_and_the_others() -> None:
    def script(call: Call) -> None:
        if b'"3"' in call.request.body:
            call.answer(b'{"message": "no"}', status=500)
        else:
            call.hold()

    async def embed(far: FarEnd) -> None:
        llm = LLM("bedrock:amazon.titan-embed-text-v2:0", base_url=far.url, region="us-east-1", api_key="k", retries=0)
        with pytest.raises(ServerError):
            await llm.aembed(TEXTS)
        await llm.aclose()

    with FarEnd(script) as far:
        asyncio.run(embed(far))
        assert far.hung_up.wait(5)
        assert len(far.requests) <= AT_ONCE
