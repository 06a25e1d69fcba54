"""The mock: what it answers by itself, its script, its failures, its clock, its records."""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import BaseModel

from genkit.backends.mock import Mock, tool_call
from genkit.errors import (
    ConfigError,
    ConnectionFailed,
    InvalidRequest,
    RateLimited,
    StreamClosed,
    StreamInterrupted,
    Timeout,
    Unsupported,
)
from genkit.types import (
    EmbedRequest,
    Features,
    Image,
    Message,
    Request,
    Response,
    Schema,
    ScoreRequest,
    Settings,
    Text,
    TextDelta,
    Thinking,
    Timeouts,
    Tool,
    ToolCallDelta,
    ToolChoice,
)

WEATHER = Tool(
    name="weather",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


def ask(prompt="one two three", *, messages=None, tools=(), schema=None, **settings):
    return Request(
        model="m",
        messages=(Message.user(prompt),) if messages is None else tuple(messages),
        tools=tuple(tools),
        output_schema=None if schema is None else Schema(json_schema=schema),
        settings=Settings(**settings),
    )


def read(mock, request):
    return [event.text for event in mock.stream(request) if isinstance(event, TextDelta)]


class TestUnscripted:
    def test_it_repeats_the_last_user_message(self):
        turns = [Message.user("first"), Message.assistant("second"), Message.user("third")]
        assert Mock().generate(ask(messages=turns)).text == "third"

    def test_it_says_ok_where_the_user_wrote_nothing(self):
        picture = Image(data=b"x", mime="image/png")
        assert Mock().generate(ask(messages=[Message.user(picture)])).text == "ok"

    def test_a_prompt_of_system_messages_alone_is_refused(self):
        with pytest.raises(InvalidRequest, match="pass a prompt"):
            Mock().generate(ask(messages=[Message.system("Be brief.")]))

    def test_a_token_is_a_word_with_the_white_space_before_it(self):
        assert read(Mock(), ask("  one two\nthree ")) == ["  one", " two", "\nthree", " "]

    def test_usage_counts_the_tokens_of_prompt_and_answer(self):
        turns = [Message.system("Be brief."), Message.user("one two three", Image(data=b"x", mime="image/png"))]
        usage = Mock().generate(ask(messages=turns)).usage
        assert (usage.input, usage.output) == (6, 3)

    def test_max_tokens_cuts_the_answer_and_says_so(self):
        response = Mock().generate(ask("one two three", max_tokens=2))
        assert (response.text, response.finish) == ("one two", "length")

    def test_an_answer_of_exactly_max_tokens_is_whole(self):
        assert Mock().generate(ask("one two", max_tokens=2)).finish == "stop"

    def test_the_first_of_several_stop_texts_ends_the_answer(self):
        assert Mock().generate(ask("one two three", stop=("three", " two"))).text == "one"

    def test_a_stop_text_may_begin_in_one_part_and_end_in_the_next(self):
        mock = Mock()
        mock.reply(["one t", "wo three"])
        assert mock.generate(ask(stop="two")).text == "one "

    def test_every_token_has_the_probability_one(self):
        logprobs = Mock().generate(ask("one two", logprobs=True, top_logprobs=1)).logprobs
        assert [(token.token, token.logprob, len(token.top)) for token in logprobs] == [
            ("one", 0.0, 1),
            (" two", 0.0, 1),
        ]

    def test_a_required_tool_is_called_with_the_least_that_fits(self):
        call = Mock().generate(ask(tools=[WEATHER], tool_choice="required")).tool_calls[0]
        assert (call.name, call.arguments) == ("weather", {"city": ""})

    def test_a_named_tool_is_the_one_called(self):
        other = Tool(name="time")
        choice = ToolChoice(mode="named", names=("time",))
        assert Mock().generate(ask(tools=[WEATHER, other], tool_choice=choice)).tool_calls[0].name == "time"

    def test_a_tool_choice_that_names_no_tool_is_refused_with_the_nearest(self):
        choice = ToolChoice(mode="named", names=("wether",))
        with pytest.raises(InvalidRequest, match="did you mean 'weather'"):
            Mock().generate(ask(tools=[WEATHER], tool_choice=choice))

    def test_a_tool_choice_without_tools_is_refused(self):
        with pytest.raises(InvalidRequest, match="no tools"):
            Mock().generate(ask(tool_choice="required"))

    def test_a_schema_without_an_example_is_refused_with_the_way_out(self):
        with pytest.raises(InvalidRequest, match=r"\$\.code.*mock\.reply"):
            Mock().generate(ask(schema={"required": ["code"], "properties": {"code": False}}))


class TestBesideGeneration:
    def embed(self, *texts, **options):
        return Mock().embed(EmbedRequest(model="m", texts=texts, **options)).vectors

    def test_vectors_have_length_one(self):
        assert all(math.hypot(*vector) == pytest.approx(1) for vector in self.embed("a b c", "", "東京"))

    def test_texts_with_common_words_are_nearer_than_others(self):
        cat, dog, sea = self.embed("the black cat sleeps", "the black dog sleeps", "waves on open water")
        near, far = (sum(a * b for a, b in zip(cat, other, strict=True)) for other in (dog, sea))
        assert far < 0.5 < near

    def test_vectors_are_the_same_on_every_machine(self):
        assert self.embed("hello", dimensions=2)[0] == pytest.approx((-0.8232733652589356, -0.5676451057264807))

    def test_dimensions_are_kept(self):
        assert [len(vector) for vector in self.embed("a", "a b c d e f", dimensions=1)] == [1, 1]

    def test_a_score_is_minus_ln_256_for_each_byte(self):
        ascii_, umlaut, empty = Mock().score(ScoreRequest(model="m", texts=("abc", "ü", "")))
        assert ascii_.total == pytest.approx(-3 * math.log(256))
        assert umlaut.total == pytest.approx(-2 * math.log(256))
        assert empty.total == 0

    def test_what_was_asked_beside_generation_is_recorded(self):
        mock = Mock()
        mock.embed(EmbedRequest(model="m", texts=("a",)))
        mock.score(ScoreRequest(model="m", texts=("b",)))
        assert (mock.embed_calls[0].texts, mock.score_calls[0].texts, mock.calls) == (("a",), ("b",), ())

    def test_scripted_failures_hit_embeddings_too(self):
        mock = Mock()
        mock.fail(RateLimited("slow down"))
        with pytest.raises(RateLimited):
            mock.embed(EmbedRequest(model="m", texts=("a",)))

    def test_replies_wait_for_a_call_that_generates(self):
        mock = Mock()
        mock.reply("hi")
        mock.embed(EmbedRequest(model="m", texts=("a",)))
        assert mock.generate(ask()).text == "hi"


class Person(BaseModel):
    name: str
    age: int


class TestScript:
    def test_replies_answer_call_by_call(self):
        mock = Mock()
        mock.reply("one", "two")
        mock.reply("three")
        assert [mock.generate(ask()).text for _ in range(3)] == ["one", "two", "three"]

    @pytest.mark.parametrize(
        ("reply", "text"),
        [
            ("plain", "plain"),
            ("", ""),
            ({"a": "ü"}, '{"a": "ü"}'),
            (Person(name="Ada", age=36), '{"name":"Ada","age":36}'),
            (Text(text="part"), "part"),
            (["two ", Text(text="parts")], "two parts"),
            (Message.assistant("turn"), "turn"),
            (lambda request: request.messages[-1].text.upper(), "ONE TWO THREE"),
        ],
    )
    def test_a_reply_may_be(self, reply, text):
        mock = Mock()
        mock.reply(reply)
        assert mock.generate(ask()).text == text

    def test_a_tool_call_ends_with_that_finish_and_an_id(self):
        mock = Mock()
        mock.reply([tool_call("weather", city="Oslo"), tool_call("weather", city="Rome")])
        response = mock.generate(ask())
        assert response.finish == "tool_calls"
        assert [call.arguments for call in response.tool_calls] == [{"city": "Oslo"}, {"city": "Rome"}]
        assert len({call.id for call in response.tool_calls}) == 2

    def test_a_parameter_of_a_tool_may_have_any_name(self):
        assert tool_call("f", name="x", self="y").arguments == {"name": "x", "self": "y"}

    def test_the_arguments_of_a_tool_call_arrive_in_pieces(self):
        mock = Mock()
        mock.reply(tool_call("weather", city="Oslo"))
        pieces = [event.arguments for event in mock.stream(ask()) if isinstance(event, ToolCallDelta)]
        assert len(pieces) > 1
        assert json.loads("".join(pieces)) == {"city": "Oslo"}

    def test_thinking_is_counted_as_reasoning(self):
        mock = Mock()
        mock.reply([Thinking(text="let me see"), "yes"])
        response = mock.generate(ask())
        assert (response.thinking, response.usage.reasoning, response.usage.output) == ("let me see", 3, 1)

    def test_a_response_is_given_as_it_is(self):
        mock = Mock()
        scripted = Response(message=Message.assistant("one two three"), finish="refused", finish_raw="safety", id="r1")
        mock.reply(scripted)
        response = mock.generate(ask(max_tokens=1))
        assert (response.text, response.finish, response.finish_raw, response.id) == (
            "one two three",
            "refused",
            "safety",
            "r1",
        )
        assert (response.backend, response.model) == ("mock", "m")

    def test_a_scripted_response_streams_too(self):
        mock = Mock()
        mock.reply(Response(message=Message.assistant("one two"), finish="other"))
        events = list(mock.stream(ask()))
        assert events[-1].response.finish == "other"

    @pytest.mark.parametrize("reply", [3, None, b"bytes", [1, 2], {"a": object()}, [{"a": 1}]])
    def test_what_no_model_could_answer_is_refused_where_it_is_written(self, reply):
        with pytest.raises(ConfigError, match="cannot reply with"):
            Mock().reply(reply)

    def test_a_function_that_returns_nothing_is_a_mistake_and_no_echo(self):
        mock = Mock()
        mock.reply(lambda request: None)
        with pytest.raises(ConfigError, match="cannot reply with NoneType"):
            mock.generate(ask())

    def test_a_call_beyond_the_script_is_an_error_that_names_it(self):
        mock = Mock()
        mock.reply("one")
        mock.generate(ask())
        with pytest.raises(ConfigError, match=r"no reply for call 2 \('and now\?'\): 1 scripted.*mock\.reply"):
            mock.generate(ask("and now?"))

    def test_reply_always_answers_when_the_queue_is_empty(self):
        mock = Mock()
        mock.reply_always("again")
        mock.reply("first")
        assert [mock.generate(ask()).text for _ in range(3)] == ["first", "again", "again"]

    def test_a_failing_assertion_in_a_function_fails_the_test(self):
        mock = Mock()

        def check(request):
            raise AssertionError("not what I expected")

        mock.reply(check)
        with pytest.raises(AssertionError, match="not what I expected"):
            mock.generate(ask())

    def test_a_tool_call_cut_by_max_tokens_keeps_what_was_written(self):
        mock = Mock()
        mock.reply(tool_call("weather", city="a b c d"))
        call = mock.generate(ask(max_tokens=3)).tool_calls[0]
        assert (call.arguments, call.raw) == (None, '{"city": "a')

    def test_stream_and_generate_give_equal_responses_for_all_parts(self):
        mock = Mock()
        parts = [Thinking(text="hm hm"), "so it is", tool_call("weather", city="Oslo")]
        mock.reply(parts, parts)
        whole, streamed = mock.generate(ask()), list(mock.stream(ask()))[-1].response
        bare = [
            part.model_copy(update={"id": ""}) if part.kind == "tool_call" else part for part in whole.message.parts
        ]
        assert bare == [
            part.model_copy(update={"id": ""}) if part.kind == "tool_call" else part for part in streamed.message.parts
        ]
        assert whole.usage == streamed.usage


class TestFailures:
    def test_failures_come_as_often_as_scripted_and_then_it_answers(self):
        mock = Mock()
        mock.fail(RateLimited("slow down", retry_after=0), times=2)
        for _ in range(2):
            with pytest.raises(RateLimited) as caught:
                mock.generate(ask())
            assert caught.value.backend == "mock"
        assert mock.generate(ask()).text == "one two three"

    def test_each_failure_is_an_error_of_its_own(self):
        mock, cause = Mock(), ValueError("why")
        error = RateLimited("slow down")
        error.__cause__ = cause
        mock.fail(error, times=2)
        caught = []
        for _ in range(2):
            with pytest.raises(RateLimited) as info:
                mock.generate(ask())
            caught.append(info.value)
        assert caught[0] is not caught[1]
        assert caught[0].__cause__ is cause

    def test_what_is_no_error_of_genkit_is_refused(self):
        with pytest.raises(ConfigError, match=r"genkit\.errors"):
            Mock().fail(ValueError("x"))

    def test_a_stream_may_fail_after_some_events(self):
        mock = Mock()
        mock.fail(RateLimited("slow down"), after=3, reply="alpha beta gamma")
        seen = []
        with pytest.raises(RateLimited) as caught:
            seen.extend(event for event in mock.stream(ask()))
        assert caught.value.response.text == "alpha beta"
        assert not caught.value.response.complete
        assert caught.value.response.usage.estimated

    def test_a_stream_fails_before_its_end_however_late_that_is_scripted(self):
        mock = Mock()
        mock.fail(RateLimited("slow down"), after=1000)
        with pytest.raises(RateLimited) as caught:
            list(mock.stream(ask()))
        assert caught.value.response.text == "one two three"

    def test_a_connection_that_breaks_in_a_stream_is_an_interrupted_stream(self):
        mock = Mock()
        mock.fail(ConnectionFailed("reset"), after=2)
        with pytest.raises(StreamInterrupted) as caught:
            list(mock.stream(ask()))
        assert isinstance(caught.value.__cause__, ConnectionFailed)

    def test_a_cut_stream_is_interrupted_and_holds_what_arrived(self):
        mock = Mock()
        mock.cut(after=2, reply="alpha beta")
        stream = mock.stream(ask())
        with pytest.raises(StreamInterrupted) as caught:
            list(stream)
        assert caught.value.response.text == "alpha"
        assert caught.value.sent
        assert list(stream) == []

    def test_a_cut_stream_of_a_mock_without_features_says_so_too(self):
        mock = Mock(features=Features())
        mock.cut(after=2)
        with pytest.raises(StreamInterrupted) as caught:
            list(mock.stream(ask()))
        assert caught.value.response.usage.input == 3

    @pytest.mark.parametrize("step", [{"delay": -1}, {"delay": float("nan")}, {"pace": -0.5}])
    def test_a_negative_time_is_refused_where_it_is_written(self, step):
        with pytest.raises(ConfigError, match="must be 0 or more"):
            Mock().reply("x", **step)

    def test_a_cut_call_that_is_no_stream_is_a_failed_connection(self):
        mock = Mock()
        mock.cut()
        with pytest.raises(ConnectionFailed):
            mock.generate(ask())

    def test_async_calls_fail_alike(self):
        mock = Mock()
        mock.fail(RateLimited("slow down"))
        mock.cut(after=1)

        async def work():
            with pytest.raises(RateLimited):
                await mock.agenerate(ask())
            with pytest.raises(StreamInterrupted):
                async for _ in mock.astream(ask()):
                    pass

        asyncio.run(work())


class TestClock:
    @pytest.mark.parametrize("phase", ["total", "first"])
    def test_a_delay_beyond_a_limit_is_a_timeout_of_that_phase_after_the_limit(self, phase):
        mock, started = Mock(), time.monotonic()
        mock.reply("late", delay=3600)
        with pytest.raises(Timeout) as caught:
            mock.generate(ask(timeout=Timeouts(**{phase: 0.05})))
        assert caught.value.phase == phase
        assert 0.05 <= time.monotonic() - started < 2

    def test_the_limit_that_comes_first_is_the_one_named(self):
        mock = Mock(waits=False)
        mock.reply("late", delay=10)
        with pytest.raises(Timeout, match=r"0\.5 s \(timeout\.first\)"):
            list(mock.stream(ask(timeout=Timeouts(first=0.5, total=5))))

    def test_a_pace_beyond_the_idle_limit_is_an_idle_timeout_with_what_arrived(self):
        mock = Mock(waits=False)
        mock.reply("alpha beta", pace=10)
        with pytest.raises(Timeout) as caught:
            list(mock.stream(ask(timeout=Timeouts(idle=5))))
        assert caught.value.phase == "idle"
        assert caught.value.response is not None

    def test_a_slow_stream_reaches_its_total_limit(self):
        mock = Mock(waits=False)
        mock.reply(" ".join("x" * 100), pace=1)
        with pytest.raises(Timeout) as caught:
            list(mock.stream(ask(timeout=Timeouts(idle=5, total=50))))
        assert caught.value.phase == "total"
        assert 45 <= len(caught.value.response.text.split()) <= 50

    def test_a_call_that_is_no_stream_takes_as_long_as_its_stream(self):
        mock = Mock(waits=False)
        mock.reply("one two three", "one two three", delay=2, pace=1)
        whole, streamed = mock.generate(ask()).timing, list(mock.stream(ask()))[-1].response.timing
        assert whole.total == pytest.approx(streamed.total, abs=0.1)
        assert streamed.total == pytest.approx(7, abs=0.1)
        assert streamed.first == pytest.approx(2, abs=0.1)

    def test_without_waiting_an_hour_passes_at_once(self):
        mock, started = Mock(waits=False), time.monotonic()
        mock.reply("late", delay=3600)
        assert mock.generate(ask(timeout=Timeouts(first=None))).timing.total >= 3600
        assert time.monotonic() - started < 2

    def test_async_delays_do_not_hold_the_event_loop(self):
        mock = Mock()
        mock.reply_always("late", delay=0.1)

        async def work():
            return await asyncio.gather(*(mock.agenerate(ask()) for _ in range(20)))

        started = time.monotonic()
        assert len(asyncio.run(work())) == 20
        assert time.monotonic() - started < 1

    def test_cancelling_ends_a_waiting_call_at_once(self):
        mock, started = Mock(), time.monotonic()
        mock.reply("late", delay=60)

        async def work():
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(mock.agenerate(ask()), 0.05)

        asyncio.run(work())
        assert time.monotonic() - started < 2

    def test_closing_a_stream_that_waits_for_its_first_event_ends_its_reader(self):
        mock = Mock()
        mock.reply("late", delay=60)
        stream, ends = mock.stream(ask()), []

        def reader():
            with pytest.raises(StreamClosed):
                next(stream)
            ends.append("closed")

        thread = threading.Thread(target=reader, daemon=True)
        thread.start()
        thread.join(0.05)
        stream.close()
        thread.join(5)
        assert ends == ["closed"]


class TestRecords:
    def test_every_call_is_recorded_failed_ones_too(self):
        mock = Mock()
        mock.fail(RateLimited("slow down"))
        with pytest.raises(RateLimited):
            mock.generate(ask("one"))
        mock.generate(ask("two"))
        assert [call.messages[-1].text for call in mock.calls] == ["one", "two"]

    def test_a_stream_is_recorded_when_its_first_event_is_asked_for(self):
        mock = Mock()
        stream = mock.stream(ask())
        assert mock.calls == ()
        next(stream)
        assert len(mock.calls) == 1

    def test_what_was_dropped_is_still_in_the_record(self):
        mock = Mock(features=Features())
        mock.generate(ask(temperature=0.5))
        assert mock.calls[0].settings.temperature == 0.5

    def test_threads_share_one_script_without_losing_a_reply(self):
        mock = Mock()
        mock.reply(*[str(i) for i in range(400)])
        with ThreadPoolExecutor(16) as pool:
            texts = list(pool.map(lambda _: mock.generate(ask()).text, range(400)))
        assert sorted(texts, key=int) == [str(i) for i in range(400)]
        assert len(mock.calls) == 400


class TestLessFeatures:
    def test_a_dropped_limit_is_reported_and_has_no_effect(self):
        response = Mock(features=Features()).generate(ask("one two three", max_tokens=1))
        assert response.text == "one two three"
        assert [warning.subject for warning in response.warnings] == ["max_tokens"]

    def test_a_part_it_cannot_read_is_refused(self):
        picture = Image(data=b"x", mime="image/png")
        with pytest.raises(Unsupported, match="image"):
            Mock(features=Features()).generate(ask(messages=[Message.user("what?", picture)]))

    def test_tools_are_dropped_where_the_caller_ignores_losses(self):
        request = ask(tools=[WEATHER]).model_copy(update={"on_unsupported": "ignore"})
        assert Mock(features=Features()).generate(request).warnings == ()


class TestLosses:
    @pytest.mark.parametrize("kind", [EmbedRequest, ScoreRequest])
    @pytest.mark.parametrize("strict", [{"on_unsupported": "error"}, {"require": frozenset({"temperature"})}])
    def test_a_setting_of_generation_is_refused_beside_it_where_the_caller_wants_that(self, kind, strict):
        mock = Mock()
        request = kind(model="m", texts=("a",), settings=Settings(temperature=0.5), **strict)
        with pytest.raises(Unsupported, match="temperature"):
            mock.embed(request) if kind is EmbedRequest else mock.score(request)

    def test_what_embeddings_do_not_honour_is_reported(self):
        settings = Settings(temperature=0.5, timeout=9)
        found = Mock().embed(EmbedRequest(model="m", texts=("a",), input_type="query", settings=settings))
        assert [(warning.kind, warning.subject) for warning in found.warnings] == [
            ("dropped", "temperature"),
            ("dropped", "input_type"),
        ]

    def test_alternatives_alone_ask_for_log_probabilities_too(self):
        assert Mock().generate(ask(top_logprobs=1)).logprobs

    def test_alternatives_of_log_probabilities_that_are_not_wanted_are_reported(self):
        response = Mock().generate(ask(logprobs=False, top_logprobs=1))
        assert response.logprobs is None
        assert [warning.subject for warning in response.warnings] == ["top_logprobs"]
