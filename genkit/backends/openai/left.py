"""What messages hold and a request does not carry: found part by part, and reported once for each reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from ...types import Document, Message, Part, Text, Thinking, ToolResult
from ..base import Losses

__all__ = ["Left"]

JSON = dict[str, Any]
_Kind = Literal["dropped", "changed"]


class Left:
    """Counts what stays behind.

    Args:
        losses: Hears of it in the end.
        origin: Mark of the native data that is sent back.
    """

    __slots__ = ("_found", "_losses", "_origin")

    def __init__(self, losses: Losses, *, origin: str) -> None:
        self._losses = losses
        self._origin = origin
        self._found: dict[tuple[str, str, _Kind], int] = {}

    def add(self, subject: str, why: str, *, kind: _Kind = "dropped") -> None:
        """Count one part that loses `subject`."""
        self._found[subject, why, kind] = self._found.get((subject, why, kind), 0) + 1

    def signatures(self, messages: Sequence[Message]) -> None:
        """Count what other vendors signed; reasoning and items of theirs are reported as themselves."""
        for part in _all(messages):
            native = None if part.origin == self._origin else part.native
            if native and not isinstance(part, Thinking) and part.kind != "opaque" and _signed(native):
                self.add("signature", f"signatures from {part.origin or 'elsewhere'} cannot be sent back here")

    def text(self, part: Text, *, cited: bool = False, refused: bool = False) -> None:
        """Count what a text has besides its words, save what is sent: its citations, its being a refusal."""
        if part.citations and not cited:
            self.add("citations", "the request has no place for those of this text")
        if part.refusal and not refused:
            self.add("refusal", "only an answer can be one; sent as text", kind="changed")

    def name(self, part: Document) -> None:
        """Count the name of a file that goes by its id or its address; an upload has passed on its own."""
        if part.name and not (part.file_id and part.origin):
            self.add("name", "a document by URL or by file id goes without the name it is given here")

    def settle(self) -> None:
        """Report all that was counted."""
        for (subject, why, kind), count in self._found.items():
            self._losses.lose(subject, f"{why} ({count} part{'s' if count > 1 else ''})", kind=kind)


def _all(messages: Sequence[Message]) -> Iterator[Part]:
    for message in messages:
        for part in message.parts:
            yield part
            if isinstance(part, ToolResult):
                yield from part.parts


def _signed(native: object) -> bool:
    """Return whether there is a signature anywhere in a vendor's data; each vendor has a name of its own for it."""
    match native:
        case dict():
            return any(("signature" in str(name).lower() and value) or _signed(value) for name, value in native.items())
        case list() | tuple():
            return any(map(_signed, native))
        case _:
            return False
