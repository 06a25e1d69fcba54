"""Requests to Chat Completions, on plain dicts."""

from __future__ import annotations

import base64
import json

import pytest

from genkit.backends.openai import responses
from genkit.errors import ConfigError, InvalidRequest, Unsupported
from genkit.types import (
    Audio,
    Document,
    Image,
    Message,
    Opaque,
    Reasoning,
    Schema,
    Text,
    Thinking,
    Timeouts,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Video,
)
from tests.backends.openai.chat_cases import GROQ, OPENAI, ORIGIN, SERVICES, body, request, said, subjects, wire_of

PNG = b"\x89PNG\r\n\x1a\n...."
CLOSED = {"type": "object", "properties": {}, "additionalProperties": False}
LOOKUP, SEND = Tool(name="lookup", description="Finds"), Tool(name="send")


def test_a_lone_text_is_sent_as_a_string() -> None:
    assert body(request("Hi")) == {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}


def test_several_parts_keep_their_order() -> None:
    message = Message.user("What?", Image(url="https://example.com/a.png", detail="low"), "Say")
    assert said(message)[0]["content"] == [
        {"type": "text", "text": "What?"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        {"type": "text", "text": "Say"},
    ]


def test_the_name_of_a_speaker_is_sent() -> None:
    assert said(Message(role="user", parts=(Text(text="Hi"),), name="ann"))[0]["name"] == "ann"


def test_an_image_by_value_becomes_a_data_url_whose_type_is_told_by_its_bytes() -> None:
    url = said(Message.user(Image(data=PNG)))[0]["content"][0]["image_url"]["url"]
    assert url == "data:image/png;base64," + base64.b64encode(PNG).decode()


def test_an_image_of_unknown_type_is_refused_with_the_way_out() -> None:
    with pytest.raises(InvalidRequest, match="mime="):
        said(Message.user(Image(data=b"????")))


def test_an_image_by_file_id_is_refused_since_chat_has_no_such_thing() -> None:
    with pytest.raises(Unsupported, match="file id"):
        said(Message.user(Image(file_id="file-1")))


def test_the_detail_original_is_sent_as_high_and_reported() -> None:
    wire = wire_of(request(Message.user(Image(url="https://example.com/a.png", detail="original"))))
    assert wire.body["messages"][0]["content"][0]["image_url"]["detail"] == "high"
    assert subjects(wire) == ["detail"]


@pytest.mark.parametrize(("mime", "name"), [("audio/wav", "wav"), ("audio/x-wav", "wav"), ("audio/mpeg", "mp3")])
def test_audio_is_base64_with_the_name_of_its_format(mime: str, name: str) -> None:
    assert said(Message.user(Audio(data=b"abc", mime=mime)), model="gpt-audio")[0]["content"][0] == {
        "type": "input_audio",
        "input_audio": {"data": "YWJj", "format": name},
    }


@pytest.mark.parametrize("part", [Audio(data=b"x", mime="audio/flac"), Audio(url="https://example.com/a.wav")])
def test_audio_that_openai_does_not_read_is_refused(part: Audio) -> None:
    with pytest.raises(Unsupported, match=r"audio of type|by URL"):
        said(Message.user(part), model="gpt-audio")


@pytest.mark.parametrize(
    ("model", "part"), [("gpt-4o", Audio(data=b"x", mime="audio/wav")), ("o3-mini", Image(data=PNG))]
)
def test_media_that_the_model_does_not_read_are_refused(model: str, part: Audio | Image) -> None:
    with pytest.raises(Unsupported, match="for this model"):
        said(Message.user(part), model=model)


def test_a_document_by_value_has_a_name_and_a_data_url() -> None:
    assert said(Message.user(Document(data=b"%PDF-1", name="a.pdf")))[0]["content"][0] == {
        "type": "file",
        "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0x"},
    }


def test_a_document_by_file_id_is_sent_as_such() -> None:
    part = said(Message.user(Document(file_id="file-1")))[0]["content"][0]
    assert part == {"type": "file", "file": {"file_id": "file-1"}}


def test_a_document_by_url_is_refused_at_openai_and_sent_to_a_service_that_reads_it() -> None:
    message = Message.user(Document(url="https://example.com/a.pdf"))
    with pytest.raises(Unsupported, match="by URL"):
        said(message)
    sent = said(message, service=SERVICES["openrouter"])[0]["content"][0]["file"]
    assert sent["file_data"] == "https://example.com/a.pdf"


def test_video_is_refused_whatever_the_policy() -> None:
    with pytest.raises(Unsupported, match="video"):
        body(request(Message.user(Video(url="https://example.com/a.mp4")), on_unsupported="ignore"))


@pytest.mark.parametrize("asked", [request(Message.user("")), request(Message.user()), request(Message.system(""))])
def test_an_empty_prompt_is_refused(asked: object) -> None:
    with pytest.raises(InvalidRequest, match="the prompt is empty"):
        body(asked)  # type: ignore[arg-type]


def test_no_messages_at_all_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="the prompt is empty"):
        body(request().model_copy(update={"messages": ()}))


def test_a_system_message_stays_where_it_stands() -> None:
    sent = said(Message.user("a"), Message.system("b"), Message.user("c"))
    assert [(m["role"], m["content"]) for m in sent] == [("user", "a"), ("system", "b"), ("user", "c")]


def test_a_system_message_in_the_middle_is_reported_where_the_service_moves_it() -> None:
    wire = wire_of(request(Message.user("a"), Message.system("b")), SERVICES["anthropic"])
    assert subjects(wire) == ["system"]


def test_a_picture_in_a_system_message_is_refused() -> None:
    with pytest.raises(Unsupported, match="openai takes no image in a system message"):
        said(Message.system(Image(url="https://example.com/a.png")))


# ---------------------------------------------------------------- tools in the conversation


CALL = ToolCall(id="call_1", name="lookup", arguments={"q": "x"})


def test_tool_calls_and_their_results_are_sent() -> None:
    results = Message.tool(ToolResult(id="call_1", parts=(Text(text="42"),)))
    assert said("Hi", Message.assistant(CALL), results)[1:] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "lookup", "arguments": '{"q":"x"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "42"},
    ]


def test_text_beside_a_tool_call_is_kept() -> None:
    assert said("Hi", Message.assistant("Let me see.", CALL))[1]["content"] == "Let me see."


def test_the_texts_of_an_assistant_are_sent_as_one() -> None:
    assert said("Hi", Message.assistant("a", "b"), "c")[1]["content"] == "ab"


def test_arguments_that_are_no_json_go_back_as_the_model_wrote_them() -> None:
    broken = ToolCall(id="call_1", name="lookup", arguments=None, raw='{"q": ')
    assert said("Hi", Message.assistant(broken))[1]["tool_calls"][0]["function"]["arguments"] == '{"q": '


def test_a_failed_result_says_so_in_words() -> None:
    failed = Message.tool(ToolResult(id="call_1", parts=(Text(text="no net"),), failed=True))
    assert said("Hi", Message.assistant(CALL), failed)[2]["content"] == "Error: no net"


def test_a_result_without_parts_is_an_empty_text() -> None:
    assert said("Hi", Message.assistant(CALL), Message.tool(ToolResult(id="call_1")))[2]["content"] == ""


def test_results_in_a_user_message_come_before_its_text() -> None:
    mixed = Message.user(ToolResult(id="call_1", parts=(Text(text="42"),)), "And now?")
    assert [m["role"] for m in said("Hi", Message.assistant(CALL), mixed)] == ["user", "assistant", "tool", "user"]


def test_a_tool_message_with_text_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="tool results"):
        said("Hi", Message(role="tool", parts=(Text(text="42"),)))


def test_a_long_foreign_id_is_shortened_the_same_way_in_call_and_result() -> None:
    long = ToolCall(id="x" * 60, name="lookup", arguments={})
    sent = said("Hi", Message.assistant(long), Message.tool(ToolResult(id="x" * 60)))
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"]
    assert len(sent[2]["tool_call_id"]) <= 40


def test_mistral_gets_ids_of_nine_letters_and_digits() -> None:
    sent = said("Hi", Message.assistant(CALL), Message.tool(ToolResult(id="call_1")), service=SERVICES["mistral"])
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"]
    assert sent[2]["tool_call_id"].isalnum()
    assert len(sent[2]["tool_call_id"]) == 9


def test_a_refusal_goes_back_as_a_refusal() -> None:
    refused = Message.assistant(Text(text="No.", refusal=True))
    assert said("Hi", refused, "Why?")[1] == {"role": "assistant", "content": None, "refusal": "No."}


def test_an_assistant_turn_of_nothing_stays_a_turn() -> None:
    assert said("Hi", Message.assistant(), "Well?")[1] == {"role": "assistant", "content": ""}


def test_spoken_answers_go_back_by_their_id_to_where_they_came_from() -> None:
    spoken = Audio(data=b"x", mime="audio/wav", origin=ORIGIN, native={"id": "audio_1"})
    assert said("Hi", Message.assistant(spoken), "Again")[1] == {
        "role": "assistant",
        "content": None,
        "audio": {"id": "audio_1"},
    }


def test_a_picture_by_another_model_follows_as_a_user_message_and_is_reported() -> None:
    wire = wire_of(request("Draw", Message.assistant(Image(data=PNG)), "Bigger"))
    assert [m["role"] for m in wire.body["messages"]] == ["user", "assistant", "user", "user"]
    assert subjects(wire) == ["image"]


# ---------------------------------------------------------------- what only its origin can read


def test_a_foreign_item_is_dropped_and_reported() -> None:
    item = Opaque(type="web_search_call", origin="openai/responses", native={"id": "ws_1"})
    wire = wire_of(request("Hi", Message.assistant(item, "Found."), "Thanks"))
    assert wire.body["messages"][1] == {"role": "assistant", "content": "Found."}
    assert subjects(wire) == ["web_search_call"]


def test_foreign_reasoning_of_earlier_turns_is_left_out_and_reported() -> None:
    thought = Thinking(text="hm", origin="google/generate", native={"sig": "x"})
    wire = wire_of(request("Hi", Message.assistant(thought, "Hello"), "Well?"))
    assert wire.body["messages"][1] == {"role": "assistant", "content": "Hello"}
    assert subjects(wire) == ["thinking"]


def test_foreign_reasoning_behind_running_tool_calls_is_reported() -> None:
    thought = Thinking(text="hm", origin="google/generate", native={"sig": "x"})
    wire = wire_of(request("Hi", Message.assistant(thought, CALL), Message.tool(ToolResult(id="call_1"))))
    assert subjects(wire) == ["thinking"]


def test_deepseek_gets_its_reasoning_back_beside_running_tool_calls_and_nowhere_else() -> None:
    thought = Thinking(text="hm")
    old, new = Message.assistant(thought, "Hello"), Message.assistant(thought, CALL)
    sent = said("Hi", old, "Look", new, Message.tool(ToolResult(id="call_1")), service=SERVICES["deepseek"])
    assert "reasoning_content" not in sent[1]
    assert sent[3]["reasoning_content"] == "hm"


def test_openrouter_gets_its_reasoning_details_back_unchanged() -> None:
    details = [{"type": "reasoning.encrypted", "data": "abc"}]
    thought = Thinking(origin=ORIGIN, native={"reasoning_details": details})
    sent = said("Hi", Message.assistant(thought, CALL), service=SERVICES["openrouter"])
    assert sent[1]["reasoning_details"] == details


# ---------------------------------------------------------------- settings


def test_settings_go_under_openais_names() -> None:
    asked = request(temperature=0.5, top_p=0.9, seed=3, n=2, presence_penalty=0.1, frequency_penalty=0.2, stop="END")
    sent = body(asked)
    assert {name: sent[name] for name in sent if name not in ("model", "messages")} == {
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 3,
        "n": 2,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "stop": ["END"],
    }


def test_asking_for_alternatives_switches_log_probabilities_on() -> None:
    sent = body(request(top_logprobs=2))
    assert (sent["logprobs"], sent["top_logprobs"]) == (True, 2)


def test_a_setting_that_openai_lacks_is_dropped_and_reported() -> None:
    wire = wire_of(request(top_k=5))
    assert "top_k" not in wire.body
    assert subjects(wire) == ["top_k"]


def test_a_required_setting_that_is_lacking_is_an_error() -> None:
    with pytest.raises(Unsupported, match="top_k"):
        body(request(top_k=5, require=frozenset({"top_k"})))


def test_servers_that_sample_themselves_take_top_k() -> None:
    assert body(request(top_k=5, model="qwen3"), SERVICES["vllm"])["top_k"] == 5


def test_more_stop_texts_than_openai_takes_are_refused_and_cut_only_with_leave() -> None:
    with pytest.raises(Unsupported, match="at most 4"):
        body(request(stop=("a", "b", "c", "d", "e")))
    assert body(request(stop=("a", "b", "c", "d", "e"), on_unsupported="ignore"))["stop"] == ["a", "b", "c", "d"]


def test_a_stop_text_for_a_model_that_takes_none_is_refused() -> None:
    with pytest.raises(Unsupported, match="stop"):
        body(request(stop="x", model="o3"))


def test_time_limits_travel_beside_the_body() -> None:
    assert wire_of(request(timeout=3)).timeouts == Timeouts(total=3)


def test_caching_is_asked_for_by_nothing_since_openai_caches_by_itself() -> None:
    wire = wire_of(request(cache_prompt=True))
    assert set(wire.body) == {"model", "messages"}
    assert wire.warnings == ()


def test_a_lifetime_in_the_cache_that_cannot_be_asked_for_is_reported() -> None:
    assert subjects(wire_of(request(cache_prompt="1h"))) == ["cache_prompt"]


def test_the_effort_is_sent_as_one_word_and_the_rest_is_reported() -> None:
    wire = wire_of(request(model="gpt-5", reasoning=Reasoning(effort="low", budget=100, summary="auto")))
    assert wire.body["reasoning_effort"] == "low"
    assert subjects(wire) == ["reasoning", "reasoning"]


def test_an_effort_that_the_model_lacks_becomes_the_nearest_and_is_reported() -> None:
    wire = wire_of(request(model="gpt-5", reasoning="xhigh"))
    assert wire.body["reasoning_effort"] == "high"
    assert [warning.kind for warning in wire.warnings] == ["changed"]


def test_no_reasoning_is_what_a_model_without_it_does_anyway() -> None:
    wire = wire_of(request(model="gpt-4o", reasoning="none"))
    assert "reasoning_effort" not in wire.body
    assert wire.warnings == ()


def test_openrouter_gets_reasoning_as_an_object() -> None:
    sent = body(request(model="x/y", reasoning=Reasoning(budget=500)), SERVICES["openrouter"])
    assert sent["reasoning"] == {"max_tokens": 500}


def test_mistral_has_another_word_for_the_seed() -> None:
    assert body(request(seed=1, model="mistral-large"), SERVICES["mistral"])["random_seed"] == 1


# ---------------------------------------------------------------- tools and schema


def test_tools_are_nested_under_function() -> None:
    strict = Tool(name="lookup", description="Finds", parameters=CLOSED, strict=True)
    assert body(request(tools=(strict,)))["tools"] == [
        {
            "type": "function",
            "function": {"name": "lookup", "description": "Finds", "parameters": CLOSED, "strict": True},
        }
    ]


def test_strictness_that_a_service_ignores_is_reported() -> None:
    wire = wire_of(request(tools=(Tool(name="t", strict=True),)), SERVICES["anthropic"])
    assert "strict" not in wire.body["tools"][0]["function"]
    assert subjects(wire) == ["strict"]


@pytest.mark.parametrize("mode", ["auto", "none", "required"])
def test_a_choice_of_tools_in_one_word_is_sent_as_that_word(mode: str) -> None:
    assert body(request(tools=(LOOKUP,), tool_choice=mode))["tool_choice"] == mode


def test_one_named_tool_is_named() -> None:
    choice = ToolChoice(mode="named", names=("lookup",))
    sent = body(request(tools=(LOOKUP, SEND), tool_choice=choice))["tool_choice"]
    assert sent == {"type": "function", "function": {"name": "lookup"}}


def test_several_named_tools_are_the_allowed_ones_at_openai() -> None:
    choice = ToolChoice(mode="named", names=("lookup", "send"))
    sent = body(request(tools=(LOOKUP, SEND, Tool(name="c")), tool_choice=choice))["tool_choice"]
    assert sent["type"] == "allowed_tools"
    assert sent["allowed_tools"]["mode"] == "required"
    assert [tool["function"]["name"] for tool in sent["allowed_tools"]["tools"]] == ["lookup", "send"]


def test_several_named_tools_are_the_only_ones_where_a_service_cannot_choose_among_them() -> None:
    choice = ToolChoice(mode="named", names=("lookup", "send"))
    wire = wire_of(request(tools=(LOOKUP, SEND, Tool(name="c")), tool_choice=choice), GROQ)
    assert [tool["function"]["name"] for tool in wire.body["tools"]] == ["lookup", "send"]
    assert wire.body["tool_choice"] == "required"
    assert subjects(wire) == ["tools"]


@pytest.mark.parametrize("choice", ["required", ToolChoice(mode="named", names=("lookup",)), ToolChoice(mode="named")])
def test_a_forced_call_without_such_a_tool_is_refused(choice: str | ToolChoice) -> None:
    with pytest.raises(InvalidRequest, match="tool"):
        body(request(tool_choice=choice))


def test_an_unknown_named_tool_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="nope"):
        body(request(tools=(LOOKUP,), tool_choice=ToolChoice(mode="named", names=("nope",))))


@pytest.mark.parametrize("fields", [{"tool_choice": "none"}, {"tool_choice": "auto"}, {"parallel_tool_calls": False}])
def test_what_is_said_about_tools_is_left_out_where_there_are_none(fields: dict[str, object]) -> None:
    assert set(body(request(**fields))) == {"model", "messages"}


def test_a_choice_of_tools_that_a_service_lacks_is_an_error() -> None:
    with pytest.raises(Unsupported, match="tool_choice"):
        body(request(tools=(LOOKUP,), tool_choice="required"), SERVICES["ollama"])


def test_a_schema_goes_into_the_response_format() -> None:
    schema = Schema(name="person", json_schema=CLOSED, description="A person")
    assert body(request(output_schema=schema))["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "person", "schema": CLOSED, "description": "A person", "strict": True},
    }


def test_a_schema_that_a_service_ignores_is_an_error() -> None:
    with pytest.raises(Unsupported, match="output_schema"):
        body(request(output_schema=Schema(json_schema={"type": "object"})), SERVICES["anthropic"])


# ---------------------------------------------------------------- extra


def test_vendor_only_options_are_merged_last_and_those_of_others_are_left() -> None:
    extra = {"openai": {"logit_bias": {"5": 1}, "temperature": 0.1}, "groq": {"service_tier": "flex"}}
    sent = body(request(temperature=0.9, extra=extra))
    assert (sent["logit_bias"], sent["temperature"]) == ({"5": 1}, 0.1)
    assert "service_tier" not in sent
    assert body(request(extra=extra), GROQ)["service_tier"] == "flex"
    assert "logit_bias" not in body(request(extra=extra), GROQ)


def test_azure_takes_openais_options_and_its_own_win() -> None:
    extra = {"openai": {"user": "a", "store": True}, "azure": {"user": "b"}}
    sent = body(request(extra=extra), SERVICES["azure"])
    assert (sent["user"], sent["store"]) == ("b", True)


def test_options_of_the_stream_do_not_push_usage_out() -> None:
    extra = {"openai": {"stream_options": {"include_obfuscation": False}}}
    sent = body(request(extra=extra), stream=True)["stream_options"]
    assert sent == {"include_usage": True, "include_obfuscation": False}


def test_vendor_tools_stand_beside_the_requests_own() -> None:
    sent = body(request(tools=(LOOKUP,), extra={"openai": {"tools": [{"type": "custom"}]}}))["tools"]
    assert [tool["type"] for tool in sent] == ["function", "custom"]


def test_streaming_cannot_be_chosen_by_extra() -> None:
    with pytest.raises(ConfigError, match="stream"):
        body(request(extra={"openai": {"stream": True}}))


def test_every_body_is_json() -> None:
    asked = request(Message.user("Hi", Image(data=PNG)), tools=(LOOKUP,), stop=("a",), timeout=1)
    assert json.loads(json.dumps(body(asked, stream=True)))["stream"] is True


def test_the_same_request_gives_the_same_body_again() -> None:
    asked = request("Hi", tools=(LOOKUP,), seed=1)
    assert wire_of(asked, OPENAI) == wire_of(asked, OPENAI)


# ---------------------------------------------------------------- what is reported, and what is not


def test_a_model_without_rules_takes_sampling_settings_while_it_reasons() -> None:
    wire = wire_of(request(model="qwen3-32b", reasoning="high", temperature=0.6, top_p=0.9), GROQ)
    sent = {name: wire.body[name] for name in ("reasoning_effort", "temperature", "top_p")}
    assert sent == {"reasoning_effort": "high", "temperature": 0.6, "top_p": 0.9}
    assert wire.warnings == ()


def test_alternatives_to_tokens_whose_probabilities_are_refused_are_reported() -> None:
    wire = wire_of(request(logprobs=False, top_logprobs=3))
    assert "top_logprobs" not in wire.body
    assert subjects(wire) == ["top_logprobs"]


def test_several_foreign_thoughts_are_one_warning_with_their_number() -> None:
    thought = Thinking(text="hm", origin="google/generate", native={"sig": "x"})
    first, second = Message.assistant(thought, "Hello"), Message.assistant(thought, "Yes")
    wire = wire_of(request("Hi", first, "So?", second, "Well?"))
    assert [message["content"] for message in wire.body["messages"]] == ["Hi", "Hello", "So?", "Yes", "Well?"]
    assert subjects(wire) == ["thinking"]
    assert "2 parts" in wire.warnings[0].message


def test_required_reasoning_that_cannot_be_sent_back_is_an_error() -> None:
    thought = Thinking(text="hm", origin="google/generate", native={"sig": "x"})
    with pytest.raises(Unsupported, match="thinking"):
        wire_of(request("Hi", Message.assistant(thought, "Hello"), "Well?", require=frozenset({"thinking"})))


def test_reasoning_that_says_nothing_is_no_loss() -> None:
    assert wire_of(request("Hi", Message.assistant(Thinking(origin="x/y"), "Hello"), "Well?")).warnings == ()


@pytest.mark.parametrize("thought", [Thinking(text="hm"), Thinking(text="hm", origin=ORIGIN)])
def test_reasoning_that_the_service_does_not_take_back_is_reported(thought: Thinking) -> None:
    wire = wire_of(request("Hi", Message.assistant(thought, "Hello"), "Well?"))
    assert [(warning.kind, warning.subject) for warning in wire.warnings] == [("dropped", "thinking")]


def test_a_prompt_of_nothing_that_can_be_sent_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="nothing of the prompt"):
        wire_of(request(Message.user(Thinking(text="hm"))))


@pytest.mark.parametrize("wanted", [True, False, "5m", "1h"])
@pytest.mark.parametrize("service", ["openai", "azure"])
def test_both_interfaces_say_the_same_of_the_cache(wanted: bool | str, service: str) -> None:
    asked = request(cache_prompt=wanted)
    other = responses.encode(asked, SERVICES[service], origin=ORIGIN, stream=False)
    assert wire_of(asked, SERVICES[service]).warnings == other.warnings
    assert [warning.kind for warning in other.warnings] == {True: [], False: ["dropped"]}.get(wanted, ["changed"])


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_names_in_a_choice_without_force_are_the_allowed_tools_at_openai(mode: str) -> None:
    choice = ToolChoice(mode=mode, names=("lookup",))
    wire = wire_of(request(tools=(LOOKUP, SEND), tool_choice=choice))
    named = [{"type": "function", "function": {"name": "lookup"}}]
    assert wire.body["tool_choice"] == {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": named}}
    assert len(wire.body["tools"]) == 2
    assert wire.warnings == ()


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_names_in_a_choice_are_the_only_tools_where_a_service_cannot_choose_among_them(mode: str) -> None:
    choice = ToolChoice(mode=mode, names=("lookup",))
    wire = wire_of(request(tools=(LOOKUP, SEND), tool_choice=choice), GROQ)
    assert [tool["function"]["name"] for tool in wire.body["tools"]] == ["lookup"]
    assert wire.body["tool_choice"] == mode
    assert subjects(wire) == ["tools"]


def test_of_the_vendors_own_tools_too_only_the_named_ones_are_sent_where_a_service_cannot_choose() -> None:
    extra = {"groq": {"tools": [{"type": "function", "function": {"name": name}} for name in ("x", "y")]}}
    choice = ToolChoice(mode="required", names=("lookup", "x"))
    wire = wire_of(request(tools=(LOOKUP, SEND), tool_choice=choice, extra=extra), GROQ)
    assert [tool["function"]["name"] for tool in wire.body["tools"]] == ["lookup", "x"]


def test_a_named_tool_may_come_by_extra() -> None:
    extra = {"openai": {"tools": [{"type": "function", "function": {"name": "zz"}}]}}
    wire = wire_of(request(tools=(LOOKUP,), tool_choice=ToolChoice(mode="named", names=("zz",)), extra=extra))
    assert wire.body["tool_choice"] == {"type": "function", "function": {"name": "zz"}}
    assert len(wire.body["tools"]) == 2


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_an_unknown_name_in_any_choice_is_refused(mode: str) -> None:
    with pytest.raises(InvalidRequest, match="nope"):
        body(request(tools=(LOOKUP,), tool_choice=ToolChoice(mode=mode, names=("nope",))))


def test_audio_by_url_is_taken_nowhere_and_no_row_promises_it() -> None:
    assert [row.name for row in SERVICES.values() if "audio" in row.media_urls] == []
