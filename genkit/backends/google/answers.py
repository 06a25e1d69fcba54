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
from .counts import usage
from .media import part_of
from .messages import SIGNATURE

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

_PLACED = frozenset({"candidates", "usageMetadata", "modelVersion", "responseId"})
_CANDIDATE = frozenset({"content", "finishReason", "index", "logprobsResult"})
_USUAL = frozenset({"candidates", "usageMetadata", "modelVersion", "responseId", "createTime"})
_USUAL_CANDIDATE = frozenset({"content", "index"})
_DATA = ("functionCall", "inlineData", "fileData", "text")


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

    @property
    def answered(self) -> bool:
        """Whether an answer has begun."""
        return bool(self._answers)

    @property
    def complete(self) -> bool:
        """Whether every answer's reason to finish was seen."""
        if self.finished:
            return True
        wanted = self._wire.body.get("generationConfig", {}).get("candidateCount") or 1
        answers = self._answers.values()
        return len(answers) >= wanted and all(answer.finish is not None for answer in answers)

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
            self._usage.update(counts)
        block.pieces.append(piece)
        return (TextDelta(block.index, piece, answer.index),)

    def take(self, data: JSON, *, whole: bool) -> Sequence[Event]:
        """Take in one chunk, or a whole answer."""
        if error := data.get("error"):
            raise failures.in_stream(error, backend=self._backend)
        self._id = _word(data.get("responseId")) or self._id
        self._model = _word(data.get("modelVersion")) or self._model
        # A running total, of which parts may be missing later; the last word on each counts.
        self._usage |= data.get("usageMetadata") or {}
        _keep(self._head, data, _PLACED)
        candidates = data.get("candidates") or ()
        feedback = data.get("promptFeedback")
        if not candidates and isinstance(feedback, dict) and feedback.get("blockReason"):
            raise self._blocked(feedback)
        events: list[Event] = []
        for position, candidate in enumerate(candidates):
            index = candidate.get("index")
            at = index if isinstance(index, int) else position
            answer = self._answers.get(at)
            if answer is None:
                answer = self._answers[at] = _Answer(at, self._wire, self._id)
            events += answer.take(candidate, whole=whole)
        return events

    def _blocked(self, feedback: JSON) -> Exception:
        error = failures.blocked(feedback, backend=self._backend)
        refused = self.response(Exchange())
        word = _word(feedback.get("blockReason"))
        error.response = refused.model_copy(update={"finish": "refused", "finish_raw": word})
        return error

    def end(self) -> Sequence[Event]:
        """Return the ends of the parts that are open."""
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
            warnings=(*self._wire.warnings, *(note for answer in found for note in answer.notes())),
            timing=exchange.timing,
            alternatives=tuple([answer.candidate() for answer in others]),
            logprobs=first.token_logprobs(),
            complete=self.complete,
            native=native or None,
        )


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

    # ------------------------------------------------------------ taking in

    def take(self, candidate: JSON, *, whole: bool) -> list[Event]:
        """Take in one candidate of a chunk, or of a whole answer."""
        events: list[Event] = []
        content = candidate.get("content")
        for part in (content.get("parts") if isinstance(content, dict) else None) or ():
            self._part(part, events, whole=whole)
        self._cite(candidate)
        if found := candidate.get("logprobsResult"):
            self._logprobs = [*(self._logprobs or ()), *_logprobs(found)]
        self.finish = _word(candidate.get("finishReason")) or self.finish
        _keep(self.extra, candidate, _CANDIDATE)
        return events

    def takes_more(self, block: Block) -> bool:
        """Return whether more text belongs to a part: a signature is the end of the part it signs."""
        return block.kind == "text" and block.native is None and not block.citations

    def _part(self, part: JSON, events: list[Event], *, whole: bool) -> None:
        signature = part.get(SIGNATURE)
        kind = next((name for name in _DATA if name in part), None)
        if kind is None and part.get("thought") and signature:
            self._text({**part, "text": ""}, signature, events, whole=whole)
        elif kind is None:
            kinds = [name for name in part if name not in (SIGNATURE, "thought", "partMetadata")]
            self._insert(Opaque(type=kinds[0] if kinds else SIGNATURE, origin=self._wire.origin, native=part), events)
        elif kind == "functionCall":
            self._call(part, signature, events)
        elif kind == "text":
            self._text(part, signature, events, whole=whole)
        elif part.get("thought"):
            self._sketches += 1
        else:
            self._media(part, events)

    def _text(self, part: JSON, signature: Any, events: list[Event], *, whole: bool) -> None:
        kind = "thinking" if part.get("thought") else "text"
        piece = part["text"]
        if not isinstance(piece, str):
            raise TypeError(f"{kind} is a {type(piece).__name__}")
        if not piece and not signature:
            return
        block = self.blocks.last
        same = block is not None and block.kind == kind and block.native is None
        # In a whole answer, parts are parts; in a stream a signature comes with, or after, the end of its text.
        if block is None or not same or (whole and signature and piece):
            self._close_last(events)
            block, start = self.blocks.open("thinking" if kind == "thinking" else "text")
            block.origin = self._wire.origin if kind == "thinking" else None
            events.append(start)
        if piece:
            events.append(self.blocks.add(block, piece))
        if signature:
            block.origin, block.native = self._wire.origin, {SIGNATURE: signature}

    def _call(self, part: JSON, signature: Any, events: list[Event]) -> None:
        call = part["functionCall"]
        self._close_last(events)
        given = _word(call.get("id")) or ""
        # Two calls with one id could not be answered apart.
        minted = not given or given in self._ids
        call_id = self._mint() if minted else given
        self._ids.add(call_id)
        block, start = self.blocks.open("tool_call", id=call_id, name=call["name"])
        block.minted, block.origin = minted, self._wire.origin
        block.native = {SIGNATURE: signature} if signature else None
        events += [start, self.blocks.add(block, dump_json(call.get("args") or {})), self.blocks.close(block)]

    def _mint(self) -> str:
        """Return an id for a call without one, the same for the same place in the same answer."""
        if not self._response_id:
            return f"call_{uuid.uuid4().hex[:24]}"
        place = f"{self._response_id} {self.index} {len(self._ids)}"
        return f"call_{hashlib.sha256(place.encode()).hexdigest()[:24]}"

    def _media(self, part: JSON, events: list[Event]) -> None:
        beside = {name: value for name, value in part.items() if name not in ("inlineData", "fileData")}
        media = part_of(part, origin=self._wire.origin, native=beside or None)
        if not isinstance(media, Audio) or media.data is None:
            self._insert(media, events)
        elif self._sound is not None and self._sound[0].mime == media.mime:
            self._sound[1].append(media.data)
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

    def _cite(self, candidate: JSON) -> None:
        """Note the sources of the text, which come with or after it, at the text."""
        found: list[JSON] = []
        cited = candidate.get("citationMetadata")
        if isinstance(cited, dict):
            found += cited.get("citations") or cited.get("citationSources") or []
        grounding = candidate.get("groundingMetadata")
        if isinstance(grounding, dict):
            chunks = grounding.get("groundingChunks") or []
            for support in grounding.get("groundingSupports") or []:
                numbers = support.get("groundingChunkIndices") or []
                sources = [chunks[at] for at in numbers if isinstance(at, int) and 0 <= at < len(chunks)]
                found.append({**support, "groundingChunks": sources})
        block = self.blocks.last
        if found and block is not None and block.kind == "text":
            block.citations += [one for one in found if one not in block.citations]

    # ------------------------------------------------------------ giving out

    def end(self) -> list[Event]:
        """End all parts."""
        events: list[Event] = []
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
