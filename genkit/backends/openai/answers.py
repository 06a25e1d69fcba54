"""From Chat Completions to genkit: whole answers and streams, through one path, so that both end in equal responses."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any, Literal

from pydantic_core import from_json

from ...errors import BadResponse
from ...events import Block, Blocks, load_json
from ...types import (
    Audio,
    CallWarning,
    Candidate,
    Event,
    Finish,
    Image,
    Message,
    Opaque,
    Response,
    Text,
    TextDelta,
    Thinking,
    TokenLogprob,
)
from ..wire import Exchange, WireRequest
from . import failures
from .calls import Calls, is_whole, keep_more, keep_wording, written
from .counts import usage
from .thinking import NAMES, Reasoning

__all__ = ["Decoder", "decode"]

JSON = dict[str, Any]

_FINISH: dict[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "refused",
    # Words of compatible services: Together, Mistral, DeepSeek, OpenRouter.
    "eos": "stop",
    "model_length": "length",
    "insufficient_system_resource": "error",
    "error": "error",
}

_MESSAGE = frozenset(
    {"role", "content", "refusal", "tool_calls", "function_call", "annotations", "audio", "images", "reasoning_details"}
    | set(NAMES)
)
_CHOICE = frozenset({"index", "delta", "message", "finish_reason", "logprobs", "usage"})
_HEAD = frozenset({"id", "object", "created", "model", "choices", "usage", "service_tier", "system_fingerprint"})
_USUAL_HEAD = _HEAD | {"obfuscation", "provider"}
_USUAL_CHOICE = frozenset({"index", "delta", "finish_reason", "logprobs"})
_WHOLE_CHOICE = frozenset({"index", "message", "finish_reason", "logprobs"})
_SAID = frozenset({"role", "content"})
# Not kept: what is said elsewhere in the response, and padding.
_UNKEPT = frozenset({"id", "object", "model", "choices", "usage", "obfuscation"})
_AUDIO_MIME = {"wav": "audio/wav", "mp3": "audio/mpeg", "flac": "audio/flac", "opus": "audio/ogg", "aac": "audio/aac"}


def decode(wire: WireRequest, data: JSON, exchange: Exchange, *, backend: str) -> Response[Any]:
    """Return the response for a whole answer.

    Raises:
        GenkitError: If the answer is an error in spite of its status 200.
        BadResponse: If it has no choices, or one of them is no answer.
    """
    plain = _plain(wire, data, exchange, backend=backend)
    if plain is not None:
        return plain
    decoder = Decoder(wire, backend=backend)
    decoder.take(data, exchange)
    decoder.finished = True
    decoder.end()
    return decoder.response(exchange)


def _plain(wire: WireRequest, data: JSON, exchange: Exchange, *, backend: str) -> Response[Any] | None:
    """Return the response for one answer of text alone, as nearly all are, past all the cases; None for any other."""
    choices = data.get("choices")
    if (
        data.get("object") == "error"
        or not data.keys() <= _USUAL_HEAD
        or type(choices) is not list
        or len(choices) != 1
    ):
        return None
    choice = choices[0]
    if not choice.keys() <= _WHOLE_CHOICE or choice.get("logprobs") or choice.get("index") not in (0, None):
        return None
    message = choice.get("message")
    if not message or not message.keys() <= _MESSAGE or any(map(message.get, message.keys() - _SAID)):
        return None
    text = message.get("content")
    if type(text) is not str or not text:
        return None
    finish = _word(choice.get("finish_reason")) or None
    return Response(
        message=Message(role="assistant", parts=(Text(text=text),)),
        finish=_FINISH.get(finish or "", "other"),
        finish_raw=finish,
        usage=usage(_object(data.get("usage"))),
        model=_word(data.get("model")) or wire.model,
        backend=backend,
        api=wire.api,
        id=_word(data.get("id")) or None,
        request_id=failures.request_id(exchange.headers),
        warnings=wire.warnings,
        timing=exchange.timing,
        native={name: value for name, value in data.items() if value is not None and name not in _UNKEPT} or None,
    )


class Decoder:
    """Turns the chunks of one stream into events, and a whole answer as if it were one big chunk.

    Args:
        wire: The request.
        backend: Name for answers and errors.
        terminated: Whether the far end is known to end every stream with "[DONE]", so that one without it broke off.
    """

    def __init__(self, wire: WireRequest, *, backend: str, terminated: bool = False) -> None:
        self.finished = False
        self._terminated = terminated
        self._ended = False
        self._wire = wire
        self._backend = backend
        self._answers: dict[int, _Answer] = {}
        self._first: Blocks | None = None
        self._head: JSON = {}
        self._id: str | None = None
        self._model = ""
        self._usage: JSON | None = None
        self._plain: frozenset[str] | None = None

    @property
    def complete(self) -> bool:
        """Whether the terminator was seen, or every answer's reason to finish where that has to do."""
        if self.finished or self._terminated:
            return self.finished
        wanted = self._wire.body.get("n") or 1
        answers = self._answers.values()
        return len(answers) >= wanted and all(answer.finish is not None for answer in answers)

    def feed(self, frame: Any) -> Sequence[Event]:
        """Return the events of one chunk."""
        data = frame.data
        if data in (b"[DONE]", "[DONE]"):
            return self._done()
        if not data:
            return ()
        try:
            chunk = from_json(data)
        except ValueError:
            return self.take(load_json(data), None)
        # Nine of ten chunks hold one more piece of text and nothing else; this is their way past all the cases.
        if self._plain is not None and chunk.keys() == self._plain and not chunk.get("usage"):
            choices = chunk["choices"]
            if choices and len(choices) == 1:
                choice = choices[0]
                delta = choice.get("delta") if choice.keys() <= _USUAL_CHOICE else None
                if (
                    delta
                    and len(delta) == 1
                    and (piece := delta.get("content"))
                    and choice.get("index") == 0
                    and choice.get("finish_reason") is None
                    and choice.get("logprobs") is None
                    and type(piece) is str
                ):
                    block = self._first.last if self._first is not None else None
                    if block is not None and block.kind == "text" and not (block.refusal or block.half):
                        block.pieces.append(piece)
                        return (TextDelta(block.index, piece),)
        if frame.event == "error" and "error" not in chunk:
            raise failures.in_stream(chunk, backend=self._backend, request_id=None)
        return self.take(chunk, None)

    def _done(self) -> Sequence[Event]:
        if not any(answer.began for answer in self._answers.values()):
            raise BadResponse("the stream ended without an answer: it had no choices, or empty ones", sent=True)
        self.finished = True
        return ()

    def take(self, data: JSON, exchange: Exchange | None) -> Sequence[Event]:
        """Take in one chunk, or a whole answer where `exchange` is given."""
        request_id = failures.request_id(exchange.headers) if exchange is not None else None
        error = data.get("error")
        if error or data.get("object") == "error":
            raise failures.in_stream(error or data, backend=self._backend, request_id=request_id)
        self._id = _word(data.get("id")) or self._id
        self._model = _word(data.get("model")) or self._model
        _keep(self._head, data, _UNKEPT)
        choices = data.get("choices") or []
        if exchange is not None and not choices:
            raise BadResponse("the answer has no choices", sent=True, request_id=request_id)
        if exchange is not None and (fault := failures.fault(choices)):
            raise BadResponse(f"the answer {fault}", sent=True, request_id=request_id)
        # Usage may ride on several chunks; it is a running total, so the last one counts.
        self._usage = _object(data.get("usage")) or self._usage
        events: list[Event] = []
        for position, choice in enumerate(choices):
            index = choice.get("index")
            answer = self._answer(index if isinstance(index, int) else position)
            self._usage = _object(choice.get("usage")) or self._usage
            events += answer.take(choice, whole=exchange is not None)
        self._plain = frozenset(data) if data.keys() <= _USUAL_HEAD and choices else None
        return events

    def _answer(self, index: int) -> _Answer:
        answer = self._answers.get(index)
        if answer is None:
            answer = self._answers[index] = _Answer(index, self._wire, self._id)
            if index == 0:
                self._first = answer.blocks
        return answer

    def end(self) -> Sequence[Event]:
        """Return the ends of the parts that are open.

        Raises:
            BadResponse: If a tool call never got a name.
        """
        self._ended = True
        return [event for answer in self._answers.values() for event in answer.end()]

    def response(self, exchange: Exchange) -> Response[Any]:
        """Return the answer as it stands."""
        found = [answer for _, answer in sorted(self._answers.items())]
        # Of several answers the first may be the one that had not come when the stream broke.
        first = self._answers.get(0) or (found[0] if found and self.complete else _Answer(0, self._wire, self._id))
        others = [answer for answer in found if answer is not first]
        native = dict(self._head)
        left = [{"index": answer.index, **answer.extra} for answer in found if answer.extra]
        if left:
            native["choices"] = left
        return Response(
            message=first.message(),
            finish=first.finish_word(),
            finish_raw=first.finish,
            usage=usage(self._usage),
            model=self._model or self._wire.model,
            backend=self._backend,
            api=self._wire.api,
            id=self._id,
            request_id=failures.request_id(exchange.headers),
            warnings=self._warnings(),
            timing=exchange.timing,
            alternatives=tuple(answer.candidate() for answer in others),
            logprobs=first.token_logprobs(),
            complete=self.complete,
            native=native or None,
        )

    def _warnings(self) -> tuple[CallWarning, ...]:
        """Return those of the request, and what is missing at the end of a stream without its terminator."""
        if self.finished or not self._ended or self._usage is not None:
            return self._wire.warnings
        note = "the stream ended after its answer, but before its terminator and before any usage"
        return (*self._wire.warnings, CallWarning(kind="note", subject="usage", message=note))


class _Answer:
    """One of the answers while it grows: `choices[index]` of all chunks together."""

    def __init__(self, index: int, wire: WireRequest, response_id: str | None) -> None:
        self.index = index
        self.blocks = Blocks(index)
        self.finish: str | None = None
        self.began = False
        self.extra: JSON = {}
        self._wire = wire
        self._response_id = response_id
        self._calls = Calls()
        self._logprobs: list[TokenLogprob] | None = None
        self._reasoning = Reasoning()
        self._refused = False
        self._thought: Block | None = None
        self._audio: JSON | None = None
        self._sound: list[bytes] = []

    # ------------------------------------------------------------ taking in

    def take(self, choice: JSON, *, whole: bool) -> Iterable[Event]:
        """Take in one choice of a chunk, or of a whole answer."""
        delta = choice.get("delta") or choice.get("message") or {}
        events: list[Event] = []
        self.began = self.began or bool(delta) or bool(choice.get("finish_reason"))
        if thought := self._reasoning.take(delta, whole=whole):
            self._grow("thinking", thought, events)
        self._content(delta.get("content"), events)
        if refusal := delta.get("refusal"):
            self._grow("text", refusal, events, refusal=True)
        if annotations := delta.get("annotations"):
            self._cite(annotations)
        for image in delta.get("images") or ():
            self._insert(_image(image), events)
        for position, call in enumerate(delta.get("tool_calls") or ()):
            # Whatever a whole answer's calls are numbered, each is one of its own.
            self._call(call, position if whole else call.get("index"), events)
        if legacy := delta.get("function_call"):
            self._legacy(legacy, events)
        if audio := delta.get("audio"):
            self._hear(audio)
        if logprobs := choice.get("logprobs"):
            self._weigh(logprobs)
        self.finish = _word(choice.get("finish_reason")) or self.finish
        self._keep_rest(choice, delta)
        return events

    def _weigh(self, logprobs: JSON) -> None:
        """Take in log-probabilities; those in the form of the old completions, as lists side by side, are kept."""
        found = [_logprob(token) for name in ("content", "refusal") for token in logprobs.get(name) or ()]
        odd = {name: value for name, value in logprobs.items() if name not in ("content", "refusal") and value}
        if found or not odd:
            self._logprobs = self._logprobs or []
            self._logprobs.extend(found)
        kept = self.extra.setdefault("logprobs", {}) if odd else {}
        for name, value in odd.items():
            before = kept.get(name)
            kept[name] = [*before, *value] if isinstance(before, list) and isinstance(value, list) else value

    def _keep_rest(self, choice: JSON, delta: JSON) -> None:
        """Keep what has no word here."""
        if not choice.keys() <= _CHOICE:
            _keep(self.extra, choice, _CHOICE)
        if not delta.keys() <= _MESSAGE:
            _keep(self.extra, delta, _MESSAGE)
        for name in NAMES:
            if (odd := delta.get(name)) and not isinstance(odd, str):
                _keep(self.extra, {name: odd}, frozenset())

    def _content(self, content: Any, events: list[Event]) -> None:
        if isinstance(content, str):
            if content:
                self._grow("text", content, events)
            return
        # Mistral's reasoning models answer with a list of parts.
        for part in content or ():
            kind = part.get("type")
            if kind == "text":
                self._content(part["text"], events)
                if annotations := part.get("annotations"):
                    self._cite(annotations)
            elif kind == "thinking":
                self._think_in_parts(part.get("thinking") or (), events)
            elif kind == "refusal":
                self._grow("text", part["refusal"], events, refusal=True)
            else:
                self._insert(Opaque(type=str(kind), origin=self._wire.origin, native=part), events)

    def _think_in_parts(self, thoughts: str | Iterable[JSON], events: list[Event]) -> None:
        for thought in [{"text": thoughts}] if isinstance(thoughts, str) else thoughts:
            if "text" in thought:
                self._grow("thinking", thought["text"] or "", events)
            else:
                self._insert(Opaque(type=str(thought.get("type")), origin=self._wire.origin, native=thought), events)

    def _grow(
        self, kind: Literal["text", "thinking"], piece: str, events: list[Event], *, refusal: bool = False
    ) -> None:
        """Let the current part grow, or begin one; calls stay open, for their arguments may go on."""
        if not piece:
            return
        if not isinstance(piece, str):
            raise TypeError(f"{kind} is a {type(piece).__name__}")
        block = self.blocks.last
        if block is None or block.kind != kind or block.refusal != refusal:
            self._close_last(events)
            block, start = self.blocks.open(kind)
            block.refusal = refusal
            self._refused = self._refused or refusal
            events.append(start)
        if kind == "thinking" and self._reasoning.details and self._thought is None:
            self._thought = block
        events.append(self.blocks.add(block, piece))

    def _close_last(self, events: list[Event]) -> None:
        block = self.blocks.last
        if block is None or block.kind == "tool_call":
            return
        # Reasoning details are whole at the end only, and belong into this part.
        if block.kind != "thinking" or not self._reasoning.details:
            events.append(self.blocks.close(block))
        if block.kind == "thinking":
            self._think_otherwise(events, final=False)

    def _think_otherwise(self, events: list[Event], *, final: bool) -> None:
        """Add what the second field for reasoning says, where it is not what the first one said."""
        if text := self._reasoning.other(final=final):
            block, start = self.blocks.open("thinking")
            block.origin, block.native = self._wire.origin, {"field": self._reasoning.other_name}
            events += [start, self.blocks.add(block, text), self.blocks.close(block)]

    def _insert(self, part: Any, events: list[Event]) -> None:
        self._close_last(events)
        events.extend(self.blocks.insert(part))

    def _cite(self, annotations: list[JSON]) -> None:
        if not all(isinstance(annotation, dict) for annotation in annotations):
            raise TypeError("an annotation is not an object")
        block = self.blocks.last
        if block is not None and block.kind == "text":
            block.citations.extend(annotations)
        else:
            self.extra.setdefault("annotations", []).extend(annotations)

    def _call(self, call: JSON, index: int | None, events: list[Event]) -> None:
        function = call.get("function") or call.get("custom") or {}
        call_id, name = _word(call.get("id")) or "", _word(function.get("name")) or ""
        piece = written(function.get("arguments", function.get("input")))
        block = self._calls.known(index, call_id, name)
        if block is not None and name and not call_id and is_whole(block) and (piece.strip() or name != block.name):
            # Some servers send whole calls, each with the same index and no id.
            block = None
        if block is None:
            block = self._open_call(call_id, name, index, events)
            if call.get("type") == "custom" or "custom" in call:
                block.free, block.native = True, {"type": "custom"}
        elif name and name != block.name:
            # In pieces from some servers; repeated whole with every piece of the arguments by others.
            block.name += name
        keep_more(block, call, function)
        self._argue(block, piece, events)

    def _legacy(self, call: JSON, events: list[Event]) -> None:
        """Take in the `function_call` of old, which has no id and is alone."""
        block = self._calls.known(-1, "", "")
        if block is None:
            block = self._open_call("", _word(call.get("name")) or "", -1, events)
            block.native = {"type": "function_call"}
        self._argue(block, written(call.get("arguments")), events)

    def _open_call(self, call_id: str, name: str, index: int | None, events: list[Event]) -> Block:
        self._close_last(events)
        minted = not call_id or self._calls.taken(call_id)
        block, start = self.blocks.open("tool_call", id=self._mint() if minted else call_id, name=name)
        block.minted = minted
        block.origin = self._wire.origin
        self._calls.add(index, call_id, block)
        events.append(start)
        return block

    def _mint(self) -> str:
        """Return an id for a call without one, the same for the same place in the same answer."""
        if not self._response_id:
            return f"call_{uuid.uuid4().hex[:24]}"
        place = f"{self._response_id} {self.index} {len(self._calls.blocks)}"
        return f"call_{hashlib.sha256(place.encode()).hexdigest()[:24]}"

    def _argue(self, block: Block, piece: str, events: list[Event]) -> None:
        if piece:
            events.append(self.blocks.add(block, piece))

    def _hear(self, audio: JSON) -> None:
        self._audio = self._audio or {}
        for name, value in audio.items():
            if name == "data":
                # Each piece is base64 of its own, with padding at its end.
                self._sound.append(base64.b64decode(value or ""))
            elif name == "transcript":
                self._audio[name] = self._audio.get(name, "") + (value or "")
            elif value is not None:
                self._audio[name] = value

    # ------------------------------------------------------------ giving out

    def end(self) -> list[Event]:
        """End all parts."""
        events: list[Event] = []
        if self._audio is not None:
            events += self.blocks.insert(self._heard())
            self._audio = None
        if self._reasoning.details:
            self._attach_details(events)
        for block in self._calls.blocks:
            if not block.name:
                raise BadResponse("the answer holds a tool call without a name", sent=True)
            keep_wording(block)
        events += self.blocks.end()
        self._think_otherwise(events, final=True)
        return events

    def _heard(self) -> Audio:
        audio = self._audio or {}
        wanted = self._wire.body.get("audio")
        form = wanted.get("format", "wav") if isinstance(wanted, dict) else "wav"
        return Audio(
            data=b"".join(self._sound),
            mime=_AUDIO_MIME.get(form, f"audio/{form}"),
            transcript=audio.get("transcript"),
            origin=self._wire.origin,
            native={name: value for name, value in audio.items() if name != "transcript"} or None,
        )

    def _attach_details(self, events: list[Event]) -> None:
        """Put the reasoning details, which want to be sent back, onto the reasoning they belong to."""
        native = {"reasoning_details": self._reasoning.details}
        if self._thought is None:
            events += self.blocks.insert(self._redacted(native))
        else:
            self._thought.origin, self._thought.native = self._wire.origin, native
        self._reasoning.details = []

    def _redacted(self, native: JSON) -> Thinking:
        return Thinking(redacted=True, origin=self._wire.origin, native=native)

    def message(self) -> Message:
        """Return the answer's message as it stands; of one that broke off, with what waits for its end."""
        parts = list(self.blocks.parts())
        if self._audio is not None:
            parts.append(self._heard())
        if self._reasoning.details:
            native = {"reasoning_details": deepcopy(self._reasoning.details)}
            if self._thought is None:
                parts.append(self._redacted(native))
            else:
                at = self._thought.index
                parts[at] = parts[at].model_copy(update={"origin": self._wire.origin, "native": native})
        return Message(role="assistant", parts=tuple(parts))

    def finish_word(self) -> Finish:
        """Return why it ended, in genkit's words."""
        word = _FINISH.get(self.finish or "", "other")
        if word != "stop":
            return word
        # A call of a tool that was named in the request ends with "stop", and so does a refusal.
        return "tool_calls" if self._calls.blocks else "refused" if self._refused else "stop"

    def token_logprobs(self) -> tuple[TokenLogprob, ...] | None:
        """Return the log-probabilities of the tokens so far."""
        return None if self._logprobs is None else tuple(self._logprobs)

    def candidate(self) -> Candidate:
        """Return this answer as one of the further ones."""
        return Candidate(
            message=self.message(),
            finish=self.finish_word(),
            finish_raw=self.finish,
            logprobs=self.token_logprobs(),
        )


def _logprob(token: JSON) -> TokenLogprob:
    return TokenLogprob(
        token["token"], token["logprob"], tuple(_logprob(other) for other in token.get("top_logprobs") or ())
    )


def _image(image: JSON) -> Image:
    url = image["image_url"]["url"]
    head, comma, data = url.partition(",")
    if comma and head.startswith("data:") and head.endswith(";base64"):
        return Image(data=base64.b64decode(data), mime=head[len("data:") : -len(";base64")])
    return Image(url=url)


def _keep(kept: JSON, fields: Mapping[str, Any], known: frozenset[str]) -> None:
    """Add what has no place elsewhere; objects are merged, for streams send them in parts."""
    for name, value in fields.items():
        if name in known or value is None:
            continue
        before = kept.get(name)
        kept[name] = {**before, **value} if isinstance(before, dict) and isinstance(value, dict) else value


def _word(value: object) -> str | None:
    """Return an id, a name or a word as text; some servers number what should be named."""
    return value if value is None or isinstance(value, str) else str(value)


def _object(value: object) -> JSON | None:
    return value if isinstance(value, dict) else None
