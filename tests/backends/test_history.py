"""Histories in the form that every vendor takes: calls with results, unique ids, alternating turns, all reported."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genkit.backends.base import Losses
from genkit.backends.history import FRAME, mended, turns
from genkit.types import Image, Message, Request, Text, ToolCall, ToolResult


def losses() -> Losses:
    return Losses(Request(model="m", messages=(Message.user("x"),)), backend="test")


def call(call_id: str = "c1", name: str = "weather") -> ToolCall:
    return ToolCall(id=call_id, name=name, arguments={})


def result(call_id: str = "c1", name: str = "weather", text: str = "sunny") -> ToolResult:
    return ToolResult(id=call_id, name=name, parts=(Text(text=text),))


ASKED = Message.user("Weather?")


class TestMended:
    def test_a_history_in_order_comes_back_as_it_is(self) -> None:
        told = losses()
        messages = (ASKED, Message.assistant(call()), Message.tool(result()), Message.assistant("Sunny."))
        found = mended(messages, told)
        assert all(new is old for new, old in zip(found, messages, strict=True))
        assert told.warnings == []

    def test_results_in_several_messages_and_in_another_order_are_in_order(self) -> None:
        told = losses()
        messages = (
            ASKED,
            Message.assistant(call("a"), call("b")),
            Message.tool(result("b")),
            Message.tool(result("a")),
        )
        assert mended(messages, told) == messages
        assert told.warnings == []

    def test_a_result_without_the_name_of_its_tool_is_given_it(self) -> None:
        found = mended((ASKED, Message.assistant(call()), Message.tool(result(name=""))), losses())
        assert found[2].parts[0] == result()

    def test_a_result_without_a_call_becomes_marked_text_and_is_reported(self) -> None:
        told = losses()
        found = mended((ASKED, Message.assistant("No."), Message.tool(result("gone", name="look"))), told)
        assert found[2].role == "user"
        assert found[2].text == "[Result of a call of 'look' that is not shown]sunny"
        assert [warning.subject for warning in told.warnings] == ["tool_result"]

    def test_a_call_without_a_result_is_given_a_failed_one_and_is_reported(self) -> None:
        told = losses()
        found = mended((ASKED, Message.assistant(call("a"), call("b")), Message.tool(result("b")), ASKED), told)
        assert [part.id for part in found[2].parts] == ["a", "b"]
        assert [part.failed for part in found[2].parts] == [True, False]
        assert found[3] is not None
        assert [(warning.subject, warning.kind) for warning in told.warnings] == [("tool_call", "changed")]

    def test_results_that_come_after_a_word_of_the_user_are_moved_up_and_reported(self) -> None:
        told = losses()
        found = mended((ASKED, Message.assistant(call()), Message.user("Wait."), Message.tool(result())), told)
        assert [message.role for message in found] == ["user", "assistant", "tool", "user"]
        assert found[2].parts == (result(),)
        assert [(warning.subject, warning.kind) for warning in told.warnings] == [("tool_result", "changed")]
        assert "'c1'" in told.warnings[0].message

    def test_a_result_without_a_call_that_failed_says_so(self) -> None:
        failed = result("gone", name="look").model_copy(update={"failed": True})
        found = mended((ASKED, Message.tool(failed)), losses())
        assert found[1].text == "[Failed result of a call of 'look' that is not shown]sunny"

    def test_calls_of_equal_id_are_told_apart_with_their_results(self) -> None:
        told = losses()
        messages = (
            ASKED,
            Message.assistant(call("c")),
            Message.tool(result("c", text="one")),
            Message.assistant(call("c")),
            Message.tool(result("c", text="two")),
        )
        found = mended(messages, told)
        assert [message.parts[0].id for message in found[1:]] == ["c", "c", "c-2", "c-2"]
        assert found[4].parts[0].parts[0].text == "two"
        assert [warning.subject for warning in told.warnings] == ["tool_call"]

    def test_one_result_given_twice_is_a_result_and_a_text(self) -> None:
        told, twice = losses(), result()
        found = mended((ASKED, Message.assistant(call()), Message.tool(twice, twice)), told)
        assert [message.role for message in found] == ["user", "assistant", "tool", "user"]
        assert found[3].text.endswith("sunny")
        assert [warning.subject for warning in told.warnings] == ["tool_result"]

    def test_answers_in_a_row_become_one_where_both_call_tools(self) -> None:
        messages = (
            ASKED,
            Message.assistant(call("a")),
            Message.assistant(call("b")),
            Message.tool(result("a"), result("b")),
        )
        told = losses()
        found = mended(messages, told)
        assert [len(message.parts) for message in found] == [1, 2, 2]
        assert told.warnings == []

    def test_the_name_of_an_answer_that_becomes_part_of_another_is_reported(self) -> None:
        first, second = Message.assistant(call("a")), Message.assistant(call("b"))
        named = second.model_copy(update={"name": "Bob"})
        told = losses()
        mended((ASKED, first, named, Message.tool(result("a"), result("b"))), told)
        assert [warning.subject for warning in told.warnings] == ["name"]
        told = losses()
        same = first.model_copy(update={"name": "Bob"})
        found = mended((ASKED, same, named, Message.tool(result("a"), result("b"))), told)
        assert (found[1].name, told.warnings) == ("Bob", [])

    def test_media_of_a_result_without_a_call_are_kept(self) -> None:
        picture = Image(data=b"x", mime="image/png")
        found = mended((ASKED, Message.tool(ToolResult(id="x", parts=(picture,)))), losses())
        assert found[1].parts[1] == picture

    @given(
        st.lists(
            st.one_of(
                st.builds(
                    lambda ids: Message(role="assistant", parts=tuple(call(i) for i in ids)),
                    st.lists(st.sampled_from("abc"), max_size=3),
                ),
                st.builds(
                    lambda ids: Message(role="tool", parts=tuple(result(i) for i in ids)),
                    st.lists(st.sampled_from("abc"), max_size=3),
                ),
                st.just(Message.user("hello")),
                st.just(Message.system("be terse")),
                st.just(Message.assistant("well")),
            ),
            min_size=1,
            max_size=8,
        )
    )
    def test_any_history_ends_up_with_each_call_followed_by_its_one_result(self, messages: list[Message]) -> None:
        told = losses()
        found = mended(messages, told)
        ids = [part.id for message in found for part in message.parts if isinstance(part, ToolCall)]
        assert len(ids) == len(set(ids))
        waiting: list[str] = []
        for message in found:
            answered = [part.id for part in message.parts if isinstance(part, ToolResult)]
            if not answered:
                assert waiting == []
            waiting = [one for one in waiting if one not in answered]
            waiting += [part.id for part in message.parts if isinstance(part, ToolCall)]
        assert waiting == []
        results = sum(isinstance(part, ToolResult) for message in messages for part in message.parts)
        kept = sum(isinstance(part, ToolResult) and not part.failed for message in found for part in message.parts)
        as_text = sum("that is not shown" in message.text for message in found) and sum(
            isinstance(part, Text) and "that is not shown" in part.text for message in found for part in message.parts
        )
        assert kept + as_text == results
        assert mended(found, losses()) == found


class TestTurns:
    def test_neighbours_of_one_side_become_one_turn(self) -> None:
        system, found = turns(
            (Message.system("s"), Message.user("a"), Message.user("b"), Message.assistant("c")), losses(), where="Here"
        )
        assert [part.text for part in system] == ["s"]
        assert [(turn.role, [part.text for part in turn.parts]) for turn in found] == [
            ("user", ["a", "b"]),
            ("assistant", ["c"]),
        ]

    def test_results_of_tools_are_in_a_turn_of_the_users(self) -> None:
        _, found = turns(
            (ASKED, Message.assistant(call()), Message.tool(result()), Message.user("ok")), losses(), where="H"
        )
        assert [turn.role for turn in found] == ["user", "assistant", "user"]
        assert found[2].parts == [result(), Text(text="ok")]

    def test_a_later_system_message_stays_in_its_place_as_marked_text_and_is_reported(self) -> None:
        told = losses()
        _, found = turns((ASKED, Message.assistant("a"), Message.system("be brief")), told, where="Here")
        assert found[2].parts == [Text(text=FRAME + "be brief")]
        assert [(warning.subject, warning.kind) for warning in told.warnings] == [("system", "changed")]

    @pytest.mark.parametrize("role", ["user", "system"])
    def test_the_name_of_a_speaker_is_reported(self, role: str) -> None:
        told = losses()
        turns((Message(role=role, parts=(Text(text="hi"),), name="Ann"), ASKED), told, where="Here")
        assert [warning.subject for warning in told.warnings] == ["name"]

    @pytest.mark.parametrize("role", ["user", "assistant", "system"])
    def test_a_message_of_nothing_is_no_turn(self, role: str) -> None:
        _, found = turns((ASKED, Message(role=role, parts=())), losses(), where="Here")
        assert len(found) == 1
