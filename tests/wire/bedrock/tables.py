"""What recorded requests of Bedrock used, held against the table of model families."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from genkit.backends.bedrock.models import Families, Family

from ..cassettes import Interaction
from ..reader import Reading

__all__ = ["NOTHING", "Rules", "facts", "refused", "rules"]

JSON = dict[str, Any]
Fact = tuple[str, bool]
Rules = Family

_NONE: frozenset[str] = frozenset()
NOTHING = Family(
    "",
    tools=False,
    choices=_NONE,
    schema=None,
    system=False,
    result_media=_NONE,
    beside_results=_NONE,
    status=False,
    tool_id_length=0,
    sampling="none",
    stops=0,
)
"""Rules under which no model can do anything."""

_TABLE = Families(backend="bedrock")
_MEDIA = ("image", "document", "video", "audio")


def rules(interaction: Interaction) -> Family:
    """Return the row that holds for a recorded request."""
    return _TABLE.of(interaction.model)


def facts(interaction: Interaction, reading: Reading, known: Family) -> Iterator[Fact]:
    """Yield what a request used or its answer showed, and whether the table allows it."""
    if interaction.api == "embeddings":
        return
    body = interaction.asked
    if interaction.counts:
        yield "token counts", known.counts
        body = body["input"]["converse"]
    if body.get("system"):
        yield "instructions", known.system
    yield from _points("system", body.get("system") or [], known)
    yield from _turns(body["messages"], known)
    yield from _tools(body.get("toolConfig") or {}, known)
    yield from _inference(body.get("inferenceConfig") or {}, known)
    fields = body.get("additionalModelRequestFields") or {}
    asked = fields.keys() & {"thinking", "reasoning_effort", "reasoningConfig"}
    yield from _fields(fields, known)
    form = (body.get("outputConfig") or {}).get("textFormat") or {}
    if form.get("type") == "json_schema":
        yield "output schema", known.schema == "native"
    if not asked and any("reasoningContent" in block for block in reading.items):
        yield "reasoning unasked", known.thinks in ("always", "effort")


def _points(place: str, blocks: list[JSON], known: Family) -> Iterator[Fact]:
    for block in blocks:
        if point := block.get("cachePoint"):
            yield f"cache point in {place}", place in known.cache
            if point.get("ttl") not in (None, "5m"):
                yield f"cache point for {point['ttl']}", point["ttl"] in known.ttls


def _turns(messages: list[JSON], known: Family) -> Iterator[Fact]:
    if messages[0]["role"] == "assistant":
        yield "the model's turn first", known.leads
    if messages[-1]["role"] == "assistant":
        yield "the model's turn last", known.prefill
    for message in messages:
        blocks = message["content"]
        yield from _points("messages", blocks, known)
        for block in blocks:
            yield from _block(block, known)
        if message["role"] == "user" and any("toolResult" in block for block in blocks):
            for block in blocks:
                kind = next(iter(block))
                if kind not in ("toolResult", "cachePoint"):
                    yield f"{kind} beside results", _beside(kind, block, known)


def _beside(kind: str, block: JSON, known: Family) -> bool:
    return kind in known.beside_results or (
        kind == "document" and block[kind]["format"] == "pdf" and "pdf" in known.beside_results
    )


def _block(block: JSON, known: Family) -> Iterator[Fact]:
    if "reasoningContent" in block:
        yield "reasoning given back", known.replays
    for kind in block.keys() & {*_MEDIA}:
        yield kind, kind in known.media
        if "s3Location" in block[kind]["source"]:
            yield "media in S3", known.s3
    if call := block.get("toolUse"):
        yield "calls in the conversation", known.tools
        own = known.issued_ids and call["toolUseId"].startswith("tooluse_")
        yield "ids of calls", own or known.tool_id_length in (None, len(call["toolUseId"]))
    if result := block.get("toolResult"):
        if "status" in result:
            yield "status of a result", known.status
        for inner in result["content"]:
            for kind in inner.keys() & {*_MEDIA}:
                yield f"a result's {kind}", kind in known.result_media


def _tools(config: JSON, known: Family) -> Iterator[Fact]:
    yield from _points("tools", config.get("tools") or [], known)
    for tool in config.get("tools") or []:
        if spec := tool.get("toolSpec"):
            yield "tools", known.tools
            if spec.get("strict"):
                yield "strict tool", known.strict
    for kind in config.get("toolChoice") or {}:
        if kind != "auto":
            yield f"tool choice {kind}", kind in known.choices


def _inference(config: JSON, known: Family) -> Iterator[Fact]:
    given = config.keys() & {"temperature", "topP"}
    for name in given:
        yield f"setting {name}", known.sampling != "none"
    if len(given) == 2:
        yield "both sampling settings", known.sampling == "both"
    if stop := config.get("stopSequences"):
        yield "stop texts", known.stops is None or len(stop) <= known.stops


def _fields(fields: JSON, known: Family) -> Iterator[Fact]:
    """Yield what stands where every maker puts it elsewhere."""
    if "top_k" in fields:
        yield "top_k", known.fields.get("top_k") == "top_k"
    if "topK" in (fields.get("inferenceConfig") or {}):
        yield "inferenceConfig.topK", known.fields.get("top_k") == "inferenceConfig.topK"
    thinking = fields.get("thinking") or {}
    if thinking.get("type") == "enabled":
        yield "budget of reasoning", known.maker == "anthropic" and known.thinks in ("budget", "adaptive")
    if thinking.get("type") == "adaptive":
        yield "adaptive reasoning", known.thinks == "adaptive"
        word = (fields.get("output_config") or {}).get("effort")
        yield f"effort {word}", word is None or word in known.efforts
    if word := fields.get("reasoning_effort"):
        yield f"effort {word}", known.thinks == "effort" and word in known.efforts


def refused(interaction: Interaction, error: JSON, known: Family) -> tuple[str, bool] | None:
    """Return what an answer with an error refused, and whether the table leaves it out; None for unknown errors."""
    # There is nothing but words.
    told = error["message"]
    if "model identifier is invalid" in told:
        return "the name of a model, which is no table's matter", True
    if "doesn't support the s3Uri field" in told:
        return "media in S3", not known.s3
    if "doesn't support the video content block" in told:
        return "video", "video" not in known.media
    if "doesn't support counting tokens" in told:
        # The same model was counted under its own id, which is what is sent.
        return "the id of an inference profile in CountTokens, which is no table's matter", True
    return None
