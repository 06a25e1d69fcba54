"""What is asked of the prompt's cache: by `cache_prompt` for the whole, by marks for what ends at a part.

OpenAI and some services like it cache the beginnings of prompts by themselves. Newer models take breakpoints, too,
which say where such a beginning ends. What they write lives for half an hour at least, and through Responses for half a
day if that is asked for.

Source: https://developers.openai.com/api/docs/guides/prompt-caching, and the types of the openai package (3.54), which
know only the shorter lifetime in requests of Chat Completions; read 2026-11-25.
"""

from __future__ import annotations

from typing import Any

from ...types import Part, Request
from ..base import Losses
from ..services import Service
from .models import Family

__all__ = ["Cache"]

JSON = dict[str, Any]

_BREAKPOINT = "prompt_cache_breakpoint"
_OPTIONS = "prompt_cache_options"
# Breakpoints that a request writes beside the one the vendor sets by itself, and without that one.
_MOST, _MOST_EXPLICIT = 3, 4


class Cache:
    """The wishes of one request.

    Args:
        request: The request.
        service: Where it goes, and `family` the model's rules: they say whether breakpoints are taken.
        losses: Hears of what cannot be as it is wished.
        api: The interface; Chat Completions has one lifetime only.
    """

    __slots__ = ("_api", "_asked", "_blocks", "_caches", "_losses", "_missed", "_name", "_wanted", "breaks")

    def __init__(self, request: Request, service: Service, family: Family, losses: Losses, *, api: str) -> None:
        self._name = service.name
        self._losses = losses
        self._api = api
        self._wanted = request.settings.cache_prompt
        self._caches = "cache_prompt" in service.settings
        self.breaks = self._caches and family.breakpoints
        # Marks by what they ask for, blocks that carry them, and kinds of parts where none can stand.
        self._asked: dict[bool | str, None] = {}
        self._blocks: list[JSON] = []
        self._missed: list[str] = []

    def end(self, part: Part, block: JSON | None) -> None:
        """Let a block end what is cached, where its part asks for that; None where no block can."""
        wanted = part.cache
        if not wanted:
            return
        if not self.breaks:
            self._asked[wanted] = None
        elif block is None:
            self._missed.append(part.kind)
        else:
            self._asked[wanted] = None
            if _BREAKPOINT not in block:
                self._blocks.append(block)
            block[_BREAKPOINT] = {**block.get(_BREAKPOINT, {"mode": "explicit"}), **self._lifetime(wanted)}

    def _lifetime(self, wanted: bool | str) -> JSON:
        """Return the lifetime that a breakpoint says; unsaid it is the request's."""
        if self._api == "chat":
            return {}
        if wanted == "1h":
            return {"ttl": "12h"}
        return {"ttl": "30m"} if wanted == "5m" and self._wanted == "1h" else {}

    def options(self) -> JSON:
        """Return the field for `cache_prompt`, if it needs one; it is among the settings that are supported."""
        if not self.breaks:
            self._lose_automatic()
        elif self._wanted is False:
            return {_OPTIONS: {"mode": "explicit"}}
        elif self._wanted == "1h":
            self._losses.lose("cache_prompt", self._why_not_an_hour(), kind="changed")
            return {} if self._api == "chat" else {_OPTIONS: {"ttl": "12h"}}
        return {}

    def _lose_automatic(self) -> None:
        if self._wanted is False:
            self._losses.lose("cache_prompt", "the vendor caches prompts by itself, and cannot be told not to")
        elif isinstance(self._wanted, str):
            self._losses.lose("cache_prompt", _unchosen(self._wanted), kind="changed")

    def _why_not_an_hour(self) -> str:
        if self._api == "chat":
            return "Chat Completions caches for half an hour; through Responses it can be half a day"
        return "it is cached for half a day, the shortest time there is that covers '1h'"

    def settle(self, body: JSON) -> None:
        """Report what became of the marks, and keep the last of them where there are more than a body takes."""
        if self._missed:
            kinds = ", ".join(dict.fromkeys(self._missed))
            self._losses.lose("cache", f"no breakpoint can stand there ({kinds})")
        if not self._asked:
            return
        if not self._caches:
            self._losses.lose("cache", f"{self._name} takes no marks for a cache of prompts")
        elif self.breaks:
            self._limit(body)
            if "1h" in self._asked:
                self._losses.lose("cache", self._why_not_an_hour(), kind="changed")
        else:
            # Without a time they ask for what happens anyway.
            for wanted in self._asked:
                if isinstance(wanted, str):
                    self._losses.lose("cache", _unchosen(wanted), kind="changed")

    def _limit(self, body: JSON) -> None:
        options = body.get(_OPTIONS)
        explicit = isinstance(options, dict) and options.get("mode") == "explicit"
        most = _MOST_EXPLICIT if explicit else _MOST
        surplus = self._blocks[:-most]
        if surplus:
            why = f"a request writes {most} breakpoints at most; the first {len(surplus)} are left out"
            self._losses.lose("cache", why)
        for block in surplus:
            del block[_BREAKPOINT]


def _unchosen(wanted: str) -> str:
    return f"the vendor caches prompts by itself; for how long is not chosen by {wanted!r}"
