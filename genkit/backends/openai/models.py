"""What is known of OpenAI's model families, as data: a pattern, its facts, where they stand and when they were read.

The first row whose pattern matches the beginning of a model's name holds. A name that matches no row is a newer model
and gets the newest rules. Models of other vendors behind the same wire get no rules at all: their services refuse what
they do not take. Rows of the caller's own, given as `families=`, are looked at first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .. import families
from ..services import Service

__all__ = ["FAMILIES", "FREE", "NEWEST", "SAMPLING", "SAMPLING_DEFAULTS", "Families", "Family", "family"]

SAMPLING = frozenset({"temperature", "top_p", "logprobs", "top_logprobs", "presence_penalty", "frequency_penalty"})
"""Settings that a model refuses while it reasons."""

SAMPLING_DEFAULTS = {
    "temperature": 1,
    "top_p": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "logprobs": False,
    "top_logprobs": 0,
}
"""What it assumes of them anyway: to leave that out is no loss."""

_WORDS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_BOTH = frozenset({"chat", "responses"})
_CHAT = frozenset({"chat"})
_RESPONSES = frozenset({"responses"})
_NONE: frozenset[str] = frozenset()
_SIGHT = frozenset({"image", "document"})

_GUIDE = "https://developers.openai.com/api/docs/guides/reasoning"
_MODELS = "https://developers.openai.com/api/docs/models"
_READ = "2026-11-23"


@dataclass(frozen=True, slots=True)
class Family:
    """What holds for all models whose name begins with `pattern`.

    Attributes:
        pattern: Regular expression for the beginning of the name.
        efforts: Effort words it takes, weakest first; empty where effort cannot be chosen.
        reasons: Whether it reasons when no effort is given.
        role: The role of its instructions.
        apis: The interfaces it can be reached through.
        media: Kinds of media it reads.
        stop: Whether it takes stop texts.
        breakpoints: Whether its prompts are cached up to marks of the caller's; the source is named in `cache`.
        free: Whether nothing is known of it, so that everything is sent as it is asked.
        source: Where this stands, and `checked` when it was read.
    """

    pattern: str
    efforts: tuple[str, ...] = ()
    reasons: bool = False
    role: Literal["system", "developer", "user"] = "system"
    apis: frozenset[str] = _BOTH
    media: frozenset[str] = _SIGHT
    stop: bool = True
    breakpoints: bool = False
    free: bool = False
    source: str = _GUIDE
    checked: str = _READ

    def samples(self, effort: str | None) -> bool:
        """Return whether the settings in `SAMPLING` are accepted together with this effort word (None: not given)."""
        if self.free:
            return True
        if effort is None:
            return not self.reasons
        return effort == "none" or not (self.reasons or self.efforts)

    def nearest(self, effort: str) -> str | None:
        """Return the accepted effort word nearest to `effort`, itself where it is accepted; None where none is."""
        if not self.efforts or effort in self.efforts or effort not in _WORDS:
            return effort if self.efforts else None
        at = _WORDS.index(effort)
        # "none" is no weak effort: it switches reasoning off. Among equals the weaker word is the cheaper mistake.
        known = [word for word in self.efforts if word in _WORDS]
        words = [word for word in known if word != "none"] or known
        if not words:
            return self.efforts[0]
        return min(words, key=lambda word: (abs(_WORDS.index(word) - at), _WORDS.index(word)))


def _always(
    pattern: str,
    *efforts: str,
    apis: frozenset[str] = _BOTH,
    media: frozenset[str] = _SIGHT,
    role: Literal["developer", "user"] = "developer",
    **facts: Any,
) -> Family:
    """Return a family that reasons whether asked or not."""
    return Family(pattern, efforts, reasons=True, role=role, apis=apis, media=media, **facts)


def _on_request(pattern: str, *efforts: str) -> Family:
    """Return a family that reasons only when an effort is given."""
    return Family(pattern, efforts, reasons=False, role="developer")


FAMILIES: tuple[Family, ...] = (
    # Its guide moves users of "none" and "minimal" to "low".
    _always(r"gpt-6-astra", "low", "medium", "high", "xhigh", "max", breakpoints=True, source=f"{_MODELS}/gpt-6-astra"),
    _always(r"gpt-5\.6\b", "none", "low", "medium", "high", "xhigh", "max", breakpoints=True),
    _always(r"gpt-5\.5-pro", "medium", "high", "xhigh", apis=_RESPONSES),
    _always(r"gpt-5\.5\b", "none", "low", "medium", "high", "xhigh"),
    _always(r"gpt-5\.4-pro", "medium", "high", "xhigh", apis=_RESPONSES),
    _on_request(r"gpt-5\.4\b", "none", "low", "medium", "high", "xhigh"),
    # The chat variants reason at one fixed effort.
    _always(r"gpt-5\.[123]-chat", "medium"),
    _on_request(r"gpt-5\.3\b", "none", "low", "medium", "high", "xhigh"),
    _always(r"gpt-5\.2-pro", "medium", "high", "xhigh", apis=_RESPONSES),
    _on_request(r"gpt-5\.2\b", "none", "low", "medium", "high", "xhigh"),
    _always(r"gpt-5\.1-codex-max", "low", "medium", "high", "xhigh", apis=_RESPONSES),
    _always(r"gpt-5\.1-codex", "low", "medium", "high", apis=_RESPONSES),
    _on_request(r"gpt-5\.1\b", "none", "low", "medium", "high"),
    Family(r"gpt-5-chat", source=f"{_MODELS}/gpt-5-chat-latest"),
    _always(r"gpt-5-pro", "high", apis=_RESPONSES, source=f"{_MODELS}/gpt-5-pro"),
    _always(r"gpt-5-codex", "low", "medium", "high", apis=_RESPONSES),
    _always(r"gpt-5(?![.\d])", "minimal", "low", "medium", "high"),
    # They refuse both "system" and "developer".
    _always(r"o1-(mini|preview)", apis=_CHAT, media=_NONE, role="user"),
    _always(r"(o1|o3)-pro", "low", "medium", "high", apis=_RESPONSES),
    _always(r"(o3|o4-mini)-deep-research", "medium", apis=_RESPONSES),
    _always(r"o3-mini", "low", "medium", "high", media=_NONE),
    # Chat's reference says of `stop`: not supported with o3 and o4-mini.
    _always(r"(o3|o4-mini)\b", "low", "medium", "high", stop=False, source=f"{_MODELS}/o3"),
    _always(r"o1\b", "low", "medium", "high"),
    Family(r"gpt-4o(-mini)?-audio|gpt-audio", apis=_CHAT, media=frozenset({"audio"}), source=f"{_MODELS}/gpt-audio"),
    Family(r"gpt-4o(-mini)?-search", apis=_CHAT, media=_NONE, source=f"{_MODELS}/gpt-4o-search-preview"),
    Family(r"gpt-4(\.[15]\b|o|-turbo|-.*vision)|chatgpt-4o", source=_MODELS),
    Family(r"gpt-(3\.5|35|4(?!\.))\b", media=_NONE, source=_MODELS),
)

NEWEST = Family(r"", _WORDS, reasons=True, role="developer", media=_SIGHT | {"audio"}, breakpoints=True)
"""The rules for a name that is not in the table."""

FREE = Family(r"", _WORDS, reasons=False, role="system", media=_SIGHT | {"audio"}, free=True, source="")
"""No rules: for models that are not OpenAI's, and for deployments whose name says nothing."""


def base_name(model: str) -> str:
    """Return the name that rules go by; of a fine-tuned model ("ft:gpt-4o-mini:...") the base model's."""
    return model.removeprefix("ft:")


class Families:
    """The table, with the caller's own rows before it.

    What a row leaves out is as the service's other rules are: at a compatible service nothing is known, and at a
    deployment only what its name tells.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]] | None, *, backend: str) -> None:
        own = families.checked_rows(rows, backend=backend)

        def laid(table: Sequence[Family], rest: Family) -> families.Families[Family]:
            return families.Families(own, table=table, rest=rest, backend=backend, base=base_name, likes=FAMILIES)

        self._by_rules = {"openai": laid(FAMILIES, NEWEST), "deployment": laid(FAMILIES, FREE), "free": laid((), FREE)}

    def of(self, model: str, service: Service | None = None) -> Family:
        """Return the rules for a model where it is called; without a service, at OpenAI."""
        return self._by_rules["openai" if service is None else service.rules].of(model)


family = Families(None, backend="openai").of
"""The rules for a model by the table alone."""
