"""The frames of `application/vnd.amazon.eventstream`, read and written anew: AWS's own description, in a few lines."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

__all__ = ["Header", "frame", "frames", "joined"]

Header = bool | int | bytes | str

_SIZES = {2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_TRUE, _FALSE, _BYTES, _STRING = 0, 1, 6, 7


def frames(content: bytes) -> Iterator[tuple[dict[str, Header], bytes]]:
    """Yield headers and payload of every whole frame.

    Raises:
        ValueError: If a checksum is wrong.
    """
    at = 0
    while at + 16 <= len(content):
        total, headers, check = struct.unpack_from(">III", content, at)
        if zlib.crc32(content[at : at + 8]) != check:
            raise ValueError(f"the lengths at {at} have another checksum")
        if at + total > len(content):
            return
        message = content[at : at + total]
        if zlib.crc32(message[:-4]) != struct.unpack(">I", message[-4:])[0]:
            raise ValueError(f"the frame at {at} has another checksum")
        yield dict(_headers(message[12 : 12 + headers])), message[12 + headers : -4]
        at += total


def _headers(data: bytes) -> Iterator[tuple[str, Header]]:
    at = 0
    while at < len(data):
        length = data[at]
        name, kind = data[at + 1 : at + 1 + length].decode(), data[at + 1 + length]
        at += length + 2
        if kind in (_TRUE, _FALSE):
            yield name, kind == _TRUE
            continue
        if kind in (_BYTES, _STRING):
            (size,) = struct.unpack_from(">H", data, at)
            at += 2
        else:
            size = _SIZES[kind]
        value = data[at : at + size]
        at += size
        if kind == _STRING:
            yield name, value.decode()
        else:
            yield name, value if kind == _BYTES else int.from_bytes(value, "big", signed=kind != 9)


def frame(headers: dict[str, Header], payload: bytes) -> bytes:
    """Return a frame; numbers become longs."""
    packed = b"".join(_packed(name, value) for name, value in headers.items())
    lengths = struct.pack(">II", 16 + len(packed) + len(payload), len(packed))
    message = lengths + struct.pack(">I", zlib.crc32(lengths)) + packed + payload
    return message + struct.pack(">I", zlib.crc32(message))


def _packed(name: str, value: Header) -> bytes:
    head = bytes([len(name)]) + name.encode()
    match value:
        case bool():
            return head + bytes([_TRUE if value else _FALSE])
        case int():
            return head + bytes([5]) + struct.pack(">q", value)
        case bytes():
            return head + bytes([_BYTES]) + struct.pack(">H", len(value)) + value
        case str():
            return head + bytes([_STRING]) + struct.pack(">H", len(value.encode())) + value.encode()


def joined(parts: Iterable[tuple[dict[str, Header], bytes]]) -> bytes:
    """Return a stream of frames."""
    return b"".join(frame(headers, payload) for headers, payload in parts)
