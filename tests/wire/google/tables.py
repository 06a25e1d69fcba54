"""What recorded requests of the Gemini API and of Vertex AI used, held against the table of model families."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal
from urllib.parse import urlsplit

from genkit.backends.google.models import Families, Family

from ..cassettes import Interaction
from ..reader import Reading
from .names import protocol_names

__all__ = ["NOTHING", "Rules", "facts", "refused", "rules"]

JSON = dict[str, Any]
Fact = tuple[str, bool]
Rules = tuple[Family, Literal["google", "vertex"]]

_NONE: frozenset[str] = frozenset()
NOTHING = Family(
    "",
    thinking="none",
    levels=(),
    media=_NONE,
    mimes=frozenset({"none/none"}),
    tool_media=_NONE,
    tool_files=False,
    urls=_NONE,
    resolution=False,
    tools=False,
    validated=False,
    mixes_tools=False,
    schemas=False,
    schema_with_tools=False,
    system=False,
    penalties=False,
    logprobs=_NONE,
    text_beside_media=True,
)
"""Rules under which no model can do anything."""

_TABLE = Families(None, name="google")
_DECLARATIONS = "functionDeclarations"
# These hold files that were given to Google before, or that it knows by itself.
_ITS_OWN = ("generativelanguage.googleapis.com", "www.youtube.com", "youtu.be")


def rules(interaction: Interaction) -> Family:
    """Return the row that holds for a recorded request."""
    return _TABLE.of(interaction.model)


def facts(interaction: Interaction, reading: Reading, known: Family) -> Iterator[Fact]:
    """Yield what a request used or its answer showed, and whether the table allows it."""
    if interaction.api == "embeddings":
        return
    body = protocol_names(interaction.asked)
    body = body.get("generateContentRequest", body)
    if body.get("systemInstruction"):
        yield "instructions", known.system
    for content in body["contents"]:
        yield from _content(content, interaction.backend, known)
    yield from _signatures(body["contents"], known)
    yield from _tools(body, known)
    yield from _generation(
        body.get("generationConfig") or {}, interaction.backend, known, tools=bool(body.get("tools"))
    )
    if (reading.usage or {}).get("thoughtsTokenCount"):
        yield "thoughts", known.thinking != "none"
    calls = [part for part in reading.items if "functionCall" in part]
    for number, part in enumerate(calls):
        if known.ids:
            yield "ids of calls", "id" in part["functionCall"]
        if number == 0 and known.signed:
            yield "the first call signed", "thoughtSignature" in part


def _content(content: JSON, backend: str, known: Family) -> Iterator[Fact]:
    parts = content.get("parts") or []
    for part in parts:
        if "functionCall" in part or "functionResponse" in part:
            yield "calls in the conversation", known.tools
        if part.get("mediaResolution"):
            yield "resolution of a part", known.resolution
        for inner in (part.get("functionResponse") or {}).get("parts") or []:
            mime = next(iter(inner.values()))["mimeType"]
            yield f"a result's {mime}", mime in known.tool_media
            if "fileData" in inner:
                yield "a result's file by its address", known.tool_files
        for field in part.keys() & {"inlineData", "fileData"}:
            yield from _media(part[field], backend, known)
    media = any(part.keys() & {"inlineData", "fileData"} for part in parts)
    if media and not any("text" in part for part in parts):
        yield "a turn of media alone", not known.text_beside_media


def _media(given: JSON, backend: str, known: Family) -> Iterator[Fact]:
    mime = given["mimeType"]
    kind = mime.partition("/")[0]
    kind = kind if kind in ("image", "audio", "video") else "document"
    yield f"{kind} {mime}", kind in known.media and known.reads(kind, mime)
    address = urlsplit(given.get("fileUri", ""))
    if backend == "google" and address.scheme == "https" and address.hostname not in _ITS_OWN:
        yield f"{kind} by address", kind in known.urls


def _signatures(contents: list[JSON], known: Family) -> Iterator[Fact]:
    """Yield whether the running turn, which alone is looked at, has a call without a signature before all others."""
    said = [number for number, content in enumerate(contents) if any("text" in part for part in content["parts"])]
    asked = [number for number in said if contents[number].get("role") != "model"]
    for content in contents[asked[-1] + 1 if asked else 0 :]:
        calls = [part for part in content["parts"] if "functionCall" in part]
        if calls and "thoughtSignature" not in calls[0]:
            yield "a call unsigned", not known.signed


def _tools(body: JSON, known: Family) -> Iterator[Fact]:
    kinds = {kind for tool in body.get("tools") or [] for kind in tool}
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    if _DECLARATIONS in kinds:
        yield "functions", known.tools
        if kinds - {_DECLARATIONS}:
            yield "functions beside other tools", known.mixes_tools
    if mode := calling.get("mode"):
        yield f"calling {mode}", known.validated if mode == "VALIDATED" else known.tools


def _generation(config: JSON, backend: str, known: Family, *, tools: bool) -> Iterator[Fact]:
    for name in config.keys() & {"presencePenalty", "frequencyPenalty"}:
        yield f"setting {name}", known.penalties
    if config.get("responseLogprobs"):
        yield "setting responseLogprobs", backend in known.logprobs
    if config.get("responseSchema") or config.get("responseJsonSchema"):
        yield "output schema", known.schemas
        if tools:
            yield "output schema beside tools", known.schema_with_tools
    thinking = config.get("thinkingConfig") or {}
    if thinking.get("includeThoughts"):
        yield "thoughts shown", known.thinking != "none"
    if level := thinking.get("thinkingLevel"):
        yield f"level {level}", known.thinking == "level" and level.lower() in known.levels
    budget = thinking.get("thinkingBudget")
    if budget == 0:
        yield "thought switched off", backend in known.off
    elif budget is not None:
        least, most = known.budget
        yield "budget of thought", known.thinking == "budget" and (budget == -1 or least <= budget <= most)


# Google has one code for whatever is invalid; only its words tell what it was. None of these is a table's matter.
_REFUSED = {
    "valid role": "a role that there is not",
    "has a temperature value of 1000": "a temperature above what any model takes",
    "URL_ROBOTED": "an address that robots may not read",
    "is not found for API version": "the name of a model",
    "was not found": "the name of a model",
    "not found.": "the name of a model",
}


def refused(interaction: Interaction, error: JSON, known: Family) -> tuple[str, bool] | None:
    """Return what an answer with an error refused, and whether the table leaves it out; None for unknown errors."""
    what = next((what for words, what in _REFUSED.items() if words in error["message"]), None)
    return None if what is None else (f"{what}, which is no table's matter", True)
