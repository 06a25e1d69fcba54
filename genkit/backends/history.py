"""Conversations on their way to a vendor: what every vendor demands of a history, whoever wrote it.

A history may come from another vendor, from a program that was cut short, or from a person. Here it is brought into a
form that all vendors take: each tool call has one result right after it, ids are unique, and where a vendor has but two
roles, the turns alternate between them. Nothing is left out; what had to be changed is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar

from ..types import Message, Opaque, Part, Text, ToolCall, ToolResult
from .base import Losses

__all__ = ["FRAME", "Turn", "mended", "turns"]

FRAME = "[Instruction of the operator, not of the user]\n"
"""What stands before a system message that had to become part of a user's turn."""

_T = TypeVar("_T", ToolCall, ToolResult)
_UNANSWERED = "There is no result: the conversation went on without it."


@dataclass(slots=True)
class Turn:
    """What one side said in one go."""

    role: Literal["user", "assistant"]
    parts: list[Part] = field(default_factory=list)


def mended(
    messages: Sequence[Message], losses: Losses, *, foreign_call: Callable[[Opaque], str | None] = lambda _: None
) -> tuple[Message, ...]:
    """Return the messages with every tool call followed by its result, and ids unique.

    A result without a call becomes text of the user's, a call without a result is given a failed one, results that
    came late are moved up, and calls that share an id are told apart. All of that is reported; what is in order already
    comes back as it is, with the names of the tools filled in at the results.

    Args:
        messages: The conversation, in order.
        losses: Told of what changes.
        foreign_call: Returns the id of the call that an item of the vendor's own stands for, if it does; results of
            such calls stay where they are.
    """
    if not any(isinstance(part, (ToolCall, ToolResult)) for message in messages for part in message.parts):
        return tuple(messages)
    items = [part for message in messages for part in message.parts if isinstance(part, Opaque)]
    mending = _Mending(losses, frozenset(filter(None, map(foreign_call, items))))
    return tuple(message for stretch in _stretches(messages) for message in mending.stretch(stretch))


def turns(messages: Sequence[Message], losses: Losses, *, where: str) -> tuple[tuple[Part, ...], list[Turn]]:
    """Return the instructions at the beginning, and the conversation as turns that alternate.

    For vendors with one place for instructions and two roles. A later system message stays where it is said, as marked
    text of the user's.

    Args:
        messages: The conversation, in order.
        losses: Told of what changes.
        where: Name of the vendor's interface, for the reports.
    """
    first = next((at for at, message in enumerate(messages) if message.role != "system"), len(messages))
    system = tuple(part for message in messages[:first] for part in message.parts)
    found: list[Turn] = []
    for at, message in enumerate(messages):
        if message.name:
            losses.lose("name", f"{where} has no names of speakers (message of {message.name!r})")
        if at < first:
            continue
        parts: Sequence[Part] = message.parts
        if message.role == "system":
            losses.lose(
                "system", f"{where} has no instructions in mid-conversation; sent as marked text", kind="changed"
            )
            parts = _framed(parts)
        role: Literal["user", "assistant"] = "assistant" if message.role == "assistant" else "user"
        if not parts:
            continue
        if not found or found[-1].role != role:
            found.append(Turn(role))
        found[-1].parts += parts
    return system, found


def _framed(parts: Sequence[Part]) -> Sequence[Part]:
    """Return instructions as parts of a user's turn, marked as what they are."""
    first = parts[0] if parts else None
    if isinstance(first, Text):
        return [first.model_copy(update={"text": FRAME + first.text}), *parts[1:]]
    return [Text(text=FRAME), *parts] if parts else parts


# Where a part stands in a stretch: the number of its message, and its own. Equal parts may be one object, so that
# neither equality nor identity tells them apart.
_Place: TypeAlias = tuple[int, int]


def _stretches(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """Cut a conversation before each answer of the model; answers in a row stay together."""
    stretch: list[Message] = []
    for message in messages:
        if message.role == "assistant" and stretch and stretch[-1].role != "assistant":
            yield stretch
            stretch = []
        stretch.append(message)
    yield stretch


class _Mending:
    """One conversation's calls and results, brought together."""

    def __init__(self, losses: Losses, foreign: frozenset[str]) -> None:
        self._losses = losses
        self._foreign = foreign
        self._used: set[str] = set()

    def stretch(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Return what the model said, the results of its calls, and what followed."""
        answers = sum(message.role == "assistant" for message in messages)
        calls = _found(messages[:answers], ToolCall)
        results = {at: part for at, part in _found(messages, ToolResult).items() if part.id not in self._foreign}
        if not calls and not results:
            return messages
        ids = {place: self._unique(call) for place, call in calls.items()}
        pairs = _paired(calls, results)
        changed: dict[_Place, Part] = {at: ids[at] for at in calls}
        changed |= {pairs[at]: _for_call(results[pairs[at]], ids[at]) for at in pairs}
        if _in_order(calls, results, pairs):
            return [_replaced(message, number, changed) for number, message in enumerate(messages)]
        said = [part for number in range(answers) for part in _replaced(messages[number], number, changed).parts]
        self._tell_names(messages[:answers])
        self._tell_late(messages, answers, {place: calls[at].id for at, place in pairs.items()})
        answered = self._results(ids, {at: changed[place] for at, place in pairs.items()})
        if len(results) > len(pairs):
            why = "there is no call for it; sent as marked text of the user's"
            self._losses.lose("tool_result", why, kind="changed")
        return [
            *([messages[0].model_copy(update={"parts": tuple(said)})] if answers else []),
            *([Message(role="tool", parts=answered)] if answered else []),
            *_without(messages, answers, set(pairs.values()), self._foreign),
        ]

    def _tell_names(self, answers: Sequence[Message]) -> None:
        """Report the names that get lost where answers become one, which has the name of the first."""
        for message in answers[1:]:
            if message.name and message.name != answers[0].name:
                why = f"answers in a row are sent as one, without the name of {message.name!r}"
                self._losses.lose("name", why)

    def _tell_late(self, messages: Sequence[Message], start: int, moved: Mapping[_Place, str]) -> None:
        """Report the results that come after something else than results of these calls."""
        passed = False
        for number, message in enumerate(messages[start:], start):
            for at in range(len(message.parts)):
                called = moved.get((number, at))
                if called is not None and passed:
                    why = f"the result of the call {called!r} came later; it is sent right after the call"
                    self._losses.lose("tool_result", why, kind="changed")
                passed = passed or called is None

    def _unique(self, call: ToolCall) -> ToolCall:
        """Return the call under an id that no call before it has."""
        wanted, number = call.id, 1
        while wanted in self._used:
            number += 1
            wanted = f"{call.id}-{number}"
        self._used.add(wanted)
        if wanted == call.id:
            return call
        self._losses.lose("tool_call", f"the id {call.id!r} is used twice; sent as {wanted!r}", kind="changed")
        return call.model_copy(update={"id": wanted})

    def _results(self, calls: Mapping[_Place, ToolCall], given: Mapping[_Place, Part]) -> tuple[Part, ...]:
        """Return one result per call, in the order of the calls."""
        found: list[Part] = []
        for place, call in calls.items():
            if place in given:
                found.append(given[place])
                continue
            why = f"the call {call.id!r} of {call.name!r} has no result; a failed one is sent"
            self._losses.lose("tool_call", why, kind="changed")
            found.append(ToolResult(id=call.id, name=call.name, parts=(Text(text=_UNANSWERED),), failed=True))
        return tuple(found)


def _found(messages: Sequence[Message], kind: type[_T]) -> dict[_Place, _T]:
    return {
        (number, at): part
        for number, message in enumerate(messages)
        for at, part in enumerate(message.parts)
        if isinstance(part, kind)
    }


def _paired(calls: Mapping[_Place, ToolCall], results: Mapping[_Place, ToolResult]) -> dict[_Place, _Place]:
    """Return where the result of each call stands; those of equal id pair in order."""
    waiting: dict[str, list[_Place]] = {}
    for place, call in calls.items():
        waiting.setdefault(call.id, []).append(place)
    return {places.pop(0): at for at, result in results.items() if (places := waiting.get(result.id))}


def _in_order(
    calls: Mapping[_Place, ToolCall],
    results: Mapping[_Place, ToolResult],
    pairs: Mapping[_Place, _Place],
) -> bool:
    """Return whether one answer makes all calls, and exactly their results come next."""
    asking = {number for number, _ in calls}
    if len(asking) != 1 or not len(calls) == len(results) == len(pairs):
        return False
    holding = sorted({number for number, _ in results})
    return holding == list(range(next(iter(asking)) + 1, holding[-1] + 1))


def _for_call(result: ToolResult, call: ToolCall) -> ToolResult:
    if result.id == call.id and result.name == call.name:
        return result
    return result.model_copy(update={"id": call.id, "name": call.name})


def _replaced(message: Message, number: int, changed: Mapping[_Place, Part]) -> Message:
    parts = tuple(changed.get((number, at), part) for at, part in enumerate(message.parts))
    same = all(new is old for new, old in zip(parts, message.parts, strict=True))
    return message if same else message.model_copy(update={"parts": parts})


def _without(messages: Sequence[Message], start: int, moved: set[_Place], foreign: frozenset[str]) -> Iterator[Message]:
    """Yield what follows without the results that were moved up; those without a call become marked text."""
    for number, message in enumerate(messages[start:], start):
        parts: list[Part] = []
        for at, part in enumerate(message.parts):
            if not isinstance(part, ToolResult) or part.id in foreign:
                parts.append(part)
            elif (number, at) not in moved:
                what = "Failed result" if part.failed else "Result"
                parts += [Text(text=f"[{what} of a call of {part.name or part.id!r} that is not shown]"), *part.parts]
        if parts or not message.parts:
            results = bool(parts) and all(isinstance(part, ToolResult) for part in parts)
            role = "user" if message.role == "tool" and not results else message.role
            yield message.model_copy(update={"role": role, "parts": tuple(parts)})
