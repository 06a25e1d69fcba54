"""Recorded bodies of Chat Completions, Responses and Embeddings as genkit requests."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from genkit.events import parse_arguments
from genkit.types import (
    Audio,
    Document,
    EmbedRequest,
    Image,
    Message,
    Opaque,
    Part,
    Request,
    Schema,
    Settings,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)

from ..cassettes import Interaction
from ..requests import TIMEOUTS, NotYet, given_media, take_settings
from ..vendor import Translation

__all__ = ["Mark", "embedding", "request"]

JSON = dict[str, Any]

AUDIO_FORMATS = {"mp3": "audio/mpeg", "wav": "audio/wav"}

CHAT_SETTINGS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "stop": "stop",
    "seed": "seed",
    "n": "n",
    "logprobs": "logprobs",
    "top_logprobs": "top_logprobs",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "reasoning_effort": "reasoning",
    "parallel_tool_calls": "parallel_tool_calls",
}
CHAT_MESSAGE = frozenset({"role", "content", "name", "refusal", "audio", "function_call", "tool_calls", "tool_call_id"})
RESPONSES_SETTINGS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_output_tokens": "max_tokens",
    "top_logprobs": "top_logprobs",
    "reasoning": "reasoning",
    "parallel_tool_calls": "parallel_tool_calls",
}


@dataclass(frozen=True)
class Mark:
    """What is needed of the backend to speak of the vendor's own data.

    Attributes:
        origin: The mark of native data, by interface.
        extra: The key of `Request.extra` that the backend reads.
        remember: Returns the parts of an answer with these output items of the Responses interface.
    """

    origin: dict[str, str]
    extra: str
    remember: Callable[[Sequence[JSON]], tuple[Part, ...]]


def request(interaction: Interaction, mark: Mark) -> Translation:
    """Return the request of a chat or responses interaction."""
    body = dict(interaction.asked)
    body.pop("stream", None)
    body.pop("model", None)
    if not interaction.model:
        raise NotYet(f"{interaction.api}: a request without a model")
    build = _Chat if interaction.api == "chat" else _Responses
    made = build(mark, body).build()
    asked = Request(
        model=interaction.model,
        messages=tuple(made.messages),
        settings=Settings(**made.settings, timeout=TIMEOUTS),
        tools=tuple(made.tools),
        output_schema=made.schema,
        extra={mark.extra: made.extra} if made.extra else {},
    )
    return Translation(asked, tuple(sorted(made.extra)))


def embedding(interaction: Interaction, mark: Mark) -> Translation:
    """Return the request of an embeddings interaction."""
    body = dict(interaction.asked)
    given = body.pop("input")
    texts = [given] if isinstance(given, str) else given
    if not all(isinstance(text, str) for text in texts):
        raise NotYet("embeddings of token ids")
    body.pop("encoding_format", None)
    body.pop("model", None)
    asked = EmbedRequest(
        model=interaction.model,
        texts=tuple(texts),
        dimensions=body.pop("dimensions", None),
        settings=Settings(timeout=TIMEOUTS),
        extra={mark.extra: body} if body else {},
    )
    return Translation(asked, tuple(sorted(body)))


class _Builder:
    """What both interfaces share; takes what it understands out of `body`, and leaves the rest as `extra`."""

    api: str
    known: dict[str, str]

    def __init__(self, mark: Mark, body: JSON) -> None:
        self.mark = mark
        self.body = body
        self.messages: list[Message] = []
        self.settings: JSON = {}
        self.tools: list[Tool] = []
        self.schema: Schema | None = None

    @property
    def extra(self) -> JSON:
        return self.body

    def opaque(self, item: JSON) -> Opaque:
        return Opaque(type=str(item.get("type")), native=item, origin=self.mark.origin[self.api])

    def take_settings(self) -> None:
        self.settings |= take_settings(self.body, self.known)

    def take_tools(self, functions: list[JSON | None]) -> None:
        """Take `tools` and `tool_choice`, unless a tool is the vendor's own: then both go as they are."""
        if all(tool is not None and set(tool) <= {"name", "description", "parameters", "strict"} for tool in functions):
            self.body.pop("tools", None)
            self.tools = [
                Tool(**{key: value for key, value in tool.items() if value is not None}) for tool in functions if tool
            ]
            choice = _choice(self.body.get("tool_choice"))
            if choice is not None:
                self.settings["tool_choice"] = choice
                del self.body["tool_choice"]

    def take_schema(self, form: JSON) -> bool:
        if form.get("schema") is None or set(form) - {"name", "schema", "description", "strict", "type"}:
            return False
        self.schema = Schema(
            name=form["name"],
            json_schema=form["schema"],
            description=form.get("description"),
            strict=bool(form.get("strict")),
        )
        return True


def _choice(value: Any) -> ToolChoice | None:
    if value in ("auto", "none", "required"):
        return ToolChoice(mode=value)
    if isinstance(value, dict) and value.get("type") == "function":
        return ToolChoice(mode="named", names=(value.get("name") or value["function"]["name"],))
    return None


class _Chat(_Builder):
    api = "chat"
    known = CHAT_SETTINGS

    def build(self) -> _Chat:
        body = self.body
        for sent in body.pop("messages"):
            self.messages.append(self.message(sent))
        options = body.pop("stream_options", None) or {}
        if set(options) - {"include_usage"}:
            body["stream_options"] = options
        self.take_tools(
            [tool.get("function") if tool.get("type") == "function" else None for tool in body.get("tools") or []]
        )
        form = body.get("response_format") or {}
        if form.get("type") == "json_schema" and self.take_schema(form["json_schema"]):
            del body["response_format"]
        self.take_settings()
        return self

    def message(self, sent: JSON) -> Message:
        if unknown := sorted(key for key in sent.keys() - CHAT_MESSAGE if sent[key] not in (None, [])):
            raise NotYet(f"chat: {sent['role']} message with {', '.join(unknown)}")
        role = {"developer": "system"}.get(sent["role"], sent["role"])
        if role == "function":
            raise NotYet("legacy functions: a message with role function")
        if role == "tool":
            result = ToolResult(id=sent["tool_call_id"], parts=tuple(self.content(sent["content"])))
            return Message(role="tool", parts=(result,))
        parts = list(self.content(sent.get("content")))
        if sent.get("refusal"):
            parts.append(Text(text=sent["refusal"], refusal=True))
        if sent.get("audio"):
            raise NotYet("chat: an earlier spoken answer by its id")
        if sent.get("function_call"):
            raise NotYet("legacy functions: an assistant message with function_call")
        parts += [self.call(call) for call in sent.get("tool_calls") or []]
        return Message(role=role, parts=tuple(parts), name=sent.get("name"))

    def call(self, call: JSON) -> ToolCall:
        if call.get("type", "function") != "function":
            raise NotYet(f"chat: tool call of type {call['type']}")
        return _tool_call(call["id"], call["function"]["name"], call["function"]["arguments"])

    def content(self, content: Any) -> list[Part]:
        if content is None:
            return []
        return [Text(text=content)] if isinstance(content, str) else [self.part(part) for part in content]

    def part(self, part: JSON) -> Part:
        kind = part.get("type")
        if kind == "text" and set(part) == {"type", "text"}:
            return Text(text=part["text"])
        if kind == "refusal":
            return Text(text=part["refusal"], refusal=True)
        if kind == "image_url" and set(part) == {"type", "image_url"}:
            image = part["image_url"]
            return given_media(Image, image["url"], detail=image.get("detail"))
        if kind == "input_audio" and set(part) == {"type", "input_audio"}:
            audio = part["input_audio"]
            return Audio(data=base64.b64decode(audio["data"]), mime=AUDIO_FORMATS.get(audio["format"], audio["format"]))
        if kind == "file" and set(part) == {"type", "file"}:
            file = part["file"]
            if file.get("file_id"):
                return Document(file_id=file["file_id"], name=file.get("filename"))
            return given_media(Document, file["file_data"], name=file.get("filename"))
        return self.opaque(part)


def _tool_call(call_id: str, name: str, arguments: str) -> ToolCall:
    parsed, raw = parse_arguments(arguments)
    return ToolCall(id=call_id, name=name, arguments=parsed, raw=raw)


class _Responses(_Builder):
    api = "responses"
    known = RESPONSES_SETTINGS

    def build(self) -> _Responses:
        body = self.body
        given = body.pop("input", None) or []
        items = [{"role": "user", "content": given}] if isinstance(given, str) else given
        self.answer: list[JSON] = []
        if body.get("instructions") and not any(item.get("role") in ("system", "developer") for item in items):
            self.messages.append(Message.system(body.pop("instructions")))
        for number, item in enumerate(items):
            self.item(item, items[number - 1] if number else {})
        self.answered()
        self.take_tools([_flat(tool) for tool in body.get("tools") or []])
        text = body.get("text") or {}
        if set(text) == {"format"} and text["format"].get("type") == "json_schema" and self.take_schema(text["format"]):
            del body["text"]
        self.take_settings()
        return self

    def item(self, item: JSON, before: JSON) -> None:
        kind = item.get("type", "message")
        if kind == "message" and item["role"] == "assistant" and "id" not in item:
            self.answered()
            # Two messages in a row stay two; everything else of an answer is one turn.
            if before.get("role") == "assistant":
                self.messages.append(Message(role="assistant", parts=()))
            self.add("assistant", *self.content(item["content"]))
        elif kind == "message" and item["role"] != "assistant":
            self.answered()
            if unknown := sorted(item.keys() - {"type", "role", "content"}):
                raise NotYet(f"responses: {item['role']} message with {', '.join(unknown)}")
            role = {"developer": "system"}.get(item["role"], item["role"])
            self.messages.append(Message(role=role, parts=tuple(self.content(item["content"]))))
        elif kind == "function_call_output":
            self.answered()
            if unknown := sorted(item.keys() - {"type", "call_id", "output"}):
                raise NotYet(f"responses: tool result with {', '.join(unknown)}")
            output = item["output"]
            parts = [Text(text=output)] if isinstance(output, str) else [self.part(part) for part in output]
            if any(isinstance(part, Opaque) for part in parts):
                raise NotYet(f"responses: tool result with {sorted({part['type'] for part in output})}")
            self.add("tool", ToolResult(id=item["call_id"], parts=tuple(parts)))
        else:
            self.answer.append(item)

    def answered(self) -> None:
        """Turn the items of an earlier answer that were gathered so far into its parts."""
        if any(item["type"] == "reasoning" or "id" in item for item in self.answer):
            self.add("assistant", *self.mark.remember(self.answer))
        else:
            for item in self.answer:
                plain = item["type"] == "function_call" and set(item) == {"type", "call_id", "name", "arguments"}
                call = _tool_call(item["call_id"], item["name"], item["arguments"]) if plain else None
                self.add("assistant", call or self.opaque(item))
        self.answer = []

    def add(self, role: Any, *parts: Part) -> None:
        """Append to the turn that is being built, or begin another."""
        if self.messages and self.messages[-1].role == role:
            last = self.messages.pop()
            parts = (*last.parts, *parts)
        self.messages.append(Message(role=role, parts=parts))

    def content(self, content: Any) -> list[Part]:
        return [Text(text=content)] if isinstance(content, str) else [self.part(part) for part in content]

    def part(self, part: JSON) -> Part:
        kind, keys = part.get("type"), {key for key, value in part.items() if value is not None}
        if kind in ("input_text", "output_text") and keys <= {"type", "text", "annotations"}:
            return Text(text=part["text"], citations=tuple(part.get("annotations") or ()))
        if kind == "refusal":
            return Text(text=part["refusal"], refusal=True)
        if kind == "input_image" and keys <= {"type", "detail", "image_url", "file_id"}:
            facts = {"detail": part.get("detail")}
            return (
                Image(file_id=part["file_id"], **facts)
                if part.get("file_id")
                else given_media(Image, part["image_url"], **facts)
            )
        if kind == "input_file" and keys <= {"type", "filename", "file_url", "file_data", "file_id"}:
            if part.get("file_id"):
                return Document(file_id=part["file_id"], name=part.get("filename"))
            return given_media(Document, part.get("file_data") or part["file_url"], name=part.get("filename"))
        return self.opaque(part)


def _flat(tool: JSON) -> JSON | None:
    """Return the function of a Responses tool, or None for one of the vendor's own."""
    return {key: value for key, value in tool.items() if key != "type"} if tool.get("type") == "function" else None
