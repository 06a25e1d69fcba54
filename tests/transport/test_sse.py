"""The parser of server-sent events against the WHATWG specification."""

from __future__ import annotations

import random
import time

import pytest

from genkit import errors
from genkit.transport.sse import ServerSentEvent, SSEParser


def parse(*chunks: bytes) -> list[tuple[str, bytes, str | None]]:
    parser = SSEParser()
    return [(event.event, event.data, event.id) for chunk in chunks for event in parser.feed(chunk)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"data: a\n\n", [b"a"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b"data: a\r\n\r\n", [b"a"]),
        (b"data: a\r\r", [b"a"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data\n\n", [b""]),
        (b"data\ndata\n\n", [b"\n"]),
        (b"data:\n\n", [b""]),
        (b": comment\n\ndata: a\n\n", [b"a"]),
        (b":\ndata: a\n\n", [b"a"]),
        (b"\n\n\ndata: a\n\n\n\n", [b"a"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [b"a"]),
        (b"retry: 10\nunknown: x\ndata: a\n\n", [b"a"]),
        (b"data : a\n\n", []),
        (b" data: a\n\n", []),
        (b"DATA: a\n\n", []),
        (b"event: only\n\n", []),
        (b"data: a", []),
        (b"data: a\n", []),
        (b"data: \xe4\xb8\xad\n\n", ["中".encode()]),
        (b"data: \xe2\x80\xa8 \x0b \x0c \x85\n\n", [b"\xe2\x80\xa8 \x0b \x0c \x85"]),
        (b"data: a: b\n\n", [b"a: b"]),
        (b"data: [DONE]\n\n", [b"[DONE]"]),
        (b"", []),
    ],
)
def test_data_is_read_as_the_specification_says(text: bytes, expected: list[bytes]) -> None:
    assert [data for _, data, _ in parse(text)] == expected


def test_the_examples_of_the_specification_are_read_as_it_says() -> None:
    stocks = b"data: YHOO\ndata: +2\ndata: 10\n\n"
    blocks = b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n"
    assert parse(stocks) == [("message", b"YHOO\n+2\n10", None)]
    assert parse(blocks) == [("message", b"first event", "1"), ("message", b"second event", "")]
    assert parse(b"data\n\ndata\ndata\n\ndata:") == [("message", b"", None), ("message", b"\n", None)]


def test_an_event_name_holds_for_one_event() -> None:
    assert parse(b"event: delta\ndata: a\n\ndata: b\n\nevent: x\n\ndata: c\n\n") == [
        ("delta", b"a", None),
        ("message", b"b", None),
        ("message", b"c", None),
    ]


def test_an_id_holds_until_the_next_and_one_with_a_null_is_passed_over() -> None:
    assert [key for _, _, key in parse(b"id: 1\ndata: a\n\ndata: b\n\nid: 2\0\ndata: c\n\n")] == ["1", "1", "1"]


LONG = (
    b'\xef\xbb\xbf: hello\r\n\r\nevent: e\r\ndata: {"text": "\xe4\xb8\xad\xf0\x9f\x98\x80"}\r\n\r\n'
    b"data: a\rdata: b\r\rdata: c\n\nid: 7\ndata: d\r\ndata\r\n\r\n\ndata: last\n\n"
)


def test_every_cut_into_two_or_into_single_bytes_gives_the_same_events() -> None:
    whole = parse(LONG)
    assert len(whole) == 5
    for cut in range(len(LONG) + 1):
        assert parse(LONG[:cut], LONG[cut:]) == whole
    assert parse(*[LONG[i : i + 1] for i in range(len(LONG))]) == whole


def test_random_cuts_give_the_same_events() -> None:
    source = random.Random(7)
    alphabet = [b"data: x", b"data:", b"event: e", b"id: 1", b":c", b"\n", b"\n", b"\r", b"\r\n", b"\xe4\xb8\xad", b" "]
    for _ in range(300):
        text = b"".join(source.choices(alphabet, k=30))
        cuts = sorted(source.choices(range(len(text) + 1), k=5))
        pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert parse(*pieces) == parse(text)


def test_an_unfinished_event_is_not_given_out_but_is_pending() -> None:
    parser = SSEParser()
    assert parser.feed(b"data: a\n\nevent: e\ndata: b\ndata: c") == [ServerSentEvent(b"a")]
    assert parser.pending == ServerSentEvent(b"b\nc", "e")
    assert parser.end() == ServerSentEvent(b"b\nc", "e")


@pytest.mark.parametrize("text", [b"", b"data: a\n\n", b": comment", b"data: a\r\n\r", b"event: e\n", b"data: a\n\n\n"])
def test_nothing_is_pending_where_no_data_waits(text: bytes) -> None:
    parser = SSEParser()
    parser.feed(text)
    assert parser.pending is None


def test_a_first_line_cut_after_its_bom_is_pending_without_it() -> None:
    parser = SSEParser()
    parser.feed(b"\xef\xbb\xbfdata: a")
    assert parser.pending == ServerSentEvent(b"a")


def test_text_replaces_what_is_not_utf8() -> None:
    assert ServerSentEvent(b"a\xff").text == "a\ufffd"


@pytest.mark.parametrize("piece", [100, 65_536])
def test_a_line_of_a_megabyte_takes_linear_time(piece: int) -> None:
    def seconds(size: int) -> float:
        text = b"data: " + b"x" * size + b"\n\n"
        chunks = [text[i : i + piece] for i in range(0, len(text), piece)]
        began = time.process_time()
        ((_, data, _),) = parse(*chunks)
        assert len(data) == size
        return time.process_time() - began

    small = min(seconds(1_000_000) for _ in range(3))
    large = min(seconds(8_000_000) for _ in range(3))
    # Quadratic time would be 64 times as long.
    assert large < 30 * small + 0.05


def test_an_event_of_many_lines_takes_linear_time() -> None:
    def seconds(lines: int) -> float:
        began = time.process_time()
        ((_, data, _),) = parse(*[b"data: x\n"] * lines, b"\n")
        assert len(data) == 2 * lines - 1
        return time.process_time() - began

    small = min(seconds(5_000) for _ in range(3))
    large = min(seconds(40_000) for _ in range(3))
    assert large < 30 * small + 0.05


def test_the_size_of_an_event_does_not_count_towards_the_next_one() -> None:
    parser = SSEParser(max_event_bytes=10)
    for _ in range(3):
        assert parser.feed(b"data: 01234\ndata: ") == []
        assert [event.data for event in parser.feed(b"6789\n\ndata: 0")] == [b"01234\n6789"]
        assert [event.data for event in parser.feed(b"1234567\n\n")] == [b"01234567"]


@pytest.mark.parametrize(
    "chunks",
    [
        [b"data: " + b"x" * 101 + b"\n\n"],
        [b"x" * 101],
        [b"data: x"] + [b"x" * 10] * 20,
        [b"data: 0123456789\n"] * 20,
        [b"data: 0123456789\n" * 20],
        [b": " + b"x" * 200],
    ],
)
def test_an_event_over_the_limit_is_a_bad_response(chunks: list[bytes]) -> None:
    parser = SSEParser(max_event_bytes=100)
    with pytest.raises(errors.BadResponse, match="100 bytes"):
        list(map(parser.feed, chunks))


def test_many_events_under_the_limit_are_no_event_over_it() -> None:
    parser = SSEParser(max_event_bytes=100)
    assert len(parser.feed(b"data: 0123456789\n\n" * 1000)) == 1000
    assert len([event for _ in range(1000) for event in parser.feed(b"data: 0123456789\n\n")]) == 1000


@pytest.mark.parametrize("large", [b"data: 123456789\n\n", b"data: 1234\ndata: 12345\n", b"data: 123456789"])
@pytest.mark.parametrize("begin", [b"", b"\n"])
def test_events_before_one_that_is_too_large_are_returned_and_the_next_feed_raises(large: bytes, begin: bytes) -> None:
    parser = SSEParser(max_event_bytes=8)
    parser.feed(begin)
    assert [event.data for event in parser.feed(b"data: a\n\n" + large)] == [b"a"]
    with pytest.raises(errors.BadResponse, match="limit of 8"):
        parser.feed(b"\n")
