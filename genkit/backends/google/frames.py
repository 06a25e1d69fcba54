"""The frames of Gemini's streams: server-sent events, and what else may stand at their end."""

from __future__ import annotations

from typing_extensions import override

from ...events import load_json
from ...transport.sse import SSEParser

__all__ = ["Frames"]

_MOST = 100_000


class Frames(SSEParser):
    """Cuts a stream into events, and keeps bare JSON, as which gateways write an error into a stream that has begun."""

    __slots__ = ("_bare", "_bare_size")

    def __init__(self) -> None:
        super().__init__()
        self._bare: list[bytes] = []
        self._bare_size = 0

    @override
    def _field(self, line: bytes) -> None:
        if not self._bare and line[:1] != b"{":
            super()._field(line)
        elif self._bare_size < _MOST:
            self._bare.append(line)
            self._bare_size += len(line)

    def rest(self) -> bytes:
        """Return what makes an event of what stands at the end of a body: one without a blank line, or bare JSON."""
        last = self.pending
        if last is not None:
            return b"\n\n" if _is_json(last.data) else b""
        bare = b" ".join([*self._bare, *self._tail])
        return b"\n\ndata: " + bare + b"\n\n" if bare[:1] == b"{" and _is_json(bare) else b""


def _is_json(data: bytes) -> bool:
    try:
        return isinstance(load_json(data), dict | list)
    except ValueError:
        return False
