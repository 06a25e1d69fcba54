"""Streams of events: taking an answer apart into them, and putting one together.

Every stream has the same grammar: per part `BlockStart`, deltas, `BlockEnd`; then one `Done` with the whole response.
"""

from __future__ import annotations

import codecs
import json
import math
from collections.abc import Iterable, Iterator
from typing import Any, Literal, TypeAlias

from pydantic_core import from_json, to_json

from .types import (
    BlockEnd,
    BlockStart,
    Candidate,
    Done,
    Event,
    Message,
    Part,
    Response,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)

__all__ = ["Block", "Blocks", "dump_json", "fold", "load_json", "parse_arguments", "replay"]

Streamed: TypeAlias = Literal["text", "thinking", "tool_call"]


class Block:
    """One part while it grows; decoders may set its attributes until it ends.

    Attributes:
        free: Whether what a tool is called with is a text of its own form, JSON or not, and no arguments.
    """

    __slots__ = (
        "candidate",
        "citations",
        "free",
        "half",
        "id",
        "index",
        "kind",
        "minted",
        "name",
        "native",
        "origin",
        "part",
        "pieces",
        "refusal",
    )

    def __init__(self, kind: Streamed, index: int, candidate: int) -> None:
        self.kind: Streamed = kind
        self.index = index
        self.candidate = candidate
        self.pieces: list[str] = []
        self.id = ""
        self.name = ""
        self.minted = False
        self.refusal = False
        self.free = False
        self.origin: str | None = None
        self.native: dict[str, Any] | None = None
        self.citations: list[dict[str, Any]] = []
        self.part: Part | None = None
        self.half = ""

    def build(self) -> Part:
        """Return the part as it stands."""
        if self.part is not None:
            return self.part
        text = "".join([*self.pieces, self.half])
        match self.kind:
            case "text":
                return Text(
                    text=text,
                    refusal=self.refusal,
                    citations=tuple(self.citations),
                    origin=self.origin,
                    native=self.native,
                )
            case "thinking":
                return Thinking(text=text, origin=self.origin, native=self.native)
            case "tool_call":
                arguments, raw = (None, text) if self.free else parse_arguments(text)
                return ToolCall(
                    id=self.id,
                    name=self.name,
                    arguments=arguments,
                    raw=raw,
                    minted=self.minted,
                    origin=self.origin,
                    native=self.native,
                )


class Blocks:
    """The parts of one answer while a stream fills them; every method returns the events to emit."""

    __slots__ = ("_blocks", "_candidate")

    def __init__(self, candidate: int = 0) -> None:
        self._candidate = candidate
        self._blocks: list[Block] = []

    @property
    def last(self) -> Block | None:
        """The newest block, if it is still open."""
        block = self._blocks[-1] if self._blocks else None
        return block if block is not None and block.part is None else None

    def open(self, kind: Streamed, *, id: str = "", name: str = "") -> tuple[Block, Event]:  # noqa: A002  # their word
        """Begin a part."""
        block = Block(kind, len(self._blocks), self._candidate)
        block.id, block.name = id, name
        self._blocks.append(block)
        return block, BlockStart(block.index, kind, id or None, name or None, self._candidate)

    def add(self, block: Block, piece: str) -> Event:
        """Let a part grow. Half of a character that was cut in two (a lone high surrogate) waits for the other half."""
        if block.half or "\ud800" <= piece[-1:] <= "\udbff":
            piece = (block.half + piece).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
            block.half = piece[-1:] if "\ud800" <= piece[-1:] <= "\udbff" else ""
            piece = piece.removesuffix(block.half)
        block.pieces.append(piece)
        if block.kind == "text":
            return TextDelta(block.index, piece, self._candidate)
        if block.kind == "thinking":
            return ThinkingDelta(block.index, piece, self._candidate)
        return ToolCallDelta(block.index, piece, self._candidate)

    def close(self, block: Block) -> Event:
        """End a part."""
        block.part = block.build()
        return BlockEnd(block.index, block.part, self._candidate)

    def insert(self, part: Part) -> list[Event]:
        """Add a part that came in one piece (an image, an item without a word here)."""
        block = Block("text", len(self._blocks), self._candidate)
        block.part = part
        self._blocks.append(block)
        kind: Any = part.kind
        return [BlockStart(block.index, kind, candidate=self._candidate), BlockEnd(block.index, part, self._candidate)]

    def grow(self, kind: Literal["text", "thinking"], piece: str, *, refusal: bool = False) -> list[Event]:
        """Let the current part grow, ending it and beginning another where the kind changes."""
        block = self.last
        if block is not None and block.kind == kind and block.refusal == refusal:
            return [self.add(block, piece)]
        events = self.end()
        block, start = self.open(kind)
        block.refusal = refusal
        return [*events, start, self.add(block, piece)]

    def end(self) -> list[Event]:
        """End all parts that are still open."""
        return [self.close(block) for block in self._blocks if block.part is None]

    def parts(self) -> tuple[Part, ...]:
        """Return all parts as they stand."""
        return tuple([block.build() for block in self._blocks])


def load_json(data: str | bytes, *, finite: bool = False) -> Any:
    """Parse JSON that may hold lone surrogates, as servers send that cut a text between the halves of an emoji.

    A byte order mark before it, which some servers send against the specification, is passed over.

    Args:
        data: The JSON.
        finite: Refuse the words NaN and Infinity, which are no JSON though many parsers take them.

    Raises:
        ValueError: If it is no JSON.
    """
    try:
        value = from_json(data, allow_inf_nan=not finite)
    except ValueError:
        if isinstance(data, bytes) and data.startswith(codecs.BOM_UTF8):
            return load_json(data.removeprefix(codecs.BOM_UTF8), finite=finite)
        if (b"\\ud" if isinstance(data, bytes) else "\\ud") not in data.lower():  # type: ignore[operator]  # both or neither
            raise
        value = _load_with_surrogates(data, finite=finite)
    if finite and not _is_finite(value):  # 1e400 is JSON, and no float
        raise ValueError("a number is beyond the range of floats")
    return value


def _load_with_surrogates(data: str | bytes, *, finite: bool) -> Any:
    try:
        return json.loads(data, parse_constant=_no_constant if finite else None)
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _is_finite(value: Any) -> bool:
    match value:
        case float():
            return math.isfinite(value)
        case dict():
            return all(map(_is_finite, value.values()))
        case list():
            return all(map(_is_finite, value))
        case _:
            return True


def dump_json(value: Any) -> str:
    """Return JSON, with lone surrogates, which UTF-8 cannot hold, escaped."""
    try:
        return to_json(value).decode()
    except ValueError:
        return json.dumps(value, separators=(",", ":"))


def parse_arguments(text: str) -> tuple[dict[str, Any] | None, str | None]:
    """Return a tool call's arguments, and what the model wrote where that is not the JSON of an object."""
    if not text.strip():
        return {}, None
    try:
        value = load_json(text, finite=True)
    except ValueError:
        return None, text
    return (value, None) if isinstance(value, dict) else (None, text)


def replay(response: Response[Any]) -> Iterator[Event]:
    """Take a finished response apart into the events of a stream."""
    answers = [response.message, *(candidate.message for candidate in response.alternatives)]
    for candidate, message in enumerate(answers):
        for index, part in enumerate(message.parts):
            yield from _replayed(part, index, candidate)
    yield Done(response)


def _replayed(part: Part, index: int, candidate: int) -> Iterator[Event]:
    match part:
        case Text(text=text):
            yield BlockStart(index, "text", candidate=candidate)
            if text:
                yield TextDelta(index, text, candidate)
        case Thinking(text=text):
            yield BlockStart(index, "thinking", candidate=candidate)
            if text:
                yield ThinkingDelta(index, text, candidate)
        case ToolCall(id=call_id, name=name):
            yield BlockStart(index, "tool_call", call_id, name, candidate)
            written = part.raw if part.arguments is None else dump_json(part.arguments)
            yield ToolCallDelta(index, written or "", candidate)
        case _:
            kind: Any = part.kind
            yield BlockStart(index, kind, candidate=candidate)
    yield BlockEnd(index, part, candidate)


def fold(events: Iterable[Event]) -> Response[Any]:
    """Return the response of a stream; of one without `Done`, what its deltas add up to, marked incomplete."""
    answers: dict[int, dict[int, Block]] = {}
    for event in events:
        match event:
            case Done(response=response):
                return response
            case BlockStart():
                kind: Any = event.block if event.block in ("text", "thinking", "tool_call") else "text"
                block = Block(kind, event.index, event.candidate)
                block.id, block.name = event.id or "", event.name or ""
                answers.setdefault(event.candidate, {})[event.index] = block
            case TextDelta(text=piece) | ThinkingDelta(text=piece) | ToolCallDelta(arguments=piece):
                answers[event.candidate][event.index].pieces.append(piece)
            case BlockEnd():
                answers[event.candidate][event.index].part = event.part
    messages = [_message(answers.get(candidate, {})) for candidate in range(max(answers, default=0) + 1)]
    others = tuple(Candidate(message=message, finish="other") for message in messages[1:])
    return Response(message=messages[0], finish="other", usage=Usage(), alternatives=others, complete=False)


def _message(blocks: dict[int, Block]) -> Message:
    return Message(role="assistant", parts=tuple(block.build() for _, block in sorted(blocks.items())))
