"""From messages to tokens, by the checkpoint's chat template."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from genkit.backends.base import Losses
from genkit.backends.huggingface.engine import Engine
from genkit.backends.huggingface.prompt import encode, text_tokens
from genkit.errors import ConfigError, InvalidRequest, Unsupported
from genkit.types import Image, Message, Request, Schema, Text, Thinking, Tool, ToolCall, ToolResult
from tests.tiny import CHATML, NO_SYSTEM

TOOLS = (
    "{% if tools %}{% for tool in tools %}[{{ tool.function.name }}]{% endfor %}{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}"
    "{% for call in message.tool_calls or [] %}"
    "({{ call.function.name }} {{ call.function.arguments.city }}){% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SILENT = (
    "{% for message in messages %}{% if message.role != 'system' %}{{ message.role }}: {{ message.content }}\n"
    "{% endif %}{% endfor %}"
)


@pytest.fixture
def render(engine: Engine) -> Any:
    """Return a function that gives the prompt as text, and the losses."""

    def shown(*messages: Message, template: Any = CHATML, options: Any = None, **fields: Any) -> tuple[str, Losses]:
        tokenizer = copy.deepcopy(engine.tokenizer)
        tokenizer.chat_template = template
        request = Request(model="tiny", messages=messages, **fields)
        losses = Losses(request, backend="hf")
        return tokenizer.decode(encode(tokenizer, request, losses, options=options or {})), losses

    return shown


class TestTemplate:
    def test_the_tokens_are_those_of_transformers(self, engine: Engine, ask: Any) -> None:
        request = ask(Message.system("Be terse"), "Say hello")
        turns = [{"role": "system", "content": "Be terse"}, {"role": "user", "content": "Say hello"}]
        expected = engine.tokenizer.apply_chat_template(turns, add_generation_prompt=True)["input_ids"]
        assert encode(engine.tokenizer, request, Losses(request, backend="hf"), options={}) == expected

    def test_the_parts_of_a_message_are_one_text(self, render: Any) -> None:
        text, losses = render(Message.user("one ", Text(text="two")))
        assert text == "<|im_start|>user\none two<|im_end|>\n<|im_start|>assistant\n"
        assert losses.warnings == []

    def test_variables_of_the_template_can_be_given(self, render: Any) -> None:
        text, _ = render(Message.user("hi"), template="{{ mood }} {{ messages[0].content }}", options={"mood": "glad"})
        assert text == "glad hi"

    def test_the_last_message_can_be_continued(self, render: Any) -> None:
        text, _ = render(Message.user("hi"), Message.assistant("Well"), options={"continue_final_message": True})
        assert text.endswith("<|im_start|>assistant\nWell")

    def test_text_that_spells_a_control_token_stays_text(self, engine: Engine, ask: Any) -> None:
        request = ask("a<|im_end|>b")
        ids = encode(engine.tokenizer, request, Losses(request, backend="hf"), options={})
        assert ids.count(engine.tokenizer.eos_token_id) == 1

    def test_a_template_that_refuses_the_messages_is_a_typed_error(self, render: Any) -> None:
        with pytest.raises(InvalidRequest, match="roles must alternate"):
            render(Message.user("hi"), template="{{ raise_exception('roles must alternate') }}")

    @pytest.mark.parametrize("template", ["{{ 1 / 0 }}", "{{ [].pop() }}", "{{ (1).nothing() }}", "{% for %}"])
    def test_a_template_that_fails_in_whatever_way_is_a_typed_error(self, render: Any, template: str) -> None:
        with pytest.raises(InvalidRequest, match="chat template refuses"):
            render(Message.user("hi"), template=template)

    @pytest.mark.parametrize("template", [5, ["a"], {"default": {"template": "a"}}, {"default": 5}])
    def test_a_template_that_is_no_text_is_a_typed_error(self, render: Any, template: Any) -> None:
        with pytest.raises(ConfigError, match="chat template is no text"):
            render(Message.user("hi"), template=template)

    def test_of_several_templates_the_default_is_taken_and_for_tools_the_one_for_them(self, render: Any) -> None:
        several = {"rag": "rag", "default": "plain", "tool_use": "{{ tools[0].function.name }}"}
        assert render(Message.user("hi"), template=several)[0] == "plain"
        assert render(Message.user("hi"), template=several, tools=(Tool(name="weather"),))[0] == "weather"

    def test_a_single_template_is_taken_whatever_its_name(self, render: Any) -> None:
        assert render(Message.user("hi"), template={"chatml": "plain"})[0] == "plain"

    def test_no_template_out_of_several_is_guessed(self, render: Any) -> None:
        with pytest.raises(ConfigError, match=r"several chat templates \(rag, other\)"):
            render(Message.user("hi"), template={"rag": "a", "other": "b"})

    @pytest.mark.parametrize("empty", [None, "", {}, {"default": ""}])
    def test_an_empty_template_is_none(self, render: Any, empty: Any) -> None:
        assert render(Message.user("hi"), template=empty)[0] == "hi"

    @pytest.mark.parametrize(
        "options",
        [
            "mood",
            ["mood"],
            {"tokenize": False},
            {"max_length": 1, "truncation": True},
            {"return_tensors": "pt"},
            {1: 2},
        ],
    )
    def test_what_can_be_no_variable_of_the_template_is_a_typed_error(self, render: Any, options: Any) -> None:
        with pytest.raises(ConfigError, match=r"variables? "):
            render(Message.user("hi"), options=options)

    def test_an_empty_prompt_is_a_typed_error(self, render: Any) -> None:
        with pytest.raises(InvalidRequest, match="empty"):
            render(template="{% for message in messages %}x{% endfor %}")

    def test_half_of_a_surrogate_pair_is_a_typed_error(self, render: Any) -> None:
        with pytest.raises(InvalidRequest, match="at position 2"):
            render(Message.user("ab\ud83d"))

    def test_the_name_of_a_speaker_is_reported(self, render: Any) -> None:
        _, losses = render(Message(role="user", name="ada", parts=(Text(text="hi"),)))
        assert [(warning.kind, warning.subject) for warning in losses.warnings] == [("dropped", "name")]
        with pytest.raises(Unsupported, match="name"):
            render(Message(role="user", name="ada", parts=(Text(text="hi"),)), require=frozenset({"name"}))


class TestSystem:
    def test_a_template_that_refuses_it_gets_it_with_the_user_s_text(self, render: Any) -> None:
        text, losses = render(Message.system("Be terse"), Message.user("hi"), template=NO_SYSTEM)
        assert text == "<|im_start|>user\nBe terse\n\nhi<|im_end|>\n<|im_start|>assistant\n"
        assert [(warning.kind, warning.subject) for warning in losses.warnings] == [("changed", "system")]

    def test_a_template_that_leaves_it_out_gets_it_with_the_user_s_text(self, render: Any) -> None:
        text, losses = render(Message.system("Be terse"), Message.user("hi"), template=SILENT)
        assert text == "user: Be terse\n\nhi\n"
        assert [(warning.kind, warning.subject) for warning in losses.warnings] == [("changed", "system")]

    def test_alone_it_becomes_the_user_s(self, render: Any) -> None:
        assert render(Message.system("Be terse"), template=NO_SYSTEM)[0].startswith("<|im_start|>user\nBe terse")

    def test_a_caller_who_wants_no_change_gets_an_error(self, render: Any) -> None:
        with pytest.raises(Unsupported, match="system"):
            render(Message.system("Be terse"), Message.user("hi"), template=NO_SYSTEM, on_unsupported="error")


class TestWithoutTemplate:
    def test_the_texts_are_joined_and_it_is_said(self, render: Any) -> None:
        text, losses = render(Message.system("Once"), Message.user("upon"), template=None)
        assert text == "Once\n\nupon"
        assert [(warning.kind, warning.subject) for warning in losses.warnings] == [("changed", "messages")]


class TestTools:
    tool = Tool(name="weather")
    call = Message.assistant(ToolCall(id="1", name="weather", arguments={"city": "Oslo"}))
    result = Message.tool(ToolResult(id="1", name="weather", parts=(Text(text="rain"),)))

    def test_a_template_with_a_place_for_them_shows_them(self, render: Any) -> None:
        text, losses = render(Message.user("hi"), self.call, self.result, template=TOOLS, tools=(self.tool,))
        assert text == (
            "[weather]<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n(weather Oslo)<|im_end|>\n"
            "<|im_start|>tool\nrain<|im_end|>\n<|im_start|>assistant\n"
        )
        assert [(warning.kind, warning.subject) for warning in losses.warnings] == [("changed", "tools")]

    def test_a_template_without_one_is_an_error(self, render: Any) -> None:
        with pytest.raises(Unsupported, match="tools"):
            render(Message.user("hi"), tools=(self.tool,))

    def test_calls_and_results_of_the_past_are_not_lost_in_silence(self, render: Any) -> None:
        text, losses = render(Message.user("hi"), self.call, self.result)
        assert "<|im_start|>user\nrain<|im_end|>" in text
        assert [warning.subject for warning in losses.warnings] == ["tool_call", "tool_result"]


class TestOtherParts:
    def test_a_picture_is_an_error(self, render: Any) -> None:
        with pytest.raises(Unsupported, match="reads text only"):
            render(Message.user("what?", Image(data=b"x", mime="image/png")))

    def test_thinking_of_the_past_is_left_out_and_it_is_said(self, render: Any) -> None:
        text, losses = render(Message.user("a"), Message.assistant(Thinking(text="hm"), "b"), Message.user("c"))
        assert "hm" not in text
        assert [warning.subject for warning in losses.warnings] == ["thinking"]

    def test_a_schema_is_an_error(self, render: Any) -> None:
        with pytest.raises(Unsupported, match="output_schema"):
            render(Message.user("hi"), output_schema=Schema(json_schema={"type": "object"}))


def test_special_tokens_are_added_only_when_asked(engine: Engine) -> None:
    plain = text_tokens(engine.tokenizer, "hello", special=False)
    assert engine.tokenizer.decode(plain) == "hello"


@pytest.mark.parametrize(
    ("part", "subject", "kind"),
    [
        (Text(text="x", citations=({"url": "u"},)), "citations", "dropped"),
        (Text(text="x", refusal=True), "refusal", "changed"),
        (Text(text="x", cache=True), "cache", "dropped"),
        (Text(text="x", origin="google/generateContent", native={"thoughtSignature": "c2ln"}), "signature", "dropped"),
        (Thinking(redacted=True, origin="bedrock/converse", native={"redactedContent": "c2ln"}), "thinking", "dropped"),
    ],
)
def test_what_stands_beside_a_text_and_no_template_shows_is_reported(
    render: Any, part: Any, subject: str, kind: str
) -> None:
    _, losses = render(Message.user("hi"), Message.assistant(part, "well"), Message.user("so?"))
    assert (kind, subject) in [(warning.kind, warning.subject) for warning in losses.warnings]
