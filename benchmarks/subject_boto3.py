"""AWS's SDK, one client for all calls, with its defaults; it has no async, so that worker threads stand in for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import boto3

from .subjects import AWS_KEY, AWS_SECRET, NOVA, PROMPT, REGION, Api

_MESSAGES: Any = [{"role": "user", "content": [{"text": PROMPT}]}]


class Client:
    """A `bedrock-runtime` client."""

    def __init__(self, base_url: str, *, api: Api = "converse", ca: str | None = None) -> None:
        self._client: Any = boto3.client(
            "bedrock-runtime",
            endpoint_url=base_url,
            region_name=REGION,
            aws_access_key_id=AWS_KEY,
            aws_secret_access_key=AWS_SECRET,
        )

    def call(self) -> str:
        answer = self._client.converse(modelId=NOVA, messages=_MESSAGES)
        text: str = answer["output"]["message"]["content"][0]["text"]
        return text

    def stream(self) -> Iterator[str]:
        for event in self._client.converse_stream(modelId=NOVA, messages=_MESSAGES)["stream"]:
            if "contentBlockDelta" in event:
                yield event["contentBlockDelta"]["delta"]["text"]

    def embed(self, texts: Sequence[str]) -> int:
        raise NotImplementedError

    def close(self) -> None:
        self._client.close()

    async def acall(self) -> str:
        return await asyncio.to_thread(self.call)

    async def astream(self) -> AsyncIterator[str]:
        # A whole stream in one thread is the cheapest that can be done with it; the pieces come at the end.
        for piece in await asyncio.to_thread(lambda: list(self.stream())):
            yield piece

    async def aclose(self) -> None:
        self.close()
