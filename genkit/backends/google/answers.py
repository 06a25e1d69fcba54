"""From Gemini to genkit: whole answers and streams, through one path, so that both end in equal responses."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json

from ...errors import BadResponse
from ...events import Block, Blocks, dump_json, load_json
from ...types import (
    Audio,
    CallWarning,
    Candidate,
    Event,
    Finish,
    Message,
    Opaque,
    Response,
    TextDelta,
    TokenLogprob,
)
from ..wire import Exchange, WireRequest
from . import failures
from .counts import count, usage
from .media import part_of
from .messages import SIGNATURE
from .names import NamedRequest

__all__ = ["Decoder", "decode"]

JSON = dict[str, Any]

# By string: new words appear before anybody's SDK knows them. One that is not here is "other".
_FINISH: dict[str, Finish] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "SAFETY": "refused",
    "RECITATION": "refused",
    "LANGUAGE": "refused",
    "BLOCKLIST": "refused",
    "PROHIBITED_CONTENT": "refused",
    "SPII": "refused",
    "IMAGE_SAFETY": "refused",
    "IMAGE_PROHIBITED_CONTENT": "refused",
    "IMAGE_RECITATION": "refused",
    "MODEL_ARMOR": "refused",
    "MALFORMED_FUNCTION_CALL": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
    "MALFORMED_RESPONSE": "error",
}
_GOES_ON = "the answer was cut where it could go on: genkit asks for no continuation by itself; its token is in .native"
_NO_SKETCH = "an interim image of the model's thoughts is left out"
_LATE_SOURCES = "sources came after the end of the text that they belong to; they are in .native"

_PLACED = frozenset({"candidates", "usageMetadata", "modelVersion", "responseId"})
_CANDIDATE = frozenset({"content", "finishReason", "index", "logprobsResult", "groundingMetadata"})
_USUAL = frozenset({"candidates", "usageMetadata", "modelVersion", "responseId", "createTime"})
_USUAL_CANDIDATE = frozenset({"content", "index"})
_DATA = ("functionCall", "inlineData", "fileData", "text")
_SHARES = frozenset({"cachedContentTokenCount", "cacheTokensDetails", "promptTokensDetails"})
_CALL = frozenset({"id", "name", "args"})
# Lists of it come in pieces, or anew and longer.
_GROUNDING = "groundingMetadata"


def decode(wire: WireRequest, data: JSON, exchange: Exchange, *, backend: str) -> Response[Any]:
    """Return the response for a whole answer.

    Raises:
        GenkitError: If the answer is an error in spite of its status 200.
        ContentBlocked: If the prompt was refused.
        BadResponse: If there is neither an answer nor a reason.
    """
    decoder = Decoder(wire, backend=backend)
    decoder.take(data, whole=True)
    if not decoder.answered:
        raise BadResponse("the answer has no candidates, and no reason for it", sent=True)
    decoder.finished = True
    decoder.end()
    return decoder.response(exchange)


class Decoder:
    """Turns the chunks of one stream into events, and a whole answer as if it were one big chunk."""

    def __init__(self, wire: WireRequest, *, backend: str) -> None:
        # There is no terminator but the end of the body after every answer's reason to finish: counts come late.
        self.finished = False
        self._wire = wire
        self._backend = backend
        self._answers: dict[int, _Answer] = {}
        self._head: JSON = {}
        self._id: str | None = None
        self._model = ""
        self._usage: JSON = {}
        config = wire.body.get("generationConfig")
        wanted = config.get("candidateCount") if isinstance(config, dict) else None
        self._wanted: int = wanted if isinstance(wanted, int) else 1
        self._ended = False

    @property
    def answered(self) -> bool:
        """Whether an answer has begun."""
        return bool(self._answers)

    @property
    def complete(self) -> bool:
        """Whether the answer is whole if the body ends now; the vendor may give fewer answers than were asked for."""
        return self.finished or (self.answered and all(answer.finish is not None for answer in self._answers.values()))

    @property
    def settled(self) -> bool:
        """Whether nothing but counts can come: as many answers as were asked for have their reason to finish."""
        return self.complete and len(self._answers) >= self._wanted

    def feed(self, frame: Any) -> Sequence[Event]:
        """Return the events of one chunk."""
        data = frame.data
        if not data:
            return ()
        try:
            chunk = from_json(data)
        except ValueError:
            chunk = load_json(data)
        if isinstance(chunk, list):
            # Errors come in a list now and then.
            return [event for one in chunk for event in self.take(one, whole=False)]
        events = self._more_text(chunk)
        return self.take(chunk, whole=False) if events is None else events

    def _more_text(self, chunk: JSON) -> Sequence[Event] | None:
        """Return the event of one more piece of text, as most chunks are, past all the cases; None for any other."""
        candidates = chunk.get("candidates")
        if not candidates or len(candidates) != 1 or not chunk.keys() <= _USUAL:
            return None
        candidate = candidates[0]
        answer = self._answers.get(candidate.get("index") or 0)
        if answer is None or not candidate.keys() <= _USUAL_CANDIDATE:
            return None
        content = candidate.get("content")
        parts = content.get("parts") if content else None
        if not parts or len(parts) != 1 or len(part := parts[0]) != 1:
            return None
        piece = part.get("text")
        block = answer.blocks.last
        if type(piece) is not str or not piece or block is None or not answer.takes_more(block) or block.half:
            return None
        if "\ud800" <= piece[-1] <= "\udbff":
            return None
        counts = chunk.get("usageMetadata")
        if counts:
            self._count(counts)
        block.pieces.append(piece)
        return (TextDelta(block.index, piece, answer.index),)

    def take(self, data: JSON, *, whole: bool) -> Sequence[Event]:
        """Take in one chunk, or a whole answer."""
        if error := data.get("error"):
            raise failures.in_stream(error, backend=self._backend)
        self._id = _word(data.get("responseId")) or self._id
        self._model = _word(data.get("modelVersion")) or self._model
        if counts := data.get("usageMetadata"):
            self._count(counts)
        _keep(self._head, data, _PLACED)
        candidates = data.get("candidates") or ()
        feedback = data.get("promptFeedback")
        if not candidates and isinstance(feedback, dict) and feedback.get("blockReason"):
            raise self._blocked(feedback)
        events: list[Event] = []
        for at, candidate in zip(_places(candidates), candidates, strict=True):
            answer = self._answers.get(at)
            if answer is None:
                answer = self._answers[at] = _Answer(at, self._wire, self._id)
            events += answer.take(candidate, whole=whole)
        return events

    def _count(self, counts: JSON) -> None:
        """Take in a running total, of which parts may be missing later; the last word on each counts."""
        before, now = (count(found, "promptTokenCount") or 0 for found in (self._usage, counts))
        if 0 < now < before:
            # Of another prompt than the one that the shares of it were told for.
            self._usage = {name: value for name, value in self._usage.items() if name not in _SHARES}
        self._usage |= counts

    def _blocked(self, feedback: JSON) -> Exception:
        error = failures.blocked(feedback, backend=self._backend)
        refused = self.response(Exchange())
        word = _word(feedback.get("blockReason"))
        error.response = refused.model_copy(update={"finish": "refused", "finish_raw": word})
        return error

    def end(self) -> Sequence[Event]:
        """Return the ends of the parts that are open."""
        self._ended = True
        return [event for answer in self._answers.values() for event in answer.end()]

    def response(self, exchange: Exchange) -> Response[Any]:
        """Return the answer as it stands."""
        found = [answer for _, answer in sorted(self._answers.items())]
        first = self._answers.get(0) or (found[0] if found and self.complete else _Answer(0, self._wire, self._id))
        others = [answer for answer in found if answer is not first]
        native = dict(self._head)
        if left := [{"index": answer.index, **answer.extra} for answer in found if answer.extra]:
            native["candidates"] = left
        return Response(
            message=first.message(),
            finish=first.finish_word(),
            finish_raw=first.finish,
            usage=usage(self._usage),
            model=self._model or self._wire.model,
            backend=self._backend,
            api=self._wire.api,
            id=self._id,
            request_id=exchange.headers.get("x-request-id"),
            warnings=(*self._wire.warnings, *self._notes(found)),
            timing=exchange.timing,
            alternatives=tuple([answer.candidate() for answer in others]),
            logprobs=first.token_logprobs(),
            complete=self.complete if self._ended else self.settled,
            native=native or None,
        )

    def _notes(self, answers: Sequence[_Answer]) -> list[CallWarning]:
        notes = [note for answer in answers for note in answer.notes()]
        if self._ended and 0 < len(answers) < self._wanted:
            few = f"{self._wanted} answers were asked for, and {len(answers)} came"
            notes.append(CallWarning(kind="note", subject="n", message=few))
        return notes


class _Answer:
    """One of the answers while it grows: what all chunks say of one candidate."""

    def __init__(self, index: int, wire: WireRequest, response_id: str | None) -> None:
        self.index = index
        self.blocks = Blocks(index)
        self.finish: str | None = None
        self.extra: JSON = {}
        self._wire = wire
        self._response_id = response_id
        self._ids: set[str] = set()
        self._logprobs: list[TokenLogprob] | None = None
        self._sketches = 0
        self._sound: tuple[Audio, list[bytes]] | None = None
        self._grounding: JSON | None = None
        # Places in the text whose sources have not come yet.
        self._supports: list[JSON] = []
        self._late_sources = False
        self._names = wire.names if isinstance(wire, NamedRequest) else {}

    # ------------------------------------------------------------ taking in

    def take(self, candidate: JSON, *, whole: bool) -> list[Event]:
        """Take in one candidate of a chunk, or of a whole answer."""
        events: list[Event] = []
        content = candidate.get("content")
        if content is not None and not isinstance(content, dict):
            raise TypeError(f"content is a {type(content).__name__}")
        parts = (content.get("parts") if content else None) or ()
        # Sources belong to the last text up to here, which other parts behind it may end.
        last = max((at for at, part in enumerate(parts) if part.get("text") and not part.get("thought")), default=-1)
        cited = self._cited(candidate)
        if last < 0:
            self._cite(cited)
        for at, part in enumerate(parts):
            self._part(part, events, whole=whole)
            if at == last:
                self._cite(cited)
        if found := candidate.get("logprobsResult"):
            self._logprobs = [*(self._logprobs or ()), *_logprobs(found)]
        self.finish = _word(candidate.get("finishReason")) or self.finish
        _keep(self.extra, candidate, _CANDIDATE)
        if self._grounding is not None:
            self.extra[_GROUNDING] = self._grounding
        return events

    def takes_more(self, block: Block) -> bool:
        """Return whether more text belongs to a part: a signature is the end of the part it signs."""
        return block.kind == "text" and block.native is None and not block.citations

    def _part(self, part: JSON, events: list[Event], *, whole: bool) -> None:
        signature = part.get(SIGNATURE)
        kind = next((name for name in _DATA if name in part), None)
        if kind is None and part.get("thought") and signature:
            self._text({**part, "text": ""}, events, whole=whole)
        elif kind is None:
            kinds = [name for name in part if name not in (SIGNATURE, "thought", "partMetadata")]
            self._insert(Opaque(type=kinds[0] if kinds else SIGNATURE, origin=self._wire.origin, native=part), events)
        elif kind == "functionCall":
            self._call(part, events)
        elif kind == "text":
            self._text(part, events, whole=whole)
        elif part.get("thought"):
            self._sketches += 1
        else:
            self._media(part, events)

    def _text(self, part: JSON, events: list[Event], *, whole: bool) -> None:
        kind = "thinking" if part.get("thought") else "text"
        piece, beside = part["text"], _beside(part, "text", "thought")
        if not isinstance(piece, str):
            raise TypeError(f"{kind} is a {type(piece).__name__}")
        if not piece and not beside:
            return
        block = self.blocks.last
        same = block is not None and block.kind == kind and block.native is None
        # In a whole answer, parts are parts; in a stream a signature comes with, or after, the end of its text.
        if block is None or not same or (whole and beside and piece):
            self._close_last(events)
            block, start = self.blocks.open("thinking" if kind == "thinking" else "text")
            block.origin = self._wire.origin if kind == "thinking" else None
            events.append(start)
        if piece:
            events.append(self.blocks.add(block, piece))
        if beside:
            block.origin, block.native = self._wire.origin, beside

    def _call(self, part: JSON, events: list[Event]) -> None:
        call = part["functionCall"]
        self._close_last(events)
        given = _word(call.get("id")) or ""
        # Two calls with one id could not be answered apart.
        minted = not given or given in self._ids
        call_id = self._mint() if minted else given
        self._ids.add(call_id)
        block, start = self.blocks.open("tool_call", id=call_id, name=self._names.get(call["name"], call["name"]))
        block.minted, block.origin = minted, self._wire.origin
        beside = _beside(part, "functionCall")
        if more := {name: value for name, value in call.items() if name not in _CALL and value is not None}:
            beside = {**(beside or {}), "functionCall": more}
        block.native = beside
        events += [start, self.blocks.add(block, dump_json(call.get("args") or {})), self.blocks.close(block)]

    def _mint(self) -> str:
        """Return an id for a call without one, the same for the same place in the same answer."""
        if not self._response_id:
            return f"call_{uuid.uuid4().hex[:24]}"
        place = f"{self._response_id} {self.index} {len(self._ids)}"
        return f"call_{hashlib.sha256(place.encode()).hexdigest()[:24]}"

    def _media(self, part: JSON, events: list[Event]) -> None:
        beside = _beside(part, "inlineData", "fileData")
        media = part_of(part, origin=self._wire.origin, native=beside)
        if not isinstance(media, Audio) or media.data is None:
            self._insert(media, events)
        elif self._sound is not None and (joined := _joined(self._sound[0], media)) is not None:
            self._sound = (joined, [*self._sound[1], media.data])
        else:
            # Speech comes in pieces of one sound.
            self._close_last(events)
            self._sound = (media, [media.data])

    def _insert(self, part: Any, events: list[Event]) -> None:
        self._close_last(events)
        events += self.blocks.insert(part)

    def _close_last(self, events: list[Event]) -> None:
        if self._sound is not None:
            heard, self._sound = self._heard(), None
            events += self.blocks.insert(heard)
        block = self.blocks.last
        if block is not None:
            events.append(self.blocks.close(block))

    def _heard(self) -> Audio:
        assert self._sound is not None
        audio, pieces = self._sound
        return audio.model_copy(update={"data": b"".join(pieces)})

    def _cited(self, candidate: JSON) -> list[JSON]:
        """Return the sources that come with a candidate, each with the place in the text that it is for."""
        found: list[JSON] = []
        cited = candidate.get("citationMetadata")
        if isinstance(cited, dict):
            found += cited.get("citations") or cited.get("citationSources") or []
        grounding = candidate.get(_GROUNDING)
        if not isinstance(grounding, dict):
            return found
        whole = self._grounding = _together(self._grounding or {}, grounding)
        waiting, self._supports = [*self._supports, *(grounding.get("groundingSupports") or [])], []
        for support in waiting:
            numbers = [at for at in support.get("groundingChunkIndices") or [] if isinstance(at, int)]
            chunks = next(
                (
                    lot
                    for lot in (grounding.get("groundingChunks"), whole.get("groundingChunks"))
                    if lot and all(0 <= at < len(lot) for at in numbers)
                ),
                None,
            )
            if chunks is None and numbers:
                self._supports.append(support)
                continue
            found.append({**support, "groundingChunks": [chunks[at] for at in numbers] if chunks else []})
        return found

    def _cite(self, found: Sequence[JSON]) -> None:
        """Note sources at the text that is open."""
        block = self.blocks.last
        if block is not None and block.kind == "text":
            block.citations += [one for one in found if one not in block.citations]
        elif found:
            self._late_sources = True

    # ------------------------------------------------------------ giving out

    def end(self) -> list[Event]:
        """End all parts."""
        events: list[Event] = []
        chunks = (self._grounding or {}).get("groundingChunks") or []
        left, self._supports = self._supports, []
        for support in left:
            numbers = [at for at in support["groundingChunkIndices"] if isinstance(at, int) and 0 <= at < len(chunks)]
            self._cite([{**support, "groundingChunks": [chunks[at] for at in numbers]}])
        self._close_last(events)
        return events

    def message(self) -> Message:
        """Return the answer's message as it stands."""
        parts = self.blocks.parts()
        return Message(role="assistant", parts=parts if self._sound is None else (*parts, self._heard()))

    def finish_word(self) -> Finish:
        """Return why it ended, in genkit's words; the vendor says STOP where it calls tools, too."""
        word = _FINISH.get(self.finish or "", "other")
        return "tool_calls" if word == "stop" and self._ids else word

    def token_logprobs(self) -> tuple[TokenLogprob, ...] | None:
        """Return the log-probabilities of the tokens so far."""
        return None if self._logprobs is None else tuple(self._logprobs)

    def notes(self) -> list[CallWarning]:
        """Return what the caller should know of this answer."""
        found = []
        if self.finish == "CONTINUATION":
            found.append(CallWarning(kind="note", subject="finish", message=_GOES_ON))
        if self._late_sources:
            found.append(CallWarning(kind="note", subject="citations", message=_LATE_SOURCES))
        if self._sketches:
            found.append(CallWarning(kind="note", subject="image", message=f"{_NO_SKETCH} ({self._sketches} in all)"))
        return found

    def candidate(self) -> Candidate:
        """Return this answer as one of the further ones."""
        return Candidate(
            message=self.message(),
            finish=self.finish_word(),
            finish_raw=self.finish,
            logprobs=self.token_logprobs(),
        )


def _logprobs(found: JSON) -> list[TokenLogprob]:
    tops = found.get("topCandidates") or []
    out = []
    for at, chosen in enumerate(found.get("chosenCandidates") or []):
        others = tops[at].get("candidates") or [] if at < len(tops) else []
        out.append(TokenLogprob(*_token(chosen), top=tuple([TokenLogprob(*_token(one)) for one in others])))
    return out


def _token(entry: JSON) -> tuple[str, float]:
    # A probability of 1 has the logarithm 0, which JSON made from Protobuf leaves out.
    return entry.get("token") or "", entry.get("logProbability") or 0.0


def _places(candidates: Sequence[JSON]) -> list[int]:
    """Return which answer each candidate is of; JSON made from Protobuf leaves the number 0 out."""
    given = [one["index"] if isinstance(one.get("index"), int) else None for one in candidates]
    if all(index is None for index in given):
        return list(range(len(given)))
    free = (at for at in range(2 * len(given)) if at not in given)
    return [next(free) if index is None else index for index in given]


def _beside(part: JSON, *data: str) -> JSON | None:
    """Return what stands in a part beside its data: signatures, the caller's own metadata, and what is new."""
    return {name: value for name, value in part.items() if name not in data and value not in (None, "")} or None


def _joined(sound: Audio, piece: Audio) -> Audio | None:
    """Return a sound with what is said beside one more piece of it; None where the piece is of another sound."""
    before, more = sound.native or {}, piece.native or {}
    if sound.mime != piece.mime or any(before.get(name, value) != value for name, value in more.items()):
        return None
    return sound.model_copy(update={"native": {**before, **more}}) if more else sound


def _together(before: JSON, more: JSON) -> JSON:
    """Return two pieces of one object as one: of lists, what is new is added to what there is."""
    out = {**before, **more}
    for name, value in more.items():
        held = before.get(name)
        if isinstance(held, list) and isinstance(value, list):
            out[name] = value if value[: len(held)] == held else [*held, *value]
    return out


def _keep(kept: JSON, fields: JSON, known: frozenset[str]) -> None:
    """Add what has no place elsewhere."""
    for name, value in fields.items():
        if name not in known and value is not None:
            kept[name] = value


def _word(value: object) -> str | None:
    """Return a word as text; gateways that encode enumerations as numbers send those."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None
