"""What genkit made of an answer, held against the independent reading of its bytes; they return what is wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from genkit import errors
from genkit.events import fold
from genkit.types import (
    Audio,
    BlockEnd,
    BlockStart,
    Candidate,
    Done,
    Event,
    Image,
    Message,
    Opaque,
    Response,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    TokenLogprob,
    ToolCall,
    ToolCallDelta,
    Usage,
)

from .cassettes import Interaction
from .exchanges import Outcome
from .reader import Choice, Reading
from .vendor import Vendor

__all__ = ["answer", "broke_down", "cut", "failure", "stream"]

JSON = dict[str, Any]


def answer(vendor: Vendor, interaction: Interaction, reading: Reading, outcome: Outcome) -> list[str]:
    """Compare a whole answer, or a failure, with its reading."""
    if reading.error is not None:
        # What the vendor refused as invalid may be refused before it is sent.
        known = outcome.refused and interaction.status in (400, 404, 422)
        return [] if known else failure(vendor, interaction, reading, outcome)
    if not reading.terminated and outcome.error is not None:
        return cut(reading, outcome, over=reading.whole)
    if outcome.error is not None:
        return [f"raised {outcome.error!r}"]
    if not reading.whole:
        return ["a recording without its terminator passed for a whole answer"]
    if interaction.api == "embeddings":
        return list(_embeddings(vendor, interaction, reading, outcome))
    if interaction.counts:
        return list(_differ({"count": (reading.count, outcome.count)}))
    assert outcome.response is not None
    return list(_response(vendor, interaction, reading, outcome.response))


def _response(vendor: Vendor, interaction: Interaction, reading: Reading, response: Response[Any]) -> Iterator[str]:
    facts: dict[str, tuple[Any, Any]] = {
        "id": (reading.id, response.id),
        "model": (reading.model, response.model),
        "request_id": (reading.request_id, response.request_id),
        "backend": (interaction.backend, response.backend),
        "api": (interaction.api, response.api),
        "answers": (max(1, len(reading.choices)), 1 + len(response.alternatives)),
    }
    yield from _differ(facts)
    yield from _usage(vendor.tokens(reading.usage), reading.usage, response.usage)
    first = Candidate(
        message=response.message, finish=response.finish, finish_raw=response.finish_raw, logprobs=response.logprobs
    )
    answers = [first, *response.alternatives]
    for number, (choice, candidate) in enumerate(zip(reading.choices, answers, strict=False)):
        words = vendor.finish_words(interaction.api, choice)
        for problem in _candidate(words, choice, candidate):
            yield f"answer {number}: {problem}"
        origins = {str(part.origin) for part in candidate.message.parts if part.native is not None or part.origin}
        # An address may follow, where each one has data of its own.
        if {origin.partition("@")[0] for origin in origins} - {f"{interaction.backend}/{interaction.api}"}:
            yield f"answer {number}: what is the vendor's own is marked {sorted(origins)}"
        for name in _missing(choice.rest, (response.native, candidate.model_dump()["message"])):
            yield f"answer {number}: {name!r} is nowhere in it, recorded {_short(choice.rest[name])}"
    native = response.native or {}
    for name, value in reading.rest.items():
        if value not in (None, []) and native.get(name) != value:
            yield f"native[{name!r}]: {native.get(name)!r}, recorded {value!r}"


def _missing(rest: JSON, places: Any) -> list[str]:
    """Return the names of fields that are not found, with their value, at any depth."""

    def stands(name: str, value: Any, place: Any) -> bool:
        if isinstance(place, dict):
            return place.get(name) == value or any(stands(name, value, item) for item in place.values())
        return isinstance(place, list | tuple) and any(stands(name, value, item) for item in place)

    return [name for name, value in rest.items() if not stands(name, value, places)]


def _candidate(words: set[str], choice: Choice, candidate: Candidate) -> Iterator[str]:
    parts = candidate.message.parts
    texts = [part for part in parts if isinstance(part, Text)]
    yield from _differ(
        {
            "text": (choice.text, "".join(part.text for part in texts if not part.refusal)),
            "refusal": (choice.refusal, "".join(part.text for part in texts if part.refusal)),
            "citations": (choice.citations, [citation for part in texts for citation in part.citations]),
            "logprobs": (choice.logprobs, _logprobs(candidate.logprobs)),
            "likeliest": (choice.likeliest, [_logprobs(token.top) for token in candidate.logprobs or ()]),
            "images": (choice.images, [part.data for part in parts if isinstance(part, Image)]),
            "audio": (choice.audio, [part.data for part in parts if isinstance(part, Audio)]),
            "items": (
                choice.items,
                [part.type for part in parts if isinstance(part, Opaque) and part.type != "message"],
            ),
        }
    )
    calls = [part for part in parts if isinstance(part, ToolCall)]
    yield from _calls(choice, calls)
    thought = "".join(part.text for part in parts if isinstance(part, Thinking))
    # What stands between the sections of a summary is nobody's text.
    if "".join("".join(choice.thinking).split()) != "".join(thought.split()):
        yield f"thinking: {thought!r}, recorded {choice.thinking!r}"
    if candidate.finish not in words:
        yield f"finish: {candidate.finish!r}, right would be {sorted(words)} for {choice.finish!r}"
    raw = candidate.finish_raw
    if (choice.finish or "") != (raw or "") and raw not in (choice.finish or "").split("/"):
        yield f"finish_raw: {raw!r}, recorded {choice.finish!r}"


def _calls(choice: Choice, calls: Sequence[ToolCall]) -> Iterator[str]:
    if len(calls) != len(choice.calls):
        yield f"{len(calls)} tool calls, recorded {len(choice.calls)}"
        return
    for sent, call in zip(choice.calls, calls, strict=True):
        arguments, raw = (None, sent.arguments) if sent.form == "custom" else _arguments(sent.arguments)
        facts = {"name": (sent.name, call.name), "arguments": (arguments, call.arguments), "raw": (raw, call.raw)}
        if sent.id is None:
            facts["minted"] = (True, call.minted and bool(call.id))
        else:
            facts |= {"id": (sent.id, call.id), "minted": (False, call.minted)}
        for problem in _differ(facts):
            yield f"tool call {sent.name!r}: {problem}"


def _arguments(text: str) -> tuple[JSON | None, str | None]:
    """Return the object that the text is the JSON of; of anything else the text. No text at all is no arguments."""
    if not text.strip():
        return {}, None
    try:
        value = json.loads(text, parse_constant=_no_json)
    except ValueError:
        return None, text
    return (value, None) if isinstance(value, dict) else (None, text)


def _no_json(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def _logprobs(sent: Sequence[TokenLogprob] | None) -> list[tuple[str, float]] | None:
    return None if sent is None else [(token.token, token.logprob) for token in sent]


def _usage(expected: dict[str, int | None], sent: JSON | None, usage: Usage) -> Iterator[str]:
    yield from _differ({f"usage.{name}": (count, getattr(usage, name)) for name, count in expected.items()})
    if usage.raw != sent:
        yield f"usage.raw: {usage.raw!r}, recorded {sent!r}"
    if usage.estimated:
        yield "usage: estimated, where the vendor counted or said nothing"


def _differ(facts: dict[str, tuple[Any, Any]]) -> Iterator[str]:
    for name, (recorded, got) in facts.items():
        if recorded != got:
            yield f"{name}: {_short(got)}, recorded {_short(recorded)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 300 else text[:300] + "..."


def _embeddings(vendor: Vendor, interaction: Interaction, reading: Reading, outcome: Outcome) -> Iterator[str]:
    got = outcome.embeddings
    assert got is not None
    facts: dict[str, tuple[Any, Any]] = {
        "vectors": (len(reading.vectors), len(got.vectors)),
        "model": (reading.model, got.model),
        "backend": (interaction.backend, got.backend),
        "request_id": (reading.request_id, got.request_id),
        "usage": (vendor.tokens(reading.usage)["total"], got.usage.total),
    }
    yield from _differ(facts)
    for number, (sent, vector) in enumerate(zip(reading.vectors, got.vectors, strict=False)):
        same = len(sent) == len(vector) and all(
            math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9) for a, b in zip(sent, vector, strict=False)
        )
        if not same:
            yield f"vector {number} differs: {len(vector)} numbers, recorded {len(sent)}"


# Failures.


def failure(vendor: Vendor, interaction: Interaction, reading: Reading, outcome: Outcome) -> list[str]:
    """Compare a failure with the vendor's error object."""
    error, sent = outcome.error, reading.error or {}
    if error is None:
        return [f"no error; recorded {sent!r}"]
    expected, code = vendor.failure(interaction.status, sent)
    facts: dict[str, tuple[Any, Any]] = {
        "class": (expected.__name__, type(error).__name__),
        "backend": (interaction.backend, error.backend),
        "request_id": (reading.request_id, error.request_id),
    }
    if interaction.status >= 400:
        facts["status"] = (interaction.status, error.status)
    if code is not None:
        facts["code"] = (code, error.code)
    problems = list(_differ(facts))
    if expected is errors.GenkitError:
        problems = [problem for problem in problems if not problem.startswith("class")]
    if reading.choices and reading.choices[0].text:
        partial = error.response
        if partial is None or partial.complete or partial.text != reading.choices[0].text:
            problems.append(f"what had arrived, {_short(reading.choices[0].text)}, is not in it: {partial!r}")
    if (message := sent.get("message")) and message[:80] not in error.message:
        problems.append(f"message: {error.message!r} does not hold the vendor's {message[:80]!r}")
    return problems


# Streams.


def stream(events: Sequence[Event]) -> list[str]:
    """Check the grammar of a whole stream, and that its events add up to its response."""
    if not events or not isinstance(events[-1], Done):
        return [f"the last event is {events[-1] if events else None!r}, not Done"]
    problems = []
    if any(isinstance(event, Done) for event in events[:-1]):
        problems.append("more than one Done")
    response = events[-1].response
    if fold(events) != response:
        problems.append("fold(events) is not the response of Done")
    messages: list[Message] = [response.message, *(candidate.message for candidate in response.alternatives)]
    for candidate, message in enumerate(messages):
        own = [event for event in events[:-1] if getattr(event, "candidate", 0) == candidate]
        problems += [f"answer {candidate}: {problem}" for problem in _blocks(own, message)]
    joined = "".join(event.text for event in events if isinstance(event, TextDelta) and event.candidate == 0)
    if joined != response.text:
        problems.append(f"the deltas join to {_short(joined)}, the response's text is {_short(response.text)}")
    folded = fold(events[:-1])
    if _plain(folded.message.parts) != _plain(response.message.parts) or folded.complete:
        problems.append("the events without Done do not add up to the parts of the response, marked incomplete")
    return problems


def _blocks(events: Sequence[Event], message: Message) -> Iterator[str]:
    started: dict[int, BlockStart] = {}
    pieces: dict[int, str] = {}
    ended: dict[int, BlockEnd] = {}
    for event in events:
        if isinstance(event, Done):
            continue
        if isinstance(event, BlockStart):
            if event.index in started:
                yield f"block {event.index} starts twice"
            started[event.index], pieces[event.index] = event, ""
        elif event.index not in started or event.index in ended:
            yield f"{event!r} outside its block"
        elif isinstance(event, BlockEnd):
            ended[event.index] = event
        else:
            pieces[event.index] += event.arguments if isinstance(event, ToolCallDelta) else event.text
            right = {"text": TextDelta, "thinking": ThinkingDelta, "tool_call": ToolCallDelta}
            if not isinstance(event, right.get(started[event.index].block, ())):
                yield f"{event!r} in a block of {started[event.index].block}"
    if sorted(started) != sorted(ended) or sorted(started) != list(range(len(message.parts))):
        yield f"blocks {sorted(started)} started, {sorted(ended)} ended, {len(message.parts)} parts in the message"
        return
    for index, part in enumerate(message.parts):
        if _plain((ended[index].part,)) != _plain((part,)):
            yield f"block {index} ends as {ended[index].part!r}, the message holds {part!r}"
        if started[index].block != part.kind:
            yield f"block {index} started as {started[index].block}, is {part.kind}"
        yield from _pieces(started[index], pieces[index], part)


def _plain(parts: Sequence[Any]) -> list[JSON]:
    """Return parts without ciphertext: the vendor encrypts the same reasoning anew each time it sends it."""
    plain = []
    for part in parts:
        fields = part.model_dump()
        if isinstance(fields["native"], dict) and "encrypted_content" in fields["native"]:
            fields["native"] = {**fields["native"], "encrypted_content": None}
        plain.append(fields)
    return plain


def _pieces(start: BlockStart, joined: str, part: Any) -> Iterator[str]:
    match part:
        case Text(text=text) | Thinking(text=text):
            if joined != text:
                yield f"block {start.index}: deltas join to {_short(joined)}, the part holds {_short(text)}"
        case ToolCall():
            if _arguments(joined) != (part.arguments, part.raw):
                yield f"block {start.index}: deltas join to {_short(joined)}, arguments are {_short(part.arguments)}"
            if (start.id, start.name) != (part.id, part.name):
                yield f"block {start.index}: started as {start.id!r} {start.name!r}, is {part.id!r} {part.name!r}"
        case _:
            pass


def cut(reading: Reading, outcome: Outcome, *, over: bool | None) -> list[str]:
    """Check what came of a stream that broke off.

    Args:
        reading: Of the whole stream.
        outcome: Of the broken one.
        over: Whether what arrived is a whole answer; None where both may be said.
    """
    if over is None and outcome.error is None:
        return []
    if over:
        return [] if outcome.error is None else [f"the terminator had passed, yet it raised {outcome.error!r}"]
    if outcome.error is None:
        return ["a stream that broke off passed for a whole answer"]
    if not isinstance(outcome.error, errors.StreamInterrupted | errors.ConnectionFailed):
        return [f"raised {outcome.error!r}"]
    return _partial(reading, outcome)


def broke_down(reading: Reading, outcome: Outcome, kind: type[errors.GenkitError]) -> list[str]:
    """Check what came of a stream in which the vendor reported an error.

    Args:
        reading: Of the whole stream, as it was before.
        outcome: Of the stream with the error in it.
        kind: What the error is.
    """
    if type(outcome.error) is not kind:
        return [f"became {outcome.error!r}, not {kind.__name__}"]
    return _partial(reading, outcome)


def _partial(reading: Reading, outcome: Outcome) -> list[str]:
    """Check that an error holds what had arrived of an answer."""
    assert outcome.error is not None
    problems = []
    partial = outcome.error.response
    if partial is None:
        if any(isinstance(event, TextDelta) for event in outcome.events):
            problems.append("text had arrived, and the error does not hold it")
        return problems
    if partial.complete:
        problems.append("what arrived is marked complete")
    whole = reading.choices[0] if reading.choices else Choice()
    texts = [part.text for part in partial.message.parts if isinstance(part, Text) and not part.refusal]
    if not whole.text.startswith("".join(texts)):
        problems.append(f"what arrived, {_short(''.join(texts))}, does not begin the answer {_short(whole.text)}")
    joined = "".join(event.text for event in outcome.events if isinstance(event, TextDelta) and event.candidate == 0)
    if joined != partial.text:
        problems.append(f"the deltas join to {_short(joined)}, the error holds {_short(partial.text)}")
    names = [call.name for call in partial.tool_calls]
    if names != [call.name for call in whole.calls][: len(names)]:
        problems.append(f"tool calls {names} do not begin those of the answer")
    return problems
