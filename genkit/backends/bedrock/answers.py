"""From Converse to genkit: whole answers and streams."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeGuard

from pydantic_core import from_json

from ...errors import BadResponse, GenkitError
from ...events import Block, Blocks, dump_json, load_json
from ...types import (
    Audio,
    CallWarning,
    Event,
    Finish,
    Image,
    Message,
    Opaque,
    Part,
    Response,
    Text,
    TextDelta,
    Thinking,
    ToolCall,
    Usage,
)
from ..body import misshapen
from ..wire import Exchange
from . import failures
from .media import MIMES
from .messages import MAKER
from .request import ANSWER_TOOL, ConverseRequest

__all__ = ["Decoder", "decode", "usage"]

JSON = dict[str, Any]

_FINISH: dict[str, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "refused",
    "content_filtered": "refused",
    "refusal": "refused",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
}
# Blocks without a word here that are known all the same: no note is due.
_KNOWN_BLOCKS = frozenset({"toolResult", "guardContent", "searchResult", "cachePoint", "document", "video"})
# Not kept in `native`: what the response says elsewhere, and padding.
_UNKEPT = frozenset({"output", "stopReason", "usage", "p"})
_GRACE_S = 5.0
_READ_DELTAS = frozenset({"text", "toolUse", "reasoningContent", "citation"})
_EVENTS = frozenset({"messageStart", "messageStop", "metadata", "initial-response"})


def decode(wire: ConverseRequest, data: JSON, exchange: Exchange, *, backend: str) -> Response[Any]:
    """Return the response for a whole answer.

    Raises:
        BadResponse: If it holds no message.
    """
    output = data.get("output")
    message = output.get("message") if isinstance(output, dict) else None
    if not isinstance(message, dict):
        raise BadResponse("the answer holds no message", sent=True, request_id=failures.request_id(exchange.headers))
    notes: list[CallWarning] = []
    parts = _said(message.get("content") or (), wire, notes)
    native = {name: value for name, value in data.items() if name not in _UNKEPT}
    return _response(
        wire,
        exchange,
        parts,
        notes,
        backend=backend,
        stop=data.get("stopReason"),
        counts=data.get("usage"),
        native=native,
    )


def _response(
    wire: ConverseRequest,
    exchange: Exchange,
    parts: Sequence[Part],
    notes: Sequence[CallWarning],
    *,
    backend: str,
    stop: Any,
    counts: Any,
    native: JSON,
    complete: bool = True,
) -> Response[Any]:
    finish = _FINISH.get(stop, "other") if isinstance(stop, str) else "other"
    if finish == "tool_calls" and wire.answer_tool and not any(isinstance(part, ToolCall) for part in parts):
        finish = "stop"
    return Response(
        message=Message(role="assistant", parts=tuple(parts)),
        finish=finish,
        finish_raw=stop if isinstance(stop, str) else None,
        usage=usage(counts),
        model=wire.model,
        backend=backend,
        api=wire.api,
        request_id=failures.request_id(exchange.headers),
        warnings=(*wire.warnings, *notes),
        timing=exchange.timing,
        complete=complete,
        native=native or None,
    )


def usage(counts: Any) -> Usage:
    """Return the disjoint usage: Bedrock counts what its cache gave or took apart from the input, as genkit does.

    Reasoning is not told apart from the rest of the answer.
    """
    if not isinstance(counts, dict):
        return Usage()
    return Usage(
        input=_count(counts, "inputTokens"),
        output=_count(counts, "outputTokens"),
        cache_read=_count(counts, "cacheReadInputTokens") or 0,
        cache_write=_count(counts, "cacheWriteInputTokens") or 0,
        raw=counts,
    )


def _count(counts: JSON, name: str) -> int | None:
    found = counts.get(name)
    return found if isinstance(found, int) and found >= 0 else None


# ---------------------------------------------------------------- blocks that are whole


def _said(blocks: Sequence[JSON], wire: ConverseRequest, notes: list[CallWarning]) -> list[Part]:
    """Return the parts of an answer; beside the call that is the answer, text is what the model thought of it."""
    if not wire.answer_tool:
        return [part for block in blocks for part in _parts(block, wire, notes)]
    calls = [call for block in blocks if _is_call(call := block.get("toolUse"))]
    aside = bool(calls) and calls[0]["name"] == ANSWER_TOOL
    found: list[Part] = []
    answered = False
    for block in blocks:
        parts = _parts(block, wire, notes)
        is_answer = _is_call(call := block.get("toolUse")) and call["name"] == ANSWER_TOOL
        if is_answer and answered:
            notes.append(_twice())
        if (is_answer and answered) or (aside and not is_answer):
            parts = [_aside(part, wire) for part in parts]
        answered = answered or is_answer
        found += parts
    return found


def _is_call(call: Any) -> TypeGuard[JSON]:
    """Return whether it is a call that the caller answers."""
    return call is not None and call.get("type") != "server_tool_use"


def _aside(part: Part, wire: ConverseRequest) -> Part:
    return Thinking(text=part.text, origin=wire.origin) if isinstance(part, Text) and not part.citations else part


def _twice() -> CallWarning:
    message = "the model gave its answer more than once; the first is taken, and what follows is kept as its reasoning"
    return CallWarning(kind="note", subject="output_schema", message=message)


def _parts(block: JSON, wire: ConverseRequest, notes: list[CallWarning]) -> list[Part]:
    """Return what stands for a content block; an empty text stands for nothing."""
    if (text := block.get("text")) is not None:
        return [Text(text=text)] if text else []
    if (call := block.get("toolUse")) is not None:
        return [_call(call, block, wire)]
    if (thought := block.get("reasoningContent")) is not None:
        return [_thought(thought, block, wire)]
    if (cited := block.get("citationsContent")) is not None:
        text = "".join(piece.get("text") or "" for piece in cited.get("content") or ())
        citations = tuple(cited.get("citations") or ())
        return [Text(text=text, citations=citations, origin=wire.origin, native=_marked({}, wire))]
    for kind in ("image", "audio"):
        if (heard := block.get(kind)) is not None and (data := (heard.get("source") or {}).get("bytes")):
            return [_media(kind, heard.get("format"), base64.b64decode(data), wire)]
    return [_opaque(block, wire, notes)]


def _call(call: JSON, block: JSON, wire: ConverseRequest) -> Part:
    if call.get("type") == "server_tool_use":
        return Opaque(type="server_tool_use", origin=wire.origin, native=_marked(block, wire))
    given = call.get("input")
    if wire.answer_tool and call["name"] == ANSWER_TOOL:
        return Text(text=dump_json(_unwrapped(given) if wire.wrapped else given))
    name = wire.names.get(call["name"], call["name"])
    if isinstance(given, dict):
        return ToolCall(id=call["toolUseId"], name=name, arguments=given)
    return ToolCall(id=call["toolUseId"], name=name, arguments=None, raw=dump_json(given))


def _unwrapped(given: Any) -> Any:
    return given["value"] if isinstance(given, dict) and given.keys() == {"value"} else given


def _thought(thought: JSON, block: JSON, wire: ConverseRequest) -> Part:
    if (shown := thought.get("reasoningText")) is not None:
        return Thinking(text=shown.get("text") or "", origin=wire.origin, native=_signed(shown.get("signature"), wire))
    if (hidden := thought.get("redactedContent")) is not None:
        return Thinking(redacted=True, origin=wire.origin, native={MAKER: wire.maker, "redactedContent": hidden})
    return Opaque(type="reasoningContent", origin=wire.origin, native=_marked(block, wire))


def _signed(signature: str | None, wire: ConverseRequest) -> JSON | None:
    return {MAKER: wire.maker, "signature": signature} if signature else None


def _marked(native: JSON, wire: ConverseRequest) -> JSON | None:
    """Return native data with the mark of whose models can read them, where that is known."""
    return {MAKER: wire.maker, **native} if wire.maker else native or None


def _media(kind: str, form: Any, data: bytes, wire: ConverseRequest) -> Part:
    media = MIMES[kind].get(form, f"{kind}/{form}")
    if kind == "audio":
        return Audio(data=data, mime=media, origin=wire.origin)
    return Image(data=data, mime=media, origin=wire.origin)


def _opaque(block: JSON, wire: ConverseRequest, notes: list[CallWarning]) -> Part:
    kind = next(iter(block), "nothing")
    if kind not in _KNOWN_BLOCKS and "error" not in (block[kind] if isinstance(block.get(kind), dict) else ()):
        message = f"Bedrock answered with a {kind!r}, which genkit has no word for; it is kept as it came"
        notes.append(CallWarning(kind="note", subject=kind, message=message))
    # What a guardrail says is the service's, whatever the model.
    return Opaque(type=kind, origin=wire.origin, native=block if kind == "guardContent" else _marked(block, wire))


# ---------------------------------------------------------------- streams


class Decoder:
    """Turns the frames of one stream into events."""

    def __init__(self, wire: ConverseRequest, *, backend: str) -> None:
        self.finished = False
        self._wire = wire
        self._backend = backend
        self._blocks = Blocks()
        self._open: dict[int, _Grown] = {}
        # The block that grows, and its index: nine of ten frames belong to it.
        self._text: Block | None = None
        self._text_index = -1
        self._stop: str | None = None
        self._metadata: JSON | None = None
        self._native: JSON = {}
        self._notes: list[CallWarning] = []
        # Where a tool's call may be the answer, text waits until it is known what it is.
        self._undecided = wire.answer_tool
        self._waiting: list[Any] = []
        self._spoken: Literal["text", "thinking"] = "text"
        self._answered = False

    @property
    def complete(self) -> bool:
        """Whether the end of the message was seen; the counts may be missing all the same."""
        return self._stop is not None

    @property
    def settled(self) -> bool:
        """Whether nothing but the counts can come."""
        return self.complete

    @property
    def grace_s(self) -> float | None:
        """Seconds to wait for the counts, which come right after the answer if they come."""
        return _GRACE_S if self.complete else None

    def feed(self, frame: Any) -> Sequence[Event]:
        """Return the events of one frame."""
        try:
            return self._weigh(frame) if self._undecided else self._read(frame)
        except GenkitError:
            raise
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            raise misshapen(error, frame.payload) from error

    def _read(self, frame: Any) -> Sequence[Event]:
        headers, payload = frame.headers, frame.payload
        kind = headers.get(":event-type")
        if kind == "contentBlockDelta":
            try:
                data = from_json(payload)
            except ValueError:
                data = load_json(payload)
            delta, index = data["delta"], data["contentBlockIndex"]
            if index == self._text_index and (piece := delta.get("text")) and len(delta) == 1:
                block = self._text
                if block is not None and not block.half and type(piece) is str and piece[-1] < "\ud800":
                    block.pieces.append(piece)
                    return (TextDelta(block.index, piece),)
            return self._delta(index, delta)
        message_type = headers.get(":message-type")
        if message_type == "exception":
            raise failures.in_stream(str(headers.get(":exception-type", "")), payload, backend=self._backend)
        if message_type == "error":
            said = headers.get(":error-message")
            raise failures.in_stream(
                str(headers.get(":error-code", "")), payload, backend=self._backend, message=str(said) if said else None
            )
        return self._event(str(kind), load_json(payload) if payload else {})

    def _weigh(self, frame: Any) -> Sequence[Event]:
        """Hold text back until a call, or the end, says whether it is the answer or was thought before it."""
        kind = frame.headers.get(":event-type")
        data = load_json(frame.payload) if kind in ("contentBlockStart", "contentBlockDelta") else {}
        call = (data.get("start") or {}).get("toolUse")
        if _is_call(call):
            return [*self._decide(thought=call["name"] == ANSWER_TOOL), *self._read(frame)]
        if kind in ("messageStop", None):
            return [*self._decide(thought=False), *self._read(frame)]
        if self._waiting or (data.get("delta") or {}).get("text"):
            self._waiting.append(frame)
            return ()
        return self._read(frame)

    def _decide(self, *, thought: bool) -> Sequence[Event]:
        self._undecided = False
        self._spoken = "thinking" if thought else "text"
        waiting, self._waiting = self._waiting, []
        return [event for frame in waiting for event in self._read(frame)]

    def _event(self, kind: str, data: JSON) -> Sequence[Event]:
        match kind:
            case "contentBlockStart":
                return self._start(data["contentBlockIndex"], data.get("start") or {})
            case "contentBlockStop":
                return self._end(data["contentBlockIndex"])
            case "messageStop":
                self._stop = data.get("stopReason") or "unknown"
                self._keep(data)
            case "metadata":
                self._metadata = data
                self._keep(data)
            case _ if kind not in _EVENTS:
                message = f"the stream holds a {kind!r}, which genkit has no word for; it is left out"
                self._notes.append(CallWarning(kind="note", subject=kind, message=message))
        self.finished = self._stop is not None and self._metadata is not None
        return ()

    def _keep(self, data: JSON) -> None:
        self._native |= {name: value for name, value in data.items() if name not in _UNKEPT}

    # ------------------------------------------------------------ blocks

    def _start(self, index: int, start: JSON) -> Sequence[Event]:
        call = start.get("toolUse")
        if call is None or call.get("type") == "server_tool_use":
            if start:
                self._open[index] = _Grown(start)
            return ()
        if self._wire.answer_tool and call["name"] == ANSWER_TOOL:
            return self._answer(index, start)
        name = self._wire.names.get(call["name"], call["name"])
        block, event = self._blocks.open("tool_call", id=call["toolUseId"], name=name)
        self._open[index] = _Grown(start, block)
        return (event,)

    def _answer(self, index: int, start: JSON) -> Sequence[Event]:
        """Begin the answer, where it is a call of a tool; another one after it is no answer."""
        again, self._answered = self._answered, True
        if again:
            self._notes.append(_twice())
        grown = self._open[index] = _Grown(start)
        grown.again = again
        if self._wire.wrapped:
            return ()
        grown.compact = _Compact()
        grown.block, event = self._blocks.open("thinking" if again else "text")
        if again:
            grown.block.origin = self._wire.origin
        return (event,)

    def _delta(self, index: int, delta: JSON) -> Sequence[Event]:
        grown = self._open.get(index)
        if grown is None:
            grown = self._open[index] = _Grown({})
        grown.deltas += [(kind, value) for kind, value in delta.items() if kind not in _READ_DELTAS]
        events: list[Event] = []
        # Some models open with an empty piece where nothing but a call follows; that is no part.
        if (piece := delta.get("text")) is not None and (piece or grown.block is not None):
            events += self._grow(grown, self._spoken, piece)
            if self._spoken == "text":
                self._text, self._text_index = grown.block, index
            elif grown.block is not None:
                grown.block.origin = self._wire.origin
        if (call := delta.get("toolUse")) is not None:
            events += self._called(grown, call.get("input") or "")
        if (thought := delta.get("reasoningContent")) is not None:
            events += self._reason(grown, thought)
        if (citation := delta.get("citation")) is not None:
            events += self._grow(grown, "text", "")
            assert grown.block is not None
            grown.block.origin, grown.block.native = self._wire.origin, _marked({}, self._wire)
            grown.block.citations.append(citation)
        return events

    def _called(self, grown: _Grown, piece: str) -> Sequence[Event]:
        if grown.block is None:
            grown.input.append(piece)
            return ()
        if grown.compact is not None:
            piece = grown.compact.feed(piece)
            return (self._blocks.add(grown.block, piece),) if piece else ()
        return (self._blocks.add(grown.block, piece),)

    def _reason(self, grown: _Grown, thought: JSON) -> Sequence[Event]:
        if (hidden := thought.get("redactedContent")) is not None:
            return self._hide(grown, hidden)
        events: list[Event] = []
        if (piece := thought.get("text")) is not None:
            events = self._grow(grown, "thinking", piece)
        if signature := thought.get("signature"):
            if grown.block is None:
                events = self._grow(grown, "thinking", "")
            assert grown.block is not None
            before = (grown.block.native or {}).get("signature", "")
            grown.block.native = _signed(before + signature, self._wire)
        if grown.block is not None:
            grown.block.origin = self._wire.origin
        return events

    def _hide(self, grown: _Grown, hidden: str) -> Sequence[Event]:
        """Let redacted reasoning grow, which takes its place among the parts when it begins."""
        events: list[Event] = []
        if grown.sealed is None:
            grown.sealed, start = self._blocks.open("thinking")
            events.append(start)
        grown.hidden += base64.b64decode(hidden)
        native = {MAKER: self._wire.maker, "redactedContent": base64.b64encode(grown.hidden).decode()}
        grown.sealed.part = Thinking(redacted=True, origin=self._wire.origin, native=native)
        return events

    def _grow(self, grown: _Grown, kind: Any, piece: str) -> list[Event]:
        events: list[Event] = []
        if grown.block is None:
            grown.block, start = self._blocks.open(kind)
            events.append(start)
        if piece:
            events.append(self._blocks.add(grown.block, piece))
        return events

    def _end(self, index: int) -> Sequence[Event]:
        grown = self._open.pop(index, None)
        if index == self._text_index:
            self._text, self._text_index = None, -1
        if grown is None:
            return ()
        ends: list[Event] = [self._blocks.close(block) for block in (grown.sealed, grown.block) if block is not None]
        if ends:
            for kind in dict.fromkeys(kind for kind, _ in grown.deltas):
                message = f"a part holds a {kind!r}, which genkit has no word for; it is left out"
                self._notes.append(CallWarning(kind="note", subject=kind, message=message))
            return ends
        part = grown.part(self._wire, self._notes)
        if part is None:
            return ()
        return self._blocks.insert(_aside(part, self._wire) if grown.again else part)

    def end(self) -> Sequence[Event]:
        """Return the ends of the blocks that are open."""
        return [event for index in sorted(self._open) for event in self._end(index)]

    def response(self, exchange: Exchange) -> Response[Any]:
        """Return the answer as it stands."""
        notes = self._notes
        if self.complete and self._metadata is None:
            message = "the stream ended after its answer and before the counts of its tokens, which are not known"
            notes = [*notes, CallWarning(kind="note", subject="usage", message=message)]
        return _response(
            self._wire,
            exchange,
            [*self._blocks.parts(), *self._waits()],
            notes,
            backend=self._backend,
            stop=self._stop,
            counts=(self._metadata or {}).get("usage"),
            native=self._native,
            complete=self.complete,
        )

    def _waits(self) -> list[Part]:
        """Return the text that is held back, for who looks at a stream before its end."""
        deltas = [load_json(f.payload) for f in self._waiting if f.headers.get(":event-type") == "contentBlockDelta"]
        text = "".join(data["delta"].get("text") or "" for data in deltas)
        return [Text(text=text)] if text else []


class _Compact:
    """Takes the white space out of JSON that comes in pieces, since a whole answer has none either."""

    __slots__ = ("_escaped", "_inside")

    def __init__(self) -> None:
        self._inside = self._escaped = False

    def feed(self, piece: str) -> str:
        """Return the piece without white space, save inside of strings."""
        kept: list[str] = []
        for character in piece:
            if self._escaped:
                self._escaped = False
            elif self._inside:
                self._escaped = character == "\\"
                self._inside = character != '"'
            elif character in " \t\r\n":
                continue
            else:
                self._inside = character == '"'
            kept.append(character)
        return "".join(kept)


class _Grown:
    """One content block while it comes.

    Attributes:
        start: What its first frame said.
        block: The part that grows, of text, reasoning or a call.
        input: Pieces of the arguments of a call that is no part of ours.
        hidden: Redacted reasoning.
        sealed: The part that it is.
        compact: What takes the white space out of an answer, where a call is one.
        again: Whether it is a call of the answer's tool after the first.
        deltas: All other pieces, by kind.
    """

    __slots__ = ("again", "block", "compact", "deltas", "hidden", "input", "sealed", "start")

    def __init__(self, start: JSON, block: Block | None = None) -> None:
        self.start = start
        self.block = block
        self.input: list[str] = []
        self.hidden = b""
        self.sealed: Block | None = None
        self.compact: _Compact | None = None
        self.again = False
        self.deltas: list[tuple[str, Any]] = []

    def part(self, wire: ConverseRequest, notes: list[CallWarning]) -> Part | None:
        """Return what stands for a block that came without text, as a whole answer would hold it."""
        if (call := self.start.get("toolUse")) is not None:
            block = {"toolUse": {**call, "input": _loaded("".join(self.input))}}
            return _parts(block, wire, notes)[0]
        kind = next(iter(self.start), None) or next((kind for kind, _ in self.deltas), None)
        if kind is None:
            return None
        pieces = [value for name, value in self.deltas if name == kind]
        begun: JSON = {**self.start.get(kind, {})}
        if kind in ("image", "audio"):
            return self._media(kind, begun, pieces, wire, notes)
        if kind == "toolResult":
            begun["content"] = [item for piece in pieces for item in (piece if isinstance(piece, list) else [piece])]
        elif pieces:
            begun = (
                {**begun, "deltas": pieces}
                if len(pieces) > 1 or not isinstance(pieces[0], dict)
                else {**begun, **pieces[0]}
            )
        return _opaque({kind: begun}, wire, notes)

    def _media(
        self, kind: str, begun: JSON, pieces: list[Any], wire: ConverseRequest, notes: list[CallWarning]
    ) -> Part:
        data = b"".join(base64.b64decode((piece.get("source") or {}).get("bytes") or "") for piece in pieces)
        if data:
            return _media(kind, begun.get("format"), data, wire)
        whole: Mapping[str, Any] = {name: value for piece in pieces for name, value in piece.items()}
        return _opaque({kind: {**begun, **whole}}, wire, notes)


def _loaded(text: str) -> Any:
    try:
        return load_json(text) if text else {}
    except ValueError:
        return text
