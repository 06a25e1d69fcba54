"""A checkpoint's generation config: what of it is done, and what is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import GenerationConfig

from genkit.backends.huggingface import HuggingFace
from genkit.backends.huggingface.resolve import HARMLESS, HONOURED, UNDONE, limit, sampling, undone
from genkit.types import Settings


@pytest.fixture
def configured(tiny: Path, tmp_path: Path) -> Any:
    """Return a function that gives the tiny model another generation config."""

    def make(**fields: Any) -> str:
        path = tmp_path / "configured"
        shutil.copytree(tiny, path)
        file = path / "generation_config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))
        return str(path)

    return make


def test_every_field_that_transformers_has_is_known() -> None:
    assert set(GenerationConfig().to_dict()) - HONOURED - UNDONE - HARMLESS == set()


def test_what_is_not_done_is_a_note_of_every_response(backend: HuggingFace, ask: Any, configured: Any) -> None:
    model = configured(num_beams=4, bad_words_ids=[[5]], length_penalty=2.0)
    response = backend.generate(ask(model=model, max_tokens=2))
    (note,) = response.warnings
    assert (note.kind, note.subject) == ("note", "generation_config")
    assert "bad_words_ids=[[5]], length_penalty=2.0, num_beams=4" in note.message
    assert backend.generate(ask(model=model, max_tokens=2, on_unsupported="ignore")).warnings == ()
    assert backend.check(ask(model=model, max_tokens=2)) == (note,)


@pytest.mark.parametrize(
    "defaults",
    [
        {},
        {"num_beams": 1, "length_penalty": 2.0, "early_stopping": True},
        {"guidance_scale": 1.0, "num_return_sequences": 1, "bad_words_ids": None, "min_length": 0},
        {"use_cache": False, "repetition_penalty": 1.2, "chat_format": "chatml"},
    ],
)
def test_what_changes_nothing_is_not_told(defaults: dict[str, Any]) -> None:
    assert undone(defaults) is None


def test_a_least_length_of_one_is_told() -> None:
    note = undone({"min_new_tokens": 1})
    assert note is not None
    assert "min_new_tokens=1" in note.message


def test_long_values_are_told_shortly() -> None:
    note = undone({"bad_words_ids": [[number] for number in range(1000)]})
    assert note is not None
    assert len(note.message) < 300


def test_the_checkpoint_s_length_of_prompt_and_answer_is_kept() -> None:
    assert limit({"max_length": 100}, 512, None, 30) == 70
    assert limit({"max_length": 100, "max_new_tokens": 5}, 512, None, 30) == 5
    assert limit({"max_length": 20}, 512, None, 30) == 482
    assert limit({"max_length": 100}, 512, 200, 30) == 200


def test_log_probabilities_that_are_not_wanted_are_not_made_for_their_alternatives() -> None:
    assert sampling({}, Settings(logprobs=False, top_logprobs=2), {}).top_logprobs is None
    assert sampling({}, Settings(top_logprobs=2), {}).top_logprobs == 2


def test_alternatives_of_log_probabilities_that_are_not_wanted_are_reported(backend: HuggingFace, ask: Any) -> None:
    response = backend.generate(ask(logprobs=False, top_logprobs=2, max_tokens=2))
    assert response.logprobs is None
    assert [warning.subject for warning in response.warnings] == ["top_logprobs"]
