"""A far end for the benchmarks: the vendors' wires on loopback, in its own process, with bytes made beforehand.

The path chooses what happens: `/{mode}-{n}/v1/chat/completions`, `/{mode}-{n}/v1beta/models/M:generateContent`,
`/{mode}-{n}/model/M/converse`; `n` counts the text pieces of a stream.

    whole   the stream in one write (a client that reads slowly is waited for)
    burst   one send per chunk, without a pause
    paced   one send per chunk, a millisecond apart, so that every read of the client finds one chunk
    steady  the same, a third of that apart: the client's processor stays warm, and the figures steadier
    late    the whole answer after `n` milliseconds: calls pile up in flight

It prints one line of JSON when it is ready (ports, certificate authority), and ends when its standard input does, which
is when whoever started it is gone, or after its time limit. `GET /stats` counts requests and connections.
"""

from __future__ import annotations

import argparse
import array
import asyncio
import base64
import importlib.util
import json
import math
import os
import resource
import ssl
import sys
import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from . import wires

TEXT = " ".join(f"The {i}th answer is neither long nor short." for i in range(1, 8))
DIMENSIONS = 1536
GAP_S = 0.001
STEADY_GAP_S = 0.0003
MAX_REQUEST = 1 << 20
MAX_CONNECTIONS = 4096
MAX_PIECES = 200_000

_USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 54,
    "total_tokens": 74,
    "prompt_tokens_details": {"cached_tokens": 0},
}
_RESPONSES_USAGE = {
    "input_tokens": 20,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 54,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 74,
}


def piece(i: int) -> str:
    """Return the i-th text piece of a stream."""
    return f" word{i % 97:02d}"


def text_of(pieces: int) -> str:
    """Return the whole text of a stream."""
    return "".join(map(piece, range(pieces)))


# What the wire looks like


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _plain(body: bytes, status: bytes = b"200 OK") -> bytes:
    return (
        b"HTTP/1.1 %s\r\ncontent-type: application/json\r\nx-request-id: req_bench\r\nopenai-processing-ms: 12\r\n"
        b"openai-organization: bench\r\ndate: Mon, 02 Mar 2026 12:00:00 GMT\r\nserver: bench\r\n"
        b"content-length: %d\r\n\r\n%s"
    ) % (status, len(body), body)


def _chunked(frames: Iterable[bytes], kind: bytes = b"text/event-stream; charset=utf-8") -> tuple[bytes, ...]:
    """Return what is sent one by one: the head with the first frame, each further frame, the end."""
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\nx-request-id: req_bench\r\n"
        b"date: Mon, 02 Mar 2026 12:00:00 GMT\r\nserver: bench\r\ntransfer-encoding: chunked\r\n\r\n"
    ) % kind
    parts = [b"%x\r\n%s\r\n" % (len(frame), frame) for frame in frames]
    return (head + parts[0], *parts[1:], b"0\r\n\r\n")


def _chat(message: dict[str, Any]) -> dict[str, Any]:
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1772452800,
        "model": "gpt-bench",
        "choices": [choice],
        "usage": _USAGE,
        "service_tier": "default",
        "system_fingerprint": "fp_bench",
    }


def _chat_frames(pieces: int) -> Iterator[bytes]:
    def frame(choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> bytes:
        chunk = {
            "id": "chatcmpl-bench",
            "object": "chat.completion.chunk",
            "created": 1772452800,
            "model": "gpt-bench",
            "service_tier": "default",
            "system_fingerprint": "fp_bench",
            "choices": choices,
            "usage": usage,
        }
        return b"data: " + _json(chunk) + b"\n\n"

    def choice(delta: dict[str, Any], finish: str | None = None) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]

    yield frame(choice({"role": "assistant", "content": "", "refusal": None}))
    for i in range(pieces):
        yield frame(choice({"content": piece(i)}))
    yield frame(choice({}, "stop"))
    yield frame([], _USAGE)
    yield b"data: [DONE]\n\n"


def _item(text: str, status: str = "completed") -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    return {
        "type": "message",
        "id": "msg_bench",
        "status": status,
        "role": "assistant",
        "content": content if status == "completed" else [],
    }


def _responses(status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": "resp_bench",
        "object": "response",
        "created_at": 1772452800,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "model": "gpt-bench",
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": _RESPONSES_USAGE if status == "completed" else None,
        "user": None,
        "metadata": {},
    }


def _responses_frames(pieces: int) -> Iterator[bytes]:
    number = 0

    def frame(kind: str, **fields: Any) -> bytes:
        nonlocal number
        data = {"type": kind, "sequence_number": number, **fields}
        number += 1
        return b"event: " + kind.encode() + b"\ndata: " + _json(data) + b"\n\n"

    text = text_of(pieces)
    done = _item(text)
    where = {"item_id": "msg_bench", "output_index": 0, "content_index": 0}
    empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    yield frame("response.created", response=_responses("in_progress", []))
    yield frame("response.in_progress", response=_responses("in_progress", []))
    yield frame("response.output_item.added", output_index=0, item=_item("", "in_progress"))
    yield frame("response.content_part.added", **where, part=empty)
    for i in range(pieces):
        yield frame("response.output_text.delta", **where, delta=piece(i), logprobs=[], obfuscation="Xk2pQ9aa")
    yield frame("response.output_text.done", **where, text=text, logprobs=[])
    yield frame("response.content_part.done", **where, part=done["content"][0])
    yield frame("response.output_item.done", output_index=0, item=done)
    yield frame("response.completed", response=_responses("completed", [done]))


@lru_cache(maxsize=32)
def _stream(api: str, pieces: int) -> tuple[bytes, ...]:
    texts = [piece(i) for i in range(pieces)]
    match api:
        case "gemini":
            return _chunked(wires.gemini_frames(texts), b"text/event-stream")
        case "converse":
            return _chunked(wires.converse_frames(texts), wires.EVENT_STREAM)
        case "responses":
            return _chunked(_responses_frames(pieces))
        case _:
            return _chunked(_chat_frames(pieces))


@lru_cache(maxsize=32)
def _stream_whole(api: str, pieces: int) -> bytes:
    return b"".join(_stream(api, pieces))


@lru_cache(maxsize=8)
def _embeddings(count: int, in_base64: bool) -> bytes:
    data = []
    for i in range(count):
        vector = array.array("f", [math.sin(i + k) for k in range(DIMENSIONS)])
        value: Any = base64.b64encode(vector.tobytes()).decode() if in_base64 else list(vector)
        data.append({"object": "embedding", "index": i, "embedding": value})
    usage = {"prompt_tokens": 8 * count, "total_tokens": 8 * count}
    return _plain(_json({"object": "list", "data": data, "model": "gpt-bench", "usage": usage}))


_CHAT = _plain(_json(_chat({"role": "assistant", "content": TEXT, "refusal": None, "annotations": []})))
_RESPONSES = _plain(_json(_responses("completed", [_item(TEXT)])))
_GEMINI = _plain(_json(wires.gemini(TEXT)))
_CONVERSE = _plain(_json(wires.converse(TEXT)))


class _Counts:
    requests = 0
    connections = 0
    open = 0
    most_open = 0


class FarEnd(asyncio.Protocol):
    """One connection: requests one after another, answered by what their path says."""

    def __init__(self, counts: _Counts) -> None:
        self._counts = counts
        self._buffer = b""
        self._sending: Iterator[bytes] | None = None
        self._gap: float | None = None
        self._steady = False
        self._paused = False
        self._timer: asyncio.Handle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        counts = self._counts
        counts.connections += 1
        counts.open += 1
        counts.most_open = max(counts.most_open, counts.open)
        if counts.open > MAX_CONNECTIONS:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._counts.open -= 1
        self._sending = None
        if self._timer is not None:
            self._timer.cancel()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._sending is not None and self._gap is None:
            self._send_next()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            at = head.lower().find(b"\r\ncontent-length:")
            length = int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if length > MAX_REQUEST:
                self._transport.abort()
                return
            if len(self._buffer) < end + 4 + length:
                break
            body = self._buffer[end + 4 : end + 4 + length]
            self._buffer = self._buffer[end + 4 + length :]
            self._answer(head.split(b" ", 2)[1].decode("latin-1"), body)
        if len(self._buffer) > 2 * MAX_REQUEST:
            self._transport.abort()

    def _answer(self, path: str, body: bytes) -> None:
        self._counts.requests += 1
        first, _, rest = path.lstrip("/").partition("/")
        mode, _, number = first.partition("-")
        n = min(int(number), MAX_PIECES) if number.isdigit() else 0
        if path == "/stats":
            names = ("requests", "connections", "open", "most_open")
            self._transport.write(_plain(_json({name: getattr(self._counts, name) for name in names})))
            self._counts.most_open = self._counts.open
        elif rest == "v1/embeddings":
            asked = json.loads(body)
            texts = asked["input"]
            count = 1 if isinstance(texts, str) else len(texts)
            self._later(mode, n, _embeddings(count, asked.get("encoding_format") == "base64"))
        elif ":generateContent" in rest:
            self._later(mode, n, _GEMINI)
        elif ":streamGenerateContent" in rest:
            self._stream(mode, "gemini", n)
        elif rest.endswith("/converse"):
            self._later(mode, n, _CONVERSE)
        elif rest.endswith("/converse-stream"):
            self._stream(mode, "converse", n)
        elif rest not in ("v1/chat/completions", "v1/responses"):
            self._transport.write(_plain(b'{"error":{"message":"no such route","type":"not_found"}}', b"404 Not Found"))
        elif b'"stream":true' in body.replace(b" ", b""):
            self._stream(mode, rest.removeprefix("v1/"), n)
        else:
            self._later(mode, n, _RESPONSES if rest == "v1/responses" else _CHAT)

    def _later(self, mode: str, milliseconds: int, answer: bytes) -> None:
        if mode == "late":
            self._timer = asyncio.get_running_loop().call_later(milliseconds / 1000, self._transport.write, answer)
        else:
            self._transport.write(answer)

    def _stream(self, mode: str, api: str, pieces: int) -> None:
        if mode == "whole":
            self._transport.write(_stream_whole(api, pieces))
            return
        self._sending = iter(_stream(api, pieces))
        self._gap = GAP_S if mode == "paced" else None
        self._steady = mode == "steady"
        self._send_next()

    def _send_next(self) -> None:
        """Send one chunk; the next one goes out in a later turn of the loop, in a send of its own."""
        if self._sending is None or self._transport.is_closing():
            return
        chunk = next(self._sending, None)
        if chunk is None:
            self._sending = None
            return
        self._transport.write(chunk)
        loop = asyncio.get_running_loop()
        if self._steady:
            # Finer than the loop's timers; there is only one stream at a time.
            time.sleep(STEADY_GAP_S)
        if self._gap is not None:
            self._timer = loop.call_later(self._gap, self._send_next)
        elif not self._paused:
            self._timer = loop.call_soon(self._send_next)


def _certified() -> tuple[ssl.SSLContext, str] | None:
    """Return a server context and its authority in PEM; None without trustme."""
    if importlib.util.find_spec("trustme") is None:
        return None
    import trustme

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context, authority.cert_pem.bytes().decode()


async def serve(limit_s: float) -> None:
    """Serve until standard input ends or the time is over."""
    loop = asyncio.get_running_loop()
    counts = _Counts()
    over = asyncio.Event()
    loop.call_later(limit_s, over.set)
    stdin = sys.stdin.fileno()
    loop.add_reader(stdin, lambda: None if os.read(stdin, 1024) else over.set())
    certified = _certified()
    servers = [await loop.create_server(lambda: FarEnd(counts), "127.0.0.1", 0, backlog=2048)]
    if certified is not None:
        context = certified[0]
        servers.append(await loop.create_server(lambda: FarEnd(counts), "127.0.0.1", 0, ssl=context, backlog=2048))
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    ready = {"port": ports[0], "tls_port": ports[1] if certified else None, "ca": certified[1] if certified else None}
    print(json.dumps(ready), flush=True)
    await over.wait()
    for server in servers:
        server.close()


def main() -> None:
    """Start from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--limit-s", type=float, default=3600.0, help="end by itself after this many seconds")
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS * 2
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(wanted, hard)), hard))
    asyncio.run(serve(options.limit_s))


if __name__ == "__main__":
    main()
