"""Functions and their names, with tools that come by `extra` and what is chosen among them."""

from __future__ import annotations

from typing import Any

import pytest

from genkit.backends.wire import Exchange
from genkit.errors import InvalidRequest, Unsupported
from genkit.types import Message, Tool, ToolCall, ToolChoice, ToolResult
from tests.backends.google.cases import (
    GEMINI,
    LOOKUP,
    NEW,
    VERTEX,
    body,
    candidate,
    chunk,
    lost,
    request,
    said,
    whole,
    wire_of,
)

GRIM = "my tool \u00fc"
BARE = "my_tool__"
EXTRA = {"functionDeclarations": [{"name": "other"}]}
SEARCH = {"googleSearch": {}}


def tools(*given: Any) -> dict[str, Any]:
    """Return tools in the vendor's own words."""
    return {"google": {"tools": list(given)}}


# ---------------------------------------------------------------- names


def test_a_name_that_is_refused_is_sent_otherwise_and_noted() -> None:
    sent = wire_of(request(tools=(Tool(name=GRIM),), tool_choice=ToolChoice(mode="named", names=(GRIM,))))
    assert sent.body["tools"][0]["functionDeclarations"][0]["name"] == BARE
    assert sent.body["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"] == [BARE]
    assert [(note.kind, note.subject) for note in sent.warnings] == [("note", "tools")]


def test_an_answer_calls_it_by_its_own_name() -> None:
    sent = wire_of(request(tools=(Tool(name=GRIM),)))
    called = {"functionCall": {"name": BARE, "args": {}}}
    assert GEMINI.decode(sent, whole(candidate(called)), Exchange()).tool_calls[0].name == GRIM
    decoder = GEMINI.decoder(sent)
    decoder.take(chunk(called), whole=False)  # type: ignore[attr-defined]  # its own decoder
    assert decoder.response(Exchange()).tool_calls[0].name == GRIM


def test_calls_and_results_of_a_history_have_the_name_that_is_sent() -> None:
    call = ToolCall(id="1", name=GRIM, arguments={})
    sent = said("Go", Message.assistant(call), Message.tool(ToolResult(id="1")))
    assert sent[1]["parts"][0]["functionCall"]["name"] == BARE
    assert sent[2]["parts"][0]["functionResponse"]["name"] == BARE


@pytest.mark.parametrize("name", ["a", "_", "a.b:c-d", "x" * 128])
def test_a_name_that_is_taken_stays(name: str) -> None:
    assert body(tools=(Tool(name=name),))["tools"][0]["functionDeclarations"][0]["name"] == name


def test_names_that_become_one_are_told_apart() -> None:
    names = [GRIM, "my tool \u00e4", BARE, "7", "x" * 200, "x" * 201]
    sent = body(tools=[Tool(name=name) for name in names])["tools"][0]["functionDeclarations"]
    found = [one["name"] for one in sent]
    assert found[2:4] == [BARE, "_7"]
    assert len(set(found)) == len(names)
    assert max(map(len, found)) <= 128


# ---------------------------------------------------------------- a choice among tools of extra


def test_a_choice_holds_for_functions_that_come_by_extra() -> None:
    sent = body(extra=tools(EXTRA), tool_choice="required")
    assert sent["toolConfig"] == {"functionCallingConfig": {"mode": "ANY"}}
    assert sent["tools"] == [EXTRA]


@pytest.mark.parametrize("choice", ["required", "none"])
def test_a_choice_without_functions_to_choose_from_is_refused(choice: str) -> None:
    with pytest.raises(Unsupported, match="tool_choice"):
        body(extra=tools(SEARCH), tool_choice=choice)


def test_the_usual_choice_among_tools_of_extra_needs_no_word() -> None:
    asked = request(extra=tools(SEARCH), tool_choice="auto")
    assert "toolConfig" not in wire_of(asked).body
    assert lost(asked) == []


def test_names_allowed_among_functions_of_extra_are_refused() -> None:
    with pytest.raises(Unsupported, match="tool_choice"):
        body(extra=tools(EXTRA), tool_choice=ToolChoice(mode="auto", names=("other",)))


# ---------------------------------------------------------------- the form of extra


def test_one_tool_of_extra_is_added_and_replaces_nothing() -> None:
    sent = body(tools=(LOOKUP,), model=NEW, extra={"google": {"tools": SEARCH}})
    assert [list(tool) for tool in sent["tools"]] == [["functionDeclarations"], ["googleSearch"]]


@pytest.mark.parametrize("backend", [GEMINI, VERTEX])
@pytest.mark.parametrize(
    "wrong",
    [
        {"tools": ["x"]},
        {"tools": "x"},
        {"toolConfig": "x"},
        {"toolConfig": {"functionCallingConfig": "x"}},
        {"generationConfig": [1]},
    ],
    ids=str,
)
def test_an_extra_of_another_form_is_refused(backend: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="extra"):
        body(extra={backend.name: wrong}, backend=backend)


@pytest.mark.parametrize("nothing", [{"toolConfig": None}, {"generationConfig": None}, {"tools": None}], ids=str)
def test_an_extra_that_takes_something_away_is_taken(nothing: dict[str, Any]) -> None:
    sent = wire_of(request(tools=(LOOKUP,), tool_choice="auto", temperature=0.5, extra={"google": nothing}))
    (name,) = nothing
    assert sent.body[name] is None
    assert GEMINI.decode(sent, whole(candidate({"text": "Hi"})), Exchange()).text == "Hi"
