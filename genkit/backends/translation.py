"""What the translation of a backend behind HTTP takes and gives beside requests and responses; see `wire`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..transport import HttpRequest
from ..types import CallWarning, Event, Response, Timeouts, Timing

__all__ = ["Decoder", "Exchange", "WireRequest"]

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class WireRequest:
    """What `encode` made of a request: everything but the address's host and the credential.

    Attributes:
        path: Below the base URL, percent-encoded, such as "/chat/completions".
        api: The vendor's interface it is for, such as "chat".
        origin: Mark for native data that this interface issues and takes back.
        method: The HTTP method; a GET has no body.
    """

    path: str
    body: JSON
    model: str
    api: str
    origin: str
    headers: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[CallWarning, ...] = ()
    timeouts: Timeouts = field(default_factory=Timeouts)
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a decoder may want to know of the HTTP exchange beside the body.

    Attributes:
        headers: Of the answer, names in lower case.
        timing: When what came.
        request: What was sent; no error may quote its secrets.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    timing: Timing | None = None
    request: HttpRequest | None = field(default=None, repr=False)


class Decoder(Protocol):
    """Turns the frames of one stream into events. State lives here; there is no I/O.

    One with an attribute `settled` says so when nothing that matters can come any more: its answer then outlives what
    breaks its stream, with a note. One with `grace_s` says how many seconds the rest may take, if that is less than the
    time limits say; None for no such limit.
    """

    finished: bool
    """The stream's terminator was seen; nothing after it is read."""

    @property
    def complete(self) -> bool:
        """Whether the answer is whole if the body ends now, without an error."""
        ...

    def feed(self, frame: Any) -> Sequence[Event]:
        """Return the events of one frame. Raises the typed error for an error inside the stream."""
        ...

    def response(self, exchange: Exchange) -> Response[Any]:
        """Return the answer as it stands; `complete=False` in it when it is not `complete`."""
        ...

    def end(self) -> Sequence[Event]:
        """Return the ends of blocks that are still open when the stream is over."""
        ...
