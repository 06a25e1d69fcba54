"""What the tests of Google's wire share: requests, answers, and the shortest way through encoder and decoder."""

from __future__ import annotations

import json
from typing import Any

from genkit.backends.google import Google, answers
from genkit.backends.wire import Exchange, WireRequest
from genkit.transport.sse import SSEParser
from genkit.types import Done, Event, Message, Part, Request, Response, Settings, Tool, ToolCall, ToolResult

GEMINI = Google(api_key="k")
VERTEX = Google(name="vertex", project="p", location="global", headers={"authorization": "Bearer t"})
ORIGIN = "google/generateContent"
CLOUD = "vertex/generateContent"
NEW = "gemini-3.8-flash"
OLD = "gemini-2.5-flash"
SIGNED = {"thoughtSignature": "c2ln"}
LOOKUP = Tool(name="lookup", parameters={"type": "object", "properties": {"city": {"type": "string"}}})


def request(*messages: Message | str, model: str = OLD, **fields: Any) -> Request:
    """Return a request; keywords that are settings become settings."""
    settings = {name: fields.pop(name) for name in list(fields) if name in Settings.model_fields}
    said = tuple(Message.user(m) if isinstance(m, str) else m for m in messages or ("Hi",))
    return Request(model=model, messages=said, settings=Settings(**settings), **fields)


def wire_of(asked: Request, backend: Google = GEMINI, *, stream: bool = False) -> WireRequest:
    """Return what is sent."""
    return backend.encode(asked, stream=stream)


def body(*messages: Message | str, backend: Google = GEMINI, **fields: Any) -> dict[str, Any]:
    """Return the body that is sent."""
    return wire_of(request(*messages, **fields), backend).body


def config(**fields: Any) -> dict[str, Any]:
    """Return the generationConfig that is sent."""
    found: dict[str, Any] = body(**fields).get("generationConfig", {})
    return found


def said(*messages: Message | str, **fields: Any) -> list[dict[str, Any]]:
    """Return the contents that are sent."""
    contents: list[dict[str, Any]] = body(*messages, **fields)["contents"]
    return contents


def parts_of(*parts: Part, **fields: Any) -> list[dict[str, Any]]:
    """Return how parts of a user's are sent."""
    found: list[dict[str, Any]] = said(Message.user(*parts), **fields)[0]["parts"]
    return found


def lost(asked: Request, backend: Google = GEMINI) -> list[tuple[str, str]]:
    """Return what warnings are about, and what happened to it."""
    return [(warning.kind, warning.subject) for warning in wire_of(asked, backend).warnings]


def asking(*calls: ToolCall) -> list[Message]:
    """Return a conversation in which the model called functions and was answered."""
    results = [ToolResult(id=call.id, name=call.name) for call in calls]
    return [Message.user("Go"), Message.assistant(*calls), Message.tool(*results)]


def wire(*, origin: str = ORIGIN, body: dict[str, Any] | None = None) -> WireRequest:
    """Return a request that an answer may be for."""
    return WireRequest(path="", body=body or {}, model=OLD, api="generateContent", origin=origin)


def candidate(*parts: dict[str, Any], finish: str | None = "STOP", **fields: Any) -> dict[str, Any]:
    """Return a candidate."""
    ended = {"finishReason": finish} if finish else {}
    return {"content": {"role": "model", "parts": list(parts)}, "index": 0, **ended, **fields}


def whole(*candidates: dict[str, Any], **head: Any) -> dict[str, Any]:
    """Return a whole answer."""
    return {"candidates": list(candidates), "modelVersion": "gemini-2.5-flash-001", "responseId": "r1", **head}


def answered(*parts: dict[str, Any], finish: str = "STOP", **fields: Any) -> Response[Any]:
    """Return the response for an answer of parts."""
    return decoded(whole(candidate(*parts, finish=finish, **fields)))


def decoded(data: dict[str, Any], **request: Any) -> Response[Any]:
    """Return the response for a whole answer."""
    return answers.decode(wire(**request), data, Exchange(), backend="google")


def chunk(*parts: dict[str, Any], finish: str | None = None, **head: Any) -> dict[str, Any]:
    """Return a chunk of a stream."""
    return whole(candidate(*parts, finish=finish), **head)


def streamed(*chunks: Any, **request: Any) -> tuple[list[Event], Response[Any]]:
    """Return the events of a stream and its response."""
    decoder, parser, events = answers.Decoder(wire(**request), backend="google"), SSEParser(), list[Event]()
    for one in chunks:
        for frame in parser.feed(b"data: " + json.dumps(one).encode() + b"\r\n\r\n"):
            events += decoder.feed(frame)
    assert decoder.complete
    events += decoder.end()
    response = decoder.response(Exchange())
    return [*events, Done(response)], response
