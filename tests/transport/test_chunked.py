"""The short cut for chunked bodies gives what h11 gives, whatever arrives and however it is cut into pieces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from operator import attrgetter
from typing import NamedTuple

import h11
import httpcore2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genkit.transport import chunked
from genkit.transport.chunked import RawBody, whole_chunks
from tests.farend import Call, FarEnd

from .conftest import Engine

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
# An event, leading zeros, capitals, one byte, bytes that look like framing, an extension, blanks, a trailer.
BODY = (
    b"9\r\ndata: 1\n\n\r\n0003\r\nabc\r\nA\r\n0123456789\r\n1\r\n.\r\n7\r\n\r\n0\r\n\r\n\r\n"
    b"4;name=value\r\nwxyz\r\n2  \r\n!?\r\n0\r\nx-sum: 5\r\n\r\n"
)
CONTENT = b"data: 1\n\nabc0123456789.\r\n0\r\n\r\nwxyz!?"


class Outcome(NamedTuple):
    """What reading a body came to.

    Attributes:
        content: All that was read.
        failure: The error that ended it, as its type and text; empty at a proper end.
        kept: Whether the connection can take another request.
    """

    content: bytes
    failure: str
    kept: bool


@contextmanager
def answered(pieces: Sequence[bytes]) -> Iterator[tuple[httpcore2.Response, httpcore2.ConnectionPool]]:
    """Give the answer that arrives in `pieces`, each by a read of its own, and then ends."""
    with httpcore2.ConnectionPool(network_backend=httpcore2.MockBackend(list(pieces))) as pool:
        yield pool.handle_request(httpcore2.Request("GET", "http://host/", headers=[("host", "host")])), pool


def outcome(pieces: Sequence[bytes], *, short: bool = True) -> Outcome:
    """Read an answer to its end, by the short cut or by h11 alone."""
    with answered(pieces) as (response, pool):
        raw = RawBody(response, chunked=short)
        content, failure = b"", ""
        try:
            while (chunk := raw.read()) is not None:
                assert chunk
                content += chunk
        except httpcore2.ProtocolError as error:
            failure = f"{type(error).__name__}: {error}"
        response.close()
        return Outcome(content, failure, [connection.is_idle() for connection in pool.connections] == [True])


def cuts(wire: bytes) -> Iterator[list[bytes]]:
    """Give the head and `wire` cut in two at each place, in three at some, and into single bytes."""
    for i in range(len(wire) + 1):
        yield [HEAD, *filter(None, (wire[:i], wire[i:]))]
        yield [HEAD + wire[:i], *filter(None, [wire[i:]])]
        yield [HEAD, *filter(None, (wire[:i], wire[i : i + 3], wire[i + 3 :]))]
    yield [HEAD, *(wire[i : i + 1] for i in range(len(wire)))]


@pytest.mark.parametrize(
    ("wire", "content", "used"),
    [
        (b"", b"", 0),
        (b"3\r\nabc\r\n", b"abc", 8),
        (b"3\r\nabc\r\n1\r\nd\r\n", b"abcd", 14),
        (b"00a\r\n0123456789\r\n", b"0123456789", 17),
        (b"3\r\nabc\r\n0\r\n\r\n", b"abc", 8),
        (b"3\r\nabc\r\n2\r\nd", b"abc", 8),
        (b"3\r\nabc\r", b"", 0),
        (b"3\r\nabcXX", b"", 0),
        (b"3\r", b"", 0),
        (b"3;x\r\nabc\r\n", b"", 0),
        (b"3 \r\nabc\r\n", b"", 0),
        (b" 3\r\nabc\r\n", b"", 0),
        (b"+3\r\nabc\r\n", b"", 0),
        (b"0x3\r\nabc\r\n", b"", 0),
        (b"1_0\r\n0123456789abcdef\r\n", b"", 0),
        (b"3\nabc\r\n", b"", 0),
        (b"000000003\r\nabc\r\n", b"", 0),
        (b"ffffffff\r\nabc\r\n", b"", 0),
    ],
)
def test_plain_and_whole_chunks_are_taken_and_nothing_else(wire: bytes, content: bytes, used: int) -> None:
    assert whole_chunks(wire) == (content, used)


def test_a_body_cut_anywhere_is_read_whole_and_its_connection_kept() -> None:
    for pieces in cuts(BODY):
        assert outcome(pieces) == Outcome(CONTENT, "", kept=True), pieces


@pytest.mark.parametrize(
    "wire",
    [
        b"5\r\nhelloXX",
        b"5\r\nhello\n\n",
        b"4\r\nhello\r\n",
        b"6\r\nhello\r\n0\r\n\r\n",
        b"zz\r\nhello\r\n",
        b"-5\r\nhello\r\n",
        b"+5\r\nhello\r\n",
        b" 5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b"1_0\r\n0123456789abcdef\r\n",
        b"\r\n",
        b"5\nhello\r\n",
        b"5 x\r\nhello\r\n",
        b"f" * 21 + b"\r\nhello\r\n",
        b"\xd9\xa5\r\nhello\r\n",
        b"0\r\n: no name\r\n\r\n",
    ],
)
def test_malformed_chunks_fail_as_h11_has_it(wire: bytes) -> None:
    for pieces in cuts(b"3\r\nabc\r\n" + wire):
        pieces += [b"3\r\nxyz\r\n", b"0\r\n\r\n"]
        got = outcome(pieces)
        assert got.content.startswith(b"abc")
        assert got.failure
        assert not got.kept
        assert got == outcome(pieces, short=False), pieces


def test_a_body_that_ends_anywhere_before_its_end_fails() -> None:
    for end in range(len(BODY)):
        for pieces in ([HEAD + BODY[:end]], [HEAD, BODY[:end]], [HEAD, BODY[: end // 2], BODY[end // 2 : end]]):
            got = outcome([piece for piece in pieces if piece])
            assert "RemoteProtocolError" in got.failure
            assert not got.kept
            assert CONTENT.startswith(got.content)


def test_after_the_end_of_the_connection_nothing_more_is_read() -> None:
    pieces = [HEAD, b"3\r\nabc\r\n", b"", b"3\r\nxyz\r\n", b"0\r\n\r\n"]
    assert outcome(pieces) == outcome(pieces, short=False)
    assert outcome(pieces).content == b"abc"


@pytest.mark.parametrize("line", [b"1;" + b"x" * 300_000, b"1" * 300_000, b"0\r\nx: " + b"x" * 300_000])
def test_a_line_without_end_is_given_up_before_all_of_it_is_held(line: bytes) -> None:
    pieces = [HEAD, b"3\r\nabc\r\n", *(line[i : i + 1000] for i in range(0, len(line), 1000))]
    with answered(pieces) as (response, _):
        raw = RawBody(response, chunked=True)
        assert raw.read() == b"abc"
        with pytest.raises(httpcore2.RemoteProtocolError):
            raw.read()
        left = response.extensions["network_stream"]._buffer
        assert len(left) > 100


def test_part_of_a_chunk_is_given_out_when_it_arrives() -> None:
    with answered([HEAD, b"a\r\n0123", b"45678", b"9\r\n3\r\nabc\r\n", b"1\r\n.\r\n", b"0\r\n\r\n"]) as (response, _):
        raw = RawBody(response, chunked=True)
        assert [raw.read() for _ in range(6)] == [b"0123", b"45678", b"9", b"abc", b".", None]


@pytest.mark.parametrize(
    ("first", "reads"),
    [([HEAD], 0), ([HEAD + b"3\r\nabc\r\n"], 1), ([HEAD, b"3\r\na", b"bc\r\n"], 2)],
    ids=["head alone", "chunk in the packet of the head", "chunk in two packets"],
)
def test_whole_chunks_do_not_pass_through_h11(first: list[bytes], reads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Red here means that httpcore2 or h11 was rebuilt: streams are still right, but cost twice as much.
    with answered([*first, *[b"1\r\n.\r\n"] * 20, b"0\r\n\r\n"]) as (response, _):
        raw = RawBody(response, chunked=True)
        for _ in range(reads):
            raw.read()
        with monkeypatch.context() as patch:
            patch.delattr(h11.Connection, "next_event")
            assert [raw.read() for _ in range(20)] == [b"."] * 20
        assert raw.read() is None


@pytest.mark.parametrize("name", ["_h11_of", "_place_of"])
def test_without_the_private_names_h11_reads_it_all(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunked, name, attrgetter("nowhere"))
    assert outcome([HEAD, BODY[:20], BODY[20:]]) == Outcome(CONTENT, "", kept=True)


@pytest.mark.parametrize(
    ("head", "kept"),
    [
        (HEAD, True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", False),
    ],
    ids=["1.1", "close", "1.0"],
)
def test_the_head_says_whether_the_connection_is_kept(head: bytes, kept: bool) -> None:
    pieces = [head, *(b"1\r\n%c\r\n" % letter for letter in b"abc"), b"0\r\n\r\n"]
    assert outcome(pieces) == outcome(pieces, short=False) == Outcome(b"abc", "", kept)


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_an_answer_without_a_body_has_none_whatever_its_head_says(status: bytes) -> None:
    pieces = [b"HTTP/1.1 " + status + b"\r\nTransfer-Encoding: chunked\r\n\r\n"]
    assert outcome(pieces) == outcome(pieces, short=False) == Outcome(b"", "", kept=True)


_PARTS = st.one_of(
    st.binary(min_size=1, max_size=40).map(lambda data: b"%x\r\n%b\r\n" % (len(data), data)),
    st.sampled_from(
        [b"0\r\n\r\n", b"0\r\nx: y\r\n\r\n", b"3;e=1\r\nabc\r\n", b"\r\n", b"2\r\nab", b"HTTP/1.1 200 OK\r\n"]
    ),
    st.binary(max_size=6),
)


@given(
    parts=st.lists(_PARTS, max_size=12),
    ended=st.booleans(),
    at=st.lists(st.integers(0, 400), max_size=12),
    flip=st.none() | st.tuples(st.integers(0, 400), st.integers(0, 255)),
)
def test_any_bytes_in_any_pieces_come_to_what_they_come_to_by_h11(
    parts: list[bytes], ended: bool, at: list[int], flip: tuple[int, int] | None
) -> None:
    wire = bytearray(b"".join(parts) + b"0\r\n\r\n" * ended)
    if flip is not None and flip[0] < len(wire):
        wire[flip[0]] = flip[1]
    borders = [0, *sorted(at), len(wire)]
    pieces = [HEAD, *(bytes(wire[i:j]) for i, j in pairwise(borders) if i < j)]
    assert outcome(pieces) == outcome(pieces, short=False)


def test_extensions_and_trailers_are_passed_over_and_the_connection_is_reused(engine: Engine) -> None:
    def script(call: Call) -> None:
        call.send(HEAD)
        for part in (b"3\r\nabc\r\n", b"1;e=1\r\n.\r\n", b"2\r\nde\r\n", b"0\r\nx-sum: 5\r\n\r\n"):
            call.send(part)
            call.sleep(0.01)

    with FarEnd(script) as far:
        assert [engine.send(far.url).content for _ in range(2)] == [b"abc.de"] * 2
    assert [request.connection for request in far.requests] == [1, 1]


def test_an_answer_that_says_close_ends_its_connection(engine: Engine) -> None:
    def script(call: Call) -> None:
        call.head(200, {"connection": "close"})
        for piece in (b"a", b"b"):
            call.chunk(piece)
            call.sleep(0.01)
        call.end()

    with FarEnd(script) as far:
        assert [engine.send(far.url).content for _ in range(2)] == [b"ab"] * 2
    assert [request.connection for request in far.requests] == [1, 2]
