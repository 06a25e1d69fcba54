"""The reasoning of an answer of Chat Completions: a text under one of two names, or under both, and its details."""

from __future__ import annotations

from typing import Any

__all__ = ["NAMES", "Reasoning"]

JSON = dict[str, Any]

NAMES = ("reasoning_content", "reasoning")
"""Both are in use for reasoning text, by some servers at once: with the same text, or with another one."""


class Reasoning:
    """Gathers the reasoning of one answer while it grows.

    The text under the name that came first is shown as it comes. What stands under the other name may be the same in
    other pieces, so it is shown when that is out of the question.

    Attributes:
        details: OpenRouter's reasoning details, which want to be sent back.
    """

    __slots__ = ("_first", "_other", "_shown", "details", "other_name")

    def __init__(self) -> None:
        self.details: list[JSON] = []
        self.other_name = ""
        self._first: list[str] = []
        self._other: list[str] = []
        self._shown = 0

    def take(self, delta: JSON, *, whole: bool) -> str:
        """Take in what a delta, or a whole message, holds of it; return the text to show now."""
        for detail in delta.get("reasoning_details") or ():
            if whole:
                self.details.append(dict(detail))
            else:
                _merge_detail(self.details, detail)
        shown = ""
        for at, name in enumerate(NAMES):
            piece = delta.get(name)
            if not piece or not isinstance(piece, str):
                continue
            if not self.other_name:
                self.other_name = NAMES[1 - at]
            if name == self.other_name:
                self._other.append(piece)
            else:
                self._first.append(piece)
                shown = piece
        return shown

    def other(self, *, final: bool) -> str:
        """Return what the other name says beyond what was returned before, where it says something else.

        Args:
            final: Whether nothing more will come, so that the beginning of the same text is another text.
        """
        if not self._other:
            return ""
        first, other = "".join(self._first), "".join(self._other)
        if other == first or (not final and first.startswith(other)):
            return ""
        text = other[self._shown :]
        self._shown = len(other)
        return text


def _merge_detail(details: list[JSON], detail: JSON) -> None:
    """Add a piece of OpenRouter's reasoning details: text grows, everything else is replaced."""
    last = details[-1] if details else None
    if last is None or any(last.get(name) != detail.get(name) for name in ("index", "type")) or _differ(last, detail):
        details.append(dict(detail))
        return
    for name, value in detail.items():
        if name in ("text", "summary", "data") and isinstance(value, str):
            last[name] = (last.get(name) or "") + value
        elif value is not None:
            last[name] = value


def _differ(last: JSON, detail: JSON) -> bool:
    """Return whether both have an id, and not the same."""
    return None not in (last.get("id"), detail.get("id")) and last["id"] != detail["id"]
