"""The backend `hf` on a tiny random model."""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from genkit.backends.huggingface import HuggingFace
from genkit.backends.huggingface import backend as module
from genkit.backends.huggingface.engine import Engine
from genkit.errors import ContextTooLong, MissingExtra, StreamClosed, Timeout, UnknownSetting, Unsupported
from genkit.types import BlockEnd, BlockStart, Done, EmbedRequest, Message, Response, ScoreRequest, Settings, TextDelta

ROOT = Path(__file__).parents[3]


def plain(response: Response[Any]) -> Response[Any]:
    """Return a response without its times."""
    return response.model_copy(update={"timing": None})


def endless(engine: Engine) -> dict[str, Any]:
    """Return options under which no answer ends by itself."""
    return {"hf": {"suppress_tokens": sorted(engine.ends)}}


class TestGenerate:
    def test_the_answer_is_that_of_transformers(self, backend: HuggingFace, engine: Engine, ask: Any) -> None:
        response = backend.generate(ask(max_tokens=30))
        inputs = engine.tokenizer.apply_chat_template(
            [{"role": "user", "content": "Say hello"}], add_generation_prompt=True, return_tensors="pt"
        )
        made = engine.model.generate(**inputs, max_new_tokens=30, do_sample=False)[0]
        new = made[inputs["input_ids"].shape[1] :]
        assert response.text == engine.tokenizer.decode(new, skip_special_tokens=True)
        assert (response.usage.input, response.usage.output) == (inputs["input_ids"].shape[1], len(new))
        assert (response.finish, response.finish_raw) == ("length", "max_tokens")
        assert (response.backend, response.complete) == ("hf", True)

    def test_a_stream_ends_in_the_same_response(self, backend: HuggingFace, ask: Any) -> None:
        request = ask(max_tokens=40, n=2, temperature=1.0, seed=5, logprobs=True)
        *_, done = backend.stream(request)
        assert isinstance(done, Done)
        assert plain(done.response) == plain(backend.generate(request))

    @pytest.mark.parametrize(
        "settings", [{}, {"stop": ("e",)}, {"temperature": 3.0, "seed": 1}, {"n": 3, "temperature": 2.0, "seed": 2}]
    )
    def test_the_events_keep_the_grammar_and_join_to_the_texts(
        self, backend: HuggingFace, ask: Any, settings: dict[str, Any]
    ) -> None:
        *events, done = backend.stream(ask(max_tokens=60, **settings))
        assert isinstance(done, Done)
        messages = [done.response.message, *(other.message for other in done.response.alternatives)]
        for number, message in enumerate(messages):
            mine = [event for event in events if event.candidate == number]
            if message.parts:
                start, *deltas, end = mine
                assert (type(start), type(end)) == (BlockStart, BlockEnd)
                assert {type(delta) for delta in deltas} == {TextDelta}
                assert "".join(delta.text for delta in deltas) == message.text
            else:
                assert mine == []

    def test_the_end_token_ends_an_answer_and_is_counted(self, backend: HuggingFace, ask: Any) -> None:
        response = backend.generate(ask(temperature=5.0, seed=3, logprobs=True, max_tokens=400))
        assert (response.finish, response.finish_raw) == ("stop", "eos_token")
        assert response.logprobs is not None
        assert response.usage.output == len(response.logprobs) + 1
        assert "<|" not in response.text

    def test_an_answer_survives_json(self, backend: HuggingFace, ask: Any) -> None:
        response = backend.generate(ask(max_tokens=5, logprobs=True, top_logprobs=2))
        assert Response.model_validate_json(response.model_dump_json()) == response

    def test_without_max_tokens_it_ends_with_the_context(self, backend: HuggingFace, engine: Engine, ask: Any) -> None:
        response = backend.generate(ask(extra=endless(engine)))
        assert response.usage.total == 512
        assert response.finish == "length"


class TestSettings:
    def test_a_stop_string_ends_the_answer_and_is_not_in_it(self, backend: HuggingFace, ask: Any) -> None:
        whole = backend.generate(ask(max_tokens=60)).text
        stop = whole[7:11]
        response = backend.generate(ask(max_tokens=60, stop=stop))
        assert response.text == whole[: whole.index(stop)]
        assert (response.finish, response.finish_raw) == ("stop", "stop_string")

    def test_log_probabilities_end_with_the_text(self, backend: HuggingFace, ask: Any) -> None:
        whole = backend.generate(ask(max_tokens=60, logprobs=True))
        assert whole.logprobs is not None
        texts = [token.token for token in whole.logprobs]
        stop = texts[4] + texts[5]
        cut = backend.generate(ask(max_tokens=60, logprobs=True, stop=stop))
        assert cut.logprobs is not None
        assert "".join(token.token for token in cut.logprobs).startswith(cut.text)
        assert len(cut.logprobs) <= 5

    def test_log_probabilities_are_those_of_scoring_the_same_text(
        self, backend: HuggingFace, engine: Engine, ask: Any
    ) -> None:
        request = ask(max_tokens=12, logprobs=True, top_logprobs=3, temperature=2.0, seed=1)
        response = backend.generate(request)
        prompt = engine.tokenizer.apply_chat_template(
            [{"role": "user", "content": "Say hello"}], add_generation_prompt=True, tokenize=True
        )["input_ids"]
        assert response.logprobs is not None
        chosen = [
            choice.token
            for step in engine.decode(
                prompt,
                module.sampling(engine.defaults, request.settings, {}),
                answers=1,
                check=lambda: None,
            )
            for choice in step
            if choice is not None
        ][:12]
        scored = engine.logprobs([[*prompt, *chosen]], check=lambda: None)[0][-12:]
        assert [token.logprob for token in response.logprobs] == pytest.approx(scored, abs=1e-4)
        for token in response.logprobs:
            assert len(token.top) == 3
            assert token.top[0].logprob >= token.top[1].logprob >= token.top[2].logprob
            assert token.top[0].logprob >= token.logprob

    def test_the_same_seed_gives_the_same_text_and_another_another(self, backend: HuggingFace, ask: Any) -> None:
        texts = [backend.generate(ask(max_tokens=20, temperature=1.5, seed=seed)).text for seed in (1, 1, 2)]
        assert texts[0] == texts[1] != texts[2]

    def test_top_p_alone_means_temperature_one(self, backend: HuggingFace, ask: Any) -> None:
        alone = backend.generate(ask(max_tokens=20, top_p=0.9, seed=1)).text
        assert alone == backend.generate(ask(max_tokens=20, top_p=0.9, seed=1, temperature=1.0)).text
        assert alone != backend.generate(ask(max_tokens=20)).text

    def test_several_greedy_answers_are_equal_and_it_is_said(self, backend: HuggingFace, ask: Any) -> None:
        response = backend.generate(ask(max_tokens=5, n=3))
        assert {candidate.message.text for candidate in response.alternatives} == {response.text}
        assert [(warning.kind, warning.subject) for warning in response.warnings] == [("note", "n")]
        assert response.usage.output == 15

    def test_penalties_change_the_answer(self, backend: HuggingFace, ask: Any) -> None:
        tokens = backend.generate(ask(max_tokens=60, frequency_penalty=100.0, logprobs=True)).logprobs
        assert tokens is not None
        assert len({(token.token, token.logprob) for token in tokens}) == len(tokens)

    def test_options_of_transformers_are_taken(self, backend: HuggingFace, ask: Any) -> None:
        changed = backend.generate(ask(max_tokens=20, extra={"hf": {"repetition_penalty": 50.0}})).text
        assert changed != backend.generate(ask(max_tokens=20)).text

    def test_an_option_that_is_not_known_is_an_error_with_the_nearest(self, backend: HuggingFace, ask: Any) -> None:
        with pytest.raises(UnknownSetting, match="did you mean 'repetition_penalty'"):
            backend.generate(ask(extra={"hf": {"repetition_penality": 1.1}}))

    def test_options_of_other_backends_are_left_alone(self, backend: HuggingFace, ask: Any) -> None:
        backend.generate(ask(max_tokens=1, extra={"openai": {"store": False}}))

    def test_a_setting_it_lacks_is_reported(self, backend: HuggingFace, ask: Any) -> None:
        response = backend.generate(ask(max_tokens=1, reasoning="low"))
        assert [(warning.kind, warning.subject) for warning in response.warnings] == [("dropped", "reasoning")]

    def test_a_guarantee_it_lacks_is_an_error(self, backend: HuggingFace, ask: Any) -> None:
        with pytest.raises(Unsupported, match="tool_choice"):
            backend.generate(ask(max_tokens=1, tool_choice="required"))

    def test_the_checkpoint_s_own_settings_are_the_defaults(self, engine: Engine) -> None:
        own = engine.defaults
        try:
            engine.defaults = own | {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "top_k": 20, "min_p": 0.05}
            given = module.sampling(engine.defaults, Settings(), {})
            assert (given.temperature, given.top_p, given.top_k, given.more) == (0.6, 0.9, 20, {"min_p": 0.05})
            assert module.sampling(engine.defaults, Settings(temperature=0), {}).temperature == 0
        finally:
            engine.defaults = own


class TestContext:
    def test_a_prompt_beyond_the_context_says_both_numbers(self, backend: HuggingFace, ask: Any) -> None:
        with pytest.raises(ContextTooLong, match=r"prompt has \d{4} tokens.*the model takes 512") as caught:
            backend.generate(ask("word " * 1000))
        assert caught.value.backend == "hf"

    def test_more_tokens_than_are_left_are_refused_before_the_work(self, backend: HuggingFace, ask: Any) -> None:
        with pytest.raises(ContextTooLong, match=r"with max_tokens=510 that is 5\d\d, and the model takes 512"):
            backend.generate(ask(max_tokens=510))

    def test_exactly_what_is_left_is_taken(self, backend: HuggingFace, engine: Engine, ask: Any) -> None:
        left = 512 - backend.count_tokens(ask())
        assert backend.generate(ask(max_tokens=left, extra=endless(engine))).usage.total == 512

    def test_counted_tokens_are_those_of_the_usage(self, backend: HuggingFace, ask: Any) -> None:
        request = ask(Message.system("Be terse"), "Say hello", max_tokens=1)
        assert backend.count_tokens(request) == backend.generate(request).usage.input


def slow(engine: Engine, monkeypatch: pytest.MonkeyPatch, seconds: float, *, after: int = 0) -> list[float]:
    """Let every pass of the model, or those after the first few, take longer; return the times of the passes."""
    forward, times = engine.model.forward, []

    def slowly(*arguments: Any, **options: Any) -> Any:
        times.append(time.perf_counter())
        time.sleep(seconds if len(times) > after else 0)
        return forward(*arguments, **options)

    monkeypatch.setattr(engine.model, "forward", slowly)
    return times


class TestLeaving:
    @pytest.mark.parametrize(
        ("limits", "phase"), [({"total": 0.3}, "total"), ({"first": 0.05}, "first"), ({"idle": 0.1}, "idle")]
    )
    def test_a_time_limit_ends_a_stream_with_what_there_is(
        self, backend: HuggingFace, engine: Engine, ask: Any, monkeypatch: pytest.MonkeyPatch, limits: Any, phase: str
    ) -> None:
        backend.generate(ask(max_tokens=1))
        slow(engine, monkeypatch, 0.3, after=2)
        if phase == "first":
            engine.turn.acquire()
        try:
            with pytest.raises(Timeout) as caught:
                list(backend.stream(ask(timeout=limits)))
        finally:
            if phase == "first":
                engine.turn.release()
        assert (caught.value.phase, caught.value.backend) == (phase, "hf")
        if phase != "first":
            assert caught.value.response is not None
            assert caught.value.response.complete is False
            assert caught.value.response.usage.output >= 1

    def test_a_plain_call_must_be_whole_within_the_first_limit(
        self, backend: HuggingFace, engine: Engine, ask: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slow(engine, monkeypatch, 0.03)
        with pytest.raises(Timeout) as caught:
            backend.generate(ask(timeout={"first": 0.1, "idle": 0.001}))
        assert caught.value.phase == "first"

    def test_a_closed_stream_runs_no_further_pass(
        self, backend: HuggingFace, engine: Engine, ask: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        times = slow(engine, monkeypatch, 0)
        stream = backend.stream(ask())
        next(stream)
        done = len(times)
        stream.close()
        stream.close()
        assert list(stream) == []
        assert len(times) == done
        assert not engine.turn.locked()

    def test_another_thread_can_end_a_reader(
        self, backend: HuggingFace, engine: Engine, ask: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        times = slow(engine, monkeypatch, 0.02)
        stream = backend.stream(ask())
        next(stream)
        threading.Timer(0.1, stream.close).start()
        with pytest.raises(StreamClosed):
            list(stream)
        assert len(times) < 50
        assert stream.partial().text

    def test_a_stream_that_is_never_read_does_nothing(self, backend: HuggingFace, ask: Any) -> None:
        stream = backend.stream(ask("word " * 1000))
        assert stream.partial().usage.input is None
        stream.close()

    def test_a_cancelled_task_stops_the_work(
        self, backend: HuggingFace, engine: Engine, ask: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        times = slow(engine, monkeypatch, 0.02)

        async def leave() -> None:
            task = asyncio.create_task(backend.agenerate(ask()))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(leave())
        done = len(times)
        time.sleep(0.06)
        assert len(times) == done < 20

    def test_a_cancelled_async_stream_stops_the_work(
        self, backend: HuggingFace, engine: Engine, ask: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        times = slow(engine, monkeypatch, 0.02)

        async def read() -> None:
            async for _ in backend.astream(ask()):
                pass

        async def leave() -> None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(read(), 0.1)

        asyncio.run(leave())
        done = len(times)
        time.sleep(0.06)
        assert len(times) == done < 20

    @pytest.mark.parametrize("way", ["agenerate", "astream", "aembed", "ascore"])
    def test_the_time_until_a_thread_is_free_counts(
        self, backend: HuggingFace, tiny: Path, ask: Any, way: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        beside: dict[str, Any] = {"model": str(tiny), "texts": ("a",), "settings": Settings(timeout=0.3)}
        requests = {"aembed": EmbedRequest(**beside), "ascore": ScoreRequest(**beside)}
        request = requests.get(way) or ask(timeout=0.3)
        # What waits for the thread does not give up, so that the work begins, late.
        monkeypatch.setattr(module, "ends", lambda _request: math.inf)
        begun = threading.Event()

        def occupy() -> None:
            begun.set()
            time.sleep(0.35)

        async def run() -> None:
            loop = asyncio.get_running_loop()
            loop.set_default_executor(ThreadPoolExecutor(1))
            loop.run_in_executor(None, occupy)
            begun.wait()
            call = getattr(backend, way)(request)
            await (anext(call) if way == "astream" else call)

        with pytest.raises(Timeout) as caught:
            asyncio.run(run())
        assert (caught.value.phase, caught.value.backend) == ("total", "hf")

    def test_a_slow_reader_is_not_a_silent_model(self, backend: HuggingFace, ask: Any) -> None:
        stream = backend.stream(ask(max_tokens=20, timeout={"idle": 0.5}))
        next(stream)
        time.sleep(0.6)
        assert isinstance(list(stream)[-1], Done)


class TestTogether:
    def test_eight_threads_get_what_one_gets(self, backend: HuggingFace, ask: Any) -> None:
        requests = [ask(f"number {i}", max_tokens=25, temperature=1.0, seed=i, logprobs=True) for i in range(16)]
        alone = [plain(backend.generate(request)) for request in requests]
        with ThreadPoolExecutor(8) as pool:
            together = [plain(response) for response in pool.map(backend.generate, requests)]
        assert together == alone

    def test_the_async_twins_give_the_same_in_several_loops(self, backend: HuggingFace, ask: Any) -> None:
        request = ask(max_tokens=10, temperature=1.0, seed=1)
        expected = plain(backend.generate(request))

        async def both() -> None:
            assert plain(await backend.agenerate(request)) == expected
            *_, done = [event async for event in backend.astream(request)]
            assert plain(done.response) == expected

        asyncio.run(both())
        asyncio.run(both())


class TestEmbed:
    def test_vectors_come_in_order_with_length_one(self, backend: HuggingFace, tiny: Path) -> None:
        texts = ("hello world, hello", "a", "hello", "")
        made = backend.embed(EmbedRequest(model=str(tiny), texts=texts))
        alone = [backend.embed(EmbedRequest(model=str(tiny), texts=(text,))).vectors[0] for text in texts]
        for vector, other in zip(made.vectors, alone, strict=True):
            assert vector == pytest.approx(other, abs=1e-5)
            assert math.hypot(*vector) == pytest.approx(1)
        assert made.usage.total_output == 0
        assert made.usage.input == sum(
            backend.embed(EmbedRequest(model=str(tiny), texts=(text,))).usage.input or 0 for text in texts
        )

    def test_what_it_lacks_is_reported(self, backend: HuggingFace, tiny: Path) -> None:
        made = backend.embed(EmbedRequest(model=str(tiny), texts=("a",), dimensions=8, input_type="query"))
        assert [warning.subject for warning in made.warnings] == ["dimensions", "input_type"]

    def test_a_text_beyond_the_context_is_named(self, backend: HuggingFace, tiny: Path) -> None:
        with pytest.raises(ContextTooLong, match=r"text 1 has \d+ tokens, and the model takes 512"):
            backend.embed(EmbedRequest(model=str(tiny), texts=("a", "word " * 1000)))

    def test_no_texts_are_no_vectors(self, backend: HuggingFace, tiny: Path) -> None:
        assert backend.embed(EmbedRequest(model=str(tiny), texts=())).vectors == ()

    def test_the_async_twin_gives_the_same(self, backend: HuggingFace, tiny: Path) -> None:
        request = EmbedRequest(model=str(tiny), texts=("a", "b"))
        assert asyncio.run(backend.aembed(request)) == backend.embed(request)


class TestScore:
    def test_tokens_and_probabilities_are_those_of_the_text(
        self, backend: HuggingFace, engine: Engine, tiny: Path
    ) -> None:
        text = "The capital of France"
        (score,) = backend.score(ScoreRequest(model=str(tiny), texts=(text,)))
        assert "".join(score.tokens) == text
        assert score.bos is False
        ids = engine.tokenizer(text, add_special_tokens=False)["input_ids"]
        assert score.logprobs == (None, *engine.logprobs([ids], check=lambda: None)[0])

    def test_texts_come_in_order(self, backend: HuggingFace, tiny: Path) -> None:
        texts = ("one two three", "", "x", "Grüße aus Köln")
        scores = backend.score(ScoreRequest(model=str(tiny), texts=texts))
        assert [len(score.tokens) == len(score.logprobs) for score in scores] == [True] * 4
        assert [bool(score.tokens) for score in scores] == [True, False, True, True]
        assert (scores[1].logprobs, scores[2].logprobs) == ((), (None,))

    def test_a_tokenizer_that_begins_every_text_gives_the_first_token_a_probability(
        self, backend: HuggingFace, tiny: Path, tmp_path: Path
    ) -> None:
        import shutil

        from tokenizers import Tokenizer, processors

        path = Path(shutil.copytree(tiny, tmp_path / "begins"))
        core = Tokenizer.from_file(str(path / "tokenizer.json"))
        core.post_processor = processors.TemplateProcessing(
            single="<|im_start|> $A", special_tokens=[("<|im_start|>", core.token_to_id("<|im_start|>"))]
        )
        core.save(str(path / "tokenizer.json"))
        full, empty = backend.score(ScoreRequest(model=str(path), texts=("hello", "")))
        assert full.bos is True
        assert None not in full.logprobs
        assert "".join(full.tokens) == "hello"
        assert (empty.tokens, empty.logprobs) == ((), ())

    def test_a_text_beyond_the_context_is_named(self, backend: HuggingFace, tiny: Path) -> None:
        with pytest.raises(ContextTooLong, match="text 0"):
            backend.score(ScoreRequest(model=str(tiny), texts=("word " * 1000,)))

    def test_the_async_twin_gives_the_same(self, backend: HuggingFace, tiny: Path) -> None:
        request = ScoreRequest(model=str(tiny), texts=("a b", "b"))
        assert asyncio.run(backend.ascore(request)) == backend.score(request)


class TestImport:
    def test_making_the_backend_imports_no_torch(self) -> None:
        script = """
import sys
from genkit.backends.huggingface import HuggingFace
from genkit.types import Features
backend = HuggingFace(device="cuda")
assert backend.features("anything").scores
print([name for name in ("torch", "transformers", "numpy", "tokenizers") if name in sys.modules])
"""
        done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, cwd=ROOT)
        assert (done.stdout, done.stderr) == ("[]\n", "")

    def test_without_torch_the_error_is_the_command_that_installs_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "find_spec", lambda name: None if name == "torch" else object())
        with pytest.raises(MissingExtra, match=r"pip install 'genkit-llm\[huggingface\]'"):
            HuggingFace()
