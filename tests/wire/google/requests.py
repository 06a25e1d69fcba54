"""Recorded bodies of generateContent, countTokens and the embedding interfaces as genkit requests."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from genkit.types import (
    Audio,
    Document,
    EmbedRequest,
    Image,
    Message,
    Opaque,
    Part,
    Reasoning,
    Request,
    Schema,
    Settings,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Video,
)

from ..cassettes import Interaction
from ..requests import TIMEOUTS, NotYet, take_settings
from ..vendor import Translation
from .names import plain_bytes, protocol_names
from .schemas import is_openapi, json_schema

__all__ = ["Mark", "embedding", "request"]

JSON = dict[str, Any]

SETTINGS = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "maxOutputTokens": "max_tokens",
    "stopSequences": "stop",
    "seed": "seed",
    "candidateCount": "n",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
    "responseLogprobs": "logprobs",
    "logprobs": "top_logprobs",
}
MEDIA = {"image": Image, "audio": Audio, "video": Video}
EFFORTS = {"MINIMAL": "minimal", "LOW": "low", "MEDIUM": "medium", "HIGH": "high"}
TASKS = {"RETRIEVAL_QUERY": "query", "RETRIEVAL_DOCUMENT": "document"}


@dataclass(frozen=True)
class Mark:
    """What is needed of the backend to speak of the vendor's own data.

    Attributes:
        origin: The mark of native data.
        extra: The key of `Request.extra` that the backend reads.
        remember: Returns the parts of an answer that has these parts on the wire.
    """

    origin: str
    extra: str
    remember: Callable[[Sequence[JSON]], tuple[Part, ...]]


def request(interaction: Interaction, mark: Mark) -> Translation:
    """Return the request of a generateContent or countTokens interaction."""
    body = plain_bytes(protocol_names(interaction.asked))
    if interaction.counts and "generateContentRequest" in body:
        body = body["generateContentRequest"]
    made = _Builder(mark, body).build()
    asked = Request(
        model=interaction.model,
        messages=tuple(made.messages),
        settings=Settings(**made.settings, timeout=TIMEOUTS),
        tools=tuple(made.tools),
        output_schema=made.schema,
        extra={mark.extra: made.body} if made.body else {},
    )
    return Translation(asked, (*sorted(_names(made.body)), *made.opaque))


def _names(body: JSON) -> Iterator[str]:
    for key, value in body.items():
        nested = isinstance(value, dict) and key == "generationConfig"
        yield from (f"{key}.{inner}" for inner in value) if nested else (key,)


@dataclass
class _Builder:
    """Takes what it understands out of `body`, and leaves the rest as `extra`."""

    mark: Mark
    body: JSON
    messages: list[Message] = field(default_factory=list)
    settings: JSON = field(default_factory=dict)
    tools: list[Tool] = field(default_factory=list)
    schema: Schema | None = None
    opaque: list[str] = field(default_factory=list)
    waiting: list[ToolCall] = field(default_factory=list)

    def build(self) -> _Builder:
        body = self.body = dict(self.body)
        if system := body.pop("systemInstruction", None):
            self.messages.append(Message(role="system", parts=tuple(self.part(part) for part in system["parts"])))
        for content in body.pop("contents"):
            self.content(content.get("role") or "user", content.get("parts") or [])
        self.take_tools()
        self.take_generation(dict(body.pop("generationConfig", None) or {}))
        return self

    # The conversation.

    def content(self, role: str, parts: Sequence[JSON]) -> None:
        if role == "model":
            answer = self.answer(parts)
            self.waiting += [part for part in answer if isinstance(part, ToolCall)]
            self.messages.append(Message(role="assistant", parts=answer))
            return
        if role not in ("user", "function"):
            raise NotYet(f"generateContent: a message with the role {role}")
        said: list[Part] = []
        for part in parts:
            if "functionResponse" in part:
                self.say(said)
                said = []
                self.result(part["functionResponse"])
            else:
                said.append(self.part(part))
        self.say(said)

    def say(self, parts: Sequence[Part]) -> None:
        if parts:
            self.messages.append(Message(role="user", parts=tuple(parts)))

    def answer(self, parts: Sequence[JSON]) -> tuple[Part, ...]:
        """Return an earlier answer; one with something of the vendor's own as the backend would have decoded it."""
        known = all(set(part) in ({"text"}, {"functionCall"}) for part in parts)
        if not known or any("id" in part.get("functionCall", ()) for part in parts):
            return self.mark.remember(parts)
        return tuple(
            self.call(part["functionCall"], number) if "functionCall" in part else self.part(part)
            for number, part in enumerate(parts)
        )

    def call(self, sent: JSON, number: int) -> ToolCall:
        call_id = f"call-{len(self.messages)}-{number}"
        return ToolCall(id=call_id, name=sent["name"], arguments=sent.get("args") or {}, minted=True)

    def result(self, sent: JSON) -> None:
        """Add the result of the call of that id; where there is none, of the first open call of that name."""
        fitting = [call for call in self.waiting if call.id == sent.get("id")]
        fitting += [call for call in self.waiting if call.name == sent["name"]]
        if not fitting:
            raise NotYet("generateContent: a result without a call")
        self.waiting.remove(fitting[0])
        answer, failed = _told(sent.get("response") or {})
        media = [self.part(part) for part in sent.get("parts") or []]
        said = [Text(text=answer)] if answer else []
        result = ToolResult(id=fitting[0].id, name=sent["name"], parts=(*said, *media), failed=failed)
        if self.messages and self.messages[-1].role == "tool":
            last = self.messages.pop()
            self.messages.append(Message(role="tool", parts=(*last.parts, result)))
        else:
            self.messages.append(Message(role="tool", parts=(result,)))

    def part(self, part: JSON) -> Part:
        if set(part) == {"text"}:
            return Text(text=part["text"])
        if set(part) in ({"inlineData"}, {"fileData"}):
            ((kind, blob),) = part.items()
            media = MEDIA.get(blob.get("mimeType", "").partition("/")[0], Document)
            if kind == "inlineData" and set(blob) <= {"data", "mimeType"}:
                return media(data=base64.b64decode(blob["data"]), mime=blob["mimeType"])
            if kind == "fileData" and set(blob) <= {"fileUri", "mimeType"}:
                return media(url=blob["fileUri"], mime=blob.get("mimeType"))
        kind = next(iter(part))
        self.opaque.append(f"as an opaque part: {'+'.join(sorted(part))}")
        return Opaque(type=kind, native=part, origin=self.mark.origin)

    # Tools and settings.

    def take_tools(self) -> None:
        """Take `tools` and `toolConfig`, unless a tool is the vendor's own: then both go as they are."""
        tools = self.body.get("tools") or []
        known = {"name", "description", "parameters", "parametersJsonSchema"}
        functions = [function for tool in tools for function in tool.get("functionDeclarations") or []]
        if not all(set(tool) == {"functionDeclarations"} for tool in tools):
            return
        if not all(set(function) <= known for function in functions):
            return
        self.body.pop("tools", None)
        self.tools = [_tool(function) for function in functions]
        config = self.body.get("toolConfig") or {}
        choice = _choice(config.get("functionCallingConfig") or {})
        if choice is not None and set(config) == {"functionCallingConfig"}:
            self.settings["tool_choice"] = choice
            del self.body["toolConfig"]

    def take_generation(self, config: JSON) -> None:
        self.settings |= take_settings(config, SETTINGS)
        if config.get("responseModalities") == ["TEXT"]:
            del config["responseModalities"]
        self.take_thinking(config)
        schema = next((name for name in ("responseJsonSchema", "responseSchema") if config.get(name)), None)
        if schema and config.get("responseMimeType") == "application/json":
            self.schema = Schema(json_schema=_plain(config.pop(schema)))
            del config["responseMimeType"]
        if config:
            self.body["generationConfig"] = config

    def take_thinking(self, config: JSON) -> None:
        thinking = config.get("thinkingConfig")
        if thinking is None or set(thinking) - {"includeThoughts", "thinkingBudget", "thinkingLevel"}:
            return
        del config["thinkingConfig"]
        reasoning = Reasoning(
            effort=EFFORTS.get(str(thinking.get("thinkingLevel")).upper()),
            budget=thinking.get("thinkingBudget"),
            summary="auto" if thinking.get("includeThoughts") else None,
        )
        if reasoning != Reasoning():
            self.settings["reasoning"] = reasoning


def _told(response: JSON) -> tuple[str, bool]:
    """Return what a tool answered, and whether that is a failure."""
    if set(response) == {"error"} and isinstance(response["error"], str):
        return response["error"], True
    if set(response) == {"output"} and isinstance(response["output"], str):
        return response["output"], False
    return json.dumps(response) if response else "", False


def _tool(function: JSON) -> Tool:
    schema = function.get("parametersJsonSchema") or function.get("parameters")
    given = {} if schema is None else {"parameters": _plain(schema)}
    return Tool(name=function["name"], description=function.get("description") or "", **given)


def _plain(schema: JSON) -> JSON:
    return json_schema(schema) if is_openapi(schema) else schema


def _choice(config: JSON) -> ToolChoice | None:
    mode, names = config.get("mode"), tuple(config.get("allowedFunctionNames") or ())
    if mode == "ANY":
        return ToolChoice(mode="named", names=names) if names else ToolChoice(mode="required")
    return {"AUTO": ToolChoice(mode="auto"), "NONE": ToolChoice(mode="none")}.get(mode or "") if not names else None


# Embeddings.


def embedding(interaction: Interaction, mark: Mark) -> Translation:
    """Return the request of one of the three embedding interfaces."""
    body = protocol_names(interaction.asked)
    rows = body.pop("requests", None) or body.pop("instances", None) or [body]
    facts = [_row(row, interaction.model) for row in rows]
    if any(given != facts[0][1] for _, given in facts):
        raise NotYet("embeddings: texts with different settings in one batch")
    given = dict(facts[0][1])
    task = given.pop("taskType", None)
    if task not in TASKS and task is not None:
        given["taskType"] = task
    asked = EmbedRequest(
        model=interaction.model,
        texts=tuple(text for text, _ in facts),
        dimensions=given.pop("outputDimensionality", None),
        input_type=TASKS.get(task or ""),
        settings=Settings(timeout=TIMEOUTS),
        extra={mark.extra: given} if given else {},
    )
    return Translation(asked, tuple(sorted(given)))


def _row(row: JSON, model: str) -> tuple[str, JSON]:
    """Return a text to embed, and the settings that go with it."""
    rest = {key: value for key, value in row.items() if key != "content"}
    if rest.pop("model", None) not in (None, f"models/{model}"):
        raise NotYet("embeddings: a batch for several models")
    content = row["content"]
    if isinstance(content, str):
        return content, rest
    if [set(part) for part in content["parts"]] != [{"text"}]:
        raise NotYet("embeddings of more than one text part")
    return content["parts"][0]["text"], rest
