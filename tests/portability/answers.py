"""Answers as each vendor sends them, decoded by its own backend: so they hold what a real history holds."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from genkit.backends.bedrock import Bedrock
from genkit.backends.google import Google
from genkit.backends.openai import OpenAI
from genkit.backends.wire import Exchange, WireBackend
from genkit.types import Message, Part, Request, Text, Thinking, Timing, ToolCall

__all__ = ["ORIGINS", "Said", "answered", "has"]

JSON = dict[str, Any]
ORIGINS = (
    None,
    "openai/chat",
    "openai/responses",
    "google/generateContent",
    "vertex/generateContent",
    "bedrock/converse",
)


@dataclass(frozen=True)
class Said:
    """One piece of an answer.

    Attributes:
        kind: "thinking", "text", "refusal", "item" (which has no word in genkit), "call", or "custom" (a call whose
            arguments are text).
        mark: Its text, or the argument of a call.
        sealed: What only the vendor understands, and wants back.
        source: What a text cites.
        id: Of a call; None where the vendor gives none.
    """

    kind: str
    mark: str
    sealed: str = ""
    source: str = ""
    id: str | None = None


# What the answers of each vendor can hold.
_HAS = {
    "openai/chat": {"text", "refusal", "source", "call", "custom"},
    "openai/responses": {"thinking", "text", "refusal", "source", "item", "sealed", "call", "custom"},
    "google/generateContent": {"thinking", "text", "item", "source", "sealed", "sealed text", "call", "no id"},
    "bedrock/converse": {"thinking", "text", "source", "sealed", "call"},
}
_HAS["vertex/generateContent"] = _HAS["google/generateContent"]


def has(origin: str | None, what: str) -> bool:
    """Return whether a vendor's answers can hold something; nothing is known of those of nobody."""
    return what in ({"thinking", "text", "refusal", "call"} if origin is None else _HAS[origin])


def answered(origin: str | None, said: Sequence[Said]) -> tuple[Part, ...]:
    """Return the parts of an answer, as the vendor's backend decodes it."""
    if origin is None:
        return tuple(_own(one) for one in said)
    backend, model, body = _vendors()[origin]
    request = Request(model=model, messages=(Message.user("x"),))
    wire = backend.encode(request, stream=False)
    return backend.decode(wire, body(said), Exchange({}, Timing(0.0, 0.0, 0.0))).message.parts


def _own(one: Said) -> Part:
    match one.kind:
        case "thinking":
            return Thinking(text=one.mark)
        case "call":
            return ToolCall(id=one.id or one.mark, name="look", arguments={"where": one.mark})
        case kind:
            return Text(text=one.mark, refusal=kind == "refusal")


@functools.cache
def _vendors() -> dict[str, tuple[WireBackend, str, Callable[[Sequence[Said]], JSON]]]:
    return {
        "openai/chat": (OpenAI(api="chat", api_key="k"), "gpt-4.1", _chat),
        "openai/responses": (OpenAI(api="responses", api_key="k"), "gpt-5", _responses),
        "google/generateContent": (Google(api_key="k"), "gemini-2.5-flash", _gemini),
        "vertex/generateContent": (Google(name="vertex", api_key="k"), "gemini-2.5-flash", _gemini),
        "bedrock/converse": (
            Bedrock(api_key="k", region="us-east-1"),
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            _converse,
        ),
    }


def _seal(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _cited(one: Said) -> list[JSON]:
    where = {"url": f"https://{one.source}.example", "title": "t", "start_index": 0, "end_index": 1}
    return [where] if one.source else []


def _arguments(one: Said) -> str:
    return json.dumps({"where": one.mark}, ensure_ascii=False)


def _chat(said: Sequence[Said]) -> JSON:
    calls: list[JSON] = []
    message: JSON = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
    for one in said:
        match one.kind:
            case "text":
                message["content"] = (message["content"] or "") + one.mark
                message["annotations"] += [{"type": "url_citation", "url_citation": cited} for cited in _cited(one)]
            case "refusal":
                message["refusal"] = one.mark
            case "call":
                function = {"name": "look", "arguments": _arguments(one)}
                calls.append({"id": one.id, "type": "function", "function": function})
            case "custom":
                calls.append({"id": one.id, "type": "custom", "custom": {"name": "look", "input": one.mark}})
    if calls:
        message["tool_calls"] = calls
    return {"id": "chatcmpl-1", "choices": [{"index": 0, "finish_reason": "stop", "message": message}]}


def _responses(said: Sequence[Said]) -> JSON:
    output: list[JSON] = []
    for at, one in enumerate(said):
        match one.kind:
            case "thinking":
                summary = [{"type": "summary_text", "text": one.mark}]
                output.append({"type": "reasoning", "id": f"rs_{one.mark}", "summary": summary})
                if one.sealed:
                    output[-1]["encrypted_content"] = one.sealed
            case "item":
                action = {"type": "search", "query": "q"}
                item = {"type": "web_search_call", "id": one.mark, "status": "completed", "action": action}
                output.append(item)
            case "text" | "refusal":
                notes = [{"type": "url_citation", **cited} for cited in _cited(one)]
                content: JSON = {"type": "output_text", "text": one.mark, "annotations": notes, "logprobs": []}
                if one.kind == "refusal":
                    content = {"type": "refusal", "refusal": one.mark}
                message = {"type": "message", "id": f"msg_{at}_{one.mark}", "status": "completed", "role": "assistant"}
                output.append({**message, "content": [content]})
            case "call":
                call = {"type": "function_call", "id": f"fc_{at}_{one.mark}", "status": "completed"}
                output.append({**call, "call_id": one.id, "name": "look", "arguments": _arguments(one)})
            case "custom":
                call = {"type": "custom_tool_call", "id": f"ctc_{at}_{one.mark}", "status": "completed"}
                output.append({**call, "call_id": one.id, "name": "look", "input": one.mark})
    return {"id": "resp_1", "status": "completed", "output": output}


def _gemini(said: Sequence[Said]) -> JSON:
    parts: list[JSON] = []
    chunks: list[JSON] = []
    supports: list[JSON] = []
    for at, one in enumerate(said):
        match one.kind:
            case "thinking":
                part: JSON = {"text": one.mark, "thought": True}
            case "item":
                part = {"executableCode": {"language": "PYTHON", "code": one.mark}}
            case "call":
                part = {
                    "functionCall": {"name": "look", "args": {"where": one.mark}, **({"id": one.id} if one.id else {})}
                }
            case _:
                part = {"text": one.mark}
                for cited in _cited(one):
                    segment = {"partIndex": at, "startIndex": 0, "endIndex": len(one.mark), "text": one.mark}
                    supports.append({"segment": segment, "groundingChunkIndices": [len(chunks)]})
                    chunks.append({"web": {"uri": cited["url"], "title": cited["title"]}})
        parts.append({**part, **({"thoughtSignature": _seal(one.sealed)} if one.sealed else {})})
    grounding = {"groundingMetadata": {"groundingChunks": chunks, "groundingSupports": supports}} if chunks else {}
    return {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", **grounding}]}


def _converse(said: Sequence[Said]) -> JSON:
    content: list[JSON] = []
    for one in said:
        match one.kind:
            case "thinking" if one.sealed:
                signed = {"text": one.mark, "signature": _seal(one.sealed)}
                content.append({"reasoningContent": {"reasoningText": signed}})
            case "thinking":
                content.append({"reasoningContent": {"reasoningText": {"text": one.mark}}})
            case "call":
                content.append({"toolUse": {"toolUseId": one.id, "name": "look", "input": {"where": one.mark}}})
            case _ if one.source:
                location = {"web": {"url": _cited(one)[0]["url"]}}
                cited = {"title": "t", "sourceContent": [{"text": "s"}], "location": location}
                content.append({"citationsContent": {"content": [{"text": one.mark}], "citations": [cited]}})
            case _:
                content.append({"text": one.mark})
    return {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": "end_turn"}
