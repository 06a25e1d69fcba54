"""Answers of the same content against each other: a stream and a plain answer, and two streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from genkit.types import BlockEnd, BlockStart, Done, Event, Message, Response, ToolCall

__all__ = ["unlike", "unlike_plain"]


def unlike_plain(stream: Response[Any], plain: Response[Any]) -> list[str]:
    """Compare the response of a stream with that of the plain answer; only clock and the vendor's rest may differ."""
    one, other = (_plain(response) for response in (stream, plain))
    return [f"{name}: {one[name]!r}, plain {other[name]!r}" for name in one if one[name] != other[name]]


def _plain(response: Response[Any]) -> dict[str, Any]:
    return _nameless_response(response).model_dump(exclude={"timing", "native"})


def unlike(events: Sequence[Event], others: Sequence[Event]) -> list[str]:
    """Compare two streams of the same answer; only the clock may differ."""
    if len(events) != len(others):
        return [f"{len(events)} events, otherwise {len(others)}"]
    for one, other in zip(_nameless(events), _nameless(others), strict=True):
        if one != other:
            return [f"{one!r}, otherwise {other!r}"]
    return []


def _nameless(events: Sequence[Event]) -> list[Any]:
    """Return events without what is new each time: the clock, and ids that genkit makes where the vendor gives none."""
    minted = {event.part.id for event in events if isinstance(event, BlockEnd) and _minted(event.part)}
    found: list[Any] = []
    for event in events:
        match event:
            case Done(response=response):
                found.append(_nameless_response(response).model_dump(exclude={"timing"}))
            case BlockStart() if event.id in minted:
                found.append(replace(event, id="minted"))
            case BlockEnd() if _minted(event.part):
                found.append(replace(event, part=_nameless_part(event.part)))
            case _:
                found.append(event)
    return found


def _minted(part: Any) -> bool:
    return isinstance(part, ToolCall) and part.minted


def _nameless_part(part: Any) -> Any:
    return part.model_copy(update={"id": "minted"}) if _minted(part) else part


def _nameless_response(response: Response[Any]) -> Response[Any]:
    def nameless(message: Message) -> Message:
        return message.model_copy(update={"parts": tuple(_nameless_part(part) for part in message.parts)})

    others = tuple(
        candidate.model_copy(update={"message": nameless(candidate.message)}) for candidate in response.alternatives
    )
    return response.model_copy(update={"message": nameless(response.message), "alternatives": others})
