"""Response bodies: content-encoding undone, size bounded, and the two streams that hand them out as they arrive."""

from __future__ import annotations

import abc
import threading
import zlib
from collections.abc import Callable, Mapping
from typing import Literal, Self

from ..errors import BadResponse, GenkitError
from .deadline import Deadline
from .failures import stream_closed

__all__ = ["Abort", "AsyncByteStream", "Body", "ByteStream"]

_FINISH_SECONDS = 0.1
_FINISH_BYTES = 65_536
_OVERHEAD_BYTES = 65_536


class Body:
    """Undoes the content-encoding of one body and counts its bytes."""

    __slots__ = ("_decoder", "_encoding", "_head", "_left", "_limit", "_raw_left", "where")

    def __init__(self, headers: Mapping[str, str], *, max_bytes: int, where: str) -> None:
        encoding = headers.get("content-encoding", "").strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise BadResponse(
                f"{where} answered in the content-encoding {encoding!r}, which was not asked for; "
                "a proxy in between may have changed it",
                sent=True,
            )
        self.where = where
        self._encoding = "" if encoding == "identity" else encoding
        self._limit = self._left = max_bytes
        # An encoding may be a little longer than what it holds; one that is all length and holds nothing must end, too.
        self._raw_left = max_bytes + max_bytes // 64 + _OVERHEAD_BYTES
        self._head = b""
        self._decoder: zlib._Decompress | None = None

    def feed(self, raw: bytes) -> bytes:
        """Return what `raw` decodes to, possibly nothing yet.

        Raises:
            BadResponse: If it does not decode, or the body exceeds its limit.
        """
        data = self._decode(raw) if self._encoding else raw
        self._left -= len(data)
        self._raw_left -= len(raw)
        if min(self._left, self._raw_left) < 0:
            raise BadResponse(
                f"the answer of {self.where} exceeds the limit of {self._limit} bytes: "
                "raise max_bytes if it is meant to be that large",
                sent=True,
            )
        return data

    def end(self) -> None:
        """Check that the encoded body is whole.

        Raises:
            BadResponse: If it ends inside its encoding.
        """
        if self._head or (self._decoder is not None and not self._decoder.eof):
            raise self._undecodable("it ends too early")

    def _decode(self, raw: bytes) -> bytes:
        if self._decoder is None:
            raw = self._head + raw
            if len(raw) < 2:
                self._head = raw
                return b""
            self._head = b""
            self._decoder = zlib.decompressobj(self._window(raw))
        pieces: list[bytes] = []
        room = self._left
        while raw:
            if self._decoder.eof:
                if not raw.strip(b"\0"):
                    break
                # RFC 1952, 2.2: a gzip body may be several members, one after another.
                self._decoder = zlib.decompressobj(self._window(raw))
            try:
                piece = self._decoder.decompress(raw, max(room, 0) + 1)
            except zlib.error as error:
                raise self._undecodable(error) from error
            pieces.append(piece)
            room -= len(piece)
            if self._decoder.unconsumed_tail:
                break
            raw = self._decoder.unused_data
        return b"".join(pieces)

    def _window(self, head: bytes) -> int:
        """Return zlib's `wbits` for a body that begins with `head`."""
        # Some servers send "deflate" without the zlib header (RFC 1950, 2.2) that RFC 9110 asks for.
        zlib_header = head[0] & 0x0F == 8 and int.from_bytes(head[:2], "big") % 31 == 0
        if self._encoding == "deflate" and not zlib_header and head[:2] != b"\x1f\x8b":
            return -zlib.MAX_WBITS
        return 32 + zlib.MAX_WBITS

    def _undecodable(self, reason: object) -> BadResponse:
        return BadResponse(f"the {self._encoding} body of {self.where} does not decode: {reason}", sent=True)


class Abort:
    """Ends a request from another thread while its answer's head is awaited, when there is no stream to close yet."""

    def __init__(self) -> None:
        self._closed = False
        self._end: Callable[[], None] | None = None

    def bind(self, end: Callable[[], None]) -> None:
        """Say what ends the request; called by the engine that sends it."""
        self._end = end
        if self._closed:
            end()

    def close(self) -> None:
        """End the request; `open` fails at once with `StreamClosed`."""
        self._closed = True
        if self._end is not None:
            self._end()


class ByteStream(abc.ABC):
    """A response body as it arrives: an iterator of decoded, non-empty chunks.

    One thread reads; any thread may close, which ends a read in progress with `StreamClosed`. Read to its end, the
    stream gives its connection back for reuse; closed earlier, it closes the connection.

    Attributes:
        status: The HTTP status, of any kind but a redirect.
        headers: By lower-case name.
    """

    def __init__(self, status: int, headers: Mapping[str, str], *, deadline: Deadline, body: Body) -> None:
        self.status = status
        self.headers = headers
        self._deadline = deadline
        self._body = body
        self._lock = threading.Lock()
        self._closing = False
        self._ended: Literal["whole", "closed"] | GenkitError | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        with self._lock:
            chunk = self._advance()
        if self._closing:
            # close() came while this thread held the lock, and left the rest to it.
            self.close()
            raise stream_closed(self._body.where)
        if chunk is None:
            raise StopIteration
        return chunk

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def read(self) -> bytes:
        """Return the rest of the body."""
        return b"".join(self)

    def event(self, within: float | None = None) -> None:
        """Say that one event was decoded: it ends the wait for the first one, and restarts the idle clock.

        Args:
            within: Seconds that the rest may take at most, if that is less than the time limits say.
        """
        self._deadline.event()
        if within is not None:
            self._deadline.cap(within)

    def finish(self) -> None:
        """Close the stream whose content is over, and keep its connection if the body ends within a moment.

        For protocols with a terminator of their own ("data: [DONE]"), which comes just before the body's end.
        """
        self._deadline.cap(_FINISH_SECONDS)
        surplus = 0
        try:
            for chunk in self:
                surplus += len(chunk)
                if surplus > _FINISH_BYTES:
                    break
        except GenkitError:
            # The content was whole already; whatever is wrong with what follows only costs the connection.
            pass
        self.close()

    def close(self) -> None:
        """End the stream, from any thread; a read in progress fails at once. Twice is fine."""
        if self._ended is not None:
            return
        if self._lock.acquire(blocking=False):
            try:
                if self._ended is None:
                    self._ended = "closed"
                    self._release(reuse=False)
            finally:
                self._lock.release()
        else:
            self._closing = True
            self._interrupt()
            # The reader may have let go of the lock just before `_closing` was set.
            if self._lock.acquire(blocking=False):
                self._lock.release()
                self.close()

    def _advance(self) -> bytes | None:
        """Return the next chunk, or None at the end; called with the lock held."""
        if self._ended is not None:
            if self._ended == "whole":
                return None
            raise stream_closed(self._body.where) if self._ended == "closed" else self._ended
        try:
            while True:
                # What has arrived already is read without waiting, and is no reason to overrun the time.
                self._deadline.left()
                if (raw := self._read()) is None:
                    break
                if chunk := self._body.feed(raw):
                    return chunk
            self._body.end()
        except BaseException as error:
            if self._closing:
                self._ended = "closed"
                self._release(reuse=False)
                raise stream_closed(self._body.where) from error
            self._ended = error if isinstance(error, GenkitError) else "closed"
            self._release(reuse=False)
            raise
        if self._closing:
            self._ended = "closed"
            self._release(reuse=False)
            raise stream_closed(self._body.where)
        self._ended = "whole"
        self._release(reuse=True)
        return None

    @abc.abstractmethod
    def _read(self) -> bytes | None:
        """Return raw bytes as they arrive, None at the end of the body; held to the deadline."""

    @abc.abstractmethod
    def _interrupt(self) -> None:
        """Make a `_read` that another thread is in return or fail at once."""

    @abc.abstractmethod
    def _release(self, *, reuse: bool) -> None:
        """Give the connection back, or close it; called once."""


class AsyncByteStream(abc.ABC):
    """The asynchronous twin of `ByteStream`, for tasks of one event loop."""

    def __init__(self, status: int, headers: Mapping[str, str], *, deadline: Deadline, body: Body) -> None:
        self.status = status
        self.headers = headers
        self._deadline = deadline
        self._body = body
        self._ended: Literal["whole", "closed"] | GenkitError | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._ended is not None:
            if self._ended == "whole":
                raise StopAsyncIteration
            raise stream_closed(self._body.where) if self._ended == "closed" else self._ended
        try:
            while (raw := await self._read()) is not None:
                if chunk := self._body.feed(raw):
                    return chunk
            self._body.end()
        except BaseException as error:
            if self._ended == "closed":
                raise stream_closed(self._body.where) from error
            self._ended = error if isinstance(error, GenkitError) else "closed"
            self._release(reuse=False)
            raise
        if self._ended == "closed":
            raise stream_closed(self._body.where)
        self._ended = "whole"
        self._release(reuse=True)
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def read(self) -> bytes:
        """Return the rest of the body."""
        return b"".join([chunk async for chunk in self])

    def event(self, within: float | None = None) -> None:
        """Say that one event was decoded: it ends the wait for the first one, and restarts the idle clock.

        Args:
            within: Seconds that the rest may take at most, if that is less than the time limits say.
        """
        self._deadline.event()
        if within is not None:
            self._deadline.cap(within)

    async def afinish(self) -> None:
        """Close the stream whose content is over, and keep its connection if the body ends within a moment."""
        self._deadline.cap(_FINISH_SECONDS)
        surplus = 0
        try:
            async for chunk in self:
                surplus += len(chunk)
                if surplus > _FINISH_BYTES:
                    break
        except GenkitError:
            # The content was whole already; whatever is wrong with what follows only costs the connection.
            pass
        await self.aclose()

    def close(self) -> None:
        """End the stream, from any task of its loop; a read in progress fails at once. Twice is fine."""
        if self._ended is None:
            self._ended = "closed"
            self._release(reuse=False)

    async def aclose(self) -> None:
        """Do what `close` does, and wait until the connection is let go."""
        self.close()

    @abc.abstractmethod
    async def _read(self) -> bytes | None:
        """Return raw bytes as they arrive, None at the end of the body; held to the deadline."""

    @abc.abstractmethod
    def _release(self, *, reuse: bool) -> None:
        """Give the connection back, or close it, waking a reader; called once."""
