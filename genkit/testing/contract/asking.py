"""What the contract asks backends, and how it reads what comes back."""

from __future__ import annotations

import asyncio
import base64
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator
from typing import Any, Literal, TypeAlias, TypeVar

import pytest

from ...backends.base import Backend
from ...types import (
    Audio,
    BlockEnd,
    BlockStart,
    Document,
    Done,
    Event,
    Image,
    Media,
    Request,
    Response,
    Schema,
    Settings,
    TextDelta,
    ThinkingDelta,
    Timeouts,
    Tool,
    ToolCallDelta,
    Video,
)

__all__ = [
    "MEDIA",
    "PERSON",
    "SAMPLES",
    "SOON",
    "WEATHER",
    "Way",
    "alone",
    "check_grammar",
    "close",
    "collect",
    "for_every_setting",
    "in_every_way",
    "inside",
    "respond",
    "response_of",
    "within",
]

T = TypeVar("T")
Way: TypeAlias = Literal["generate", "stream", "agenerate", "astream"]

SOON = 5.0
in_every_way = pytest.mark.parametrize("way", ["generate", "stream", "agenerate", "astream"])
for_every_setting = pytest.mark.parametrize("setting", sorted(Settings.model_fields))

WEATHER = Tool(
    name="weather",
    description="Tell the weather in a city.",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
)

PERSON = Schema(
    name="person",
    json_schema={
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    },
)

# One harmless value for each setting.
SAMPLES: dict[str, dict[str, Any]] = {
    "temperature": {"temperature": 0.5},
    "top_p": {"top_p": 0.9},
    "top_k": {"top_k": 5},
    "max_tokens": {"max_tokens": 64},
    "stop": {"stop": ("zzzz",)},
    "seed": {"seed": 1},
    "n": {"n": 2},
    "logprobs": {"logprobs": True},
    "top_logprobs": {"logprobs": True, "top_logprobs": 2},
    "presence_penalty": {"presence_penalty": 0.5},
    "frequency_penalty": {"frequency_penalty": 0.5},
    "reasoning": {"reasoning": "low"},
    "tool_choice": {"tool_choice": "auto"},
    "parallel_tool_calls": {"parallel_tool_calls": False},
    "cache_prompt": {"cache_prompt": True},
    "timeout": {"timeout": 60.0},
}

_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
_WAV = base64.b64decode("UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQIAAAAAAA==")
_PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n%%EOF"

MEDIA: dict[str, Media] = {
    "image": Image(data=_PNG, mime="image/png"),
    "audio": Audio(data=_WAV, mime="audio/wav"),
    "video": Video(data=b"\x00\x00\x00\x14ftypisom\x00\x00\x02\x00isom", mime="video/mp4"),
    "document": Document(data=_PDF, mime="application/pdf", name="empty.pdf"),
}


async def collect(events: AsyncIterator[Event]) -> list[Event]:
    """Read an async stream to its end."""
    return [event async for event in events]


async def alone(backend: Backend, work: Awaitable[T]) -> T:
    """Do async work as the only one in an event loop, and leave nothing in it."""
    try:
        return await work
    finally:
        await backend.aclose()


def respond(backend: Backend, request: Request, way: Way) -> Response[Any]:
    """Return the answer, asked for in one of the four ways."""
    match way:
        case "generate":
            return backend.generate(request)
        case "stream":
            return response_of(backend.stream(request))
        case "agenerate":
            return asyncio.run(alone(backend, backend.agenerate(request)))
        case "astream":
            return response_of(asyncio.run(alone(backend, _astream(backend, request))))


async def _astream(backend: Backend, request: Request) -> list[Event]:
    return await collect(backend.astream(request))


def response_of(events: Iterable[Event]) -> Response[Any]:
    """Return the response of a stream, read to its end."""
    last = next(iter(deque(events, maxlen=1)), None)
    assert isinstance(last, Done), f"the last event of a stream is Done, not {last!r}"
    return last.response


def close(stream: Iterator[Event]) -> None:
    """Leave a stream, where it can be left."""
    method = getattr(stream, "close", None)
    if method is not None:
        method()


def within(request: Request, timeouts: Timeouts) -> Request:
    """Return the request with other time limits."""
    return request.model_copy(update={"settings": request.settings.model_copy(update={"timeout": timeouts})})


def inside(text: str) -> str:
    """Return two neighbouring characters inside an answer, letters where it has some."""
    third = len(text) // 3
    pairs = [text[i : i + 2] for i in [*range(third, len(text) - 1), *range(1, third)]]
    assert pairs, f"the answer is too short to stop inside: {text!r}"
    return next((pair for pair in pairs if pair.isascii() and pair.isalnum()), pairs[0])


def check_grammar(events: Iterable[Event]) -> None:
    """Assert that each part is a start, deltas of its kind, and an end, and that one `Done` is last."""
    running: dict[tuple[int, int], BlockStart] = {}
    ended: set[tuple[int, int]] = set()
    done = False
    for event in events:
        assert not done, f"{event!r} comes after Done"
        match event:
            case Done():
                assert not running, f"Done comes while these parts are still open: {list(running.values())}"
                done = True
            case BlockStart(index=index, candidate=candidate):
                assert (candidate, index) not in running, f"{event!r}: this part is open already"
                assert (candidate, index) not in ended, f"{event!r}: this part has ended before"
                running[candidate, index] = event
            case BlockEnd(index=index, candidate=candidate, part=part):
                start = running.pop((candidate, index), None)
                assert start is not None, f"{event!r} ends a part that is not open"
                assert part.kind == start.block, f"{event!r} ends a part that began as {start.block}"
                ended.add((candidate, index))
            case TextDelta() | ThinkingDelta() | ToolCallDelta():
                start = running.get((event.candidate, event.index))
                assert start is not None, f"{event!r} belongs to a part that is not open"
                assert event.kind == f"{start.block}_delta", f"{event!r} is in a part that began as {start.block}"
    assert done, "a stream ends with Done"
