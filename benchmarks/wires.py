"""What the vendors' wires look like: the bytes that the far end of the benchmarks answers with.

The OpenAI interfaces stand in `farend`; here are the Gemini API (JSON, and server-sent events) and Bedrock's Converse
(JSON, and AWS event-stream frames with their checksums).
"""

from __future__ import annotations

import binascii
import json
import struct
from collections.abc import Iterator
from typing import Any

__all__ = ["EVENT_STREAM", "converse", "converse_frames", "gemini", "gemini_frames"]

EVENT_STREAM = b"application/vnd.amazon.eventstream"
_GEMINI_USAGE = {
    "promptTokenCount": 20,
    "candidatesTokenCount": 54,
    "totalTokenCount": 74,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 20}],
}
_CONVERSE_USAGE = {"inputTokens": 20, "outputTokens": 54, "totalTokens": 74}


def gemini(text: str, *, finish: str | None = "STOP") -> dict[str, Any]:
    """Return a GenerateContentResponse."""
    candidate: dict[str, Any] = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return {
        "candidates": [candidate],
        "usageMetadata": _GEMINI_USAGE,
        "modelVersion": "gemini-2.5-flash",
        "responseId": "bench",
    }


def gemini_frames(pieces: list[str]) -> Iterator[bytes]:
    """Yield the events of a stream; the last piece comes with the reason it ended."""
    for at, piece in enumerate(pieces, 1):
        chunk = gemini(piece, finish="STOP" if at == len(pieces) else None)
        yield b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\r\n\r\n"


def converse(text: str) -> dict[str, Any]:
    """Return the answer of Converse."""
    return {
        "metrics": {"latencyMs": 12},
        "output": {"message": {"content": [{"text": text}], "role": "assistant"}},
        "stopReason": "end_turn",
        "usage": _CONVERSE_USAGE,
    }


def converse_frames(pieces: list[str]) -> Iterator[bytes]:
    """Yield the frames of ConverseStream."""
    yield _frame("messageStart", {"p": "abcdefgh", "role": "assistant"})
    for piece in pieces:
        yield _frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": piece}, "p": "abcdefghijkl"})
    yield _frame("contentBlockStop", {"contentBlockIndex": 0, "p": "abcdef"})
    yield _frame("messageStop", {"p": "abcd", "stopReason": "end_turn"})
    yield _frame("metadata", {"metrics": {"latencyMs": 12}, "p": "abc", "usage": _CONVERSE_USAGE})


def _frame(kind: str, payload: dict[str, Any]) -> bytes:
    headers = b"".join(
        struct.pack("!B", len(name)) + name + struct.pack("!BH", 7, len(value)) + value
        for name, value in (
            (b":event-type", kind.encode()),
            (b":content-type", b"application/json"),
            (b":message-type", b"event"),
        )
    )
    body = json.dumps(payload, separators=(",", ":")).encode()
    prelude = struct.pack("!II", 16 + len(headers) + len(body), len(headers))
    message = prelude + struct.pack("!I", binascii.crc32(prelude)) + headers + body
    return message + struct.pack("!I", binascii.crc32(message))
