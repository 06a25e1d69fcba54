"""Google's SDK, one client for all calls, with its defaults."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from google import genai

from .subjects import GEMINI, KEY, PROMPT, Api


class Client:
    """`genai.Client`, and its `aio` half."""

    def __init__(self, base_url: str, *, api: Api = "gemini", ca: str | None = None) -> None:
        options: Any = {"base_url": base_url, "api_version": "v1beta", "timeout": 60_000}
        self._client = genai.Client(api_key=KEY, http_options=options)

    def call(self) -> str:
        return self._client.models.generate_content(model=GEMINI, contents=PROMPT).text or ""

    def stream(self) -> Iterator[str]:
        for chunk in self._client.models.generate_content_stream(model=GEMINI, contents=PROMPT):
            if chunk.text:
                yield chunk.text

    def embed(self, texts: Sequence[str]) -> int:
        raise NotImplementedError

    def close(self) -> None:
        self._client.close()

    async def acall(self) -> str:
        return (await self._client.aio.models.generate_content(model=GEMINI, contents=PROMPT)).text or ""

    async def astream(self) -> AsyncIterator[str]:
        async for chunk in await self._client.aio.models.generate_content_stream(model=GEMINI, contents=PROMPT):
            if chunk.text:
                yield chunk.text

    async def aclose(self) -> None:
        await self._client.aio.aclose()
