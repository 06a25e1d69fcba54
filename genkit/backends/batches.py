"""Texts that need several requests: one time limit for all of them, and no vector lost where one fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import BadResponse, GenkitError
from ..types import CallWarning, Embeddings
from .together import AT_ONCE, together
from .waiting import rest

if TYPE_CHECKING:
    from .translation import Exchange, WireRequest
    from .wire import WireBackend

__all__ = ["Read", "aembedded", "embedded", "joined"]

Read: TypeAlias = Callable[["WireRequest", dict[str, Any], "Exchange"], Embeddings]
"""What makes vectors of an answer."""


def embedded(backend: WireBackend, wires: Sequence[WireRequest], read: Read) -> list[Embeddings]:
    """Send one request after the other, and return the answers.

    Args:
        backend: Whose `exchange` sends them.
        wires: The requests; the total time limit of the first holds for all of them together.
        read: Makes vectors of an answer.

    Raises:
        GenkitError: As `exchange` and `read` do; its `embeddings` are those of the texts before the one that failed.
    """
    began = time.monotonic()
    found: list[Embeddings] = []
    try:
        for wire in wires:
            found.append(read(wire, *backend.exchange(_limited(wire, began))))  # noqa: PERF401  # a failure leaves what is there
    except GenkitError as error:
        raise _with(error, found, backend.name) from error.__cause__
    return found


async def aembedded(
    backend: WireBackend, wires: Sequence[WireRequest], read: Read, *, at_once: int = AT_ONCE
) -> list[Embeddings]:
    """Async twin of `embedded`, which sends several requests at the same time.

    Args:
        backend: Whose `aexchange` sends them.
        wires: The requests.
        read: Makes vectors of an answer.
        at_once: How many may be under way.
    """
    began = time.monotonic()
    found: dict[int, Embeddings] = {}

    async def ask(at: int) -> Embeddings:
        wire = _limited(wires[at], began)
        found[at] = answer = read(wire, *await backend.aexchange(wire))
        return answer

    try:
        return await together(ask, range(len(wires)), at_once=at_once)
    except GenkitError as error:
        first = next(at for at in range(len(wires)) if at not in found)
        raise _with(error, [found[at] for at in range(first)], backend.name) from error.__cause__


def joined(answers: Sequence[Embeddings]) -> Embeddings:
    """Return several answers as one.

    Raises:
        BadResponse: If their vectors differ in length.
    """
    first = answers[0]
    if len(answers) == 1:
        return first
    if len({len(vector) for answer in answers for vector in answer.vectors}) > 1:
        raise BadResponse("the vectors that came back differ in length", backend=first.backend, sent=True)
    usage = first.usage
    for answer in answers[1:]:
        usage += answer.usage
    told: dict[CallWarning, None] = {warning: None for answer in answers for warning in answer.warnings}
    vectors = tuple([vector for answer in answers for vector in answer.vectors])
    return first.model_copy(update={"vectors": vectors, "usage": usage, "warnings": tuple(told)})


def _limited(wire: WireRequest, began: float) -> WireRequest:
    limits = rest(wire.timeouts, began)
    return wire if limits is wire.timeouts else replace(wire, timeouts=limits)


def _with(error: GenkitError, found: Sequence[Embeddings], backend: str) -> GenkitError:
    error.backend = error.backend or backend
    if found:
        error.embeddings = joined(found)
    return error
