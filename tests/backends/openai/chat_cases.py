"""What the tests of Chat Completions share: requests, chunks, and the shortest way through encoder and decoder."""

from __future__ import annotations

import json
from typing import Any

from genkit.backends.openai import chat
from genkit.backends.services import SERVICES, Service
from genkit.backends.wire import Exchange, WireRequest
from genkit.transport.sse import ServerSentEvent, SSEParser
from genkit.types import Done, Event, Message, Part, Request, Response, Settings

ORIGIN = "openai/chat"
OPENAI = SERVICES["openai"]
GROQ = SERVICES["groq"]


def request(*messages: Message | str, model: str = "gpt-4o", **fields: Any) -> Request:
    """Return a request; keywords that are settings become settings."""
    settings = {name: fields.pop(name) for name in list(fields) if name in Settings.model_fields}
    said = tuple(Message.user(m) if isinstance(m, str) else m for m in messages or ("Hi",))
    return Request(model=model, messages=said, settings=Settings(**settings), **fields)


def wire_of(asked: Request, service: Service = OPENAI, *, stream: bool = False) -> WireRequest:
    """Return what is sent."""
    return chat.encode(asked, service, origin=ORIGIN, stream=stream)


def body(asked: Request, service: Service = OPENAI, *, stream: bool = False) -> dict[str, Any]:
    """Return the body that is sent."""
    return wire_of(asked, service, stream=stream).body


def said(*messages: Message | str, service: Service = OPENAI, model: str = "gpt-4o") -> list[dict[str, Any]]:
    """Return the messages that are sent."""
    messages_sent: list[dict[str, Any]] = body(request(*messages, model=model), service)["messages"]
    return messages_sent


def subjects(wire: WireRequest) -> list[str]:
    """Return what warnings are about."""
    return [warning.subject for warning in wire.warnings]


WIRE = WireRequest(path="/chat/completions", body={}, model="gpt-4o", api="chat", origin=ORIGIN)


def whole(*choices: dict[str, Any], **head: Any) -> dict[str, Any]:
    """Return a whole answer."""
    numbered = [{"index": at, "finish_reason": "stop", "logprobs": None, **choice} for at, choice in enumerate(choices)]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 7,
        "model": "gpt-4o-2024",
        "choices": numbered,
        **head,
    }


def answered(message: dict[str, Any], *, wire: WireRequest = WIRE, **choice: Any) -> Response[Any]:
    """Return the response for a message."""
    return chat.decode(
        wire, whole({"message": {"role": "assistant", **message}, **choice}), Exchange(), backend="openai"
    )


def chunk(delta: dict[str, Any] | None = None, *, finish: str | None = None, index: int = 0, **head: Any) -> bytes:
    """Return a chunk of a stream as it stands on the wire."""
    choices = [] if delta is None else [{"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}]
    data = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 7,
        "model": "gpt-4o-2024",
        "choices": choices,
    }
    return b"data: " + json.dumps({**data, **head}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def streamed(*pieces: bytes, wire: WireRequest = WIRE) -> tuple[list[Event], Response[Any]]:
    """Return the events of a stream and its response."""
    decoder, parser, events = chat.Decoder(wire, backend="openai"), SSEParser(), []
    for piece in pieces:
        for frame in parser.feed(piece):
            events.extend(decoder.feed(frame))
    events.extend(decoder.end())
    response = decoder.response(Exchange())
    return [*events, Done(response)], response


def frame(data: bytes) -> ServerSentEvent:
    """Return one event of a stream."""
    return ServerSentEvent(data.removeprefix(b"data: ").strip())


def parts(message: dict[str, Any], **choice: Any) -> tuple[Part, ...]:
    """Return the parts of an answer."""
    return answered(message, **choice).message.parts
