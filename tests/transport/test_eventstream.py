"""The parser of AWS event streams against frames made by hand and against botocore's own parser."""

from __future__ import annotations

import random
import struct
import uuid
import zlib
from datetime import UTC, datetime
from typing import Any

import pytest

from genkit import errors
from genkit.transport.eventstream import EventStreamParser, Frame


def header(name: str, kind: int, value: bytes = b"") -> bytes:
    return bytes([len(name)]) + name.encode() + bytes([kind]) + value


def text(name: str, value: str) -> bytes:
    raw = value.encode()
    return header(name, 7, struct.pack(">H", len(raw)) + raw)


def frame(headers: bytes = b"", payload: bytes = b"") -> bytes:
    lengths = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    prelude = lengths + struct.pack(">I", zlib.crc32(lengths))
    body = prelude + headers + payload
    return body + struct.pack(">I", zlib.crc32(body))


EVENT = text(":event-type", "contentBlockDelta") + text(":message-type", "event")
STREAM = (
    frame(EVENT, b'{"a":1}') + frame() + frame(EVENT, b"x" * 300) + frame(text(":exception-type", "Throttled"), b"{}")
)


def test_headers_and_payload_of_a_frame_are_read() -> None:
    assert EventStreamParser().feed(frame(EVENT, b'{"a":1}')) == [
        Frame({":event-type": "contentBlockDelta", ":message-type": "event"}, b'{"a":1}')
    ]


def test_an_empty_frame_is_a_frame() -> None:
    assert EventStreamParser().feed(frame()) == [Frame({}, b"")]


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        (0, b"", True),
        (1, b"", False),
        (2, b"\xff", -1),
        (3, b"\x80\x00", -32768),
        (4, b"\x00\x00\x01\x00", 256),
        (5, b"\xff" * 8, -1),
        (6, b"\x00\x02\x00\xff", b"\x00\xff"),
        (7, b"\x00\x03\xe4\xb8\xad", "中"),
        (8, struct.pack(">q", 1_700_000_000_123), datetime(2023, 11, 14, 22, 13, 20, 123000, tzinfo=UTC)),
        (9, bytes(range(16)), uuid.UUID(bytes=bytes(range(16)))),
    ],
)
def test_every_type_of_header_is_read(kind: int, raw: bytes, value: object) -> None:
    (read,) = EventStreamParser().feed(frame(header("h", kind, raw) + text("after", "x")))
    assert read.headers == {"h": value, "after": "x"}
    assert type(read.headers["h"]) is type(value)


def test_every_cut_gives_the_same_frames() -> None:
    whole = EventStreamParser().feed(STREAM)
    assert len(whole) == 4
    for cut in range(len(STREAM) + 1):
        parser = EventStreamParser()
        assert parser.feed(STREAM[:cut]) + parser.feed(STREAM[cut:]) == whole
        assert parser.pending == 0
    parser = EventStreamParser()
    assert [got for i in range(len(STREAM)) for got in parser.feed(STREAM[i : i + 1])] == whole


def test_an_unfinished_frame_is_pending() -> None:
    parser = EventStreamParser()
    parser.feed(frame(EVENT) + frame(EVENT, b"abc")[:-1])
    assert parser.pending == len(frame(EVENT, b"abc")) - 1


def test_every_flipped_bit_is_noticed() -> None:
    whole = frame(text("h", "v"), b"ab")
    for position in range(len(whole)):
        for bit in range(8):
            broken = bytearray(whole)
            broken[position] ^= 1 << bit
            with pytest.raises(errors.BadResponse, match="event stream"):
                EventStreamParser().feed(bytes(broken))


def test_frames_before_a_broken_one_are_returned_and_the_next_feed_raises() -> None:
    broken = frame(EVENT, b"b")[:-1] + b"\0"
    parser = EventStreamParser()
    assert [got.payload for got in parser.feed(frame(EVENT, b"a") + broken)] == [b"a"]
    assert parser.failure is not None
    for _ in range(2):
        with pytest.raises(errors.BadResponse, match="checksum"):
            parser.feed(frame(EVENT, b"c"))


@pytest.mark.parametrize(
    "headers",
    [
        header("h", 10),
        header("h", 7, b"\x00\x09abc"),
        header("h", 7, b"\x00\x01\xff"),
        header("h", 4, b"\x00"),
        header("h", 9, b"\x00"),
        header("h", 8, b"\x7f" + b"\xff" * 7),
        b"\x09ab",
        b"\x01a",
    ],
)
def test_headers_that_do_not_decode_are_a_bad_response(headers: bytes) -> None:
    with pytest.raises(errors.BadResponse, match="headers"):
        EventStreamParser().feed(frame(headers))


def lengths(total: int, headers: int) -> bytes:
    raw = struct.pack(">II", total, headers)
    return raw + struct.pack(">I", zlib.crc32(raw))


def test_lengths_that_cannot_be_are_a_bad_response() -> None:
    for total, headers in [(15, 0), (20, 5), (0, 0), (16, 2**32 - 1)]:
        with pytest.raises(errors.BadResponse):
            EventStreamParser().feed(lengths(total, headers))


def test_a_frame_over_the_limit_is_refused_before_it_is_there() -> None:
    with pytest.raises(errors.BadResponse, match="limit of 100"):
        EventStreamParser(max_frame_bytes=100).feed(lengths(101, 0))
    assert EventStreamParser(max_frame_bytes=100).feed(frame(b"", b"x" * 84))


@pytest.mark.parametrize("wire", [b"<html><body>no stream", b'{"message": "Forbidden"}'])
def test_what_is_no_event_stream_is_a_bad_response(wire: bytes) -> None:
    with pytest.raises(errors.BadResponse):
        EventStreamParser().feed(wire)


def test_botocore_reads_the_same_frames() -> None:
    eventstream = pytest.importorskip("botocore.eventstream")
    source = random.Random(3)
    for _ in range(50):
        stream = b"".join(
            frame(
                b"".join(text(f"h{i}", "v" * source.randrange(9)) for i in range(source.randrange(4)))
                + header("n", 4, source.randbytes(4))
                + header("b", 6, b"\x00\x03" + source.randbytes(3)),
                source.randbytes(source.randrange(200)),
            )
            for _ in range(5)
        )
        buffer = eventstream.EventStreamBuffer()
        parser = EventStreamParser()
        ours: list[Any] = []
        for start in range(0, len(stream), 37):
            buffer.add_data(stream[start : start + 37])
            ours += parser.feed(stream[start : start + 37])
        assert [(dict(got.headers), got.payload) for got in ours] == [(got.headers, got.payload) for got in buffer]
