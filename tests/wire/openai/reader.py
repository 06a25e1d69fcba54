"""An independent reading of answers of Chat Completions, Responses and Embeddings."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

from ..reader import Call, Choice, Reading, sse

__all__ = ["finish_words", "read", "tokens"]

JSON = dict[str, Any]


def read(api: str, status: int, headers: dict[str, str], content: bytes) -> Reading:
    """Read an answer of "chat", "responses" or "embeddings"."""
    if status >= 400:
        reading = Reading(error=_error(content))
    elif "event-stream" in headers.get("content-type", ""):
        data = [text for _, text in sse(content)]
        reading = _chat_stream(data) if api == "chat" else _responses_stream(data)
    else:
        body = json.loads(content)
        reading = {"chat": _chat, "responses": _responses, "embeddings": _embeddings}[api](body)
    reading.request_id = headers.get("x-request-id") or headers.get("apim-request-id")
    return reading


def _error(content: bytes) -> JSON:
    try:
        body = json.loads(content)
    except ValueError:
        return {}
    error = body.get("error", body) if isinstance(body, dict) else {}
    return error if isinstance(error, dict) else {"message": error}


# Chat Completions.

# Compatible servers use one of the two for the text of the reasoning, or both, with the same text or with two.
_REASONING = ("reasoning_content", "reasoning")
_CHAT_KNOWN = {"id", "object", "created", "model", "choices", "usage", "obfuscation"}


def _chat(body: JSON) -> Reading:
    reading = Reading(id=body.get("id"), model=body.get("model"), usage=body.get("usage"))
    reading.error = body.get("error")
    reading.rest = {key: value for key, value in body.items() if key not in _CHAT_KNOWN}
    for sent in sorted(body.get("choices") or [], key=lambda choice: choice.get("index") or 0):
        message = sent.get("message") or {}
        choice = Choice(finish=sent.get("finish_reason"))
        content = message.get("content") or ""
        choice.text = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
        choice.refusal = message.get("refusal") or ""
        choice.thinking = _apart([message.get(name) for name in _REASONING])
        choice.citations = list(message.get("annotations") or [])
        for call in message.get("tool_calls") or []:
            function, form = _function(call)
            arguments = function.get("input" if form == "custom" else "arguments") or ""
            choice.calls.append(Call(call.get("id") or None, function.get("name") or "", arguments, form))
        if message.get("function_call"):
            function = message["function_call"]
            choice.calls.append(
                Call(None, function.get("name") or "", function.get("arguments") or "", "function_call")
            )
        if message.get("audio"):
            choice.audio.append(base64.b64decode(message["audio"]["data"]))
        choice.tokens = (sent.get("logprobs") or {}).get("content")
        reading.choices.append(choice)
    return reading


def _chat_stream(data: list[str]) -> Reading:
    reading = Reading(terminated=False)
    choices: dict[int, Choice] = {}
    calls: dict[tuple[int, int], Call] = {}
    thoughts: dict[tuple[int, str], str] = {}
    for text in data:
        if text.strip() == "[DONE]":
            reading.terminated = True
            break
        chunk = json.loads(text)
        if chunk.get("error"):
            reading.error = chunk["error"]
            break
        reading.id = reading.id or chunk.get("id") or None
        reading.model = reading.model or chunk.get("model") or None
        reading.usage = chunk.get("usage") or reading.usage
        # A field that is null in one chunk does not unsay what another chunk said.
        kept = {key: value for key, value in chunk.items() if key not in _CHAT_KNOWN}
        reading.rest.update({key: value for key, value in kept.items() if value is not None or key not in reading.rest})
        for sent in chunk.get("choices") or []:
            index = sent.get("index") or 0
            choice = choices.setdefault(index, Choice())
            choice.finish = sent.get("finish_reason") or choice.finish
            _chat_delta(choice, index, sent.get("delta") or {}, calls, thoughts)
            if (tokens := (sent.get("logprobs") or {}).get("content")) is not None:
                choice.tokens = (choice.tokens or []) + tokens
    reading.choices = [choice for _, choice in sorted(choices.items())]
    return reading


def _chat_delta(
    choice: Choice,
    index: int,
    delta: JSON,
    calls: dict[tuple[int, int], Call],
    thoughts: dict[tuple[int, str], str],
) -> None:
    choice.text += delta.get("content") or ""
    choice.refusal += delta.get("refusal") or ""
    choice.citations += delta.get("annotations") or []
    for name in _REASONING:
        if thought := delta.get(name):
            thoughts[index, name] = thoughts.get((index, name), "") + thought
    choice.thinking = _apart([text for (at, _), text in thoughts.items() if at == index])
    pieces = list(enumerate(delta.get("tool_calls") or []))
    if delta.get("function_call"):
        pieces.append((-1, {"index": -1, "function": delta["function_call"]}))
    for position, piece in pieces:
        place = piece["index"] if piece.get("index") is not None else position
        call = calls.get((index, place))
        if call is None:
            call = calls[index, place] = Call(None, "", "", "function_call" if place == -1 else _function(piece)[1])
            choice.calls.append(call)
        function, form = _function(piece)
        call.id = call.id or piece.get("id") or None
        call.name = call.name or function.get("name") or ""
        call.arguments += function.get("input" if form == "custom" else "arguments") or ""


def _apart(texts: list[str | None]) -> list[str]:
    """Return the texts that there are, the same one once."""
    return list(dict.fromkeys(text for text in texts if text))


def _function(call: JSON) -> tuple[JSON, str]:
    """Return what a call holds, and its form."""
    return (call["custom"], "custom") if "custom" in call else (call.get("function") or {}, "function")


# Responses.

# What the vendor repeats of the request, and what has a place of its own in a reading.
_ECHO = {
    *("background", "billing", "completed_at", "created_at", "error", "frequency_penalty", "id", "incomplete_details"),
    *("instructions", "max_output_tokens", "max_tool_calls", "metadata", "model", "object", "output", "output_text"),
    *("parallel_tool_calls", "presence_penalty", "prompt", "prompt_cache_key", "prompt_cache_options"),
    *("prompt_cache_retention", "reasoning", "safety_identifier", "status", "store", "temperature", "text"),
    *("tool_choice", "tools", "top_logprobs", "top_p", "truncation", "usage", "user"),
}


def _responses(body: JSON, items: list[JSON] | None = None) -> Reading:
    reading = Reading(id=body.get("id"), model=body.get("model"), usage=body.get("usage"))
    reading.error = body.get("error")
    reading.rest = {key: value for key, value in body.items() if key not in _ECHO and value is not None}
    reason = (body.get("incomplete_details") or {}).get("reason")
    reading.items = body.get("output") or items or []
    choice = Choice(finish=f"{body.get('status')}/{reason}" if reason else body.get("status"))
    for item in reading.items:
        _item(choice, item)
    reading.choices = [choice]
    reading.final = {**body, "output": reading.items}
    return reading


def _item(choice: Choice, item: JSON) -> None:
    kind = item.get("type")
    if kind == "message":
        for part in item.get("content") or []:
            if part.get("type") == "output_text":
                choice.text += part.get("text") or ""
                choice.citations += part.get("annotations") or []
                if part.get("logprobs"):
                    choice.tokens = (choice.tokens or []) + part["logprobs"]
            elif part.get("type") == "refusal":
                choice.refusal += part.get("refusal") or ""
    elif kind == "reasoning":
        # The reasoning itself, and its summary; some servers say the same in both.
        shown = [[part["text"] for part in item.get(name) or [] if part.get("text")] for name in ("content", "summary")]
        choice.thinking += shown[0] if shown[0] == shown[1] else shown[0] + shown[1]
    elif kind == "function_call":
        choice.calls.append(Call(item.get("call_id"), item.get("name") or "", item.get("arguments") or ""))
    elif kind == "image_generation_call" and item.get("result"):
        choice.images.append(base64.b64decode(item["result"]))
    else:
        choice.items.append(str(kind))


_ENDS = {"response.completed", "response.incomplete", "response.failed", "response.cancelled"}


def _responses_stream(data: list[str]) -> Reading:
    done: dict[int, JSON] = {}
    last: JSON = {}
    said = ""
    for text in data:
        event = json.loads(text)
        kind = event.get("type")
        if kind == "error":
            return Reading(error=event.get("error") or event)
        if isinstance(event.get("response"), dict):
            last = event["response"]
        if kind == "response.output_text.delta":
            said += event["delta"]
        if kind == "response.output_item.done":
            done[event["output_index"]] = event["item"]
        if kind in _ENDS:
            return _responses(last, [item for _, item in sorted(done.items())])
    reading = _responses(last, [item for _, item in sorted(done.items())])
    reading.terminated = False
    reading.choices[0].text = said
    return reading


# Embeddings.


def _embeddings(body: JSON) -> Reading:
    reading = Reading(model=body.get("model"), usage=body.get("usage"), error=body.get("error"))
    for row in sorted(body.get("data") or [], key=lambda row: row["index"]):
        vector = row["embedding"]
        if isinstance(vector, str):
            packed = base64.b64decode(vector)
            vector = list(struct.unpack(f"<{len(packed) // 4}f", packed))
        reading.vectors.append([float(value) for value in vector])
    return reading


# What the words and numbers mean.

_CHAT_FINISH = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "refused",
}

# Calls that the client has to answer; whether a genkit answer says "stop" or "tool_calls" to those without a word in
# genkit's vocabulary is free.
_CLIENT_ITEMS = {
    "apply_patch_call",
    "computer_call",
    "custom_tool_call",
    "local_shell_call",
    "mcp_approval_request",
    "shell_call",
    "tool_search_call",
}


def finish_words(api: str, choice: Choice) -> set[str]:
    """Return the words of genkit's six that are right for an answer."""
    if api == "chat":
        if choice.finish == "stop" and choice.refusal:
            return {"stop", "refused"}
        # A call of a function that the request demanded ends with "stop".
        demanded = choice.finish == "stop" and choice.calls
        return {"tool_calls" if demanded else _CHAT_FINISH.get(choice.finish or "", "other")}
    if choice.finish == "completed":
        if choice.calls:
            return {"tool_calls"}
        if choice.refusal:
            return {"stop", "refused"}
        return {"stop", "tool_calls"} if _CLIENT_ITEMS & set(choice.items) else {"stop"}
    if choice.finish == "incomplete/max_output_tokens":
        return {"length"}
    return {"refused"} if choice.finish == "incomplete/content_filter" else {"other"}


def tokens(usage: JSON | None) -> dict[str, int | None]:
    """Return the counts in classes that do not overlap, from the vendor's counts, which include each other.

    The vendor's prompt (input) holds the cached, cache-writing, audio and image tokens; its completion (output) holds
    the reasoning, audio and image tokens.
    """
    if usage is None:
        return {"total": None}
    into, out = ("input", "output") if "input_tokens" in usage else ("prompt", "completion")
    inside = usage.get(f"{into}_tokens_details") or {}
    outside = usage.get(f"{out}_tokens_details") or {}
    prompt, answer = usage[f"{into}_tokens"], usage.get(f"{out}_tokens") or 0
    counts = {
        "cache_read": inside.get("cached_tokens") or 0,
        "cache_write": inside.get("cache_write_tokens") or 0,
        "input_audio": inside.get("audio_tokens") or 0,
        "input_image": inside.get("image_tokens") or 0,
        "reasoning": outside.get("reasoning_tokens") or 0,
        "output_audio": outside.get("audio_tokens") or 0,
        "output_image": outside.get("image_tokens") or 0,
    }
    counts["input"] = prompt - sum(counts[name] for name in ("cache_read", "cache_write", "input_audio", "input_image"))
    counts["output"] = answer - sum(counts[name] for name in ("reasoning", "output_audio", "output_image"))
    return {**counts, "total_input": prompt, "total_output": answer, "total": prompt + answer}
