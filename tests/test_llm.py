"""What users hold: immutable, shared, closed to misspelt words, the same four ways to ask."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import threading
from typing import Any, get_type_hints

import pytest

from genkit import LLM, Message, Settings, Timeouts, Usage, Video, errors
from genkit.backends import TABLE
from genkit.backends.mock import Mock
from genkit.errors import (
    ConfigError,
    GenkitError,
    InvalidRequest,
    RateLimited,
    ServerError,
    Timeout,
    UnknownBackend,
    UnknownSetting,
    Unsupported,
)
from genkit.llm import Options
from genkit.prompts import SettingsDict
from genkit.types import Features


def mocked(**options: Any) -> tuple[LLM, Mock]:
    mock = Mock(waits=False)
    return LLM(backend=mock, retries=0, **options), mock


# ------------------------------------------------------------ making one


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("gpt-5", ConfigError),
        ("", ConfigError),
        (":x", ConfigError),
        ("openai:", ConfigError),
        ("opnai:gpt-5", UnknownBackend),
    ],
)
def test_a_model_is_written_with_a_known_backend(model: str, error: type[GenkitError], monkeypatch: Any) -> None:
    monkeypatch.setenv("GENKIT_LLM_ENV", "production")
    with pytest.raises(error):
        LLM(model)


def test_an_unknown_backend_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(UnknownBackend, match="unknown backend 'opnai', did you mean 'openai'"):
        LLM("opnai:gpt-5")


def test_the_model_is_split_at_the_first_colon_only() -> None:
    assert LLM("ollama:qwen3:8b").model == "ollama:qwen3:8b"
    assert LLM("ollama:qwen3:8b")._model == "qwen3:8b"


def test_a_misspelt_keyword_is_an_error_at_construction_and_at_call() -> None:
    with pytest.raises(UnknownSetting, match="did you mean 'temperature'"):
        LLM("mock:", temprature=0)  # type: ignore[call-arg]
    for ask in (LLM("mock:").generate, LLM("mock:").stream, LLM("mock:").plan, LLM("mock:").count_tokens):
        with pytest.raises(UnknownSetting, match="did you mean 'temperature'"):
            ask("hi", temprature=0)  # type: ignore[call-arg, operator]
    with pytest.raises(UnknownSetting, match="did you mean 'retries'"):
        LLM("mock:", retrys=0)  # type: ignore[call-arg]


def test_an_option_of_another_backend_is_an_error() -> None:
    with pytest.raises(UnknownSetting, match="backend 'mock' takes no options"):
        LLM("mock:", base_url="http://x")


@pytest.mark.parametrize(
    "wrong",
    [
        {"retries": -1},
        {"retries": True},
        {"fallback": "mock:"},
        {"fallback": [3]},
        {"fallback": 5},
        {"concurrency": 0},
        {"concurrency": 1.5},
        {"concurrency": "x"},
        {"requests_per_minute": "60"},
        {"requests_per_minute": 0},
        {"backend": "mock"},
        {"system": 5},
        {"extra": "openai"},
        {"require": 5},
        {"require": [5]},
    ],
)
def test_options_that_cannot_be_are_errors_at_construction(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        LLM("mock:", **wrong)


def test_a_fallback_is_checked_when_it_is_written() -> None:
    with pytest.raises(UnknownBackend):
        LLM("mock:", fallback=["opnai:x"])


def test_making_one_needs_no_key_and_does_nothing(monkeypatch: Any) -> None:
    monkeypatch.setattr("socket.socket", None)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert not LLM("openai:gpt-5-mini")._core.source


def test_a_key_is_in_no_repr() -> None:
    llm = LLM("openai:gpt-5", api_key="sk-verysecret", temperature=0.5, fallback=["mock:"])
    assert repr(llm) == "LLM('openai:gpt-5', temperature=0.5)"


def test_every_field_of_settings_is_a_keyword() -> None:
    assert set(SettingsDict.__annotations__) == set(Settings.model_fields)


def test_every_option_of_every_backend_is_a_keyword() -> None:
    known = set(get_type_hints(Options, localns={"LLM": LLM}))
    assert {option for row in TABLE.values() for option in row.options} <= known


# ------------------------------------------------------------ the four ways, and their equality


def test_plain_stream_and_async_give_the_same_answer() -> None:
    llm, _ = mocked()

    async def both() -> tuple[Any, Any]:
        async with llm.astream("a b c") as stream:
            async for _ in stream.text:
                pass
        return await llm.agenerate("a b c"), stream.response

    with llm.stream("a b c") as stream:
        text = "".join(stream.text)
    plain = llm.generate("a b c")
    assert text == plain.text == "a b c"
    for other in (stream.response, *asyncio.run(both())):
        assert other.model_copy(update={"timing": None, "id": plain.id}) == plain.model_copy(update={"timing": None})


def test_async_twins_take_the_same_parameters() -> None:
    for name, twin in inspect.getmembers(LLM, inspect.isfunction):
        if name.startswith("a") and hasattr(LLM, name[1:]) and name != "aclose":
            own = inspect.signature(getattr(LLM, name[1:])).parameters
            assert list(own.values()) == list(inspect.signature(twin).parameters.values()), name


def test_a_calls_settings_lie_over_those_of_the_llm() -> None:
    llm, mock = mocked(temperature=0.5, seed=1, system="be brief")
    llm.generate("hi", temperature=0, max_tokens=5)
    [call] = mock.calls
    assert (call.settings.temperature, call.settings.seed, call.settings.max_tokens) == (0, 1, 5)
    assert call.messages == (Message.system("be brief"), Message.user("hi"))
    assert llm.settings.temperature == 0.5


def test_what_a_backend_lacks_is_reported_or_refused() -> None:
    mock = Mock(features=Features(settings=frozenset({"timeout"})))
    llm = LLM(backend=mock)
    [warning] = llm.generate("hi", seed=1).warnings
    assert (warning.kind, warning.subject) == ("dropped", "seed")
    assert llm.generate("hi", seed=1, on_unsupported="ignore").warnings == ()
    for refused in ({"on_unsupported": "error"}, {"require": ["seed"]}):
        with pytest.raises(Unsupported, match="seed"):
            llm.generate("hi", seed=1, **refused)  # type: ignore[arg-type]
    with pytest.raises(Unsupported, match="stop"):
        llm.generate("hi", stop="x")


def test_with_makes_a_copy_that_shares_the_connection() -> None:
    llm, mock = mocked(temperature=0.5, concurrency=1)
    other = llm.with_(temperature=0)
    other.generate("hi")
    assert (llm.settings.temperature, other.settings.temperature) == (0.5, 0)
    assert other._core is llm._core
    assert len(mock.calls) == 1


def test_with_other_options_makes_another_connection() -> None:
    llm = LLM("openai:gpt-5", api_key="a")
    other = llm.with_(api_key="b")
    assert other._core is not llm._core
    assert other._core.connection.options == {"api_key": "b"}
    assert llm._core.connection.options == {"api_key": "a"}


def test_with_another_model_of_the_same_backend_shares_the_connection() -> None:
    llm = LLM("openai:gpt-5", api_key="a")
    other = llm.with_("openai:gpt-5-mini")
    assert (other.model, other._core is llm._core) == ("openai:gpt-5-mini", True)


def test_with_another_backend_leaves_key_and_address_behind() -> None:
    other = LLM("openai:gpt-5", api_key="secret", temperature=0.5).with_("groq:llama")
    assert other._core.connection.options == {}
    assert other.settings.temperature == 0.5


def test_a_prompt_of_ten_megabytes_arrives_whole() -> None:
    llm, mock = mocked()
    text = "word " * 2_000_000
    llm.generate(text, max_tokens=1)
    assert mock.calls[0].messages[0].text == text


# ------------------------------------------------------------ policies


def test_transient_failures_are_repeated_by_default(monkeypatch: Any) -> None:
    mock = Mock()
    mock.fail(RateLimited("slow", retry_after=0), times=2)
    monkeypatch.setattr("random.uniform", lambda low, high: 0.0)
    assert LLM(backend=mock).generate("hi").text == "hi"
    assert len(mock.calls) == 3


def test_a_fallback_answers_and_says_so() -> None:
    mock = Mock()
    mock.fail(ServerError("down", sent=True))
    llm = LLM("first", backend=mock, retries=0, fallback=["mock:other"])
    response = llm.generate("hi")
    assert response.text == "hi"
    [warning] = response.warnings
    assert (warning.kind, warning.subject) == ("fallback", "mock:first")
    assert warning.message.startswith("mock:first failed (ServerError: down")


def test_map_answers_in_order_and_keeps_the_errors_asked_for() -> None:
    llm, mock = mocked()
    assert [response.text for response in llm.map(["a", "b", "c"], concurrency=2)] == ["a", "b", "c"]
    mock.fail(ServerError("no"))
    answers = llm.map(["a", "b"], concurrency=1, on_error="return")
    assert isinstance(answers[0], ServerError)
    assert asyncio.run(llm.amap(["x", "y"]))[1].text == "y"


def test_one_llm_serves_many_threads_and_event_loops() -> None:
    llm, _ = mocked(concurrency=4)
    texts: list[str] = []

    def work(i: int) -> None:
        texts.append(llm.generate(f"t{i}").text)
        texts.append(asyncio.run(llm.agenerate(f"l{i}")).text)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(texts) == sorted([f"t{i}" for i in range(8)] + [f"l{i}" for i in range(8)])


def test_the_sync_calls_work_inside_a_running_event_loop() -> None:
    llm, _ = mocked()

    async def run() -> str:
        return llm.generate("hi").text

    assert asyncio.run(run()) == "hi"


# ------------------------------------------------------------ beside generation


def test_embeddings_scores_and_counts() -> None:
    llm, mock = mocked()
    assert len(llm.embed(["a", "b"]).vectors) == 2
    assert len(llm.embed("a").vectors) == 1
    assert len(asyncio.run(llm.aembed(["a"], dimensions=8)).vectors[0]) == 8
    assert mock.embed_calls[-1].dimensions == 8
    [score] = llm.score("ab")
    assert score.total == pytest.approx(-2 * 5.545177444479562)
    assert asyncio.run(llm.ascore(["ab"])) == (score,)
    assert llm.count_tokens("a b") == asyncio.run(llm.acount_tokens("a b")) == 2


@pytest.mark.parametrize("texts", [[], [1], ["a", None]])
def test_texts_must_be_texts(texts: Any) -> None:
    llm, _ = mocked()
    for ask in (llm.embed, llm.score):
        with pytest.raises(ConfigError):
            ask(texts)


def test_an_empty_prompt_is_refused_before_anything_is_sent() -> None:
    llm, mock = mocked()
    with pytest.raises(InvalidRequest):
        llm.generate("")
    assert mock.calls == ()


def test_closing_is_optional_and_not_final() -> None:
    with LLM("mock:") as llm:
        assert llm.generate("a").text == "a"
    assert llm.generate("b").text == "b"
    llm.close()
    llm.close()

    async def run() -> str:
        async with LLM("mock:") as other:
            return (await other.agenerate("c")).text

    assert asyncio.run(run()) == "c"


def test_usage_and_features_are_those_of_the_backend() -> None:
    llm, _ = mocked(timeout=Timeouts(total=5))
    assert llm.generate("one two").usage == Usage(input=2, output=2)
    assert "temperature" in llm.capabilities.settings


@pytest.mark.parametrize(
    "wrong", [{"tools": [print]}, {"tools": 5}, {"output_schema": {"type": "object"}}, {"system": 5}]
)
def test_a_call_with_something_else_in_place_of_a_value_is_a_typed_error(wrong: dict[str, Any]) -> None:
    llm, mock = mocked()
    with pytest.raises(ConfigError):
        llm.generate("hi", **wrong)
    assert mock.calls == ()


@pytest.mark.parametrize("wrong", [{"dimensions": 0}, {"dimensions": "a"}, {"dimensions": True}, {"input_type": "foo"}])
def test_embedding_options_that_cannot_be_are_typed_errors(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        mocked()[0].embed("a", **wrong)


def test_a_model_that_is_no_text_is_a_typed_error() -> None:
    for model in (5, ""):
        with pytest.raises(ConfigError):
            LLM(model)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            {name: "x" * 10**6}
            for name in ("temperature", "extra", "require", "fallback", "retries", "model", "x" * 10**6)
        ),
        {"model": "x" * 10**6 + ":y"},
        {"require": ["x" * 10**6]},
    ],
)
def test_a_message_shows_the_beginning_of_a_long_value_only(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        LLM(**{"model": "mock:", **wrong})
    assert len(str(caught.value)) < 2000


def test_one_text_is_no_list_of_prompts() -> None:
    with pytest.raises(ConfigError, match="iterable of prompts"):
        mocked()[0].map("hello")
    with pytest.raises(ConfigError, match="iterable of prompts"):
        asyncio.run(mocked()[0].amap("hello"))


@pytest.mark.parametrize(
    "name", sorted({"retries", "fallback", "backend"}.union(*(row.options for row in TABLE.values())))
)
def test_a_keyword_of_the_constructor_is_named_as_one_in_a_call(name: str) -> None:
    options: dict[str, Any] = {name: "x"}
    with pytest.raises(UnknownSetting, match=r"said to LLM"):
        LLM("mock:").generate("hi", **options)


def test_stop_of_none_says_nothing() -> None:
    assert mocked()[0].generate("hi", stop=None).text == "hi"  # type: ignore[arg-type]


def test_a_fallbacks_own_settings_lie_under_what_the_call_says() -> None:
    first, second = Mock(), Mock()
    first.fail(ServerError("down", sent=True))
    other = LLM(backend=second, system="be terse", temperature=0, seed=7, require={"seed"}, extra={"mock": {"a": 1}})
    LLM(backend=first, retries=0, fallback=[other], temperature=0.5).generate("hi", max_tokens=9)
    [asked] = second.calls
    assert (asked.settings.temperature, asked.settings.seed, asked.settings.max_tokens) == (0.5, 7, 9)
    assert asked.messages[0] == Message.system("be terse")
    assert (asked.require, asked.extra) == ({"seed"}, {"mock": {"a": 1}})


def test_a_fallback_may_be_any_iterable() -> None:
    mock = Mock()
    mock.fail(ServerError("down", sent=True))
    assert LLM(backend=mock, retries=0, fallback=(m for m in ["mock:"])).generate("hi").text == "hi"  # type: ignore[arg-type]


def test_a_copy_with_other_retries_keeps_backend_and_limit() -> None:
    llm = LLM("mock:", requests_per_minute=1)
    llm.generate("a")
    with pytest.raises(Timeout, match="requests_per_minute"):
        llm.with_(retries=0).generate("b", timeout=1)


def test_a_copy_with_another_limit_keeps_the_backend() -> None:
    llm, mock = mocked()
    llm.with_(concurrency=2).generate("a")
    assert len(mock.calls) == 1


def test_none_says_nothing_in_a_copy() -> None:
    llm = LLM("openai:gpt-5", base_url="http://x/v1")
    assert llm.with_(base_url=None, api_key="k")._core.connection.options == {"base_url": "http://x/v1", "api_key": "k"}


def test_a_copy_with_another_backend_goes_by_its_name() -> None:
    other = LLM("openai:gpt-5", api_key="secret").with_(backend=Mock(name="mine"))
    assert other.model.startswith("mine:")
    assert other.generate("hi", extra={"mine": {"a": 1}}).backend == "mine"
    assert other.with_("mine:b").model == "mine:b"


def test_the_backend_of_another_package_takes_what_its_constructor_takes(monkeypatch: Any) -> None:
    class Point:
        name = "acme"
        value = "genkit.backends.openai:OpenAI"

    monkeypatch.setattr("genkit.backends._entry_points", lambda: [Point])
    assert LLM("acme:x", api_key="k", base_url="http://127.0.0.1:9/v1").plan("hi").backend == "acme"
    with pytest.raises(ConfigError, match="entry point"):
        LLM("acme:x", device="cpu").plan("hi")


def test_an_interrupted_map_does_not_wait_for_the_calls_under_way() -> None:
    script = (
        # A child of a shell's background job ignores the signal unless told otherwise.
        "import os, signal, threading\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from genkit.mapping import map_calls\n"
        "threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "try:\n    map_calls(lambda _: threading.Event().wait(60), [1, 2], concurrency=2, on_error='raise')\n"
        "except KeyboardInterrupt:\n    print('interrupted')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=False)
    assert done.stdout == "interrupted\n", done.stderr


class TestCheck:
    def test_a_call_that_goes_out_as_written_has_nothing_to_report(self) -> None:
        assert LLM("openai:gpt-4o").check("hi", temperature=0) == ()

    def test_what_would_be_dropped_is_said_before_anything_is_sent(self) -> None:
        found = LLM("openai:gpt-5").check("hi", temperature=0.5)
        assert [(item.kind, item.subject) for item in found] == [("dropped", "temperature")]

    def test_what_would_be_raised_is_said_as_an_error_beside_the_rest(self) -> None:
        found = LLM("openai:gpt-5", api="responses").check("hi", stop="x", top_k=3, require=["top_k"])
        assert [(item.kind, item.subject) for item in found] == [("error", "stop"), ("error", "top_k")]

    def test_where_losses_are_errors_each_is_one(self) -> None:
        found = LLM("openai:gpt-5", on_unsupported="error").check("hi", temperature=0.5)
        assert [item.kind for item in found] == ["error"]

    def test_a_request_that_cannot_be_translated_is_one_error(self) -> None:
        found = LLM("openai:gpt-4o", api="chat").check(Video(url="https://example.com/a.mp4"))
        assert [(item.kind, item.subject) for item in found] == [("error", "Unsupported")]

    @pytest.mark.parametrize("name", ["openai:gpt-4o", "ollama:m"])
    def test_text_that_cannot_be_sent_is_refused_by_plan_and_reported_by_check(self, name: str) -> None:
        with pytest.raises(InvalidRequest, match="lone surrogate"):
            LLM(name).plan("broken \ud800")
        assert [(item.kind, item.subject) for item in LLM(name).check("broken \ud800")] == [("error", "InvalidRequest")]

    def test_a_misspelt_setting_is_raised(self) -> None:
        with pytest.raises(errors.UnknownSetting):
            LLM("mock:").check("hi", temprature=0)

    def test_the_mock_answers_for_what_it_was_declared_not_to_have(self) -> None:
        llm = LLM(backend=Mock(features=Features(settings=frozenset({"timeout"}))))
        assert [(item.kind, item.subject) for item in llm.check("hi", seed=1)] == [("dropped", "seed")]
        assert llm.plan("hi", seed=1).body["settings"] == {"stream": False}
