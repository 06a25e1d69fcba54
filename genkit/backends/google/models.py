"""What is known of Google's model families, as data: a pattern, its facts, where they stand and when they were read.

The first row whose pattern is found at the beginning of a model's name holds. A name that matches no row is a newer
model and gets the newest rules. Rows of the caller's own, given as `families=`, are looked at first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from .. import families

__all__ = ["FAMILIES", "NEWEST", "READABLE", "Families", "Family", "Vendor", "base_name"]

Vendor: TypeAlias = Literal["google", "vertex"]

_Level: TypeAlias = Literal["minimal", "low", "medium", "high"]
_Kind: TypeAlias = Literal["image", "audio", "video", "document"]

_WORDS: tuple[_Level, ...] = ("minimal", "low", "medium", "high")
_THREE: tuple[_Level, ...] = ("low", "medium", "high")
_BOTH: frozenset[Vendor] = frozenset({"google", "vertex"})
_NONE: frozenset[Any] = frozenset()
_KINDS: frozenset[_Kind] = frozenset({"image", "audio", "video", "document"})
_TEXT = ("application/json", "application/xml", "application/rtf", "application/x-javascript", "application/x-python")

# https://ai.google.dev/gemini-api/docs/generate-content/file-input-methods and the pages on images, audio and video;
# read 2026-11-23. Every "text/..." is a document too.
READABLE: dict[str, frozenset[str]] = {
    "image": frozenset({"image/png", "image/jpeg", "image/webp", "image/heic", "image/heif", "image/bmp"}),
    "audio": frozenset(
        {"audio/wav", "audio/mpeg", "audio/mp3", "audio/aiff", "audio/aac", "audio/ogg", "audio/flac", "audio/mp4"}
        | {"audio/m4a", "audio/mpga", "audio/opus", "audio/pcm", "audio/webm", "audio/l16"}
    ),
    "video": frozenset(
        {"video/mp4", "video/mpeg", "video/quicktime", "video/mov", "video/avi", "video/x-msvideo", "video/x-flv"}
        | {"video/mpg", "video/mpegps", "video/webm", "video/wmv", "video/x-ms-wmv", "video/3gpp"}
    ),
    "document": frozenset({"application/pdf", *_TEXT}),
}
"""Media types by kind, for families that say nothing else."""

_TOOL_MEDIA = frozenset({"image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain"})

_THINKING = "https://ai.google.dev/gemini-api/docs/generate-content/thinking"
_CLOUD = "https://docs.cloud.google.com/vertex-ai/generative-ai/docs/thinking"
_READ = "2026-11-23"


@dataclass(frozen=True, slots=True)
class Family:
    """What holds for all models whose name begins with `pattern`.

    Attributes:
        pattern: Regular expression for the beginning of the name.
        thinking: How thought is governed: by a word ("level"), by tokens ("budget"), or not at all ("none").
        levels: The words it takes, weakest first.
        budget: The least and the most tokens it takes, 0 aside.
        off: Where thought can be switched off by a budget of 0: "google" (the Gemini API), "vertex".
        media: Kinds of media it reads.
        mimes: Media types it reads; empty for those of `READABLE`.
        tool_media: Media types that stand inside a tool's result; others follow it.
        tool_files: Whether files of these types may stand there by their address, too.
        urls: Kinds of media the Gemini API fetches from a public address by itself. Vertex AI fetches all kinds.
        resolution: Whether each part may have its own media resolution.
        tools: Whether it calls functions.
        validated: Whether calls can be held to their schema without being demanded (mode VALIDATED).
        mixes_tools: Whether functions stand beside Google's own tools.
        schemas: Whether an answer can be held to a schema.
        schema_with_tools: Also beside tools.
        system: Whether it has instructions.
        penalties: Whether it takes presence and frequency penalties.
        logprobs: Where it reports log-probabilities.
        signed: Whether the first call of an answer must carry its signature.
        ids: Whether all calls have ids of the model's own, which pair them with their results.
        text_beside_media: Whether a turn needs text.
        source: Where this stands, and `checked` when it was read.
    """

    pattern: str
    thinking: Literal["level", "budget", "none"] = "level"
    levels: tuple[_Level, ...] = _THREE
    budget: tuple[int, int] = (0, 0)
    off: frozenset[Vendor] = _NONE
    media: frozenset[_Kind] = _KINDS
    mimes: frozenset[str] = _NONE
    tool_media: frozenset[str] = _TOOL_MEDIA
    tool_files: bool = True
    urls: frozenset[_Kind] = frozenset[_Kind]({"image", "video", "document"})
    resolution: bool = True
    tools: bool = True
    validated: bool = True
    mixes_tools: bool = True
    schemas: bool = True
    schema_with_tools: bool = True
    system: bool = True
    penalties: bool = False
    logprobs: frozenset[Vendor] = frozenset[Vendor]({"vertex"})
    signed: bool = True
    ids: bool = True
    text_beside_media: bool = False
    source: str = _THINKING
    checked: str = _READ

    def __post_init__(self) -> None:
        if self.thinking == "level" and not self.levels:
            raise ValueError("thinking='level' needs levels, such as ['low', 'high']")
        least, most = self.budget
        if self.thinking == "budget" and not 0 < least <= most:
            raise ValueError("thinking='budget' needs a budget, such as [128, 32768]")

    def reads(self, kind: str, mime: str) -> bool:
        """Return whether it reads a kind of media in this type."""
        if self.mimes:
            return mime in self.mimes
        return mime in READABLE[kind] or (kind == "document" and mime.startswith("text/"))


def _level(pattern: str, *levels: str, **facts: Any) -> Family:
    """Return a family of the third generation, whose thought is governed by words."""
    known: dict[str, Any] = {"levels": levels}
    return Family(pattern, **{**known, **facts})


def _second(pattern: str, **facts: Any) -> Family:
    """Return a family of the second generation, which has no signed calls and no ids."""
    known: dict[str, Any] = {
        "tool_media": _NONE,
        "tool_files": False,
        "resolution": False,
        "mixes_tools": False,
        "schema_with_tools": False,
        "penalties": True,
        "signed": False,
        "ids": False,
    }
    return Family(pattern, **{**known, **facts})


def _third(pattern: str, *levels: str, **facts: Any) -> Family:
    """Return a family of Gemini 3.0 and 3.1: signed calls, and ids in some answers only."""
    # Vertex AI takes a budget of 0 where the Gemini API refuses it; seen for Gemini 3 only.
    return _level(pattern, *levels, ids=False, off=frozenset({"vertex"}), **facts)


_NO_THOUGHT: dict[str, Any] = {"thinking": "none", "levels": ()}
_DRAWS: dict[str, Any] = {"tools": False, "schemas": False, "validated": False}

FAMILIES: tuple[Family, ...] = (
    _level(r"gemini-3\.[78]-flash", *_THREE),
    _level(r"gemini-3\.[56]-(flash|pro)", *_WORDS),
    _level(r"gemini-flash(-lite)?-latest|gemini-pro-latest", *_THREE),
    _third(r"gemini-3(\.\d)?-flash(-lite)?-image", "minimal", "high", **_DRAWS),
    _third(r"gemini-3(\.\d)?-pro-image|nano-banana", "low", "high", **_DRAWS),
    _third(r"gemini-3\.1-flash-tts", **_NO_THOUGHT, **_DRAWS, media=_NONE, system=False),
    _third(r"gemini-3\.1-flash-lite", *_WORDS),
    _third(r"gemini-3\.1-pro", *_THREE),
    _third(r"gemini-3-pro", "low", "high"),
    _third(r"gemini-3-flash", *_WORDS),
    _second(r"gemini-2\.5-(flash-image|.*tts)", **_NO_THOUGHT, **_DRAWS),
    _second(r"gemini-2\.5-flash-lite", thinking="budget", levels=(), budget=(512, 24576), off=_BOTH),
    _second(r"gemini-(2\.5-flash|robotics-er-1)\b", thinking="budget", levels=(), budget=(1, 24576), off=_BOTH),
    # It refuses a budget of 0.
    _second(r"gemini-(2\.5-pro|2\.5-computer)", thinking="budget", levels=(), budget=(128, 32768)),
    _second(r"gemini-2\b", **_NO_THOUGHT, validated=False, urls=_NONE),
    _second(r"gemini-(1|pro)\b", **_NO_THOUGHT, validated=False, urls=_NONE, text_beside_media=True),
    _second(
        r"gemma-(3n?|2|1)\b",
        **_NO_THOUGHT,
        tools=False,
        validated=False,
        schemas=False,
        system=False,
        media=frozenset({"image"}),
        urls=_NONE,
        source="https://ai.google.dev/gemma/docs/core/gemma_on_gemini_api",
    ),
    _second(r"gemma", **_NO_THOUGHT, validated=False, media=frozenset({"image"}), urls=_NONE),
)

NEWEST = Family(r"")
"""The rules for a name that is not in the table."""


def base_name(model: str) -> str:
    """Return the name that rules go by, out of a path such as "publishers/google/models/gemini-2.5-pro"."""
    return model.rpartition("/")[2]


class Families(families.Families[Family]):
    """The table, with the caller's own rows before it."""

    def __init__(self, rows: Iterable[Mapping[str, Any]] | None, *, name: str) -> None:
        super().__init__(rows, table=FAMILIES, rest=NEWEST, backend=name, base=base_name)
