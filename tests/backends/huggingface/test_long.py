"""Texts so long that making tokens of them takes its time."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from genkit.backends.huggingface import HuggingFace, prompt
from genkit.backends.waiting import unless
from genkit.errors import ContextTooLong, GenkitError, Timeout
from genkit.types import EmbedRequest, ScoreRequest, Settings

LONG = "x " * 30_000


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch, backend: HuggingFace, ask: Any) -> Any:
    """Make tokens take until the test lets go of them, at most ten seconds."""
    backend.generate(ask(max_tokens=1))
    let_go = threading.Event()

    def tokens(_: Any, text: Any, *__: Any, **___: Any) -> list[int]:
        if text != "a":
            let_go.wait(10)
        return [5]

    for name in ("_tokens", "text_tokens"):
        monkeypatch.setattr(prompt, name, tokens)
    yield let_go
    let_go.set()


@pytest.mark.parametrize("way", ["generate", "stream", "agenerate", "count_tokens", "embed", "score"])
def test_the_time_limit_holds_while_a_long_text_becomes_tokens(
    slow: Any, backend: HuggingFace, ask: Any, tiny: Any, way: str
) -> None:
    request = ask(LONG, timeout=0.2)
    beside = {"model": str(tiny), "texts": (LONG,), "settings": Settings(timeout=0.2)}
    calls: dict[str, Any] = {
        "generate": lambda: backend.generate(request),
        "stream": lambda: list(backend.stream(request)),
        "agenerate": lambda: asyncio.run(backend.agenerate(request)),
        "count_tokens": lambda: backend.count_tokens(request),
        "embed": lambda: backend.embed(EmbedRequest(**beside)),
        "score": lambda: backend.score(ScoreRequest(**beside)),
    }
    start = time.perf_counter()
    with pytest.raises(Timeout) as caught:
        calls[way]()
    assert time.perf_counter() - start < 5
    assert (caught.value.phase, caught.value.backend) == ("total", "hf")


def test_a_prompt_that_is_too_long_is_told_by_the_error_alone(
    backend: HuggingFace, ask: Any, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for text in ("x " * 1000, LONG):
        with pytest.raises(ContextTooLong):
            backend.generate(ask(text))
    assert capfd.readouterr().err == ""
    assert caplog.records == []


def test_work_apart_gives_its_result_or_its_own_error() -> None:
    def fail() -> None:
        raise GenkitError("mine")

    assert unless(lambda: None, lambda: 7) == 7
    with pytest.raises(GenkitError, match="mine"):
        unless(lambda: 1.0, fail)
