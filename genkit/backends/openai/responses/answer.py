"""Answers of the Responses interface: output items to parts, and everything around them."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ....errors import BadResponse, GenkitError, ServerError
from ....events import parse_arguments
from ....types import (
    CallWarning,
    Finish,
    Image,
    Message,
    Opaque,
    Part,
    Response,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    Usage,
)
from ...wire import Exchange, WireRequest
from .. import failures
from ..counts import count, share

__all__ = [
    "Reader",
    "decode",
    "failed",
    "make_response",
    "read_logprobs",
    "read_usage",
    "thought",
    "token_logprobs",
    "written",
]

JSON = dict[str, Any]

# What an answer repeats of its request, and what has a place of its own in Response.
_ECHO = frozenset(
    {
        "background",
        "frequency_penalty",
        "include",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "parallel_tool_calls",
        "presence_penalty",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "store",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    }
)
_PLACED = frozenset({"id", "model", "object", "output", "output_text", "usage", "status"})
_LEFT_OUT = _ECHO | _PLACED

_INCOMPLETE: dict[str, Finish] = {"max_output_tokens": "length", "content_filter": "refused"}
_UNFINISHED = frozenset({None, "cancelled", "failed", "in_progress", "queued"})


def decode(wire: WireRequest, data: JSON, exchange: Exchange, *, backend: str) -> Response[Any]:
    """Translate a whole answer.

    An answer that still runs in the background has `complete=False` and the finish "other".

    Raises:
        GenkitError: The typed error of a failed response; what it holds of an answer is in `.response`.
        BadResponse: If it is no answer at all: without status, and without output.
    """
    status, error = data.get("status"), data.get("error")
    unanswered = status is None or (data.get("output") is None and status != "failed")
    if data.get("object") == "error" or (error and unanswered):
        raise failures.in_stream(error or data, backend=backend, request_id=failures.request_id(exchange.headers))
    if status is None:
        if not data.get("output"):
            raise BadResponse(
                "the answer has neither a status nor any output",
                backend=backend,
                sent=True,
                request_id=failures.request_id(exchange.headers),
            )
        # Servers that leave it out send whole answers.
        data = {**data, "status": "completed"}
    output = (data.get("output") or []) if status == "failed" else data["output"]
    reader = Reader(wire.origin, data.get("id"))
    parts = [part for index, item in enumerate(output) for part in reader.parts(item, index)]
    response = make_response(
        wire, data, exchange, parts=parts, logprobs=read_logprobs(output), backend=backend, warnings=wire.warnings
    )
    if status == "failed":
        failure = failed(data, backend=backend)
        failure.request_id = failure.request_id or response.request_id
        failure.response = response
        raise failure
    return response


def failed(data: JSON, *, backend: str) -> GenkitError:
    """Return the error of a response whose status is "failed"."""
    error = data.get("error")
    if not error:
        return ServerError("the response failed, and the far end did not say why", backend=backend, sent=True)
    return failures.in_stream(error, backend=backend)


def make_response(
    wire: WireRequest,
    data: JSON,
    exchange: Exchange,
    *,
    parts: Sequence[Part],
    logprobs: tuple[TokenLogprob, ...] | None,
    backend: str,
    warnings: tuple[CallWarning, ...],
) -> Response[Any]:
    """Return the response for the vendor's response object and the parts read from it."""
    finish, finish_raw = _finish(data, parts)
    native = {name: value for name, value in data.items() if value is not None and name not in _LEFT_OUT}
    return Response(
        message=Message(role="assistant", parts=tuple(parts)),
        finish=finish,
        finish_raw=finish_raw,
        usage=read_usage(data.get("usage")),
        model=data.get("model") or wire.model,
        backend=backend,
        api=wire.api,
        id=data.get("id"),
        request_id=failures.request_id(exchange.headers),
        warnings=warnings,
        timing=exchange.timing,
        logprobs=logprobs,
        complete=data.get("status") not in _UNFINISHED,
        native=native or None,
    )


def _finish(data: JSON, parts: Sequence[Part]) -> tuple[Finish, str | None]:
    """Return why the answer ended, in our word and in the vendor's."""
    status = data.get("status")
    if status == "incomplete":
        reason = (data.get("incomplete_details") or {}).get("reason")
        return _INCOMPLETE.get(reason or "", "other"), reason or status
    if status == "failed":
        return "error", status
    if status != "completed":
        return "other", status
    if any(isinstance(part, ToolCall) for part in parts):
        return "tool_calls", status
    if any(isinstance(part, Text) and part.refusal for part in parts):
        return "refused", status
    return "stop", status


def read_usage(counts: JSON | None) -> Usage:
    """Return disjoint counts; the vendor's input includes what was cached, its output the reasoning."""
    if not counts:
        return Usage()
    given, made = counts.get("input_tokens"), counts.get("output_tokens")
    for tokens in (given, made):
        if tokens is not None and not isinstance(tokens, int):
            raise TypeError(f"{tokens!r} is no number of tokens")
    details = counts.get("input_tokens_details")
    cached, stored = count(details, "cached_tokens"), count(details, "cache_write_tokens")
    thought = count(counts.get("output_tokens_details"), "reasoning_tokens")
    # Where details overlap, the earlier one takes the tokens, so that the classes add up to what was billed.
    if given is not None:
        given, (cached, stored) = share(max(given, 0), cached, stored)
    if made is not None:
        made, (thought,) = share(max(made, 0), thought)
    return Usage(input=given, output=made, cache_read=cached, cache_write=stored, reasoning=thought, raw=counts)


class Reader:
    """Reads output items in order; it remembers the reasoning that the next items belong to."""

    __slots__ = ("_origin", "_reasoning", "_response_id")

    def __init__(self, origin: str, response_id: str | None) -> None:
        self._origin = origin
        self._response_id = response_id
        self._reasoning: str | None = None

    def parts(self, item: JSON, index: int) -> list[Part]:
        """Return the parts of one item; `index` is its place in the output."""
        match item.get("type"):
            case "message" if item.get("role", "assistant") == "assistant" and item.get("content"):
                return [self._content(item, content) for content in item["content"]]
            case "reasoning":
                self._reasoning = item.get("id")
                return [Thinking(text=thought(item), origin=self._origin, native=item)]
            case "function_call":
                return [self.call(item, index)]
            case "custom_tool_call":
                return [self.custom_call(item, index)]
            case "image_generation_call" if item.get("result"):
                return [self._image(item)]
            case _:
                return [self.opaque(item)]

    def call(self, item: JSON, index: int) -> ToolCall:
        """Return a tool call; one without an id gets one that is the same each time it is read."""
        call_id, minted = self._call_id(item, index)
        arguments, raw = parse_arguments(item.get("arguments") or "")
        kept = {name: value for name, value in item.items() if name not in ("call_id", "name")}
        return ToolCall(
            id=call_id,
            name=item["name"],
            arguments=arguments,
            raw=raw,
            minted=minted,
            origin=self._origin,
            native=self._native(kept),
        )

    def custom_call(self, item: JSON, index: int) -> ToolCall:
        """Return a call of a custom tool: what it is given is a text of its own form, no JSON."""
        call_id, minted = self._call_id(item, index)
        return ToolCall(
            id=call_id,
            name=item["name"],
            arguments=None,
            raw=item.get("input") or "",
            minted=minted,
            origin=self._origin,
            native=self._native(
                {name: value for name, value in item.items() if name not in ("call_id", "name", "input")}
            ),
        )

    def _call_id(self, item: JSON, index: int) -> tuple[str, bool]:
        """Return a call's id, and whether it was made here."""
        if found := item.get("call_id") or item.get("id"):
            return found, False
        seed = f"{self._response_id}/{index}".encode()
        return f"call_{hashlib.sha256(seed).hexdigest()[:24]}", True

    def opaque(self, item: JSON) -> Opaque:
        """Return an item without a word here."""
        return Opaque(type=item.get("type") or "unknown", origin=self._origin, native=item)

    def _content(self, item: JSON, content: JSON) -> Part:
        kind = content.get("type")
        if kind not in ("output_text", "refusal"):
            return Opaque(type=kind or "unknown", origin=self._origin, native={**item, "content": [content]})
        refusal = kind == "refusal"
        kept = {name: value for name, value in content.items() if name not in ("text", "refusal", "annotations")}
        if kept.get("logprobs"):
            # Measurements of the answer, large, and of no use to the model that is told its own words.
            kept["logprobs"] = []
        return Text(
            text=content.get("refusal" if refusal else "text") or "",
            refusal=refusal,
            citations=tuple(content.get("annotations") or ()),
            origin=self._origin,
            native=self._native({**item, "content": [kept]}),
        )

    def _image(self, item: JSON) -> Part:
        try:
            data = base64.b64decode(item["result"], validate=True)
        except binascii.Error:
            return self.opaque(item)
        form = item.get("output_format") or "png"
        kept = {name: value for name, value in item.items() if name != "result"}
        mime = "image/svg+xml" if form == "svg" else f"image/{form}"
        return Image(data=data, mime=mime, origin=self._origin, native=kept)

    def _native(self, item: JSON) -> JSON:
        return {"item": item, "reasoning": self._reasoning} if self._reasoning else {"item": item}


def thought(item: JSON, *, first: str = "content") -> str:
    """Return all that is shown of a reasoning item: its text and its summary, in the order that `first` gives."""
    shown = [_sections(item.get(field)) for field in ("content", "summary")]
    if first == "summary":
        shown.reverse()
    # Some servers give one text as both.
    return "\n\n".join([text for text in dict.fromkeys(shown) if text])


def _sections(sections: Sequence[JSON] | None) -> str:
    return "\n\n".join([section.get("text") or "" for section in sections or ()])


def written(part: Part) -> str:
    """Return what the deltas of a part add up to."""
    match part:
        case Text(text=text) | Thinking(text=text):
            return text
        case ToolCall(native=native, raw=raw):
            return (native or {}).get("item", {}).get("arguments") or raw or ""
        case _:
            return ""


def read_logprobs(output: Iterable[JSON]) -> tuple[TokenLogprob, ...] | None:
    """Return the log-probabilities of all texts of an output; None where there are none."""
    found = [
        logprob
        for item in output
        if item.get("type") == "message"
        for content in item.get("content") or ()
        for logprob in token_logprobs(content.get("logprobs") or ())
    ]
    return tuple(found) or None


def token_logprobs(entries: Iterable[JSON]) -> Iterator[TokenLogprob]:
    """Yield the vendor's entries as values."""
    for entry in entries:
        top = tuple([TokenLogprob(other["token"], other["logprob"]) for other in entry.get("top_logprobs") or ()])
        yield TokenLogprob(entry["token"], entry["logprob"], top)
