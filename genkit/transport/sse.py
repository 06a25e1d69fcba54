"""Server-sent events, by the book: https://html.spec.whatwg.org/multipage/server-sent-events.html. Pure, no I/O."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import BadResponse

__all__ = ["MAX_EVENT_BYTES", "SSEParser", "ServerSentEvent"]

MAX_EVENT_BYTES = 64 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


@dataclass(slots=True)
class ServerSentEvent:
    """One event.

    Attributes:
        data: The lines of `data`, joined by line feeds; undecoded, since JSON parsers take UTF-8 bytes.
        event: Its name.
        id: The last id the server gave, in this event or before it; None before the first.
    """

    data: bytes
    event: str = "message"
    id: str | None = None

    @property
    def text(self) -> str:
        """The data as text; what is not UTF-8 becomes U+FFFD, as the specification says."""
        return self.data.decode("utf-8", errors="replace")


class SSEParser:
    """Cuts a stream of bytes into events; chunk borders are free.

    Args:
        max_event_bytes: Limit of one event, or of one line of any kind.
    """

    __slots__ = ("_begun", "_data", "_event", "_id", "_limit", "_size", "_skip_lf", "_tail", "_tail_size", "failure")

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._limit = max_event_bytes
        self._begun = False
        self._skip_lf = False
        # Pieces of the unfinished line: joined once, when it ends, so that a long line costs linear time.
        self._tail: list[bytes] = []
        self._tail_size = 0
        self._data: list[bytes] = []
        self._size = 0
        self._event = ""
        self._id: str | None = None
        self.failure: BadResponse | None = None

    @property
    def pending(self) -> ServerSentEvent | None:
        """The event that a blank line would complete now, an unfinished line included; None when there is none."""
        data, event = list(self._data), self._event
        line = b"".join(self._tail)
        if not self._begun:
            line = line.removeprefix(_BOM)
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
        return ServerSentEvent(b"\n".join(data), event or "message", self._id) if data else None

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Return the events that `chunk` completes; those before one that is too large are, and `failure` is set.

        Raises:
            BadResponse: If an event exceeds its limit.
        """
        events = self._events(chunk) if self.failure is None else []
        if self.failure is not None and not events:
            raise self.failure
        return events

    def _events(self, chunk: bytes) -> list[ServerSentEvent]:
        if self._skip_lf and chunk:
            self._skip_lf = False
            if chunk[0] == 10:
                chunk = chunk[1:]
        if b"\r" in chunk:
            self._skip_lf = chunk[-1] == 13
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if not self._begun or self._tail:
            end = chunk.rfind(b"\n") + 1
            if not end:
                self._keep(chunk)
                return []
            self._tail.append(chunk[:end])
            text = b"".join(self._tail)
            self._tail.clear()
            self._tail_size = 0
            if not self._begun:
                self._begun = True
                text = text.removeprefix(_BOM)
            events = self._lines(text.split(b"\n"))
            if end < len(chunk):
                self._keep(chunk[end:])
            return events
        lines = chunk.split(b"\n")
        if lines[-1]:
            self._keep(lines[-1])
        return self._lines(lines)

    def end(self) -> ServerSentEvent | None:
        """Say that the stream is over; return the event that was cut off, which the specification discards."""
        return self.pending

    def _lines(self, lines: list[bytes]) -> list[ServerSentEvent]:
        """Return the events that whole lines complete; the last element, after the last line feed, is not a line."""
        events: list[ServerSentEvent] = []
        lines.pop()
        data = self._data
        new = len(data)
        for line in lines:
            if line[:6] == b"data: ":
                data.append(line[6:])
            elif not line:
                if data:
                    text = data[0] if len(data) == 1 else b"\n".join(data)
                    if len(text) > self._limit:
                        self.failure = self._too_large()
                        return events
                    events.append(ServerSentEvent(text, self._event or "message", self._id))
                    data.clear()
                    new = self._size = 0
                self._event = ""
            else:
                self._field(line)
        if len(data) > new:
            # Only what is new is counted: an event of many lines costs linear time. A line feed joins two lines.
            self._size += sum(map(len, data[new:])) + len(data) - new
            if self._size - 1 > self._limit:
                self.failure = self._too_large()
        return events

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._event = value.decode("utf-8", errors="replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", errors="replace")

    def _keep(self, piece: bytes) -> None:
        self._tail.append(piece)
        self._tail_size += len(piece)
        if self._tail_size > self._limit:
            self.failure = self._too_large()

    def _too_large(self) -> BadResponse:
        return BadResponse(
            f"a server-sent event exceeds the limit of {self._limit} bytes: is the address that of an API?", sent=True
        )
