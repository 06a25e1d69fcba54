"""What the vendors refuse, as far as their own packages and documents say it: each yields what is wrong with a body."""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

__all__ = ["RULES"]

JSON = dict[str, Any]


def chat(body: JSON) -> Iterator[str]:
    """Chat Completions: the types of the openai package, and the order of calls and results."""
    from openai.types.chat import ChatCompletionMessageParam
    from pydantic import TypeAdapter, ValidationError

    adapter: Any = _adapter(TypeAdapter, ChatCompletionMessageParam)
    waiting: list[str] = []
    for at, message in enumerate(body["messages"]):
        try:
            _consumed(adapter.validate_python(message))
        except ValidationError as error:
            yield f"messages[{at}] is no message of the openai package: {error}"
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                yield f"messages[{at}] answers {message['tool_call_id']!r}, which does not wait for it"
            else:
                waiting.remove(message["tool_call_id"])
        elif waiting:
            yield f"messages[{at}] comes before the results of {waiting}"
        calls = [call["id"] for call in message.get("tool_calls") or ()]
        waiting += calls
        yield from (f"messages[{at}] has the long id {call!r}" for call in calls if len(call) > 40)
    if waiting:
        yield f"no results of {waiting}"


def responses(body: JSON) -> Iterator[str]:
    """Responses: the types of the openai package, ids that are unique, and a result for each call."""
    from openai.types.responses import ResponseInputItemParam
    from pydantic import TypeAdapter, ValidationError

    if isinstance(body["input"], str):
        return
    adapter: Any = _adapter(TypeAdapter, ResponseInputItemParam)
    calls: list[str] = []
    results: list[str] = []
    for at, item in enumerate(body["input"]):
        if item.keys() == {"role", "content"} and item["role"] == "assistant":
            continue  # the package's types know only answers with ids; the interface takes these too
        try:
            _consumed(adapter.validate_python(item))
        except ValidationError as error:
            yield f"input[{at}] is no item of the openai package: {error}"
        if item.get("type") == "function_call":
            calls.append(item["call_id"])
        if item.get("type") == "function_call_output":
            if item["call_id"] not in calls:
                yield f"input[{at}] answers {item['call_id']!r}, which was not called before"
            results.append(item["call_id"])
    if sorted(calls) != sorted(results) or len(set(calls)) != len(calls):
        yield f"calls {calls} and results {results} do not pair"
    yield from (f"the id {call!r} is too long" for call in calls if len(call) > 64)


def google(body: JSON) -> Iterator[str]:
    """The Gemini API: the types of google-genai, which refuse unknown fields, and turns that alternate."""
    from google.genai import types
    from pydantic import ValidationError

    contents = body["contents"]
    for name, values in (("contents", contents), ("systemInstruction", [body.get("systemInstruction") or {}])):
        for at, content in enumerate(values):
            try:
                types.Content.model_validate(content)
            except ValidationError as error:
                yield f"{name}[{at}] is no Content of google-genai: {error}"
    roles = [content.get("role") for content in contents]
    if not contents or set(roles) - {"user", "model"} or roles[0] != "user":
        yield f"roles {roles}"
    # What stands beside results would be read as the model's, so that it is a content of its own.
    kinds = ["results" if any("functionResponse" in part for part in c["parts"]) else c.get("role") for c in contents]
    if any(before == after for before, after in pairwise(kinds)):
        yield f"turns do not alternate: {kinds}"
    waiting: list[str] = []
    for at, content in enumerate(contents):
        if not content.get("parts"):
            yield f"contents[{at}] has no parts"
        answered = [part["functionResponse"]["name"] for part in content["parts"] if "functionResponse" in part]
        if sorted(answered) != sorted(waiting):
            yield f"contents[{at}] answers {answered}, called were {waiting}"
        waiting = [part["functionCall"]["name"] for part in content["parts"] if "functionCall" in part]
    if waiting:
        yield f"no results of {waiting}"


def bedrock(body: JSON, *, user_first: bool = True) -> Iterator[str]:
    """Converse: botocore's service model, and what AWS documents beyond it."""
    from botocore.validate import ParamValidator

    shape = _converse_shape()
    report = ParamValidator().validate({"modelId": "m", **_unpacked(body)}, shape)
    if report.has_errors():
        yield report.generate_report()
    messages = body["messages"]
    roles = [message["role"] for message in messages]
    if not roles or (user_first and roles[0] != "user") or any(a == b for a, b in pairwise(roles)):
        yield f"roles {roles}"
    has_tools, waiting = False, []
    for at, message in enumerate(messages):
        if not message["content"]:
            yield f"messages[{at}] has no content"
        yield from (f"messages[{at}] has blank text" for block in message["content"] if _blank(block))
        results = [block["toolResult"]["toolUseId"] for block in message["content"] if "toolResult" in block]
        if sorted(results) != sorted(waiting):
            yield f"messages[{at}] answers {results}, called were {waiting}"
        waiting = [block["toolUse"]["toolUseId"] for block in message["content"] if "toolUse" in block]
        has_tools = has_tools or bool(waiting)
        yield from (f"bad id {one!r}" for one in waiting if not re.fullmatch(r"[a-zA-Z0-9_.:-]{1,64}", one))
        if len(set(waiting)) != len(waiting):
            yield f"messages[{at}] uses an id twice: {waiting}"
    if waiting:
        yield f"no results of {waiting}"
    if has_tools and not body.get("toolConfig"):
        yield "tool blocks without toolConfig"


def _blank(block: JSON) -> bool:
    texts = [block.get("text")] + [item.get("text") for item in block.get("toolResult", {}).get("content", ())]
    return any(text is not None and not text.strip() for text in texts)


def _unpacked(value: Any, name: str = "") -> Any:
    """Return a body as boto3 wants it: with bytes where the wire has base64."""
    match value:
        case dict():
            return {key: _unpacked(item, key) for key, item in value.items()}
        case list():
            return [_unpacked(item, name) for item in value]
        case str() if name in ("bytes", "redactedContent"):
            return base64.b64decode(value)
        case _:
            return value


@functools.cache
def _converse_shape() -> Any:
    import botocore.session

    model = botocore.session.get_session().get_service_model("bedrock-runtime")
    return model.operation_model("Converse").input_shape


@functools.cache
def _adapter(kind: Any, of: Any) -> Any:
    return kind(of)


def _consumed(value: Any) -> None:
    """Read what pydantic validates only while it is read: the iterables of the SDK's types."""
    if isinstance(value, dict):
        for item in value.values():
            _consumed(item)
    elif not isinstance(value, (str, bytes)) and hasattr(value, "__iter__"):
        for item in value:
            _consumed(item)


RULES: dict[str, Callable[[JSON], Iterator[str]]] = {
    "chat": chat,
    "responses": responses,
    "google": google,
    "bedrock": bedrock,
    # Claude takes a conversation that it began.
    "claude": functools.partial(bedrock, user_first=False),
}
