"""genkit, as its README shows it: retries, warnings and typed events on, nothing switched off for speed."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Sequence

from genkit import LLM

from .subjects import AWS_KEY, AWS_SECRET, GEMINI, KEY, MODEL, NOVA, PROMPT, REGION, Api


class Client:
    """One `LLM`, sync and async."""

    def __init__(self, base_url: str, *, api: Api = "chat", ca: str | None = None) -> None:
        match api:
            case "gemini":
                self._llm = LLM(f"google:{GEMINI}", base_url=f"{base_url}/v1beta", api_key=KEY, ca=ca)
            case "converse":
                # The usual chain finds them, as it does for the SDK.
                os.environ.update(AWS_ACCESS_KEY_ID=AWS_KEY, AWS_SECRET_ACCESS_KEY=AWS_SECRET)
                self._llm = LLM(f"bedrock:{NOVA}", base_url=base_url, region=REGION, ca=ca)
            case "chat" | "responses":
                self._llm = LLM(f"openai:{MODEL}", base_url=base_url, api_key=KEY, api=api, ca=ca)

    def call(self) -> str:
        return self._llm.generate(PROMPT).text

    def stream(self) -> Iterator[str]:
        with self._llm.stream(PROMPT) as stream:
            yield from stream.text
            assert stream.response.usage.total_output == 54

    def embed(self, texts: Sequence[str]) -> int:
        vectors = self._llm.embed(texts).vectors
        return sum(len(vector) for vector in vectors)

    def close(self) -> None:
        self._llm.close()

    async def acall(self) -> str:
        return (await self._llm.agenerate(PROMPT)).text

    async def astream(self) -> AsyncIterator[str]:
        async with self._llm.astream(PROMPT) as stream:
            async for piece in stream.text:
                yield piece
            assert stream.response.usage.total_output == 54

    async def aclose(self) -> None:
        await self._llm.aclose()
