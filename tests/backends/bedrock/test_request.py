"""Settings, caching, and options of the vendor's own, on their way to a body."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from genkit.errors import InvalidRequest, Unsupported
from genkit.types import Audio, Document, Image, Message, Opaque, Text, Thinking, Tool, ToolChoice, ToolResult
from tests.backends.bedrock.cases import (
    BACKEND,
    CLAUDE,
    CLAUDE_37,
    CLAUDE_45,
    GPT_OSS,
    LLAMA,
    MISTRAL,
    NOVA,
    NOVA_2,
    ORIGIN,
    TITAN,
    body,
    call,
    decoded,
    reports,
    request,
    result,
    turns,
    wire,
)
from tests.backends.bedrock.service_model import faults

LOOKUP = Tool(name="lookup")
POINT = {"cachePoint": {"type": "default"}}


def points(sent: dict[str, Any]) -> list[str]:
    """Return where cache points stand."""
    places = [("tools", sent.get("toolConfig", {}).get("tools", [])), ("system", sent.get("system", []))]
    places += [(f"turn {at}", turn["content"]) for at, turn in enumerate(sent["messages"])]
    return [place for place, blocks in places for block in blocks if "cachePoint" in block]


class TestSettings:
    def test_what_converse_has_stands_in_its_inference_configuration(self) -> None:
        sent = body("Hi", temperature=0.5, max_tokens=9, stop=("a", "b"), model=NOVA)
        assert sent["inferenceConfig"] == {"temperature": 0.5, "maxTokens": 9, "stopSequences": ["a", "b"]}

    def test_a_temperature_above_one_becomes_one_and_is_reported(self) -> None:
        sent = wire("Hi", temperature=1.5)
        assert sent.body["inferenceConfig"] == {"temperature": 1.0}
        assert reports(sent) == [("changed", "temperature")]

    @pytest.mark.parametrize("model", [LLAMA, GPT_OSS])
    def test_stop_texts_are_refused_where_the_model_takes_none(self, model: str) -> None:
        with pytest.raises(Unsupported, match="stop"):
            wire("Hi", stop=("a",), model=model)

    def test_more_stop_texts_than_the_model_takes_are_refused(self) -> None:
        with pytest.raises(Unsupported, match="at most 4"):
            wire("Hi", stop=tuple("abcde"), model=NOVA)
        sent = wire("Hi", stop=tuple("abcde"), model=NOVA, on_unsupported="ignore")
        assert sent.body["inferenceConfig"]["stopSequences"] == list("abcd")

    def test_a_stop_text_of_whitespace_is_refused(self) -> None:
        with pytest.raises(Unsupported, match="whitespace"):
            wire("Hi", stop=("\n",))
        sent = wire("Hi", stop=("\n", "END"), on_unsupported="ignore")
        assert sent.body["inferenceConfig"]["stopSequences"] == ["END"]

    def test_novas_highest_effort_takes_no_limits(self) -> None:
        sent = wire("Hi", reasoning="high", temperature=0.5, max_tokens=9, model=NOVA_2)
        assert "inferenceConfig" not in sent.body
        assert sorted(reports(sent)) == [("dropped", "max_tokens"), ("dropped", "temperature")]

    @pytest.mark.parametrize("setting", [{"n": 2}, {"logprobs": True}, {"parallel_tool_calls": False}])
    def test_what_bedrock_has_no_word_for_is_reported(self, setting: dict[str, Any]) -> None:
        assert reports(wire("Hi", **setting)) == [("dropped", *setting)]

    def test_how_reasoning_is_summed_up_cannot_be_chosen(self) -> None:
        sent = wire("Hi", reasoning={"effort": "low", "summary": "detailed"}, model=CLAUDE)
        assert reports(sent) == [("changed", "reasoning")]

    @pytest.mark.parametrize("messages", [(), ("",), (Message.system(""), Message.user())])
    def test_an_empty_prompt_is_refused(self, messages: tuple[Any, ...]) -> None:
        asked = request("x").model_copy(update={"messages": request(*messages or ("",)).messages if messages else ()})
        with pytest.raises(InvalidRequest, match="the prompt is empty"):
            BACKEND.encode(asked, stream=False)

    @pytest.mark.parametrize("model", ["", ".", "..", "\ud83d"])
    def test_an_id_that_is_no_segment_of_a_path_is_refused(self, model: str) -> None:
        with pytest.raises(InvalidRequest, match="no model id"):
            BACKEND.encode(request("Hi", model=model), stream=False)

    def test_the_id_is_percent_encoded_once(self) -> None:
        arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-lite-v1:0"
        encoded = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.amazon.nova-lite-v1%3A0"
        assert wire("Hi", model=arn).path == f"/model/{encoded}/converse"
        assert wire("Hi", model=NOVA, stream=True).path == "/model/amazon.nova-lite-v1%3A0/converse-stream"


class TestTools:
    def test_a_model_without_tools_refuses_them(self) -> None:
        with pytest.raises(Unsupported, match="calls no tools"):
            wire("Hi", tools=(LOOKUP,), model=TITAN)

    @pytest.mark.parametrize(
        ("choice", "says"),
        [
            ("required", "the request has none"),
            (ToolChoice(mode="named"), "needs names"),
            (ToolChoice(mode="named", names=("nope",)), "tool_choice names"),
        ],
    )
    def test_a_choice_that_cannot_be_met_is_refused(self, choice: Any, says: str) -> None:
        tools = () if choice == "required" else (LOOKUP,)
        with pytest.raises(InvalidRequest, match=says):
            wire("Hi", tools=tools, tool_choice=choice)

    def test_auto_among_some_sends_only_those(self) -> None:
        choice = ToolChoice(mode="auto", names=("lookup",))
        sent = wire("Hi", tools=(LOOKUP, Tool(name="b")), tool_choice=choice)
        assert len(sent.body["toolConfig"]["tools"]) == 1
        assert reports(sent) == [("changed", "tools")]

    def test_strict_tools_are_closed_where_the_model_has_them(self) -> None:
        tool = Tool(name="a", parameters={"type": "object", "properties": {"x": {"type": "string"}}}, strict=True)
        spec = body("Hi", tools=(tool,))["toolConfig"]["tools"][0]["toolSpec"]
        assert spec["strict"] is True
        assert spec["inputSchema"]["json"]["additionalProperties"] is False
        for sent in (
            wire("Hi", tools=(tool,), model=NOVA),
            wire("Hi", tools=(tool.model_copy(update={"parameters": {"type": "object"}}),)),
            wire("Hi", tools=(tool.model_copy(update={"parameters": LIMITED}),)),
        ):
            assert "strict" not in sent.body["toolConfig"]["tools"][0]["toolSpec"]
            assert reports(sent) == [("dropped", "strict")]

    def test_a_forced_call_leaves_a_schema_nothing_to_hold(self) -> None:
        from genkit.types import Schema

        schema = Schema(json_schema={"type": "object", "properties": {}})
        sent = body("Hi", tools=(LOOKUP,), tool_choice="required", output_schema=schema, model=CLAUDE_37)
        assert [tool["toolSpec"]["name"] for tool in sent["toolConfig"]["tools"]] == ["lookup"]

    @pytest.mark.parametrize("model", [CLAUDE_45, NOVA])
    def test_parameters_without_a_type_are_those_of_an_object(self, model: str) -> None:
        spec = body("Hi", tools=(Tool(name="a", parameters={}),), model=model)["toolConfig"]["tools"][0]["toolSpec"]
        assert spec["inputSchema"]["json"] == {"type": "object"}

    def test_a_name_that_is_changed_is_told(self) -> None:
        assert reports(wire("Hi", tools=(Tool(name="get.weather"),))) == [("note", "tools")]


EXTRA = {"bedrock": {"toolConfig": {"tools": [{"toolSpec": {"name": "lookup", "inputSchema": {"json": {}}}}]}}}
LIMITED = {"type": "object", "properties": {"x": {"type": "integer", "minimum": 1}}}


class TestCaching:
    HISTORY = (Message.system("Be brief."), "Hi", Message.assistant("Hello"), "Go on")

    def test_points_stand_after_tools_instructions_and_the_last_turn(self) -> None:
        sent = body(*self.HISTORY, tools=(LOOKUP,), cache_prompt=True)
        assert points(sent) == ["tools", "system", "turn 2"]
        assert sent["system"][-1] == POINT

    def test_nova_caches_no_tools(self) -> None:
        sent = wire(*self.HISTORY, tools=(LOOKUP,), cache_prompt=True, model=NOVA)
        assert points(sent.body) == ["system", "turn 2"]

    @pytest.mark.parametrize(
        ("model", "wanted", "ttl", "reported"),
        [
            (CLAUDE_45, "1h", "1h", []),
            (CLAUDE_45, "5m", None, []),
            (CLAUDE_37, "1h", None, ["cache_prompt"]),
            (NOVA, "1h", None, ["cache_prompt"]),
        ],
    )
    def test_a_span_is_asked_for_where_the_model_has_it(
        self, model: str, wanted: str, ttl: str | None, reported: list[str]
    ) -> None:
        sent = wire("Hi", cache_prompt=wanted, model=model)
        assert sent.body["messages"][0]["content"][-1]["cachePoint"].get("ttl") == ttl
        assert [subject for _, subject in reports(sent)] == reported

    def test_no_point_lasts_longer_than_one_before_it(self) -> None:
        book = Text(text="The book", cache=True)
        sent = wire(Message.system(book), Message.user(book, "Who?"), tools=(LOOKUP,), cache_prompt="1h")
        spans = [
            block["cachePoint"].get("ttl")
            for block in [*sent.body["system"], *sent.body["messages"][0]["content"]]
            if "cachePoint" in block
        ]
        assert spans == ["1h", "1h", "1h"]
        assert reports(sent) == [("changed", "cache")]

    def test_a_shorter_span_may_follow_a_longer_one(self) -> None:
        sent = wire(Message.user(Text(text="The book", cache="1h"), "Who?"), cache_prompt=True)
        spans = [
            block["cachePoint"].get("ttl") for block in sent.body["messages"][0]["content"] if "cachePoint" in block
        ]
        assert spans == ["1h", None]
        assert reports(sent) == []

    def test_no_cache_is_no_wish(self) -> None:
        assert points(body("Hi", cache_prompt=False)) == []

    def test_a_model_without_a_cache_reports_it(self) -> None:
        assert reports(wire("Hi", cache_prompt=True, model=LLAMA)) == [("dropped", "cache_prompt")]
        marked = Message.user(Text(text="Hi", cache=True))
        assert reports(wire(marked, model=LLAMA)) == [("dropped", "cache")]

    def test_a_mark_on_a_part_puts_a_point_after_it(self) -> None:
        book = Document(data=b"%PDF-1.4", mime="application/pdf", cache="1h")
        found = turns(Message.user(book, "Who wrote it?"))[0]["content"]
        assert [next(iter(b)) for b in found] == ["document", "cachePoint", "text"]
        assert found[1]["cachePoint"]["ttl"] == "1h"

    def test_marks_on_instructions_calls_and_results_are_heeded(self) -> None:
        said = call().model_copy(update={"cache": True})
        answered = result("t1", "42").model_copy(update={"cache": True})
        told = Message.system(Text(text="Be brief.", cache=True))
        sent = body(told, "Go", Message.assistant(said), Message.tool(answered), tools=(LOOKUP,))
        assert points(sent) == ["system", "turn 1", "turn 2"]

    def test_reasoning_and_what_is_not_sent_cannot_be_marked(self) -> None:
        signed = Thinking(text="Hm.", origin=ORIGIN, native={"maker": "anthropic", "signature": "x"}, cache=True)
        sent = wire("Hi", Message.assistant(signed, Text(text="", cache=True), "Yes"), "Go on")
        assert points(sent.body) == []
        assert reports(sent) == [("dropped", "cache"), ("dropped", "cache"), ("note", "text")]

    def test_of_more_than_four_points_the_first_turns_go_without(self) -> None:
        marked = [Message.user(Text(text=f"{i}", cache=True)) for i in range(4)]
        history = [message for user in marked for message in (user, Message.assistant("Yes"))]
        sent = wire(*history, "Go on", tools=(LOOKUP,), cache_prompt=True)
        assert points(sent.body) == ["tools", "turn 4", "turn 6", "turn 8"]
        assert ("dropped", "cache") in reports(sent)


class TestExtra:
    def test_options_of_bedrocks_own_are_merged_last(self) -> None:
        extra = {
            "bedrock": {
                "guardrailConfig": {"guardrailIdentifier": "abc", "guardrailVersion": "1", "trace": "enabled"},
                "performanceConfig": {"latency": "optimized"},
                "serviceTier": {"type": "flex"},
                "requestMetadata": {"team": "blue"},
                "inferenceConfig": {"maxTokens": 7},
                "additionalModelRequestFields": {"anthropic_beta": ["x"]},
                "additionalModelResponseFieldPaths": ["/stop_sequence"],
            },
            "openai": {"service_tier": "flex"},
        }
        sent = body("Hi", temperature=0.5, max_tokens=9, top_k=5, extra=extra)
        assert sent["inferenceConfig"] == {"temperature": 0.5, "maxTokens": 7}
        assert sent["additionalModelRequestFields"] == {"top_k": 5, "anthropic_beta": ["x"]}
        assert sent["serviceTier"] == {"type": "flex"}
        assert "service_tier" not in sent

    def test_options_of_the_models_own_are_merged_at_every_depth(self) -> None:
        extra = {"bedrock": {"additionalModelRequestFields": {"inferenceConfig": {"seed": 1}}}}
        sent = body("Hi", top_k=5, model=NOVA, extra=extra)
        assert sent["additionalModelRequestFields"] == {"inferenceConfig": {"topK": 5, "seed": 1}}

    def test_a_choice_of_tools_is_replaced_by_another(self) -> None:
        extra = {"bedrock": {"toolConfig": {"toolChoice": {"any": {}}}}}
        sent = body("Hi", tools=(LOOKUP,), tool_choice="auto", extra=extra)
        assert sent["toolConfig"]["toolChoice"] == {"any": {}}

    def test_tools_of_bedrocks_own_are_added(self) -> None:
        extra = {"bedrock": {"toolConfig": {"tools": [{"systemTool": {"name": "nova_code_interpreter"}}]}}}
        sent = body("Hi", tools=(LOOKUP,), tool_choice="auto", model=NOVA_2, extra=extra)
        assert [next(iter(tool)) for tool in sent["toolConfig"]["tools"]] == ["toolSpec", "systemTool"]
        assert sent["toolConfig"]["toolChoice"] == {"auto": {}}

    def test_tools_of_bedrocks_own_let_calls_stay_calls(self) -> None:
        extra = {"bedrock": {"toolConfig": {"tools": [{"toolSpec": {"name": "lookup", "inputSchema": {"json": {}}}}]}}}
        found = turns("Go", Message.assistant(call()), Message.tool(result("t1", "42")), extra=extra)
        assert "toolUse" in found[1]["content"][0]

    def test_a_choice_holds_for_tools_of_bedrocks_own_too(self) -> None:
        sent = wire("Hi", tool_choice="required", extra=EXTRA)
        assert sent.body["toolConfig"] == {**EXTRA["bedrock"]["toolConfig"], "toolChoice": {"any": {}}}
        named = wire("Hi", tool_choice=ToolChoice(mode="named", names=("lookup",)), extra=EXTRA)
        assert named.body["toolConfig"]["toolChoice"] == {"tool": {"name": "lookup"}}
        assert sent.warnings == named.warnings == ()

    def test_a_choice_among_names_that_tools_of_bedrocks_own_escape_is_refused(self) -> None:
        choice = ToolChoice(mode="named", names=("a", "b"))
        with pytest.raises(Unsupported, match=r"may be called: \['lookup'\]"):
            wire("Hi", tools=(Tool(name="a"), Tool(name="b")), tool_choice=choice, extra=EXTRA)

    def test_no_choice_is_told_to_claude_and_refused_for_others_where_tools_are_bedrocks_own(self) -> None:
        sent = wire("Hi", tool_choice="none", extra=EXTRA)
        assert sent.body["additionalModelRequestFields"] == {"tool_choice": {"type": "none"}}
        with pytest.raises(Unsupported, match="kept from calling"):
            wire("Hi", tool_choice="none", extra=EXTRA, model=NOVA)

    @pytest.mark.parametrize("value", [None, "x", {"tools": None}, {"tools": {"x": 1}}, {"tools": ["x"]}])
    def test_options_of_another_form_raise_nothing_of_pythons_own(self, value: object) -> None:
        asked = request("Hi", tools=(LOOKUP,), tool_choice="auto", cache_prompt=True)
        asked = asked.model_copy(update={"extra": {"bedrock": {"toolConfig": value, "inferenceConfig": value}}})
        sent = BACKEND.encode(asked, stream=False)
        assert sent.body["inferenceConfig"] == value

    def test_a_stream_takes_its_own_guardrail_mode(self) -> None:
        config = {"guardrailIdentifier": "abc", "guardrailVersion": "1", "streamProcessingMode": "async"}
        assert wire("Hi", stream=True, extra={"bedrock": {"guardrailConfig": config}}).body["guardrailConfig"] == config


class TestHistories:
    def test_own_items_without_a_word_go_back_as_they_came(self) -> None:
        used = {"toolUse": {"toolUseId": "s1", "name": "nova_code_interpreter", "input": {}, "type": "server_tool_use"}}
        answered = {"toolResult": {"toolUseId": "s1", "content": [{"json": {"a": 1}}], "type": "nova_result"}}
        parts = [Opaque(type="x", origin=ORIGIN, native=native) for native in (used, answered)]
        sent = wire("Go", Message.assistant(*parts, "Done."), "Go on", model=NOVA_2)
        assert sent.body["messages"][1]["content"] == [used, answered, {"text": "Done."}]
        assert sent.warnings == ()

    def test_items_of_others_are_dropped_and_reported(self) -> None:
        theirs = Opaque(type="web_search_call", origin="openai/responses", native={"id": "ws_1"})
        assert reports(wire("Hi", Message.assistant(theirs, "Yes"), "Go on")) == [("dropped", "web_search_call")]

    def test_guarded_content_is_an_item_of_the_users(self) -> None:
        guarded = {"guardContent": {"text": {"text": "Hi", "qualifiers": ["query"]}}}
        assert turns(Message.user(Opaque(type="guardContent", origin=ORIGIN, native=guarded)))[0]["content"] == [
            guarded
        ]

    def test_media_of_an_answer_follow_as_the_users(self) -> None:
        picture = Image(data=b"\x89PNG\r\n\x1a\n")
        sent = wire("Draw", Message.assistant("Here.", picture), "Now in red")
        assert [next(iter(b)) for b in sent.body["messages"][2]["content"]] == ["text", "image", "text"]
        assert reports(sent) == [("changed", "image")]
        last = wire("Draw", Message.assistant("Here.", picture)).body["messages"]
        assert [turn["role"] for turn in last] == ["user", "assistant", "user"]

    def test_citations_go_back_where_they_came_from_and_nowhere_else(self) -> None:
        cited = Text(text="So.", citations=({"title": "Book"},), origin=ORIGIN)
        found = turns("Hi", Message.assistant(cited), "Go on")[1]["content"]
        assert found == [{"citationsContent": {"content": [{"text": "So."}], "citations": [{"title": "Book"}]}}]
        theirs = cited.model_copy(update={"origin": "google/generate"})
        sent = wire("Hi", Message.assistant(theirs), "Go on")
        assert sent.body["messages"][1]["content"] == [{"text": "So."}]
        assert reports(sent) == [("dropped", "citations")]

    @pytest.mark.parametrize("text", ["", " "])
    def test_citations_without_text_are_not_sent(self, text: str) -> None:
        cited = Text(text=text, citations=({"title": "Book"},), origin=ORIGIN)
        sent = wire("Hi", Message.assistant(cited, "Yes."), "Go on")
        assert sent.body["messages"][1]["content"] == [{"text": "Yes."}]
        assert ("dropped", "citations") in reports(sent)

    def test_items_and_citations_go_back_to_models_of_their_maker_only(self) -> None:
        cited = {"citationsContent": {"content": [{"text": "So."}], "citations": [{"title": "Book"}]}}
        used = {"toolUse": {"toolUseId": "s1", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}}
        said = decoded(used, cited, sent=wire(model=NOVA_2)).message
        assert turns("Hi", said, "Go on", model=NOVA)[1]["content"] == [used, cited]
        sent = wire("Hi", said, "Go on", model=CLAUDE)
        assert sent.body["messages"][1]["content"] == [{"text": "So."}]
        assert reports(sent) == [("dropped", "server_tool_use"), ("dropped", "citations")]

    def test_what_another_vendor_signed_of_text_and_calls_is_reported(self) -> None:
        signed: Any = {"origin": "google/generateContent", "native": {"thoughtSignature": "S"}}
        parts = (Text(text="I look.", **signed), call().model_copy(update=signed))
        sent = wire("Go", Message.assistant(*parts), Message.tool(result("t1", "42")), tools=(LOOKUP,))
        assert reports(sent) == [("dropped", "thinking")]
        assert "google/generateContent signed" in sent.warnings[0].message

    def test_empty_turns_are_reported_and_empty_texts_noted(self) -> None:
        sent = wire("One", Message.assistant(), Message.user(""), Message.user("", "Two"))
        assert sent.body["messages"] == [{"role": "user", "content": [{"text": "One"}, {"text": "Two"}]}]
        assert reports(sent) == [("dropped", "message"), ("dropped", "message"), ("note", "text")]

    def test_text_that_is_moved_before_calls_is_reported(self) -> None:
        history = ("Go", Message.assistant(call(), "Wait."), Message.tool(result("t1", "42")))
        assert reports(wire(*history, tools=(LOOKUP,))) == [("changed", "text")]

    def test_a_refusal_is_text_like_other_text(self) -> None:
        assert reports(wire("Hi", Message.assistant(Text(text="No.", refusal=True)), "Why?")) == [
            ("changed", "refusal")
        ]

    def test_a_call_of_the_users_is_refused(self) -> None:
        with pytest.raises(InvalidRequest, match="role 'assistant'"):
            wire(Message.user("Hi", call()), Message.tool(result("t1", "1")), tools=(LOOKUP,))

    def test_instructions_of_anything_but_text_are_refused(self) -> None:
        with pytest.raises(Unsupported, match="user message"):
            wire(Message.system(Image(data=b"x", mime="image/png")), "Hi")

    def test_a_detail_of_images_and_the_name_of_a_speaker_are_reported(self) -> None:
        said = Message(
            role="user", name="Ada", parts=(Text(text="See"), Image(data=b"x", mime="image/png", detail="low"))
        )
        assert sorted(reports(wire(said))) == [("dropped", "detail"), ("dropped", "name")]

    def test_a_conversation_without_instructions_is_opened_by_them_where_the_model_has_none(self) -> None:
        guarded = Opaque(type="guardContent", origin=ORIGIN, native={"guardContent": {"text": {"text": "x"}}})
        sent = wire(Message.system("Be brief.", guarded), Message.assistant("Hello"), "Hi", model=TITAN)
        assert [turn["role"] for turn in sent.body["messages"]] == ["user", "assistant", "user"]
        assert sorted(reports(sent)) == [("changed", "system"), ("dropped", "guardContent")]

    def test_a_picture_in_a_result_stays_there(self) -> None:
        answered = ToolResult(id="t1", parts=(Image(data=b"x", mime="image/png"),))
        found = turns("Go", Message.assistant(call()), Message.tool(answered), tools=(LOOKUP,))
        assert [next(iter(b)) for b in found[-1]["content"][0]["toolResult"]["content"]] == ["image"]

    def test_sound_goes_where_nothing_is_known_of_the_model(self) -> None:
        profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/mi1dadi0g15f"
        found = turns(Message.user("Hear", Audio(data=b"ID3")), model=profile)[0]["content"][1]
        assert found["audio"]["format"] == "mp3"

    def test_reasoning_of_a_user_is_reported(self) -> None:
        assert reports(wire(Message.user("Hi", Thinking(text="Hm.")))) == [("dropped", "thinking")]

    @pytest.mark.parametrize("model", [CLAUDE_45, NOVA, MISTRAL, LLAMA])
    def test_a_wild_history_becomes_one_that_aws_takes(self, model: str) -> None:
        wild = (
            Message.assistant("I begin."),
            Message.tool(result("zz", "orphan")),
            Message.user(),
            Message.assistant(call("é"), call("é")),
            Message.system("Mind the gap."),
            Message.user(" "),
            Message.assistant(Thinking(text="?"), "text after", call("ok")),
            Message.tool(result("ok", "")),
        )
        asked = request(*wild, model=model, tools=(LOOKUP,))
        sent = BACKEND.encode(asked, stream=False)
        assert faults("Converse", model, sent.body) == []
        roles = [turn["role"] for turn in sent.body["messages"]]
        assert all(a != b for a, b in itertools.pairwise(roles))
        assert sent.warnings
