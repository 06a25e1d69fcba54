"""The frames of AWS event streams (application/vnd.amazon.eventstream). Pure, no I/O.

A frame is: total length, length of the headers, CRC of these two; headers; payload; CRC of all before it. Numbers are
big-endian. Format: https://smithy.io/2.0/aws/amazon-eventstream.html
"""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from ..errors import BadResponse

__all__ = ["MAX_FRAME_BYTES", "EventStreamParser", "Frame", "HeaderValue"]

HeaderValue: TypeAlias = bool | int | bytes | str | datetime | uuid.UUID

# AWS: payload up to 24 MiB (16 in practice), headers up to 128 KiB.
MAX_FRAME_BYTES = 24 * 1024 * 1024 + 128 * 1024 + 16
_PRELUDE = struct.Struct(">III")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INTEGERS = {2: (1, ">b"), 3: (2, ">h"), 4: (4, ">i"), 5: (8, ">q")}
_CACHED_HEADERS = 256


@dataclass(frozen=True, slots=True)
class Frame:
    """One message of an event stream.

    Attributes:
        headers: By name, such as ":event-type"; in the type that the frame gives them.
        payload: Usually JSON.
    """

    headers: Mapping[str, HeaderValue]
    payload: bytes


class EventStreamParser:
    """Cuts a stream of bytes into frames; chunk borders are free.

    Args:
        max_frame_bytes: Limit of one frame.

    Attributes:
        failure: What the next `feed` raises, where frames came before what is broken.
    """

    __slots__ = ("_buffer", "_cache", "_limit", "failure")

    def __init__(self, *, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._limit = max_frame_bytes
        self._buffer = bytearray()
        # A stream repeats the same few header blocks.
        self._cache: dict[bytes, Mapping[str, HeaderValue]] = {}
        self.failure: BadResponse | None = None

    @property
    def pending(self) -> int:
        """How many bytes of an unfinished frame there are: more than 0 at the end means that the stream was cut."""
        return len(self._buffer)

    def feed(self, chunk: bytes) -> list[Frame]:
        """Return the frames that `chunk` completes; those before a broken one are returned, and `failure` is set.

        Raises:
            BadResponse: If a checksum, a length or a header is wrong, or a frame exceeds its limit.
        """
        if self.failure is not None:
            raise self.failure
        self._buffer += chunk
        frames: list[Frame] = []
        try:
            self._cut(frames)
        except BadResponse as error:
            self.failure = error
            if not frames:
                raise
        return frames

    def _cut(self, frames: list[Frame]) -> None:
        """Move what is complete from the buffer into `frames`."""
        buffer = self._buffer
        start, size = 0, len(buffer)
        with memoryview(buffer) as view:
            while size - start >= _PRELUDE.size:
                total, headers_size, checksum = _PRELUDE.unpack_from(view, start)
                if zlib.crc32(view[start : start + 8]) != checksum:
                    raise _broken("the checksum of a frame's lengths is wrong")
                if total < headers_size + 16:
                    raise _broken(f"a frame of {total} bytes cannot hold {headers_size} bytes of headers")
                if total > self._limit:
                    raise _broken(f"a frame of {total} bytes exceeds the limit of {self._limit}")
                end = start + total
                if end > size:
                    break
                if zlib.crc32(view[start : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
                    raise _broken("the checksum of a frame is wrong")
                payload = start + _PRELUDE.size + headers_size
                headers = self._headers(bytes(view[start + _PRELUDE.size : payload]))
                frames.append(Frame(headers, bytes(view[payload : end - 4])))
                start = end
        if start:
            del buffer[:start]

    def _headers(self, block: bytes) -> Mapping[str, HeaderValue]:
        headers = self._cache.get(block)
        if headers is None:
            try:
                headers = _decode_headers(block)
            except (struct.error, IndexError, UnicodeDecodeError, ValueError, OverflowError) as error:
                raise _broken(f"the headers of a frame do not decode ({error})") from error
            if len(self._cache) < _CACHED_HEADERS:
                self._cache[block] = headers
        return headers


def _decode_headers(block: bytes) -> dict[str, HeaderValue]:
    headers: dict[str, HeaderValue] = {}
    position = 0
    while position < len(block):
        name_end = position + 1 + block[position]
        name = block[position + 1 : name_end].decode("utf-8")
        headers[name], position = _decode_value(block, name_end + 1, kind=block[name_end])
    return headers


def _decode_value(block: bytes, at: int, *, kind: int) -> tuple[HeaderValue, int]:
    """Return the value of type `kind` at `at`, and where it ends."""
    if kind in (0, 1):
        return kind == 0, at
    if kind in _INTEGERS:
        size, form = _INTEGERS[kind]
        value: int = struct.unpack_from(form, block, at)[0]
        return value, at + size
    if kind in (6, 7):
        (size,) = struct.unpack_from(">H", block, at)
        raw = _slice(block, at + 2, size)
        return (raw if kind == 6 else raw.decode("utf-8")), at + 2 + size
    if kind == 8:
        (milliseconds,) = struct.unpack_from(">q", block, at)
        return _EPOCH + timedelta(milliseconds=milliseconds), at + 8
    if kind == 9:
        return uuid.UUID(bytes=_slice(block, at, 16)), at + 16
    raise ValueError(f"unknown type {kind}")


def _slice(block: bytes, at: int, size: int) -> bytes:
    raw = block[at : at + size]
    if len(raw) != size:
        raise ValueError("a value ends too early")
    return raw


def _broken(reason: str) -> BadResponse:
    return BadResponse(f"not a proper AWS event stream: {reason}", sent=True)
