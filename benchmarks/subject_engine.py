"""The two engines below genkit, bare, with JSON parsing and nothing else: what a library on them starts from."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import aiohttp
import httpcore2
from pydantic_core import from_json, to_json

from .subjects import KEY, MODEL, PROMPT, Api


def _text(api: str, data: dict[str, Any]) -> str:
    if api == "responses":
        return str(data["output"][0]["content"][0]["text"])
    return str(data["choices"][0]["message"]["content"])


def _piece(api: str, data: dict[str, Any]) -> str:
    if api == "responses":
        return data["delta"] if data["type"] == "response.output_text.delta" else ""
    return data["choices"][0]["delta"].get("content") or "" if data["choices"] else ""


class Client:
    """`httpcore2.ConnectionPool` and `aiohttp.ClientSession`."""

    def __init__(self, base_url: str, *, api: Api = "chat", ca: str | None = None) -> None:
        self._api = api
        self._root = base_url
        self._url = base_url + ("/responses" if api == "responses" else "/chat/completions")
        self._headers: Any = {
            "authorization": f"Bearer {KEY}",
            "content-type": "application/json",
        }
        self._context = ssl.create_default_context(cafile=ca) if ca else None
        self._pool = httpcore2.ConnectionPool(ssl_context=self._context)
        self._session: aiohttp.ClientSession | None = None

    def _body(self, stream: bool) -> bytes:
        messages = [{"role": "user", "content": PROMPT}]
        return to_json(
            {"model": MODEL, "input" if self._api == "responses" else "messages": messages, "stream": stream}
        )

    def call(self) -> str:
        reply = self._pool.request("POST", self._url, headers=self._headers, content=self._body(False))
        return _text(self._api, from_json(reply.content))

    def stream(self) -> Iterator[str]:
        rest = b""
        with self._pool.stream("POST", self._url, headers=self._headers, content=self._body(True)) as reply:
            for chunk in reply.iter_stream():
                *frames, rest = (rest + chunk).split(b"\n\n")
                yield from self._pieces(frames)

    def _pieces(self, frames: list[bytes]) -> Iterator[str]:
        for frame in frames:
            data = frame[frame.index(b"data: ") + 6 :]
            if data != b"[DONE]" and (piece := _piece(self._api, from_json(data))):
                yield piece

    def embed(self, texts: Sequence[str]) -> int:
        body = to_json({"model": MODEL, "input": list(texts), "encoding_format": "float"})
        reply = self._pool.request("POST", self._root + "/embeddings", headers=self._headers, content=body)
        return sum(len(row["embedding"]) for row in from_json(reply.content)["data"])

    def close(self) -> None:
        self._pool.close()

    def _aiohttp(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, ssl=self._context or True)
            self._session = aiohttp.ClientSession(connector=connector)
        return self._session

    async def acall(self) -> str:
        async with self._aiohttp().post(self._url, headers=self._headers, data=self._body(False)) as reply:
            return _text(self._api, from_json(await reply.read()))

    async def astream(self) -> AsyncIterator[str]:
        rest = b""
        async with self._aiohttp().post(self._url, headers=self._headers, data=self._body(True)) as reply:
            async for chunk in reply.content.iter_any():
                *frames, rest = (rest + chunk).split(b"\n\n")
                for piece in self._pieces(frames):
                    yield piece

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
