"""Which model LLM() means."""

from __future__ import annotations

import threading

import pytest

from genkit import config
from genkit.config import EMBEDDED, default_model
from genkit.errors import ConfigError


@pytest.fixture(autouse=True)
def unannounced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "_announced", threading.Event())


def test_with_nothing_configured_it_is_the_embedded_model_said_once_on_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert default_model({}) == default_model({}) == EMBEDDED
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("hf:smollm2") == 1
    assert "GENKIT_LLM_MODEL" in captured.err


def test_the_environment_variable_chooses_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert default_model({"GENKIT_LLM_MODEL": "mock:x", "OPENAI_API_KEY": "k"}) == "mock:x"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "environ",
    [
        {"GENKIT_LLM_ENV": "production"},
        {"GENKIT_LLM_ENV": "Production "},
        {"GENKIT_LLM_ENV": "PROD"},
        {"OPENAI_API_KEY": "sk-secret"},
        {"GEMINI_API_KEY": "sk-secret"},
        {"AWS_ACCESS_KEY_ID": "sk-secret"},
        {"GROQ_API_KEY": "sk-secret"},
    ],
)
def test_where_a_small_model_would_be_a_mistake_it_is_an_error(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="GENKIT_LLM_MODEL") as caught:
        default_model(environ)
    assert next(iter(environ)) in str(caught.value)
    assert "secret" not in str(caught.value)
