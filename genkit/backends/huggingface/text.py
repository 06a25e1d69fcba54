"""From tokens to text that can be shown while it grows: whole characters only, and nothing of a stop string."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

__all__ = ["Detokeniser", "StopFinder", "TokenTexts"]

Decode: TypeAlias = Callable[[Sequence[int]], str]

_BROKEN = "\N{REPLACEMENT CHARACTER}"


class Detokeniser:
    """Turns tokens into text one by one; the pieces join to what decoding all tokens at once gives.

    A token's text depends on its neighbours (a space before it, half a character), so a short window is decoded with
    and without the new token, and the difference is the piece.
    """

    __slots__ = ("_decode", "_ids", "_read", "_start")

    def __init__(self, decode: Decode) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._start = 0
        self._read = 0

    def feed(self, token: int) -> str:
        """Return the text that a token completes; empty while a character is unfinished."""
        self._ids.append(token)
        piece = self._unread()
        if not piece or piece.endswith(_BROKEN):
            return ""
        self._advance()
        return piece

    def end(self) -> str:
        """Return what is left: bytes that never became a character."""
        piece = self._unread()
        self._advance()
        return piece

    def _unread(self) -> str:
        before = self._decode(self._ids[self._start : self._read])
        return self._decode(self._ids[self._start :])[len(before) :]

    def _advance(self) -> None:
        self._start, self._read = self._read, len(self._ids)


class StopFinder:
    """Lets text through up to the first stop string, and keeps back what may be the beginning of one.

    Attributes:
        found: The stop string that ended the text.
    """

    __slots__ = ("_held", "_stops", "found")

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._held = ""
        self.found: str | None = None

    def feed(self, piece: str) -> str:
        """Return the text that is certain to belong to the answer."""
        if self.found is not None:
            return ""
        text = self._held + piece
        # The one that is complete first, so that the answer does not depend on where the pieces were cut.
        ends = [(at + len(stop), at, stop) for stop in self._stops if (at := text.find(stop)) >= 0]
        if ends:
            _, at, self.found = min(ends)
            self._held = ""
            return text[:at]
        keep = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def end(self) -> str:
        """Return what was kept back, now that no more text comes."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Return how many characters at the end of `text` are a beginning of `stop`."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0


class TokenTexts:
    """The text of single tokens, with the space that some tokenizers show only after another token."""

    __slots__ = ("_before", "_decode", "_known", "_probe")

    def __init__(self, decode: Decode, probe: Sequence[int]) -> None:
        """`probe` are the tokens of any plain letter."""
        self._decode = decode
        self._probe = list(probe)
        self._before = decode(self._probe)
        self._known: dict[int, str] = {}

    def __getitem__(self, token: int) -> str:
        text = self._known.get(token)
        if text is None:
            text = self._known[token] = self._decode([*self._probe, token])[len(self._before) :]
        return text
