"""The vendor's SDK, one client for all calls, with its defaults."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import cached_property
from typing import Any

from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI

from .subjects import KEY, MODEL, PROMPT, Api


class Client:
    """`OpenAI` and `AsyncOpenAI`; each is made when it is first needed."""

    def __init__(self, base_url: str, *, api: Api = "chat", ca: str | None = None) -> None:
        self._base_url = base_url
        self._api = api
        self._context = ssl.create_default_context(cafile=ca) if ca else None

    @cached_property
    def _sync(self) -> OpenAI:
        http = DefaultHttpxClient(verify=self._context) if self._context else None
        return OpenAI(base_url=self._base_url, api_key=KEY, http_client=http)

    @cached_property
    def _async(self) -> AsyncOpenAI:
        http = DefaultAsyncHttpxClient(verify=self._context) if self._context else None
        return AsyncOpenAI(base_url=self._base_url, api_key=KEY, http_client=http)

    def call(self) -> str:
        if self._api == "responses":
            return self._sync.responses.create(model=MODEL, input=PROMPT).output_text
        answer = self._sync.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": PROMPT}])
        return answer.choices[0].message.content or ""

    def stream(self) -> Iterator[str]:
        if self._api == "responses":
            with self._sync.responses.create(model=MODEL, input=PROMPT, stream=True) as events:
                for event in events:
                    if event.type == "response.output_text.delta":
                        yield event.delta
            return
        messages: Any = [{"role": "user", "content": PROMPT}]
        usage: Any = {"include_usage": True}
        with self._sync.chat.completions.create(
            model=MODEL, messages=messages, stream=True, stream_options=usage
        ) as chunks:
            for chunk in chunks:
                if chunk.choices and chunk.choices[0].delta.content:
                    yield chunk.choices[0].delta.content

    def embed(self, texts: Sequence[str]) -> int:
        answer = self._sync.embeddings.create(model=MODEL, input=list(texts))
        return sum(len(row.embedding) for row in answer.data)

    def close(self) -> None:
        self._sync.close()

    async def acall(self) -> str:
        if self._api == "responses":
            return (await self._async.responses.create(model=MODEL, input=PROMPT)).output_text
        answer = await self._async.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": PROMPT}])
        return answer.choices[0].message.content or ""

    async def astream(self) -> AsyncIterator[str]:
        if self._api == "responses":
            async with await self._async.responses.create(model=MODEL, input=PROMPT, stream=True) as events:
                async for event in events:
                    if event.type == "response.output_text.delta":
                        yield event.delta
            return
        messages: Any = [{"role": "user", "content": PROMPT}]
        usage: Any = {"include_usage": True}
        async with await self._async.chat.completions.create(
            model=MODEL, messages=messages, stream=True, stream_options=usage
        ) as chunks:
            async for chunk in chunks:
                if chunk.choices and chunk.choices[0].delta.content:
                    yield chunk.choices[0].delta.content

    async def aclose(self) -> None:
        await self._async.close()
