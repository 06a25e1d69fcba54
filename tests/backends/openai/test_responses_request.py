"""Requests of the Responses interface, on plain dicts."""

import base64

import pytest

from genkit.backends.openai import responses
from genkit.backends.services import SERVICES
from genkit.backends.wire import body_bytes
from genkit.errors import ConfigError, InvalidRequest, Unsupported
from genkit.types import (
    Audio,
    Document,
    Image,
    Message,
    Opaque,
    Reasoning,
    Request,
    Schema,
    Settings,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Video,
)

ORIGIN = "openai/responses"
PNG = b"\x89PNG\r\n\x1a\n rest"
WEATHER = Tool(name="weather", description="The weather.", parameters={"type": "object", "properties": {}})
CLOCK = Tool(name="clock")
CLOSED = {"type": "object", "properties": {}, "additionalProperties": False}
REASONING = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAA"}


def encode(*messages, model="gpt-5-mini", service="openai", stream=False, **fields):
    if "settings" in fields:
        fields["settings"] = Settings(**fields["settings"])
    request = Request(model=model, messages=messages or (Message.user("hi"),), **fields)
    return responses.encode(request, SERVICES[service], origin=ORIGIN, stream=stream)


def body(*messages, **fields):
    return encode(*messages, **fields).body


def items(*messages, **fields):
    return body(*messages, **fields)["input"]


def losses(*messages, **fields):
    return [(w.kind, w.subject) for w in encode(*messages, **fields).warnings]


def answered(*parts):
    """Return what the model said, and after it the results that its calls must have."""
    results = (ToolResult(id=part.id, name=part.name) for part in parts if isinstance(part, ToolCall))
    return Message.assistant(*parts), Message.tool(*results)


def text(said="Hello.", item_id="msg_1", reasoning=None, **more):
    item = {"id": item_id, "type": "message", "role": "assistant", "status": "completed", **more}
    native = {"item": {**item, "content": [{"type": "output_text", "logprobs": []}]}}
    if reasoning:
        native["reasoning"] = reasoning
    return Text(text=said, origin=ORIGIN, native=native)


def call(item_id="fc_1", call_id="call_1", reasoning=None, arguments='{"city": "Oslo"}'):
    native = {"item": {"id": item_id, "type": "function_call", "status": "completed", "arguments": arguments}}
    if reasoning:
        native["reasoning"] = reasoning
    return ToolCall(id=call_id, name="weather", arguments={"city": "Oslo"}, origin=ORIGIN, native=native)


def thinking(**changes):
    return Thinking(text="hm", origin=ORIGIN, native={**REASONING, **changes})


# ---------------------------------------------------------------- the frame


def test_a_request_goes_to_the_responses_route():
    wire = encode()
    assert (wire.path, wire.api, wire.origin, wire.model) == ("/responses", "responses", ORIGIN, "gpt-5-mini")


def test_nothing_is_kept_at_the_vendor_unless_asked():
    assert body()["store"] is False
    assert body(extra={"openai": {"store": True}})["store"] is True


def test_a_reasoning_model_is_asked_for_its_encrypted_reasoning():
    assert body(model="gpt-5-mini")["include"] == ["reasoning.encrypted_content"]


def test_a_model_that_does_not_reason_is_not_asked_for_encrypted_reasoning():
    assert "include" not in body(model="gpt-4o")


def test_a_deployment_whose_name_says_nothing_is_not_asked_for_encrypted_reasoning():
    assert "include" not in body(model="prod-chat", service="azure")


def test_stored_answers_need_no_encrypted_reasoning():
    assert "include" not in body(extra={"openai": {"store": True}})


def test_a_background_answer_is_left_to_the_vendors_default_of_keeping_it():
    sent = body(extra={"openai": {"background": True}})
    assert "store" not in sent
    assert "include" not in sent


def test_a_stream_says_so():
    assert body(stream=True)["stream"] is True
    assert "stream" not in body()


# ---------------------------------------------------------------- extra


def test_extra_fields_of_an_object_stand_beside_ours():
    sent = body(extra={"openai": {"text": {"verbosity": "low"}}}, output_schema=Schema(json_schema={"type": "object"}))
    assert sent["text"]["verbosity"] == "low"
    assert sent["text"]["format"]["type"] == "json_schema"


def test_extra_tools_and_includes_are_added_to_ours():
    sent = body(
        tools=(CLOCK,),
        extra={"openai": {"tools": [{"type": "web_search"}], "include": ["web_search_call.action.sources"]}},
    )
    assert [tool["type"] for tool in sent["tools"]] == ["function", "web_search"]
    assert sent["include"] == ["reasoning.encrypted_content", "web_search_call.action.sources"]


def test_an_empty_include_asks_for_nothing():
    assert "include" not in body(extra={"openai": {"include": []}})


def test_extra_is_merged_last():
    sent = body(settings={"max_tokens": 100}, extra={"openai": {"max_output_tokens": 7, "model": "other"}})
    assert (sent["max_output_tokens"], sent["model"]) == (7, "other")


def test_extra_of_the_backends_own_name_wins_over_openais():
    extra = {"openai": {"truncation": "auto", "user": "a"}, "azure": {"user": "b"}, "bedrock": {"x": 1}}
    sent = body(service="azure", extra=extra)
    assert (sent["truncation"], sent["user"], "x" in sent) == ("auto", "b", False)


def test_streaming_cannot_be_chosen_by_extra():
    with pytest.raises(ConfigError, match="call stream"):
        body(extra={"openai": {"stream": True}})


def test_the_request_is_not_changed_by_merging():
    extra = {"openai": {"tools": [{"type": "web_search"}], "text": {"verbosity": "low"}, "include": ["x"]}}
    request = Request(model="gpt-5", messages=(Message.user("a"),), tools=(CLOCK,), extra=extra)
    before = request.model_dump_json()
    responses.encode(request, SERVICES["openai"], origin=ORIGIN, stream=False)
    assert request.model_dump_json() == before


# ---------------------------------------------------------------- system


def test_one_leading_system_message_becomes_the_instructions():
    sent = body(Message.system("Be terse."), Message.user("hi"))
    assert (sent["instructions"], sent["input"]) == ("Be terse.", "hi")


def test_several_system_messages_stay_in_place():
    sent = body(Message.system("A"), Message.user("hi"), Message.system("B"), Message.user("more"), model="gpt-4o")
    assert "instructions" not in sent
    assert [(item["role"], item["content"]) for item in sent["input"]] == [
        ("system", "A"),
        ("user", "hi"),
        ("system", "B"),
        ("user", "more"),
    ]


def test_a_later_system_message_is_not_moved_to_the_front():
    sent = body(Message.user("hi"), Message.system("B"))
    assert "instructions" not in sent
    assert [item["role"] for item in sent["input"]] == ["user", "developer"]


def test_reasoning_models_get_the_role_developer():
    sent = items(Message.user("hi"), Message.system("B"), model="o4-mini")
    assert sent[1]["role"] == "developer"


def test_a_lone_system_message_is_input_since_instructions_alone_are_refused():
    assert items(Message.system("Greet."), model="gpt-4o") == [{"role": "system", "content": "Greet."}]


def test_a_system_message_of_several_parts_keeps_them_apart():
    sent = body(Message.system("A", "B"), Message.user("hi"))
    assert "instructions" not in sent
    assert [part["text"] for part in sent["input"][0]["content"]] == ["A", "B"]


# ---------------------------------------------------------------- user


def test_a_single_text_is_the_whole_input():
    assert items(Message.user("hi")) == "hi"


def test_texts_and_images_are_content_parts_in_order():
    (item,) = items(Message.user("What?", Image(url="https://x/y.png", detail="low"), Image(file_id="file-1")))
    assert item["content"] == [
        {"type": "input_text", "text": "What?"},
        {"type": "input_image", "image_url": "https://x/y.png", "detail": "low"},
        {"type": "input_image", "file_id": "file-1", "detail": "auto"},
    ]


def test_an_image_by_value_is_a_data_url_whose_type_is_read_from_the_bytes_when_not_given():
    (item,) = items(Message.user(Image(data=PNG), Image(data=b"x", mime="image/webp")))
    urls = [part["image_url"] for part in item["content"]]
    assert urls == [
        "data:image/png;base64," + base64.b64encode(PNG).decode(),
        "data:image/webp;base64,eA==",
    ]


def test_an_image_of_unknown_type_is_an_error_that_says_what_to_pass():
    with pytest.raises(InvalidRequest, match="pass mime="):
        body(Message.user(Image(data=b"????")))


def test_documents_go_by_value_url_or_id():
    (item,) = items(
        Message.user(
            Document(data=b"%PDF-1.7", name="report.pdf"),
            Document(data=b"%PDF-1.7"),
            Document(url="https://x/y.pdf"),
            Document(file_id="file-2"),
        )
    )
    url = "data:application/pdf;base64," + base64.b64encode(b"%PDF-1.7").decode()
    assert item["content"] == [
        {"type": "input_file", "filename": "report.pdf", "file_data": url},
        {"type": "input_file", "filename": "document.pdf", "file_data": url},
        {"type": "input_file", "file_url": "https://x/y.pdf"},
        {"type": "input_file", "file_id": "file-2"},
    ]


@pytest.mark.parametrize("part", [Audio(data=b"x", mime="audio/wav"), Video(url="https://x/y.mp4")])
def test_what_the_interface_cannot_read_is_refused(part):
    with pytest.raises(Unsupported, match=part.kind):
        body(Message.user("hi", part))


def test_unreadable_media_are_dropped_only_when_told_to():
    sent = body(Message.user("hi", Audio(data=b"x", mime="audio/wav")), on_unsupported="ignore")
    assert sent["input"] == "hi"


def test_a_name_is_reported_since_there_is_no_field_for_it():
    assert losses(Message(role="user", parts=(Text(text="hi"),), name="bob")) == [("dropped", "name")]


@pytest.mark.parametrize(
    "messages",
    [(Message.user(""),), (Message.user(),), (Message.system(""), Message.user(""))],
    ids=["empty text", "no parts", "empty instructions"],
)
def test_an_empty_prompt_is_refused_before_it_is_sent(messages):
    with pytest.raises(InvalidRequest, match="prompt is empty") as caught:
        body(*messages)
    assert caught.value.backend == "openai"


def test_instructions_are_prompt_enough():
    sent = body(Message.system("Greet."), Message.user(""))
    assert (sent["instructions"], sent["input"]) == ("Greet.", "")
    assert items(Message.system("Greet."), Message.user(), model="gpt-4o") == [{"role": "system", "content": "Greet."}]


def test_no_messages_are_fine_where_extra_has_the_input():
    request = Request(model="gpt-5", messages=(), extra={"openai": {"previous_response_id": "resp_1"}})
    wire = responses.encode(request, SERVICES["openai"], origin=ORIGIN, stream=False)
    assert "input" not in wire.body


def test_a_call_is_refused_in_a_users_message():
    with pytest.raises(InvalidRequest, match=r"messages\[0\]\.parts\[1\].*role 'assistant'"):
        body(Message.user("hi", ToolCall(id="1", name="f", arguments={})))


def test_a_text_beside_tool_results_is_refused_with_the_way_out():
    with pytest.raises(InvalidRequest, match="goes into the parts of the ToolResult"):
        body(Message(role="tool", parts=(Text(text="x"),)))


def test_a_content_of_the_vendors_own_form_stands_inside_the_message():
    marked = {"type": "input_text", "text": "long", "prompt_cache_breakpoint": {"mode": "explicit"}}
    (item,) = items(Message.user(Opaque(type="input_text", origin=ORIGIN, native=marked)))
    assert item["content"] == [marked]
    (item,) = items(Message.user("a", Opaque(type="input_text", origin=ORIGIN, native=marked)))
    assert item["content"] == [{"type": "input_text", "text": "a"}, marked]


# ---------------------------------------------------------------- assistant: ours come back as they came


def test_an_answers_own_items_are_replayed_as_they_came():
    sent = items(Message.user("a"), Message.assistant(thinking(), text(reasoning="rs_1", phase="final_answer")))
    assert sent[1:] == [
        REASONING,
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "phase": "final_answer",
            "content": [{"type": "output_text", "text": "Hello.", "annotations": [], "logprobs": []}],
        },
    ]


def test_a_function_call_is_replayed_with_both_ids_and_its_reasoning():
    sent = items(Message.user("a"), Message.assistant(thinking(), call(reasoning="rs_1")))
    assert sent[1] == REASONING
    assert (sent[2]["id"], sent[2]["call_id"], sent[2]["status"]) == ("fc_1", "call_1", "completed")


def test_arguments_go_back_byte_for_byte():
    assert items(Message.user("a"), Message.assistant(call()))[1]["arguments"] == '{"city": "Oslo"}'


def test_changed_arguments_win_over_what_the_model_wrote():
    changed = call().model_copy(update={"arguments": {"city": "Bergen"}})
    assert items(Message.user("a"), Message.assistant(changed))[1]["arguments"] == '{"city":"Bergen"}'


def test_arguments_that_are_no_json_go_back_as_written():
    broken = ToolCall(id="1", name="f", arguments=None, raw='{"a": ')
    assert items(Message.user("a"), Message.assistant(broken))[1]["arguments"] == '{"a": '


def test_arguments_that_json_cannot_hold_are_refused():
    with pytest.raises(InvalidRequest, match=r"messages\[0\]\.parts\[0\] are not JSON"):
        body(*answered(ToolCall(id="1", name="f", arguments={"x": float("nan")})))


def test_two_contents_of_one_message_become_one_message_again():
    refusal = Text(
        text="No.",
        refusal=True,
        origin=ORIGIN,
        native={"item": {"id": "msg_1", "type": "message", "role": "assistant", "content": [{"type": "refusal"}]}},
    )
    sent = items(Message.user("a"), Message.assistant(text("Well."), refusal))
    assert [part["type"] for part in sent[1]["content"]] == ["output_text", "refusal"]
    assert len(sent) == 2


def test_citations_go_back_as_annotations():
    cited = text().model_copy(update={"citations": ({"type": "url_citation", "url": "https://x"},)})
    sent = items(Message.user("a"), Message.assistant(cited))
    assert sent[1]["content"][0]["annotations"] == [{"type": "url_citation", "url": "https://x"}]


def test_a_made_image_goes_back_whole_since_nothing_is_kept_there():
    image = Image(data=PNG, mime="image/png", origin=ORIGIN, native={"id": "ig_1", "type": "image_generation_call"})
    sent = items(Message.user("a"), Message.assistant(image), Message.user("bluer"))
    assert sent[1] == {"id": "ig_1", "type": "image_generation_call", "result": base64.b64encode(PNG).decode()}


def test_an_item_without_a_word_here_goes_back_verbatim_and_in_place():
    item = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"query": "x"}}
    search = Opaque(type="web_search_call", origin=ORIGIN, native=item)
    sent = items(Message.user("a"), Message.assistant(search, text()))
    assert [entry.get("type") for entry in sent] == [None, "web_search_call", "message"]
    assert sent[1] == item


def test_an_item_of_the_vendors_may_stand_in_a_users_message():
    item = {"type": "custom_tool_call_output", "call_id": "c", "output": "x"}
    sent = items(Message.user("a", Opaque(type=item["type"], origin=ORIGIN, native=item), "b"))
    assert sent == [{"role": "user", "content": "a"}, item, {"role": "user", "content": "b"}]


# ---------------------------------------------------------------- assistant: what cannot come back


def test_reasoning_without_its_encrypted_form_is_dropped_and_its_followers_lose_their_ids():
    bare = thinking(encrypted_content=None)
    said = text(reasoning="rs_1", phase="commentary")
    wire = encode(Message.user("a"), *answered(bare, said, call(reasoning="rs_1")))
    assert wire.body["input"][1] == {"role": "assistant", "content": "Hello.", "phase": "commentary"}
    assert "id" not in wire.body["input"][2]
    assert wire.body["input"][2]["call_id"] == "call_1"
    assert [(w.kind, w.subject) for w in wire.warnings] == [("dropped", "thinking")]


def test_reasoning_without_its_encrypted_form_is_found_by_id_where_answers_are_kept():
    bare = thinking(encrypted_content=None)
    stored = {"openai": {"store": True}}
    sent = items(Message.user("a"), *answered(bare, call(reasoning="rs_1")), extra=stored)
    assert [entry.get("id") for entry in sent] == [None, "rs_1", "fc_1", None]


def test_reasoning_is_not_sent_without_the_item_that_followed_it():
    cut = Message.assistant(thinking())
    wire = encode(Message.user("a"), cut, Message.user("go on"))
    assert [entry["role"] for entry in wire.body["input"]] == ["user", "user"]
    assert "followed" in wire.warnings[0].message


def test_reasoning_is_not_sent_before_a_text_that_was_put_in_by_hand():
    wire = encode(Message.user("a"), Message.assistant(thinking(), "The answer is 42."))
    assert wire.body["input"][1] == {"role": "assistant", "content": "The answer is 42."}
    assert [w.subject for w in wire.warnings] == ["thinking"]


def test_reasoning_is_sent_before_a_call_that_has_lost_its_own_id():
    rebuilt = ToolCall(id="call_1", name="weather", arguments={})
    sent = items(Message.user("a"), *answered(thinking(), rebuilt))
    assert [entry.get("type") for entry in sent] == [None, "reasoning", "function_call", "function_call_output"]


def test_an_item_whose_reasoning_was_taken_out_of_the_history_is_sent_without_its_id():
    sent = items(Message.user("a"), Message.assistant(call(reasoning="rs_1")))
    assert "id" not in sent[1]


def test_an_opaque_item_after_lost_reasoning_is_reported():
    search = Opaque(type="web_search_call", origin=ORIGIN, native={"id": "ws_1", "type": "web_search_call"})
    message = Message.assistant(thinking(encrypted_content=None), search, text(reasoning="rs_1"))
    wire = encode(Message.user("a"), message)
    assert [entry.get("role") for entry in wire.body["input"]] == ["user", "assistant"]
    assert {w.subject for w in wire.warnings} == {"thinking", "web_search_call"}


def test_foreign_thinking_is_reported_where_it_holds_anything():
    foreign = Thinking(text="Gemini's thoughts", origin="google/v1", native={"signature": "x"})
    assert losses(Message.user("a"), Message.assistant(foreign, "b"), Message.user("c")) == [("dropped", "thinking")]
    sealed = foreign.model_copy(update={"text": ""})
    assert losses(Message.user("a"), Message.assistant(sealed, "b"), Message.user("c")) == [("dropped", "thinking")]
    empty = Thinking(origin="google/v1")
    assert losses(Message.user("a"), Message.assistant(empty, "b"), Message.user("c")) == []


def test_several_lost_thoughts_are_one_warning():
    foreign = Message.assistant(Thinking(text="x"), "y")
    wire = encode(Message.user("a"), foreign, Message.user("b"), foreign, Message.user("c"))
    assert [w.message.endswith("(2 parts)") for w in wire.warnings] == [True]


def test_foreign_answers_are_plain_messages_and_calls():
    foreign = answered(
        Text(text="Let me see.", origin="google/v1", native={"item": {"id": "x"}}),
        ToolCall(id="toolu_1", name="weather", arguments={"city": "Oslo"}, origin="google/v1", native={"sig": 1}),
    )
    assert items(Message.user("a"), *foreign)[1:3] == [
        {"role": "assistant", "content": "Let me see."},
        {"type": "function_call", "call_id": "toolu_1", "name": "weather", "arguments": '{"city":"Oslo"}'},
    ]


def test_neighbouring_foreign_texts_stay_one_message():
    sent = items(Message.user("a"), Message.assistant("b", "c"), Message.assistant("d"))
    assert [part["text"] for part in sent[1]["content"]] == ["b", "c"]
    assert sent[2] == {"role": "assistant", "content": "d"}


def test_a_foreign_refusal_stays_one():
    sent = items(Message.user("a"), Message.assistant(Text(text="No.", refusal=True)))
    assert sent[1] == {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}


def test_a_foreign_opaque_item_is_dropped_and_reported():
    search = Opaque(type="web_search_call", origin="azure/responses", native={"id": "ws_1"})
    wire = encode(Message.user("a"), Message.assistant(search, "b"))
    assert [entry["role"] for entry in wire.body["input"]] == ["user", "assistant"]
    assert [w.subject for w in wire.warnings] == ["web_search_call"]


def test_a_foreign_picture_of_the_model_is_handed_over_as_the_users():
    wire = encode(Message.user("a"), Message.assistant(Image(data=PNG)), Message.user("bluer"))
    assert [entry["role"] for entry in wire.body["input"]] == ["user", "user", "user"]
    assert [(w.kind, w.subject) for w in wire.warnings] == [("changed", "image")]


def test_of_a_spoken_answer_the_transcript_is_sent():
    spoken = Audio(file_id="audio_1", transcript="Hi there", origin="openai/chat")
    wire = encode(Message.user("a"), Message.assistant(spoken))
    assert wire.body["input"][1] == {"role": "assistant", "content": "Hi there"}
    assert [(w.kind, w.subject) for w in wire.warnings] == [("changed", "audio")]


# ---------------------------------------------------------------- tool results


CALLED = Message.assistant(ToolCall(id="call_1", name="weather", arguments={"city": "Oslo"}))


def result(*parts, **fields):
    return Message.tool(ToolResult(id="call_1", parts=tuple(parts), **fields))


def test_a_tools_text_is_the_output_of_its_call():
    assert items(Message.user("a"), Message.assistant(call()), result(Text(text="7 C")))[-1] == {
        "type": "function_call_output",
        "call_id": "call_1",
        "output": "7 C",
    }


def test_a_tools_images_and_files_are_a_list_of_contents():
    sent = items(Message.user("a"), CALLED, result(Text(text="see"), Image(url="https://x"), Document(file_id="f")))
    assert [part["type"] for part in sent[-1]["output"]] == ["input_text", "input_image", "input_file"]


def test_a_tool_that_answered_nothing_has_an_empty_output():
    assert items(Message.user("a"), CALLED, result())[-1]["output"] == ""


def test_a_failed_tool_says_so_in_its_output():
    def output(*parts):
        return items(Message.user("a"), CALLED, result(*parts, failed=True))[-1]["output"]

    assert output(Text(text="no such city")) == "Error: no such city"
    assert output(Text(text="error 5")) == "error 5"
    assert output() == "Error"
    shown = output(Image(url="https://x"))
    assert [part["type"] for part in shown] == ["input_text", "input_image"]
    assert shown[0]["text"] == "Error"


def test_an_id_beyond_the_vendors_limit_is_shortened_alike_in_call_and_result():
    long = "x" * 65
    sent = items(
        Message.user("a"),
        Message.assistant(ToolCall(id=long, name="f", arguments={})),
        Message.tool(ToolResult(id=long)),
    )
    assert sent[1]["call_id"] == sent[2]["call_id"]
    assert len(sent[1]["call_id"]) <= 64


def test_an_id_at_the_vendors_limit_is_left_alone():
    call_id = "x" * 64
    sent = items(Message.user("a"), *answered(ToolCall(id=call_id, name="f", arguments={})))
    assert [entry["call_id"] for entry in sent[1:]] == [call_id, call_id]


# ---------------------------------------------------------------- tools and schema


def test_tools_are_flat_and_strict_only_when_asked():
    tools = (WEATHER, CLOCK.model_copy(update={"strict": True, "parameters": CLOSED}))
    assert body(tools=tools)["tools"] == [
        {
            "type": "function",
            "name": "weather",
            "description": "The weather.",
            "parameters": {"type": "object", "properties": {}},
            "strict": False,
        },
        {"type": "function", "name": "clock", "parameters": CLOSED, "strict": True},
    ]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        (ToolChoice(mode="named", names=("clock",)), {"type": "function", "name": "clock"}),
        (
            ToolChoice(mode="named", names=("clock", "weather")),
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "clock"}, {"type": "function", "name": "weather"}],
            },
        ),
        (
            ToolChoice(mode="auto", names=("clock",)),
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "clock"}]},
        ),
    ],
    ids=["auto", "none", "required", "one named", "several named", "auto among some"],
)
def test_a_tool_choice_is_sent_in_the_vendors_form(choice, sent):
    assert body(tools=(WEATHER, CLOCK), settings={"tool_choice": choice})["tool_choice"] == sent


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_without_tools_a_choice_that_asks_for_none_is_not_sent(choice):
    assert "tool_choice" not in body(settings={"tool_choice": choice})


def test_a_required_call_without_tools_is_refused():
    with pytest.raises(InvalidRequest, match="no tools"):
        body(settings={"tool_choice": "required"})


def test_a_required_call_of_the_vendors_own_tools_is_sent():
    sent = body(settings={"tool_choice": "required"}, extra={"openai": {"tools": [{"type": "web_search"}]}})
    assert sent["tool_choice"] == "required"


def test_a_misspelt_name_in_the_choice_is_refused_with_the_nearest_one():
    with pytest.raises(InvalidRequest, match="did you mean 'weather'"):
        body(tools=(WEATHER,), settings={"tool_choice": ToolChoice(mode="named", names=("wether",))})


def test_a_named_choice_needs_names():
    with pytest.raises(InvalidRequest, match="needs the names"):
        body(tools=(WEATHER,), settings={"tool_choice": "named"})


def test_parallel_calls_can_be_forbidden():
    assert body(tools=(CLOCK,), settings={"parallel_tool_calls": False})["parallel_tool_calls"] is False


def test_an_output_schema_is_the_format_of_the_text():
    schema = Schema(name="city", json_schema=CLOSED, description="A city")
    assert body(output_schema=schema)["text"]["format"] == {
        "type": "json_schema",
        "name": "city",
        "schema": CLOSED,
        "strict": True,
        "description": "A city",
    }


# ---------------------------------------------------------------- settings


def test_sampling_settings_are_sent_to_models_that_take_them():
    sent = body(model="gpt-4o", settings={"temperature": 0.0, "top_p": 0.5, "max_tokens": 100})
    assert (sent["temperature"], sent["top_p"], sent["max_output_tokens"]) == (0.0, 0.5, 100)


def test_sampling_settings_are_dropped_and_reported_while_a_model_reasons():
    fields = {"model": "gpt-5-mini", "settings": {"temperature": 0.5, "top_p": 0.5, "top_logprobs": 2}}
    assert losses(**fields) == [("dropped", "temperature"), ("dropped", "top_logprobs"), ("dropped", "top_p")]
    assert not {"temperature", "top_p", "top_logprobs"} & body(**fields).keys()


@pytest.mark.parametrize(
    "fields",
    [
        {"settings": {"temperature": 0.5, "reasoning": "none"}},
        {"settings": {"temperature": 0.5}, "extra": {"openai": {"reasoning": {"effort": "none"}}}},
    ],
    ids=["setting", "extra"],
)
def test_a_model_told_not_to_reason_takes_sampling_settings(fields):
    assert body(model="gpt-5.6", **fields)["temperature"] == 0.5


def test_the_interface_has_no_stop_texts_and_will_not_pretend():
    with pytest.raises(Unsupported, match="'stop'"):
        body(model="gpt-4o", settings={"stop": "END"})


def test_settings_that_only_chat_has_are_dropped_and_reported():
    settings = {"seed": 1, "n": 2, "presence_penalty": 0.5, "frequency_penalty": 0.5, "top_k": 3}
    assert {subject for _, subject in losses(model="gpt-4o", settings=settings)} == settings.keys()


def test_a_prompt_of_which_nothing_can_be_sent_is_refused():
    with pytest.raises(InvalidRequest, match="nothing of the prompt"):
        body(Message.user(Video(url="https://x/y.mp4")), on_unsupported="ignore")


def test_one_answer_is_what_the_interface_gives_anyway():
    assert losses(model="gpt-4o", settings={"n": 1}) == []


def test_a_required_setting_is_never_dropped():
    with pytest.raises(Unsupported, match="seed"):
        body(model="gpt-4o", settings={"seed": 1}, require={"seed"})


def test_a_limit_below_the_vendors_least_is_raised_and_reported():
    wire = encode(settings={"max_tokens": 5})
    assert wire.body["max_output_tokens"] == 16
    assert [(w.kind, w.subject) for w in wire.warnings] == [("changed", "max_tokens")]


def test_a_small_limit_is_left_to_servers_that_are_not_the_vendors():
    wire = encode(service="vllm", model="gpt-oss", settings={"max_tokens": 5})
    assert (wire.body["max_output_tokens"], wire.warnings) == (5, ())


def test_logprobs_are_asked_for_by_include():
    sent = body(model="gpt-4o", settings={"top_logprobs": 3})
    assert (sent["include"], sent["top_logprobs"]) == (["message.output_text.logprobs"], 3)
    assert "logprobs" not in sent
    sent = body(model="gpt-4o", settings={"logprobs": True})
    assert (sent["include"], "top_logprobs" in sent) == (["message.output_text.logprobs"], False)


def test_logprobs_that_are_not_wanted_are_not_asked_for():
    assert "include" not in body(model="gpt-4o", settings={"logprobs": False})
    fields = {"model": "gpt-4o", "settings": {"logprobs": False, "top_logprobs": 2}}
    assert losses(**fields) == [("dropped", "top_logprobs")]
    assert "include" not in body(**fields)


def test_effort_and_summary_are_sent_together():
    assert body(settings={"reasoning": Reasoning(effort="low", summary="auto")})["reasoning"] == {
        "effort": "low",
        "summary": "auto",
    }


def test_an_effort_the_model_lacks_becomes_the_nearest_and_is_reported():
    wire = encode(model="gpt-5", settings={"reasoning": "xhigh"})
    assert wire.body["reasoning"] == {"effort": "high"}
    assert [(w.kind, w.subject) for w in wire.warnings] == [("changed", "reasoning")]


def test_a_model_that_does_not_reason_gets_no_effort():
    wire = encode(model="gpt-4o", settings={"reasoning": Reasoning(effort="high", summary="auto")})
    assert "reasoning" not in wire.body
    assert {(w.kind, w.subject) for w in wire.warnings} == {("dropped", "reasoning")}
    assert losses(model="gpt-4o", settings={"reasoning": "none"}) == []


def test_a_budget_of_tokens_is_reported_as_dropped():
    assert losses(settings={"reasoning": Reasoning(budget=1000)}) == [("dropped", "reasoning")]


@pytest.mark.parametrize(("asked", "lost"), [(True, []), (False, ["dropped"]), ("1h", ["changed"])])
def test_caching_is_the_vendors_own_affair_and_what_it_cannot_do_is_reported(asked, lost):
    assert [kind for kind, _ in losses(settings={"cache_prompt": asked})] == lost


def test_the_timeouts_travel_with_the_request():
    assert encode(settings={"timeout": 5}).timeouts.total == 5


def test_every_body_is_json():
    sent = body(
        Message.system("s"),
        Message.user("a", Image(data=PNG)),
        Message.assistant(thinking(), call(reasoning="rs_1")),
        result(Text(text="x")),
        tools=(WEATHER,),
        output_schema=Schema(json_schema={"type": "object"}),
        settings={"reasoning": "low", "tool_choice": "auto"},
    )
    assert body_bytes(sent).startswith(b'{"model"')
