"""The parts of the runner that all vendors share, on small inputs: a runner that cannot find fault proves nothing."""

from __future__ import annotations

from .reader import sse


def test_lines_end_in_every_way_the_standard_knows() -> None:
    assert sse(b"\xef\xbb\xbfevent: a\r\ndata: 1\r\ndata:2\r\n\r\n: comment\n\ndata: 3\r\r data: no\n\n") == [
        ("a", "1\n2"),
        ("", "3"),
    ]
