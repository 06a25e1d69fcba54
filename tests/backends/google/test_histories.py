"""Any history becomes a request that the vendor takes, whoever wrote it, and what it said is still in it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genkit.backends.google import Google
from genkit.errors import InvalidRequest
from genkit.types import (
    Audio,
    CallWarning,
    Document,
    Image,
    Message,
    Opaque,
    Part,
    Request,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from tests.backends.google.cases import CLOUD, GEMINI, NEW, OLD, ORIGIN, SIGNED, VERTEX, request, said, wire_of
from tests.contract.google_farend import _check, _known

_ORIGINS = st.sampled_from([None, ORIGIN, CLOUD, "openai/chat"])
_SAID = st.text("ab é", min_size=0, max_size=4)
_SIGNED = st.sampled_from([None, SIGNED])
_IDS = st.sampled_from(["1", "2", "3"])

USERS: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, text=_SAID, cache=st.booleans()),
    st.just(Image(data=b"\x89PNG\r\n\x1a\n", detail="low")),
    st.just(Audio(data=b"ID3")),
    st.builds(Opaque, type=st.just("web_search"), origin=st.just("openai/responses")),
    st.just(Thinking(text="hm", origin="openai/chat")),
)
MODELS: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, text=_SAID, origin=_ORIGINS, native=_SIGNED),
    st.builds(Thinking, text=_SAID, origin=_ORIGINS, native=_SIGNED),
    st.builds(
        ToolCall,
        id=_IDS,
        name=st.sampled_from(["f", "g"]),
        arguments=st.sampled_from([{}, {"a": 1}, None]),
        raw=st.just("x"),
        minted=st.booleans(),
        origin=_ORIGINS,
        native=_SIGNED,
    ),
    st.just(Image(data=b"\x89PNG\r\n\x1a\n", origin=ORIGIN, native=SIGNED)),
)
RESULTS = st.builds(
    ToolResult,
    id=_IDS,
    parts=st.lists(st.one_of(st.builds(Text, text=_SAID), st.just(Document(data=b"%PDF-"))), max_size=2).map(tuple),
    failed=st.booleans(),
)


def _message(role: Any, parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Message]:
    return st.builds(Message, role=st.just(role), parts=st.lists(parts, max_size=3).map(tuple), name=st.just(None))


HISTORIES = st.lists(
    st.one_of(
        _message("system", st.builds(Text, text=_SAID)),
        _message("user", USERS),
        _message("assistant", MODELS),
        _message("tool", RESULTS),
    ),
    min_size=1,
    max_size=7,
)


def encoded(asked: Request, backend: Google) -> tuple[dict[str, Any], tuple[CallWarning, ...]] | None:
    """Return body and warnings; None for a history in which nobody said anything."""
    try:
        wire = wire_of(asked, backend)
    except InvalidRequest as error:
        if "empty" not in error.message:
            raise
        return None
    return wire.body, wire.warnings


@pytest.mark.parametrize("model", [OLD, NEW, "gemini-3-flash-preview"])
@pytest.mark.parametrize("backend", [GEMINI, VERTEX], ids=["google", "vertex"])
@given(messages=HISTORIES)
def test_any_history_is_a_request_that_is_taken(backend: Google, model: str, messages: list[Message]) -> None:
    found = encoded(request(*messages, model=model), backend)
    if found is None:
        return
    body, warnings = found
    _check(body)
    told = {warning.subject for warning in warnings}
    sent = json.dumps(body, ensure_ascii=False)
    for part in (part for message in messages for part in message.parts):
        if isinstance(part, Text) and part.text:
            assert part.text in sent
            assert "cache" in told or not part.cache
        elif isinstance(part, ToolCall):
            assert f'"name": "{part.name}"' in sent
        elif isinstance(part, Thinking) and part.text and part.origin != backend_origin(backend):
            assert "thinking" in told
        elif isinstance(part, Opaque):
            assert part.type in told


def backend_origin(backend: Google) -> str:
    """Return the mark of what may be sent back."""
    return f"{backend.name}/generateContent"


@given(messages=HISTORIES)
def test_signatures_are_sent_once_and_only_to_who_gave_them(messages: list[Message]) -> None:
    found = encoded(request(*messages, model=OLD), GEMINI)
    if found is None:
        return
    sent = json.dumps(found[0]).count(json.dumps(SIGNED)[1:-1])
    own = any(part.native == SIGNED and part.origin == ORIGIN for message in messages for part in message.parts)
    assert sent == int(own)


def test_the_judge_is_strict() -> None:
    from tests.contract.google_farend import Refused

    for bad in ({"contents": []}, {"contents": [{"role": "tool", "parts": [{"text": "x"}]}]}):
        with pytest.raises(Refused):
            _check(bad)
    with pytest.raises(Refused):
        _known({"surprise": 1}, {"text"}, "here")


def test_roles_hold_only_what_they_can() -> None:
    call = ToolCall(id="1", name="f", arguments={})
    with pytest.raises(InvalidRequest, match="cannot hold a tool_call"):
        said(Message.user(call), Message.tool(ToolResult(id="1")))
    with pytest.raises(InvalidRequest, match="belongs into a tool message"):
        said("Go", Message.assistant(call, ToolResult(id="1")))


def test_a_history_in_which_everything_is_left_out_is_an_empty_prompt() -> None:
    foreign = Message.user(Opaque(type="web_search", origin="openai/responses"))
    with pytest.raises(InvalidRequest, match="empty"):
        said(foreign)


@pytest.mark.parametrize("origin", [None, ORIGIN, "openai/responses"])
def test_sources_of_what_was_said_are_left_out_and_reported(origin: str | None) -> None:
    text = Text(text="a", citations=({"url": "u"},), origin=origin)
    asked = request("q", Message.assistant(text), "q2")
    assert wire_of(asked).body["contents"][1]["parts"] == [{"text": "a"}]
    assert [(w.kind, w.subject) for w in wire_of(asked).warnings] == [("dropped", "citations")]


def test_a_refusal_is_sent_as_text_and_reported() -> None:
    asked = request("q", Message.assistant(Text(text="no", refusal=True)), "q2")
    assert wire_of(asked).body["contents"][1]["parts"] == [{"text": "no"}]
    assert [(w.kind, w.subject) for w in wire_of(asked).warnings] == [("changed", "refusal")]


def test_instructions_hold_no_empty_text() -> None:
    signed = Text(text="", origin="other", native=SIGNED)
    sent = wire_of(request(Message(role="system", parts=(Text(text="s"), signed)), "q")).body
    assert sent["systemInstruction"] == {"parts": [{"text": "s"}]}
    assert "systemInstruction" not in wire_of(request(Message(role="system", parts=(signed,)), "q")).body
