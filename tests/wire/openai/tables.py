"""What recorded requests of OpenAI used, held against the tables of services and of model families."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from genkit.backends.openai.models import SAMPLING, SAMPLING_DEFAULTS, Family, family
from genkit.backends.services import SERVICES, Service
from genkit.types import Settings

from ..cassettes import Interaction
from ..reader import Reading
from .requests import CHAT_SETTINGS, RESPONSES_SETTINGS

__all__ = ["NOTHING", "Rules", "facts", "refused", "rules"]

JSON = dict[str, Any]
Fact = tuple[str, bool]
Rules = tuple[Family, Service]

_NONE: frozenset[str] = frozenset()
NOTHING: Rules = (
    Family("", role="user", apis=_NONE, media=_NONE, stop=False),
    replace(
        SERVICES["openai"],
        settings=_NONE,
        named_tools=False,
        strict=False,
        schemas=False,
        media=_NONE,
        media_urls=_NONE,
    ),
)
"""Rules under which no model can do anything."""

_MEDIA = {
    "image_url": "image",
    "input_image": "image",
    "input_audio": "audio",
    "file": "document",
    "input_file": "document",
}
# What the interfaces have for a setting under no name of its own in a body.
_CACHE = ("prompt_cache_key", "prompt_cache_options")


def rules(interaction: Interaction) -> Rules:
    """Return the rows that hold for a recorded request."""
    service = SERVICES[interaction.backend]
    return family(interaction.model, service), service


def facts(interaction: Interaction, reading: Reading, found: Rules) -> Iterator[Fact]:
    """Yield what a request used or its answer showed, and whether the tables allow it."""
    if interaction.api == "embeddings":
        return
    known, service = found
    body, chat = interaction.asked, interaction.api == "chat"
    reasoning = body.get("reasoning") or {}
    effort = body.get("reasoning_effort") if chat else reasoning.get("effort")
    yield f"interface {interaction.api}", interaction.api in known.apis
    if effort is not None:
        yield f"effort {effort}", effort in known.efforts
    if reasoning.get("summary"):
        yield "summary of reasoning", known.reasons or bool(known.efforts)
    yield from _settings(body, effort, found, chat=chat)
    yield from _tools(body, service, chat=chat)
    form = (body.get("response_format") or {}) if chat else (body.get("text") or {}).get("format") or {}
    if form.get("type") == "json_schema":
        yield "output schema", service.schemas
    yield from _prompt(body["messages"] if chat else body.get("input"), found)
    if body.get("instructions"):
        yield "instructions", known.role != "user"
    yield from _reasoned(reading, effort, known)


def _settings(body: JSON, effort: str | None, found: Rules, *, chat: bool) -> Iterator[Fact]:
    known, service = found
    for name, setting in (CHAT_SETTINGS if chat else RESPONSES_SETTINGS).items():
        value = body.get(name)
        if value is None or setting == "reasoning":
            continue
        if setting in SAMPLING and value == SAMPLING_DEFAULTS[setting]:
            continue  # every model takes what it does anyway
        takes = known.samples(effort) if setting in SAMPLING else known.stop if setting == "stop" else True
        yield f"setting {setting}", takes and setting in service.settings
    if "message.output_text.logprobs" in (body.get("include") or ()):
        yield "setting logprobs", "logprobs" in service.settings and known.samples(effort)
    if any(body.get(name) for name in _CACHE):
        yield "setting cache_prompt", "cache_prompt" in service.settings


def _tools(body: JSON, service: Service, *, chat: bool) -> Iterator[Fact]:
    for tool in body.get("tools") or []:
        function = tool.get("function", tool) if chat else tool
        if tool.get("type") == "function" and function.get("strict"):
            yield "strict tool", service.strict
    choice = body.get("tool_choice")
    if choice is not None:
        kind = choice if isinstance(choice, str) else choice.get("type")
        yield f"tool choice {kind}", "tool_choice" in service.settings


def _prompt(turns: Any, found: Rules) -> Iterator[Fact]:
    known, service = found
    for turn in turns if isinstance(turns, list) else []:
        if turn.get("role") in ("system", "developer"):
            yield "instructions", known.role != "user"
        if turn.get("type") == "reasoning":
            yield "reasoning given back", known.reasons or bool(known.efforts)
        for place in ("content", "output"):
            for part in turn.get(place) if isinstance(turn.get(place), list) else []:
                kind = _MEDIA.get(part.get("type"))
                if kind is None:
                    continue
                where = "a result's" if place == "output" else "a message's"
                yield f"{where} {kind}", kind in known.media & service.media
                if str((part.get("image_url") or {}) if kind == "image" else "").startswith("http"):
                    yield f"{kind} by address", kind in service.media_urls


def _reasoned(reading: Reading, effort: str | None, known: Family) -> Iterator[Fact]:
    """Yield what the answer shows of reasoning that nobody asked for."""
    counts = reading.usage or {}
    details = counts.get("completion_tokens_details") or counts.get("output_tokens_details") or {}
    told = (reading.final.get("reasoning") or reading.rest.get("reasoning") or {}).get("effort")
    if effort is None and told is not None:
        yield "reasoning unasked", known.reasons == (told != "none")
    elif effort is None and details.get("reasoning_tokens"):
        yield "reasoning unasked", known.reasons


def refused(interaction: Interaction, error: JSON, found: Rules) -> tuple[str, bool] | None:
    """Return what an answer with an error refused, and whether the tables leave it out; None for unknown errors."""
    known, _ = found
    code, name = error.get("code"), error.get("param")
    if code in ("model_not_found", "DeploymentNotFound"):
        return "the name of a model, which is no table's matter", True
    if code in ("invalid_image_url", "invalid_image_format"):
        return "this one picture, which is no table's matter", True
    if name == "messages[0].role" and code == "unsupported_value":
        return "the role of instructions", known.role not in str(error["message"])
    if name == "temperature" and code == "decimal_below_min_value":
        return "a temperature below what any model takes", _no_setting(temperature=interaction.asked["temperature"])
    # Only the words tell what was wrong with these.
    if str(name).endswith(".file_data") and "audio/mpeg" in error["message"]:
        return "sound as a file", "audio" not in known.media
    if name == "messages[3]" and "expected to be either text or image_url" in error["message"]:
        return "sound in a tool's result", "audio" not in known.media
    if name == "input" and "without its required following item" in error["message"]:
        return "reasoning without the item after it, which is no table's matter", True
    return None


def _no_setting(**given: Any) -> bool:
    try:
        Settings(**given)
    except ValidationError:
        return True
    return False
