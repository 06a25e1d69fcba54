"""What a history holds and OpenAI's interfaces cannot say: each is reported, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from genkit import LLM
from genkit.backends.openai import chat, responses
from genkit.backends.services import SERVICES
from genkit.backends.wire import Exchange, WireRequest
from genkit.errors import Unsupported
from genkit.types import Audio, Document, Message, Opaque, Text, Thinking, ToolCall, ToolResult
from tests.backends.openai.chat_cases import answered, request

BOTH = pytest.mark.parametrize("api", ["chat", "responses"])
GOOGLE = {"origin": "google/generateContent", "native": {"thoughtSignature": "c2ln"}}
NOTE = {"type": "url_citation", "url": "https://example.com", "title": "X", "start_index": 0, "end_index": 2}
WAV = b"RIFF\x00\x00\x00\x00WAVE"
SEALED = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}


def wire_of(
    api: str, *messages: Message | str, service: str = "openai", model: str = "gpt-4.1", **fields: Any
) -> WireRequest:
    encode = responses.encode if api == "responses" else chat.encode
    origin = f"{service}/{api}"
    return encode(request(*messages, model=model, **fields), SERVICES[service], origin=origin, stream=False)


def told(api: str, *messages: Message | str, **fields: Any) -> list[tuple[str, str]]:
    return [(warning.kind, warning.subject) for warning in wire_of(api, *messages, **fields).warnings]


def result(**fields: Any) -> Message:
    return Message(role="tool", parts=(ToolResult(id="c", parts=(Text(text="20"),)),), **fields)


def call(**fields: Any) -> ToolCall:
    return ToolCall(id="c", name="f", arguments={}, **fields)


# ---------------------------------------------------------------- reasoning


@BOTH
@pytest.mark.parametrize("service", ["openai", "azure", "vllm"])
def test_redacted_reasoning_of_another_vendor_is_reported(api: str, service: str) -> None:
    hidden = Thinking(redacted=True, origin="bedrock/converse", native={"redactedContent": "eA=="})
    assert told(api, "Hi", Message.assistant(hidden, "Hello"), "So?", service=service) == [("dropped", "thinking")]


@pytest.mark.parametrize("service", ["openai", "ollama"])
def test_sealed_reasoning_without_a_summary_is_reported_on_chat(service: str) -> None:
    sealed = Thinking(origin="openai/responses", native=SEALED)
    assert told("chat", "Hi", Message.assistant(sealed, "Hello"), "So?", service=service) == [("dropped", "thinking")]


@BOTH
def test_reasoning_in_a_users_message_is_left_out_and_reported(api: str) -> None:
    thought = Thinking(text="hm", origin="bedrock/converse", native={"signature": "x"})
    wire = wire_of(api, Message.user("Hi", thought))
    assert [warning.subject for warning in wire.warnings] == ["thinking"]
    assert "hm" not in str(wire.body)


# ---------------------------------------------------------------- signatures


@BOTH
def test_a_signature_of_another_vendors_call_is_reported(api: str) -> None:
    messages = ("Hi", Message.assistant(call(**GOOGLE)), result())
    assert told(api, *messages) == [("dropped", "signature")]
    with pytest.raises(Unsupported, match="signatures from google/generateContent"):
        wire_of(api, *messages, require=frozenset({"signature"}))


@BOTH
def test_signatures_of_another_vendors_texts_are_one_report(api: str) -> None:
    said = Message.assistant(Text(text="a", **GOOGLE), Text(text="b", **GOOGLE))
    wire = wire_of(api, "Hi", said, "So?")
    assert [warning.message for warning in wire.warnings] == [
        "signature dropped: signatures from google/generateContent cannot be sent back here (2 parts)"
    ]


@BOTH
def test_a_lone_signed_text_is_reported(api: str) -> None:
    assert told(api, Message.user(Text(text="a", **GOOGLE))) == [("dropped", "signature")]


def test_the_signature_that_googles_chat_route_put_on_a_call_is_reported_on_responses() -> None:
    extra = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    signed = call(origin="google-compatible/chat", native=extra)
    assert told("responses", "Hi", Message.assistant(signed), result()) == [("dropped", "signature")]


@BOTH
def test_data_of_another_vendor_without_a_signature_is_no_loss(api: str) -> None:
    other = call(origin="elsewhere/x", native={"id": "1", "content": [{"signature": ""}]})
    assert told(api, "Hi", Message.assistant(other), result()) == []


# ---------------------------------------------------------------- citations and refusals


@BOTH
def test_citations_of_another_vendor_are_reported(api: str) -> None:
    cited = Text(text="It is.", citations=(NOTE,), origin="bedrock/converse")
    assert told(api, "Hi", Message.assistant(cited), "So?") == [("dropped", "citations")]


@BOTH
def test_citations_in_what_the_user_says_are_reported(api: str) -> None:
    cited = Text(text="It is.", citations=(NOTE,))
    assert told(api, Message.user(cited)) == [("dropped", "citations")]
    assert told(api, Message.system(cited), "Hi") == [("dropped", "citations")]


@BOTH
def test_citations_in_a_tools_result_are_reported(api: str) -> None:
    cited = ToolResult(id="c", parts=(Text(text="20", citations=(NOTE,)),))
    assert told(api, "Hi", Message.assistant(call()), Message.tool(cited)) == [("dropped", "citations")]


def test_citations_of_chat_are_reported_since_it_takes_none_back() -> None:
    answer = answered({"content": "It is.", "annotations": [NOTE]}).message
    assert told("chat", "Hi", answer, "So?") == [("dropped", "citations")]


@BOTH
def test_a_refusal_that_the_user_is_said_to_make_is_sent_as_text_and_reported(api: str) -> None:
    assert told(api, Message.user(Text(text="I cannot", refusal=True))) == [("changed", "refusal")]


# ---------------------------------------------------------------- turns and names


@BOTH
def test_the_name_of_a_tool_message_is_reported(api: str) -> None:
    assert told(api, "Hi", Message.assistant(call()), result(name="Ada")) == [("dropped", "name")]


def test_the_name_of_a_user_who_hands_over_results_alone_is_reported_on_chat() -> None:
    answer = Message(role="user", name="Ada", parts=result().parts)
    assert told("chat", "Hi", Message.assistant(call()), answer) == [("dropped", "name")]


@pytest.mark.parametrize("role", ["user", "assistant", "system"])
def test_an_empty_turn_is_reported_on_responses_and_sent_on_chat(role: Any) -> None:
    messages = ("Hi", Message(role=role, parts=()), "So?")
    assert told("responses", *messages) == [("dropped", "message")]
    assert [message["content"] for message in wire_of("chat", *messages).body["messages"]] == ["Hi", "", "So?"]
    assert told("chat", *messages) == []


@BOTH
def test_a_tool_message_without_results_loses_nothing(api: str) -> None:
    assert told(api, "Hi", Message.assistant("Hello"), Message.tool(), "So?") == []


# ---------------------------------------------------------------- media


def test_the_transcript_of_a_sound_is_reported_on_chat() -> None:
    sound = Audio(data=WAV, mime="audio/wav", transcript="hello")
    assert told("chat", Message.user(sound), model="gpt-audio") == [("dropped", "transcript")]
    heard = Message.assistant(sound)
    assert sorted(told("chat", "Hi", heard, "So?", model="gpt-audio")) == [
        ("changed", "audio"),
        ("dropped", "transcript"),
    ]


def test_a_sound_that_the_vendor_still_has_goes_back_with_its_transcript() -> None:
    sound = Audio(data=WAV, transcript="hello", origin="openai/chat", native={"id": "audio_1"})
    assert told("chat", "Hi", Message.assistant(sound), "So?", model="gpt-audio") == []


def test_the_name_of_a_document_by_url_is_reported_on_responses() -> None:
    part = Document(url="https://example.com/1", name="paper.pdf")
    assert told("responses", Message.user("Read.", part)) == [("dropped", "name")]


@BOTH
def test_the_name_of_a_document_by_file_id_is_reported(api: str) -> None:
    assert told(api, Message.user("Read.", Document(file_id="file-1", name="a.pdf"))) == [("dropped", "name")]


@BOTH
def test_the_name_of_a_document_with_its_bytes_is_sent(api: str) -> None:
    wire = wire_of(api, Message.user("Read.", Document(data=b"%PDF-1", mime="application/pdf", name="paper.pdf")))
    assert "paper.pdf" in str(wire.body)
    assert wire.warnings == ()


# ---------------------------------------------------------------- what loses nothing


def test_a_tool_loop_of_gpt_5_on_responses_gives_no_warning() -> None:
    output: list[dict[str, Any]] = [
        SEALED,
        {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}", "status": "completed"},
    ]
    wire = WireRequest(path="/responses", body={}, model="gpt-5", api="responses", origin="openai/responses")

    def said(*items: dict[str, Any]) -> Message:
        data = {"id": "resp_1", "model": "gpt-5", "status": "completed", "output": [*items]}
        return responses.decode(wire, data, Exchange(), backend="openai").message

    text = {"type": "output_text", "text": "It is.", "annotations": [NOTE], "logprobs": []}
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [text]}
    again = said({**SEALED, "id": "rs_2"}, message)
    asked = ("Hi", said(*output), result(), again, "So?")
    assert told("responses", *asked, model="gpt-5") == []
    assert wire_of("responses", *asked, model="gpt-5").body["input"][1:3] == output


def test_a_tool_loop_of_gpt_4_1_on_chat_gives_no_warning() -> None:
    calling = answered({"tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]})
    said = answered({"content": "It is.", "annotations": []})
    assert told("chat", "Hi", calling.message, result(), said.message, "So?") == []


@pytest.mark.parametrize("origin", [None, "deepseek/chat"])
def test_reasoning_goes_back_to_deepseek_in_the_running_turn_and_is_no_loss_after_it(origin: str | None) -> None:
    thought = Thinking(text="hm", origin=origin)
    running = ("Hi", Message.assistant(thought, call()), result())
    wire = wire_of("chat", *running, service="deepseek", model="deepseek-reasoner")
    assert wire.body["messages"][1]["reasoning_content"] == "hm"
    assert wire.warnings == ()
    later = (*running, Message.assistant(thought, "It is."), "So?")
    wire = wire_of("chat", *later, service="deepseek", model="deepseek-reasoner")
    assert [message for message in wire.body["messages"] if "reasoning_content" in message] == []
    assert wire.warnings == ()


def test_reasoning_of_another_vendor_is_reported_at_deepseek() -> None:
    thought = Thinking(text="hm", origin="google/generateContent")
    later = ("Hi", Message.assistant(thought, "It is."), "So?")
    assert told("chat", *later, service="deepseek", model="deepseek-reasoner") == [("dropped", "thinking")]


def test_an_item_of_another_vendor_is_reported_once_though_it_is_signed() -> None:
    item = Opaque(type="executableCode", **GOOGLE)
    assert told("chat", "Hi", Message.assistant(item, "Hello"), "So?") == [("dropped", "executableCode")]


def test_what_is_left_behind_is_in_the_plan() -> None:
    plan = LLM("openai:gpt-5", api_key="k").plan(["Hi", Message.assistant(Text(text="a", **GOOGLE)), "So?"])
    assert [warning.subject for warning in plan.warnings] == ["signature"]
