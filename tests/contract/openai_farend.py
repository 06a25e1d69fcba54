"""A far end that speaks OpenAI's wire on loopback: Chat Completions, Responses and its token counts, embeddings.

Answers come plain and streamed. It repeats the text of the last user, calls the first tool where it must, fills a
schema with one person, and does what is asked by `stop`, `max_tokens`, `n` and `logprobs`. A prompt with the word STALL
begins its stream, no more.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct
from collections.abc import Iterator
from typing import Any

from tests.farend import Call

JSON = dict[str, Any]

UNKNOWN = "no-such-model"
STALL = "STALL"
_SSE = {"content-type": "text/event-stream", "x-request-id": "req-1"}
_COUNTED = frozenset(
    {"conversation", "input", "instructions", "model", "parallel_tool_calls", "personality", "previous_response_id"}
    | {"reasoning", "text", "tool_choice", "tools", "truncation"}
)
_PLAIN = {"content-type": "application/json", "x-request-id": "req-1"}


def speak_openai(call: Call) -> None:
    """Answer one request; a script for `FarEnd`."""
    body = json.loads(call.request.body)
    if body.get("model") == UNKNOWN:
        error = {"message": "The model does not exist", "type": "invalid_request_error", "code": "model_not_found"}
        call.answer(json.dumps({"error": error}).encode(), status=404, headers=_PLAIN)
    elif call.request.target.endswith("/chat/completions"):
        _serve(call, body, _chat_chunks(body), lambda: _chat(body))
    elif call.request.target.endswith("/responses/input_tokens"):
        _count(call, body)
    elif call.request.target.endswith("/responses"):
        _serve(call, body, _response_events(body), lambda: _response(body, _items(body)))
    elif call.request.target.endswith("/embeddings"):
        call.answer(json.dumps(_embeddings(body)).encode(), headers=_PLAIN)
    else:
        call.answer(b'{"error": {"message": "no such route"}}', status=404, headers=_PLAIN)


def _count(call: Call, body: JSON) -> None:
    if odd := sorted(body.keys() - _COUNTED):
        error = {"message": f"Unknown parameter: '{odd[0]}'.", "type": "invalid_request_error", "param": odd[0]}
        call.answer(json.dumps({"error": error}).encode(), status=400, headers=_PLAIN)
        return
    answer = {"object": "response.input_tokens", "input_tokens": _prompt_tokens(body)}
    call.answer(json.dumps(answer).encode(), headers=_PLAIN)


def _serve(call: Call, body: JSON, frames: Iterator[bytes], whole: Any) -> None:
    if not body.get("stream"):
        call.answer(json.dumps(whole()).encode(), headers=_PLAIN)
        return
    call.head(200, _SSE)
    for number, frame in enumerate(frames):
        try:
            call.chunk(frame)
        except OSError:
            # The reader left the stream, as it may.
            call.hang_up()
            return
        if number == 4 and STALL in _asked(body):
            call.hold()
            return
    call.end()


# ---------------------------------------------------------------- what the model says


def _tokens(text: str) -> list[str]:
    return re.findall(r"\s*\S+|\s+$", text)


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or [])


def _messages(body: JSON) -> list[JSON]:
    messages = body["messages"] if "messages" in body else body["input"]
    return [{"role": "user", "content": messages}] if isinstance(messages, str) else messages


def _asked(body: JSON) -> str:
    return next((_text_of(m.get("content")) for m in reversed(_messages(body)) if m.get("role") == "user"), "")


def _prompt_tokens(body: JSON) -> int:
    return sum(len(_tokens(_text_of(message.get("content")))) for message in _messages(body))


def _must_call(body: JSON) -> bool:
    choice = body.get("tool_choice", "auto")
    return bool(body.get("tools")) and (choice == "required" or isinstance(choice, dict))


def _says(body: JSON, limit: int | None) -> tuple[str, bool]:
    """Return the text of the answer, and whether it was cut by the limit."""
    form = body.get("response_format") or body.get("text", {}).get("format")
    text = '{"name": "Ada", "age": 36}' if form and form["type"] == "json_schema" else _asked(body)
    stops = body.get("stop") or []
    for stop in [stops] if isinstance(stops, str) else stops:
        text = text.partition(stop)[0]
    words = _tokens(text)
    if limit is not None and len(words) > limit:
        return "".join(words[:limit]), True
    return text, False


_ARGUMENTS = '{"city": "Oslo"}'


# ---------------------------------------------------------------- Chat Completions


def _chat_limit(body: JSON) -> int | None:
    limit: int | None = body.get("max_completion_tokens", body.get("max_tokens"))
    return limit


def _chat_usage(body: JSON) -> JSON:
    text, _ = _says(body, _chat_limit(body))
    given = 5 if _must_call(body) else len(_tokens(text)) * (body.get("n") or 1)
    asked = _prompt_tokens(body)
    return {
        "prompt_tokens": asked,
        "completion_tokens": given,
        "total_tokens": asked + given,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _chat_logprobs(body: JSON, words: list[str]) -> JSON | None:
    if not body.get("logprobs"):
        return None
    top = [{"token": "a", "logprob": -1.0, "bytes": [97]}] * (body.get("top_logprobs") or 0)
    return {"content": [{"token": w, "logprob": -0.5, "bytes": list(w.encode()), "top_logprobs": top} for w in words]}


def _chat(body: JSON) -> JSON:
    text, cut = _says(body, _chat_limit(body))
    if _must_call(body):
        function = {"name": body["tools"][0]["function"]["name"], "arguments": _ARGUMENTS}
        message = {"content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": function}]}
        finish = "tool_calls"
    else:
        message, finish = {"content": text}, "length" if cut else "stop"
    logprobs = None if _must_call(body) else _chat_logprobs(body, _tokens(text))
    choices = [
        {
            "index": i,
            "message": {"role": "assistant", "refusal": None, **message},
            "finish_reason": finish,
            "logprobs": logprobs,
        }
        for i in range(body.get("n") or 1)
    ]
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": body["model"]}
    return {**head, "choices": choices, "usage": _chat_usage(body)}


def _chat_chunks(body: JSON) -> Iterator[bytes]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
    asks_usage = (body.get("stream_options") or {}).get("include_usage")

    def chunk(index: int, delta: JSON, finish: str | None = None, logprobs: JSON | None = None) -> bytes:
        choice = {"index": index, "delta": delta, "finish_reason": finish, "logprobs": logprobs}
        return _data({**head, "choices": [choice], **({"usage": None} if asks_usage else {})})

    text, cut = _says(body, _chat_limit(body))
    candidates = range(body.get("n") or 1)
    for index in candidates:
        yield chunk(index, {"role": "assistant", "content": "" if not _must_call(body) else None})
    if _must_call(body):
        function = {"name": body["tools"][0]["function"]["name"], "arguments": ""}
        yield chunk(0, {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]})
        for at in range(0, len(_ARGUMENTS), 5):
            yield chunk(0, {"tool_calls": [{"index": 0, "function": {"arguments": _ARGUMENTS[at : at + 5]}}]})
        yield chunk(0, {}, "tool_calls")
    else:
        for word in _tokens(text):
            for index in candidates:
                yield chunk(index, {"content": word}, None, _chat_logprobs(body, [word]))
        for index in candidates:
            yield chunk(index, {}, "length" if cut else "stop")
    if asks_usage:
        yield _data({**head, "choices": [], "usage": _chat_usage(body)})
    yield b"data: [DONE]\n\n"


def _data(value: JSON) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


# ---------------------------------------------------------------- Responses


def _items(body: JSON) -> list[JSON]:
    if _must_call(body):
        call = {"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "call_1"}
        return [{**call, "name": body["tools"][0]["name"], "arguments": _ARGUMENTS}]
    text, cut = _says(body, body.get("max_output_tokens"))
    content = {"type": "output_text", "annotations": [], "logprobs": _logprobs(body, _tokens(text)), "text": text}
    status = "incomplete" if cut else "completed"
    return [{"id": "msg_1", "type": "message", "status": status, "role": "assistant", "content": [content]}]


def _logprobs(body: JSON, words: list[str]) -> list[JSON]:
    if "message.output_text.logprobs" not in (body.get("include") or []):
        return []
    top = [{"token": "a", "logprob": -1.0, "bytes": [97]}] * (body.get("top_logprobs") or 0)
    return [{"token": w, "logprob": -0.5, "bytes": list(w.encode()), "top_logprobs": top} for w in words]


def _response(body: JSON, output: list[JSON], *, status: str | None = None) -> JSON:
    text, cut = _says(body, body.get("max_output_tokens"))
    given, asked = 5 if _must_call(body) else len(_tokens(text)), _prompt_tokens(body)
    cut = cut and not _must_call(body)
    usage = {
        "input_tokens": asked,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": given,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": asked + given,
    }
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status or ("incomplete" if cut else "completed"),
        "incomplete_details": {"reason": "max_output_tokens"} if cut and not status else None,
        "error": None,
        "model": body["model"],
        "output": output,
        "usage": None if status else usage,
    }


def _response_events(body: JSON) -> Iterator[bytes]:
    numbers = iter(range(10_000_000))

    def event(kind: str, **fields: Any) -> bytes:
        data = {"type": kind, "sequence_number": next(numbers), **fields}
        return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()

    yield event("response.created", response=_response(body, [], status="in_progress"))
    yield event("response.in_progress", response=_response(body, [], status="in_progress"))
    items = _items(body)
    for item in items:
        place = {"output_index": 0, "item_id": item["id"]}
        empty = {"arguments": ""} if item["type"] == "function_call" else {"content": []}
        yield event("response.output_item.added", output_index=0, item={**item, **empty, "status": "in_progress"})
        if item["type"] == "function_call":
            for at in range(0, len(_ARGUMENTS), 5):
                piece = _ARGUMENTS[at : at + 5]
                yield event("response.function_call_arguments.delta", **place, delta=piece)
            yield event("response.function_call_arguments.done", **place, arguments=_ARGUMENTS)
        else:
            part = item["content"][0]
            place["content_index"] = 0
            yield event("response.content_part.added", **place, part={**part, "text": "", "logprobs": []})
            for word in _tokens(part["text"]):
                yield event("response.output_text.delta", **place, delta=word, logprobs=_logprobs(body, [word]))
            yield event("response.output_text.done", **place, text=part["text"], logprobs=part["logprobs"])
            yield event("response.content_part.done", **place, part=part)
        yield event("response.output_item.done", output_index=0, item=item)
    whole = _response(body, items)
    yield event(f"response.{whole['status']}", response=whole)


# ---------------------------------------------------------------- embeddings


def _embeddings(body: JSON) -> JSON:
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    rows = []
    for index, text in enumerate(texts):
        digest = hashlib.shake_256(text.encode()).digest(body.get("dimensions") or 16)
        vector: Any = [byte / 255 for byte in digest]
        if body.get("encoding_format") == "base64":
            vector = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
        rows.append({"object": "embedding", "index": index, "embedding": vector})
    tokens = sum(len(_tokens(text)) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    # Backwards: the index says the order, not the place.
    return {"object": "list", "data": rows[::-1], "model": body["model"], "usage": usage}
