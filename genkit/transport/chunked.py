"""What httpcore2 reads of a body, with a short cut for the chunks of a stream.

Passing a chunk through h11 and httpcore2's generators costs more than all that happens to a streamed event afterwards.
Where h11 is between two chunks and waits, whole chunks in their plainest form are therefore read past it, which leaves
it as it was. All else is given to h11, byte for byte: parts of chunks, chunk extensions, the last chunk with its
trailers, what is malformed, and the end of the connection.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any, cast

import httpcore2

__all__ = ["RawBody", "whole_chunks"]

_READ_BYTES = 65_536
# RFC 9112, 7.1, without extensions; eight digits count more than a read can hold.
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n")
# All that is private here: where httpcore2 keeps its h11 connection, and how h11 remembers its place in a chunked body.
_h11_of = attrgetter("_stream._connection._h11_state")
_place_of = attrgetter("_receive_buffer", "_reader._bytes_in_chunk", "_reader._bytes_to_discard")


class RawBody:
    """A body as it comes off its connection, freed of the transfer-encoding only.

    Args:
        response: Whose body it is; nothing of it may have been read.
        chunked: Whether it has a transfer-encoding.
    """

    __slots__ = ("_between", "_connection", "_h11", "_iterator")

    def __init__(self, response: httpcore2.Response, *, chunked: bool) -> None:
        self._iterator: Iterator[bytes] = iter(cast("Iterable[bytes]", response.stream))
        self._connection: httpcore2.NetworkStream = response.extensions["network_stream"]
        self._h11: Any = None
        self._between = False
        if chunked:
            # Versions that are built differently, or hold another kind of body, have no short cut.
            with contextlib.suppress(AttributeError):
                h11 = _h11_of(response.stream)
                self._between = _between_chunks(h11)
                self._h11 = h11

    def read(self) -> bytes | None:
        """Return bytes as they arrive, None at the end of the body."""
        if self._between:
            wire = self._connection.read(_READ_BYTES)
            content, used = whole_chunks(wire)
            if used < len(wire) or not wire:
                self._between = False
                self._h11.receive_data(wire[used:])
            if content:
                return content
        chunk = next(self._iterator, None)
        if chunk is not None and self._h11 is not None:
            self._between = _between_chunks(self._h11)
        return chunk


def whole_chunks(wire: bytes) -> tuple[bytes, int]:
    """Return the content of the plain, whole chunks at the beginning of `wire`, and how many bytes they take there."""
    pieces: list[bytes] = []
    used = 0
    while (size := _SIZE.match(wire, used)) is not None:
        begin = size.end()
        end = begin + int(size[1], 16)
        if end == begin or wire[end : end + 2] != b"\r\n":
            break
        pieces.append(wire[begin:end])
        used = end + 2
    return pieces[0] if len(pieces) == 1 else b"".join(pieces), used


def _between_chunks(h11: Any) -> bool:
    """Return whether h11, having given out all it could, is between two chunks and has nothing of the next one."""
    buffer, left_of_chunk, to_drop = _place_of(h11)
    # The CRLF that ends a chunk may stay in the buffer until h11 is asked for the next one. Its length is looked at
    # first because `trailing_data` copies it.
    return left_of_chunk == 0 and len(buffer) == len(to_drop) and h11.trailing_data == (to_drop, False)
