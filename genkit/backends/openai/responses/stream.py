"""Streams of the Responses interface: events in, parts while they grow.

Blocks open as soon as their kind is known and close when their item is done. The terminator carries the whole response
once more: what the stream left out of it is caught up as deltas; where it contradicts what was streamed, the streamed
text stays, since it has been read already, and a warning says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from ....events import Block, Blocks, load_json
from ....types import (
    BlockStart,
    CallWarning,
    Event,
    Image,
    Opaque,
    Part,
    Response,
    Thinking,
    TokenLogprob,
    ToolCall,
)
from ...wire import Exchange, WireRequest
from .. import failures
from .answer import Reader, failed, make_response, read_logprobs, read_usage, thought, token_logprobs, written

__all__ = ["Decoder"]

JSON = dict[str, Any]


class _Item:
    """One output item while it streams.

    Attributes:
        blocks: Its blocks by content index.
        section: Number of the summary or content section that is growing.
        pending: Arguments that came before the name of their call.
        field: Whether its thinking began with the summary or with the content; the other one follows when it is done.
        other: That other one, as far as it has come, and `part` the number of its section that is growing.
        done: All its blocks have ended.
    """

    __slots__ = ("blocks", "done", "field", "other", "part", "pending", "section")

    def __init__(self) -> None:
        self.blocks: dict[int, Block] = {}
        self.section = 0
        self.pending: list[str] = []
        self.field: str | None = None
        self.other: list[str] = []
        self.part = 0
        self.done = False

    def rest(self) -> str:
        """Return what the second text of the reasoning says beyond the first; some servers send one text as both."""
        shown, other = ("".join(self.blocks[0].pieces) if 0 in self.blocks else ""), "".join(self.other)
        if self.done or not other or shown.startswith(other) or other.startswith(shown):
            return ""
        return f"\n\n{other}"


class Decoder:
    """Turns the frames of one stream into events."""

    def __init__(self, wire: WireRequest, *, backend: str) -> None:
        self.finished = False
        self._wire = wire
        self._backend = backend
        self._blocks = Blocks()
        self._items: dict[int | str, _Item] = {}
        self._reader = Reader(wire.origin, None)
        self._data: JSON = {}
        self._parts: Sequence[Part] | None = None
        self._logprobs: list[TokenLogprob] = []
        self._disagrees = False
        # The text block that grows now, with its place: most events go there.
        self._text: Block | None = None
        self._place: tuple[Any, Any] = (None, None)

    @property
    def complete(self) -> bool:
        """Whether the terminator was seen; there is no whole answer without it."""
        return self.finished

    def feed(self, frame: Any) -> Sequence[Event]:
        """Return the events of one frame.

        Raises:
            GenkitError: The typed error for an `error` event or a failed response.
        """
        event = self._parse(frame.data)
        kind = event.get("type")
        if kind == "response.output_text.delta" and self._text is not None:
            block, piece = self._text, event["delta"]
            place = (event.get("output_index"), event.get("content_index"))
            if place == self._place and type(piece) is str:
                if event.get("logprobs"):
                    self._logprobs.extend(token_logprobs(event["logprobs"]))
                return (self._blocks.add(block, piece),)
        if kind is None:
            bare = event.get("error") or event.get("object") == "error"
            kind = "error" if bare else getattr(frame, "event", None)
        handle = self._HANDLERS.get(kind or "")
        return () if handle is None or self.finished else handle(self, event)

    def response(self, exchange: Exchange) -> Response[Any]:
        """Return the answer as it stands."""
        parts = self._unfinished() if self._parts is None else self._parts
        warnings = self._wire.warnings
        if self._disagrees:
            note = "the streamed pieces differ from the vendor's final answer; the pieces were kept"
            warnings = (*warnings, CallWarning(kind="note", subject="stream", message=note))
        return make_response(
            self._wire,
            self._data,
            exchange,
            parts=parts,
            logprobs=read_logprobs(self._data.get("output") or ()) or tuple(self._logprobs) or None,
            backend=self._backend,
            warnings=warnings,
        )

    def _unfinished(self) -> Sequence[Part]:
        """Return the parts as they stand, with the reasoning that waits for the end of its item."""
        parts = list(self._blocks.parts())
        for item in self._items.values():
            if rest := item.rest():
                at = item.blocks[0].index
                parts[at] = Thinking(text=f"{written(parts[at])}{rest}")
        return parts

    def end(self) -> Sequence[Event]:
        """Return the ends of blocks that are still open."""
        events: list[Event] = []
        for item in self._items.values():
            if not item.done:
                if rest := item.rest():
                    events.append(self._blocks.add(item.blocks[0], rest))
                item.done = True
                events.extend([self._blocks.close(block) for block in item.blocks.values()])
        return events

    def _parse(self, data: Any) -> JSON:
        try:
            event = load_json(data)
        except ValueError:
            text = data if isinstance(data, str) else bytes(data).decode("utf-8", "replace")
            # Chat's terminator, which some servers send here as well; it proves nothing about the answer.
            if text.strip() in ("[DONE]", ""):
                return {"type": "done"}
            raise
        if not isinstance(event, dict):
            raise TypeError("an event is a JSON object")
        return event

    # ------------------------------------------------------------ the frame around the items

    def _began(self, event: JSON) -> Sequence[Event]:
        self._keep(event["response"])
        return ()

    def _keep(self, data: JSON) -> None:
        if not isinstance(data, dict):
            raise TypeError("a response is a JSON object")
        for name in ("id", "model", "status"):
            if not isinstance(data.get(name), str | None):
                raise TypeError(f"{name!r} of the response is no text")
        read_usage(data.get("usage"))
        if not self._data:
            self._reader = Reader(self._wire.origin, data.get("id"))
        self._data = data

    def _failed(self, event: JSON) -> Sequence[Event]:
        self._keep(event["response"])
        raise failed(self._data, backend=self._backend)

    def _error(self, event: JSON) -> Sequence[Event]:
        # The event's own type is no code of the error.
        fields = {name: value for name, value in event.items() if name != "type" or value != "error"}
        raise failures.in_stream(event.get("error") or fields, backend=self._backend)

    def _ended(self, event: JSON) -> Sequence[Event]:
        before = self._data
        try:
            events = self._compare(event)
            # A misshapen end is to fail here, where the reader knows the frame, and not when the answer is asked for.
            self.response(Exchange())
            self.finished = True
        finally:
            if not self.finished:
                self._data, self._parts = before, None
        return events

    def _compare(self, event: JSON) -> list[Event]:
        """Compare the whole response with what was streamed, and catch up what was not."""
        self._keep(event["response"])
        if self._data.get("status") is None:
            self._data = {**self._data, "status": (event.get("type") or "response.completed").removeprefix("response.")}
        output = self._data.get("output") or []
        reader = Reader(self._wire.origin, self._data.get("id"))
        events: list[Event] = []
        final: list[Part] = []
        for index, entry in enumerate(output):
            parts = reader.parts(entry, index)
            final.extend(parts)
            item = self._items.get(index) or self._items.get(entry.get("id") or "")
            if item is None:
                item = self._items[index] = _Item()
            if not item.done:
                events.extend(self._settle(item, parts))
        events.extend(self.end())
        streamed = self._blocks.parts()
        if [_signature(part) for part in streamed] == [_signature(part) for part in final]:
            self._parts = final
        else:
            self._parts = streamed
            # Some servers end with an empty output; that contradicts nothing.
            self._disagrees = bool(output)
        return events

    # ------------------------------------------------------------ items

    def _item(self, event: JSON) -> _Item:
        """Return the item of an event. Ids are no key: some servers give each event another one."""
        key = event.get("output_index")
        if key is None:
            key = event.get("item_id") or (event.get("item") or {}).get("id") or ""
        item = self._items.get(key)
        if item is None:
            item = self._items[key] = _Item()
        return item

    def _added(self, event: JSON) -> Sequence[Event]:
        entry, item = event["item"], self._item(event)
        if item.blocks or item.done:
            return ()
        match entry.get("type"):
            case "message":
                return ()
            case "reasoning":
                return self._open(item, 0, "thinking")
            case "function_call" | "custom_tool_call":
                return self._call(item, entry, event.get("output_index") or 0)
            case kind:
                block, _ = self._blocks.open("text")
                block.part = self._reader.opaque(entry)
                item.blocks[0] = block
                return (BlockStart(block.index, "image" if kind == "image_generation_call" else "opaque"),)

    def _open(self, item: _Item, index: int, kind: Any) -> list[Event]:
        item.blocks[index], start = self._blocks.open(kind)
        return [start]

    def _call(self, item: _Item, entry: JSON, index: int) -> list[Event]:
        if entry["type"] == "custom_tool_call":
            call = self._reader.custom_call(entry, index)
        else:
            call = self._reader.call({**entry, "arguments": ""}, index)
        block, start = self._blocks.open("tool_call", id=call.id, name=call.name)
        block.minted, block.origin, block.native = call.minted, call.origin, call.native
        block.free = entry["type"] == "custom_tool_call"
        item.blocks[0] = block
        return [start, *(self._blocks.add(block, piece) for piece in item.pending)]

    def _done(self, event: JSON) -> Sequence[Event]:
        item, entry = self._item(event), event["item"]
        if item.done:
            return ()
        return self._settle(item, self._reader.parts(entry, event.get("output_index") or 0))

    def _settle(self, item: _Item, parts: Sequence[Part]) -> list[Event]:
        """End an item with its parts as the vendor says they are in the end."""
        events: list[Event] = []
        for index, part in enumerate(parts):
            block = item.blocks.get(index)
            text = written(part)
            if isinstance(part, Thinking) and part.native:
                # The part says it in the order of a plain answer, its pieces in the order they came in.
                text = thought(part.native, first=item.field or "content")
            if block is None:
                events.extend(self._whole(item, index, part))
                block = item.blocks[index]
            elif block.part is None or isinstance(block.part, Opaque):
                block.part = None
                events.extend(self._catch_up(block, text))
            if "".join(block.pieces) == text:
                block.part = part
            else:
                self._disagrees = True
                block.origin, block.native = part.origin, part.native
                if isinstance(part, ToolCall) and part.native and "arguments" in part.native["item"]:
                    item_read = {**part.native["item"], "arguments": "".join(block.pieces)}
                    block.native = {**part.native, "item": item_read}
        item.done = True
        self._text = None
        events.extend([self._blocks.close(block) for block in item.blocks.values()])
        return events

    def _whole(self, item: _Item, index: int, part: Part) -> list[Event]:
        """Return start and text of a part that was not streamed."""
        match part:
            case ToolCall(id=call_id, name=name):
                block, start = self._blocks.open("tool_call", id=call_id, name=name)
            case Opaque() | Image():
                block, _ = self._blocks.open("text")
                start = BlockStart(block.index, part.kind)
            case _:
                kind: Any = part.kind
                block, start = self._blocks.open(kind)
        item.blocks[index] = block
        return [start, *self._catch_up(block, written(part))]

    def _catch_up(self, block: Block, text: str) -> list[Event]:
        """Add what a text has beyond the pieces seen so far."""
        seen = "".join(block.pieces)
        missing = text[len(seen) :] if text.startswith(seen) else ""
        return [self._blocks.add(block, missing)] if missing else []

    # ------------------------------------------------------------ pieces

    def _part_added(self, event: JSON) -> Sequence[Event]:
        kind = event["part"].get("type")
        if kind not in ("output_text", "refusal"):
            return ()
        return self._content(event, refusal=kind == "refusal")[1]

    def _content(self, event: JSON, *, refusal: bool) -> tuple[Block, list[Event]]:
        """Return the block of a message's content part, opened where it is not."""
        item, index = self._item(event), event.get("content_index") or 0
        events: list[Event] = []
        if index not in item.blocks:
            events = self._open(item, index, "text")
            item.blocks[index].refusal = refusal
        return item.blocks[index], events

    def _text_delta(self, event: JSON) -> Sequence[Event]:
        block, events = self._content(event, refusal=False)
        if block.part is not None:
            return events
        self._text = block
        self._place = (event.get("output_index"), event.get("content_index"))
        if event.get("logprobs"):
            self._logprobs.extend(token_logprobs(event["logprobs"]))
        return [*events, self._blocks.add(block, _string(event, "delta"))]

    def _text_done(self, event: JSON) -> Sequence[Event]:
        block, events = self._content(event, refusal=False)
        return [*events, *self._catch_up(block, _string(event, "text"))] if block.part is None else events

    def _refusal_delta(self, event: JSON) -> Sequence[Event]:
        block, events = self._content(event, refusal=True)
        return [*events, self._blocks.add(block, _string(event, "delta"))] if block.part is None else events

    def _annotated(self, event: JSON) -> Sequence[Event]:
        block, events = self._content(event, refusal=False)
        if isinstance(event.get("annotation"), dict):
            block.citations.append(event["annotation"])
        return events

    def _input_done(self, event: JSON) -> Sequence[Event]:
        block = self._item(event).blocks.get(0)
        if block is None or block.part is not None:
            return ()
        return self._catch_up(block, _string(event, "input"))

    def _arguments_delta(self, event: JSON) -> Sequence[Event]:
        item, piece = self._item(event), _string(event, "delta")
        block = item.blocks.get(0)
        if block is None:
            item.pending.append(piece)
            return ()
        return (self._blocks.add(block, piece),) if block.part is None else ()

    def _arguments_done(self, event: JSON) -> Sequence[Event]:
        block = self._item(event).blocks.get(0)
        if block is None or block.part is not None:
            return ()
        return self._catch_up(block, _string(event, "arguments"))

    def _summary(self, event: JSON) -> Sequence[Event]:
        return self._think(event, "summary", event.get("summary_index") or 0)

    def _reasoning(self, event: JSON) -> Sequence[Event]:
        return self._think(event, "content", event.get("content_index") or 0)

    def _think(self, event: JSON, field: str, section: int) -> Sequence[Event]:
        """Let thinking grow; sections are set apart as in a whole answer."""
        item = self._item(event)
        item.field = item.field or field
        if item.field != field:
            gap = "\n\n" * max(0, section - item.part)
            item.part = max(section, item.part)
            item.other.append(gap + (_string(event, "delta") if "delta" in event else ""))
            return ()
        events: list[Event] = [] if 0 in item.blocks else self._open(item, 0, "thinking")
        block = item.blocks[0]
        if block.part is not None:
            return events
        gap = "\n\n" * max(0, section - item.section)
        item.section = max(section, item.section)
        piece = gap + (_string(event, "delta") if "delta" in event else "")
        return [*events, self._blocks.add(block, piece)] if piece else events

    # Events that are not here tell nothing that the done item or the final response does not tell as well.
    _HANDLERS: ClassVar[dict[str, Callable[[Decoder, JSON], Sequence[Event]]]] = {
        "response.created": _began,
        "response.queued": _began,
        "response.in_progress": _began,
        "response.completed": _ended,
        "response.incomplete": _ended,
        "response.cancelled": _ended,
        "response.failed": _failed,
        "error": _error,
        "response.output_item.added": _added,
        "response.output_item.done": _done,
        "response.content_part.added": _part_added,
        "response.output_text.delta": _text_delta,
        "response.output_text.done": _text_done,
        "response.output_text.annotation.added": _annotated,
        "response.refusal.delta": _refusal_delta,
        "response.function_call_arguments.delta": _arguments_delta,
        "response.function_call_arguments.done": _arguments_done,
        "response.custom_tool_call_input.delta": _arguments_delta,
        "response.custom_tool_call_input.done": _input_done,
        "response.reasoning_summary_part.added": _summary,
        "response.reasoning_summary_text.delta": _summary,
        "response.reasoning_text.delta": _reasoning,
    }


def _string(event: JSON, name: str) -> str:
    value = event[name]
    if not isinstance(value, str):
        raise TypeError(f"{name!r} of {event.get('type')} is no text")
    return value


def _signature(part: Part) -> tuple[str, str]:
    return part.kind, part.type if isinstance(part, Opaque) else written(part)
