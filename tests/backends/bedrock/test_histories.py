"""Any history may go to any family: what is sent is valid by AWS's own description, and roles and pairs are right."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genkit.errors import InvalidRequest, Unsupported
from genkit.types import Document, Image, Message, Opaque, Part, Request, Text, Thinking, Tool, ToolCall, ToolResult
from tests.backends.bedrock.cases import BACKEND, CLAUDE, CLAUDE_37, GPT_OSS, LLAMA, MISTRAL, NOVA, TITAN, WRITER
from tests.backends.bedrock.service_model import faults
from tests.contract.bedrock_farend import conversation_fault

IDS = st.sampled_from(["t1", "t2", "call_é", "", "x" * 70, "tooluse_daIKOZu4g4GrvIIv9wdqy4"])
NAMES = st.sampled_from(["lookup", "get.weather", "météo"])
TEXTS = st.builds(
    Text, text=st.sampled_from(["", " ", "Hi", "So.\n", "🙂"]), cache=st.sampled_from([False, True, "1h"])
)
FOREIGN = st.sampled_from(["google/generate", "openai/responses", None])
MEDIA = st.sampled_from(
    [
        Image(data=b"\x89PNG\r\n\x1a\n", mime="image/png"),
        Document(data=b"%PDF-1.4", mime="application/pdf", name="a.pdf"),
    ]
)
CALLS = st.builds(ToolCall, id=IDS, name=NAMES, arguments=st.sampled_from([{}, {"a": 1}, None]), raw=st.just("{"))
RESULTS = st.builds(
    ToolResult, id=IDS, name=NAMES, parts=st.lists(st.one_of(TEXTS, MEDIA), max_size=2).map(tuple), failed=st.booleans()
)
THOUGHTS = st.builds(Thinking, text=st.just("Hm."), origin=FOREIGN, native=st.just({"signature": "x"}))
ITEMS = st.builds(Opaque, type=st.just("web_search"), origin=FOREIGN, native=st.just({"id": "1"}))


def message(role: str, parts: st.SearchStrategy[Part]) -> st.SearchStrategy[Message]:
    return st.builds(Message, role=st.just(role), parts=st.lists(parts, max_size=3).map(tuple))


HISTORIES = st.lists(
    st.one_of(
        message("system", TEXTS),
        message("user", st.one_of(TEXTS, MEDIA)),
        message("assistant", st.one_of(TEXTS, CALLS, THOUGHTS, ITEMS, MEDIA)),
        message("tool", RESULTS),
    ),
    min_size=1,
    max_size=7,
)
TOOLS = st.sampled_from([(), tuple(Tool(name=name) for name in ("lookup", "get.weather"))])


@pytest.mark.parametrize("model", [CLAUDE, CLAUDE_37, NOVA, LLAMA, MISTRAL, TITAN, WRITER, GPT_OSS, "imported"])
@settings(max_examples=30, deadline=None)
@given(history=HISTORIES, tools=TOOLS)
def test_any_history_becomes_one_that_aws_takes(model: str, history: list[Message], tools: tuple[Tool, ...]) -> None:
    request = Request(model=model, messages=tuple(history), tools=tools)
    try:
        sent = BACKEND.encode(request, stream=False)
    except (Unsupported, InvalidRequest) as refused:
        # Media that the model cannot read, tools that it cannot call, or nothing at all to answer.
        if not any(word in refused.message for word in ("takes no", "calls no tools", "the prompt is empty")):
            raise
        return
    assert faults("Converse", model, sent.body) == []
    turns = sent.body["messages"]
    led = turns if turns[0]["role"] == "user" else [{"role": "user", "content": [{"text": "."}]}, *turns]
    assert conversation_fault({**sent.body, "messages": led}) is None
    points = str(sent.body).count("cachePoint")
    assert points <= 4
