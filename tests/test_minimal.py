"""What the base install promises without any extra. These tests also run in an environment that has none."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys

import pytest

import genkit
from genkit import LLM, errors

WITHOUT_TORCH = pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="torch is installed here")


def test_the_mock_answers() -> None:
    assert LLM("mock:").generate("hello").text


def test_the_mock_streams_what_it_answers() -> None:
    llm = LLM("mock:")
    with llm.stream("hello") as stream:
        assert "".join(stream.text) == llm.generate("hello").text


def test_the_mock_answers_async() -> None:
    llm = LLM("mock:")
    assert asyncio.run(llm.agenerate("hello")).text == llm.generate("hello").text


def test_a_request_to_openai_can_be_planned_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    plan = LLM("openai:gpt-5-mini").plan("hello")
    assert plan.url.startswith("https://api.openai.com/v1/")


@WITHOUT_TORCH
def test_a_local_model_without_its_extra_is_an_error_that_says_what_to_install() -> None:
    with pytest.raises(errors.MissingExtra, match=r"pip install 'genkit-llm\[huggingface\]'"):
        LLM("hf:smollm2").generate("hello")


def test_the_command_line_tells_its_version() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import genkit_llm; genkit_llm.main()", "--version"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert genkit.__version__ in done.stdout
