"""Recorded bodies of Converse, CountTokens and the embedding models of InvokeModel as genkit requests."""

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

__all__ = ["Mark", "embedding", "request"]

JSON = dict[str, Any]

SETTINGS = {"maxTokens": "max_tokens", "temperature": "temperature", "topP": "top_p", "stopSequences": "stop"}
MEDIA = {"image": Image, "document": Document, "video": Video, "audio": Audio}
MIMES = {
    **{name: f"image/{name}" for name in ("png", "jpeg", "gif", "webp")},
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "html": "text/html",
    "csv": "text/csv",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mov": "video/quicktime",
    "mkv": "video/x-matroska",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
}


@dataclass(frozen=True)
class Mark:
    """What is needed of the backend to speak of the vendor's own data.

    Attributes:
        origin: The mark of native data.
        remember: Returns the parts of an answer that has these blocks on the wire.
    """

    origin: str
    remember: Callable[[Sequence[JSON]], tuple[Part, ...]]


def request(interaction: Interaction, mark: Mark) -> Translation:
    """Return the request of a Converse or CountTokens interaction."""
    body = interaction.asked
    if interaction.counts:
        if "converse" not in body["input"]:
            raise NotYet("count_tokens: of a body in the model's own form")
        body = body["input"]["converse"]
    made = _Builder(mark, json.loads(json.dumps(body))).build()
    asked = Request(
        model=interaction.model,
        messages=tuple(made.messages),
        settings=Settings(**made.settings, timeout=TIMEOUTS),
        tools=tuple(made.tools),
        output_schema=made.schema,
        extra={"bedrock": made.body} if made.body else {},
    )
    return Translation(asked, (*sorted(_names(made.body)), *made.opaque))


def _names(body: JSON) -> Iterator[str]:
    for key, value in body.items():
        nested = isinstance(value, dict) and key == "additionalModelRequestFields"
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

    def build(self) -> _Builder:
        body = self.body
        if system := body.pop("system", None):
            self.messages.append(Message(role="system", parts=tuple(self.parts(system))))
        for message in body.pop("messages"):
            if message["role"] == "assistant":
                self.messages.append(Message(role="assistant", parts=self.answer(message["content"])))
            else:
                self.said(message["content"])
        self.take_tools()
        config = body.pop("inferenceConfig", None) or {}
        self.settings |= take_settings(config, SETTINGS)
        if config:
            body["inferenceConfig"] = config
        self.take_schema()
        self.take_model_fields()
        return self

    # The conversation.

    def said(self, blocks: Sequence[JSON]) -> None:
        """Add a user's turn: results of tools as one message, what stands between them as another."""
        stretch: list[JSON] = []
        for block in [*blocks, None]:
            results = bool(stretch) and "toolResult" in stretch[0]
            if stretch and (block is None or ("toolResult" in block) != results):
                role = "tool" if results else "user"
                self.messages.append(Message(role=role, parts=tuple(self.parts(stretch))))
                stretch = []
            if block is not None:
                stretch.append(block)

    def answer(self, blocks: Sequence[JSON]) -> tuple[Part, ...]:
        """Return an earlier answer; one with something of the vendor's own as the backend would have decoded it."""
        plain = all(set(block) == {"text"} or set(block.get("toolUse", ())) == CALL for block in blocks)
        if not plain:
            return self.mark.remember(blocks)
        return tuple(self.parts(blocks))

    def parts(self, blocks: Sequence[JSON]) -> list[Part]:
        """Return blocks as parts; a point of the cache marks the part before it."""
        parts: list[Part] = []
        for block in blocks:
            if "cachePoint" not in block:
                parts.append(self.part(block))
                continue
            if not parts:
                raise NotYet("converse: a cache point before everything")
            kept = block["cachePoint"].get("ttl", True)
            parts[-1] = parts[-1].model_copy(update={"cache": kept})
        return parts

    def part(self, block: JSON) -> Part:
        ((kind, value),) = block.items()
        if kind == "text":
            return Text(text=value)
        if kind == "toolUse":
            return ToolCall(id=value["toolUseId"], name=value["name"], arguments=value["input"])
        if kind == "toolResult" and set(value) <= {"toolUseId", "content", "status"}:
            parts = tuple(self.told(inner) for inner in value["content"])
            return ToolResult(id=value["toolUseId"], parts=parts, failed=value.get("status") == "error")
        if kind in MEDIA and (media := _media(kind, value)):
            return media
        self.opaque.append(f"as an opaque part: {kind}")
        return Opaque(type=kind, native=block, origin=self.mark.origin)

    def told(self, block: JSON) -> Any:
        if "json" in block:
            return Text(text=json.dumps(block["json"]))
        part = self.part(block)
        if isinstance(part, Opaque):
            raise NotYet(f"converse: a tool's result with {part.type}")
        return part

    # Tools and settings.

    def take_tools(self) -> None:
        """Take `toolConfig`, unless there is something but functions in it: then it goes as it is."""
        config = self.body.get("toolConfig")
        known = {"name", "description", "inputSchema", "strict"}
        if config is None or not all(set(tool) == {"toolSpec"} for tool in config["tools"]):
            return
        if not all(set(tool["toolSpec"]) <= known for tool in config["tools"]):
            return
        del self.body["toolConfig"]
        for tool in config["tools"]:
            spec = tool["toolSpec"]
            facts = {key: spec[key] for key in ("name", "description", "strict") if key in spec}
            self.tools.append(Tool(**facts, parameters=spec["inputSchema"]["json"]))
        match config.get("toolChoice"):
            case {"auto": _}:
                self.settings["tool_choice"] = ToolChoice(mode="auto")
            case {"any": _}:
                self.settings["tool_choice"] = ToolChoice(mode="required")
            case {"tool": {"name": name}}:
                self.settings["tool_choice"] = ToolChoice(mode="named", names=(name,))
            case _:
                pass

    def take_schema(self) -> None:
        form = (self.body.get("outputConfig") or {}).get("textFormat") or {}
        if form.get("type") != "json_schema":
            return
        given = form["structure"]["jsonSchema"]
        del self.body["outputConfig"]["textFormat"]
        if not self.body["outputConfig"]:
            del self.body["outputConfig"]
        named = {"name": given["name"]} if given.get("name") else {}
        told = given.get("description")
        self.schema = Schema(json_schema=json.loads(given["schema"]), description=told, **named)

    def take_model_fields(self) -> None:
        """Take what has a word in genkit out of the fields that each model family names otherwise."""
        fields = self.body.get("additionalModelRequestFields") or {}
        thinking = fields.get("thinking")
        if thinking is not None and set(thinking) == {"type", "budget_tokens"} and thinking["type"] == "enabled":
            del fields["thinking"]
            self.settings["reasoning"] = Reasoning(budget=thinking["budget_tokens"])
        elif thinking == {"type": "adaptive"} and set(fields.get("output_config", ())) == {"effort"}:
            del fields["thinking"]
            self.settings["reasoning"] = Reasoning(effort=fields.pop("output_config")["effort"])
        elif "reasoning_effort" in fields:
            self.settings["reasoning"] = Reasoning(effort=fields.pop("reasoning_effort"))
        if set(fields.get("inferenceConfig") or ()) == {"topK"}:
            self.settings["top_k"] = fields.pop("inferenceConfig")["topK"]
        self.settings |= take_settings(fields, {"top_k": "top_k"})
        if not fields:
            self.body.pop("additionalModelRequestFields", None)


CALL = {"toolUseId", "name", "input"}


def _media(kind: str, value: JSON) -> Part | None:
    source, mime = value["source"], MIMES.get(value.get("format", ""))
    facts = {"name": value["name"]} if "name" in value else {}
    if set(value) - {"format", "source", "name"} or mime is None:
        return None
    if set(source) == {"bytes"}:
        return MEDIA[kind](data=base64.b64decode(source["bytes"]), mime=mime, **facts)
    if set(source) == {"s3Location"} and set(source["s3Location"]) == {"uri"}:
        return MEDIA[kind](url=source["s3Location"]["uri"], mime=mime, **facts)
    return None


# Embeddings.

PURPOSES = {
    "search_query": "query",
    "search_document": "document",
    "GENERIC_RETRIEVAL": "query",
    "GENERIC_INDEX": "document",
}


def embedding(interaction: Interaction) -> Translation:
    """Return the request of an embedding model: Titan's, Cohere's or Nova's form."""
    body = json.loads(json.dumps(interaction.asked))
    if "inputText" in body:
        texts, dimensions, purpose = [body.pop("inputText")], body.pop("dimensions", None), None
    elif "texts" in body:
        texts, dimensions = body.pop("texts"), body.pop("output_dimension", None)
        purpose = _purpose(body, "input_type")
    else:
        inside = body["singleEmbeddingParams"]
        texts, dimensions = [inside["text"].pop("value")], inside.pop("embeddingDimension", None)
        purpose = _purpose(inside, "embeddingPurpose")
        if body.pop("taskType") != "SINGLE_EMBEDDING":
            raise NotYet("embeddings: a task of another kind")
        if not inside["text"]:
            del body["singleEmbeddingParams"]
    asked = EmbedRequest(
        model=interaction.model,
        texts=tuple(texts),
        dimensions=dimensions,
        input_type=purpose,
        settings=Settings(timeout=TIMEOUTS),
        extra={"bedrock": body} if body else {},
    )
    return Translation(asked, tuple(sorted(body)))


def _purpose(body: JSON, name: str) -> Any:
    """Take the purpose of a text out of a body, where genkit has a word for it."""
    return PURPOSES[body.pop(name)] if body.get(name) in PURPOSES else None
