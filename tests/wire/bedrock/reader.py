"""An independent reading of answers of Bedrock: Converse, its stream, CountTokens, and embeddings by InvokeModel."""

from __future__ import annotations

import base64
import json
from typing import Any

from ..reader import Call, Choice, Reading
from .frames import frames

__all__ = ["finish_words", "read", "tokens"]

JSON = dict[str, Any]


def read(api: str, status: int, headers: dict[str, str], content: bytes, *, model: str) -> Reading:
    """Read an answer of "converse", "embeddings" or "count_tokens"; no answer names its model."""
    if status >= 400:
        reading = Reading(error=_error(headers, content))
    elif "eventstream" in headers.get("content-type", ""):
        reading = _stream(content)
    else:
        body = json.loads(content)
        build = {"converse": _converse, "count_tokens": _count, "embeddings": _embeddings}[api]
        reading = build(body)
    counted = headers.get("x-amzn-bedrock-input-token-count")
    if api == "embeddings" and reading.usage is None and counted is not None:
        reading.usage = {"inputTokens": int(counted)}
    reading.model, reading.request_id = model, headers.get("x-amzn-requestid")
    return reading


def _error(headers: dict[str, str], content: bytes) -> JSON:
    body = json.loads(content)
    named = headers.get("x-amzn-errortype") or body.get("__type") or ""
    # The type may be followed by an address, or led by a name space.
    code = named.partition(":")[0].rpartition("#")[2]
    return {"message": body.get("message") or body.get("Message"), **({"code": code} if code else {})}


# Answers.


def _converse(body: JSON) -> Reading:
    reading = Reading(usage=body.get("usage"))
    reading.rest = {key: value for key, value in body.items() if key not in ("output", "stopReason", "usage")}
    choice = Choice(finish=body["stopReason"])
    reading.items = body["output"]["message"]["content"]
    for block in reading.items:
        _block(choice, block)
    reading.choices = [choice]
    return reading


def _block(choice: Choice, block: JSON) -> None:
    ((kind, value),) = block.items()
    if kind == "text":
        choice.text += value
    elif kind == "reasoningContent":
        choice.thinking.append((value.get("reasoningText") or {}).get("text") or "")
    elif kind == "toolUse" and value.get("type", "tool_use") == "tool_use":
        choice.calls.append(Call(value["toolUseId"], value["name"], _arguments(value.get("input"))))
    elif kind == "image" and "bytes" in value["source"]:
        choice.images.append(base64.b64decode(value["source"]["bytes"]))
    elif kind == "citationsContent":
        choice.text += "".join(piece.get("text") or "" for piece in value.get("content") or [])
        choice.citations += value.get("citations") or []
    else:
        # A call of the vendor's own tools has a type of its own.
        choice.items.append(value.get("type") or kind if kind == "toolUse" else kind)


def _arguments(given: Any) -> str:
    return given if isinstance(given, str) else json.dumps(given or {})


def _stream(content: bytes) -> Reading:
    reading = Reading(terminated=False, finish_ends=True)
    choice = Choice()
    blocks: dict[int, JSON] = {}
    metadata = False
    for headers, payload in frames(content):
        event = json.loads(payload)
        if headers.get(":message-type") != "event":
            reading.error = {**event, "code": headers.get(":exception-type") or headers.get(":error-code")}
            break
        match headers[":event-type"]:
            case "contentBlockStart":
                ((kind, value),) = event["start"].items()
                blocks[event["contentBlockIndex"]] = {kind: {**value, "input": ""} if kind == "toolUse" else value}
            case "contentBlockDelta":
                _grow(blocks.setdefault(event["contentBlockIndex"], {}), event["delta"])
            case "messageStop":
                choice.finish = event["stopReason"]
                if "additionalModelResponseFields" in event:
                    reading.rest["additionalModelResponseFields"] = event["additionalModelResponseFields"]
            case "metadata":
                metadata = True
                reading.usage = event.get("usage")
                reading.rest |= {key: value for key, value in event.items() if key not in ("usage", "p")}
            case _:
                pass
    reading.items = [_whole(block) for _, block in sorted(blocks.items())]
    for block in reading.items:
        _block(choice, block)
    reading.choices = [choice]
    # In which order the last two events come is not documented.
    reading.terminated = metadata and bool(choice.finish)
    return reading


def _grow(block: JSON, delta: JSON) -> None:
    for kind, value in delta.items():
        if kind == "text":
            block["text"] = block.get("text", "") + value
        elif kind == "toolUse":
            block["toolUse"]["input"] += value["input"]
        elif kind == "reasoningContent":
            inside = block.setdefault("reasoningContent", {})
            if "redactedContent" in value:
                before = base64.b64decode(inside.get("redactedContent", ""))
                after = before + base64.b64decode(value["redactedContent"])
                inside["redactedContent"] = base64.b64encode(after).decode()
            for name in ("text", "signature"):
                if name in value:
                    said = inside.setdefault("reasoningText", {})
                    said[name] = said.get(name, "") + value[name]


def _whole(block: JSON) -> JSON:
    """Return a gathered block as a plain answer would have it: a call's input is an object."""
    if "toolUse" not in block:
        return block or {"text": ""}
    written = block["toolUse"]["input"]
    try:
        given = json.loads(written or "{}")
    except ValueError:
        given = written
    return {"toolUse": {**block["toolUse"], "input": given}}


def _count(body: JSON) -> Reading:
    return Reading(count=body["inputTokens"])


def _embeddings(body: JSON) -> Reading:
    """Read the forms of Titan, Cohere (with and without types) and Nova."""
    reading = Reading()
    if "inputTextTokenCount" in body:
        reading.usage = {"inputTokens": body["inputTextTokenCount"]}
    if "embedding" in body:
        rows = [body["embedding"]]
    else:
        found = body["embeddings"]
        rows = found["float"] if isinstance(found, dict) else found
        rows = [row["embedding"] if isinstance(row, dict) else row for row in rows]
    reading.vectors = [[float(value) for value in row] for row in rows]
    return reading


# What the words and numbers mean.

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "refused",
    "content_filtered": "refused",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
}


def finish_words(choice: Choice) -> set[str]:
    """Return the words of genkit's six that are right for an answer."""
    return {_FINISH.get(choice.finish or "", "other")}


def tokens(usage: JSON | None) -> dict[str, int | None]:
    """Return the counts in classes that do not overlap: the vendor's own do not, and it does not count thoughts."""
    if usage is None:
        return {"total": None}
    read, written = usage.get("cacheReadInputTokens") or 0, usage.get("cacheWriteInputTokens") or 0
    given, answer = usage["inputTokens"], usage.get("outputTokens") or 0
    return {
        "input": given,
        "cache_read": read,
        "cache_write": written,
        "output": answer,
        "total_input": given + read + written,
        "total": given + read + written + answer,
    }
