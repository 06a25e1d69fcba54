"""The table of model families."""

from __future__ import annotations

import re
from typing import Any

import pytest

from genkit.backends.google import Google
from genkit.backends.google.models import FAMILIES, NEWEST, READABLE, Families
from genkit.errors import ConfigError, UnknownSetting
from tests.backends.google.cases import GEMINI, VERTEX, request, wire_of

TABLE = Families(None, name="google")


@pytest.mark.parametrize("row", FAMILIES, ids=lambda row: row.pattern)
def test_a_row_says_where_its_facts_stand_and_contradicts_nothing(row: Any) -> None:
    assert row.source.startswith("https://")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", row.checked)
    assert bool(row.levels) is (row.thinking == "level")
    assert (row.budget != (0, 0)) is (row.thinking == "budget")
    assert row.media <= READABLE.keys()
    assert row.off <= {"google", "vertex"}


@pytest.mark.parametrize(
    ("model", "thinking", "levels"),
    [
        ("gemini-3.8-flash", "level", ("low", "medium", "high")),
        ("gemini-3.5-flash-lite", "level", ("minimal", "low", "medium", "high")),
        ("gemini-3.1-flash-lite", "level", ("minimal", "low", "medium", "high")),
        ("gemini-3.1-flash-lite-image", "level", ("minimal", "high")),
        ("gemini-3-pro-preview", "level", ("low", "high")),
        ("gemini-2.5-flash", "budget", ()),
        ("gemini-2.5-flash-image", "none", ()),
        ("gemini-2.0-flash-001", "none", ()),
        ("gemma-3-27b-it", "none", ()),
    ],
)
def test_a_model_is_of_its_family(model: str, thinking: str, levels: tuple[str, ...]) -> None:
    family = TABLE.of(model)
    assert (family.thinking, family.levels) == (thinking, levels)


@pytest.mark.parametrize("model", ["gemini-4-ultra", "something-else", "gemini-flash-latest"])
def test_an_unknown_name_gets_the_newest_rules(model: str) -> None:
    family = TABLE.of(model)
    assert (family.thinking, family.signed, family.ids) == (NEWEST.thinking, NEWEST.signed, NEWEST.ids)


@pytest.mark.parametrize(
    "path", ["models/gemini-2.5-pro", "publishers/google/models/gemini-2.5-pro", "google/gemini-2.5-pro"]
)
def test_the_name_at_the_end_of_a_path_counts(path: str) -> None:
    assert TABLE.of(path).budget == (128, 32768)


def test_rows_of_the_callers_own_go_first() -> None:
    rows = [{"pattern": r"gemini-2\.5-pro", "thinking": "none", "levels": [], "media": ["image"]}]
    backend = Google(api_key="k", families=rows)
    assert not backend.features("gemini-2.5-pro").thinking
    assert backend.features("gemini-2.5-pro").media == {"image"}
    assert backend.features("gemini-2.5-flash").thinking


@pytest.mark.parametrize("rows", [[{}], [{"pattern": "("}], [{"pattern": 7}]])
def test_a_row_without_a_usable_pattern_is_an_error(rows: Any) -> None:
    with pytest.raises(ConfigError, match="pattern"):
        Google(families=rows)


def test_a_field_that_there_is_not_is_an_error_with_the_nearest_one() -> None:
    with pytest.raises(UnknownSetting, match="'thinkingg', did you mean 'thinking'"):
        Google(families=[{"pattern": "x", "thinkingg": "none"}])


@pytest.mark.parametrize("backend", [GEMINI, VERTEX])
@pytest.mark.parametrize(
    "model", ["gemini-2.0-flash", "gemini-2.5-pro", "gemini-3-pro-preview", "gemini-3.8-flash", "new"]
)
def test_what_is_declared_is_sent_without_a_report(backend: Google, model: str) -> None:
    samples: dict[str, Any] = {
        "temperature": 0.5,
        "top_p": 0.5,
        "top_k": 3,
        "max_tokens": 5,
        "stop": ("x",),
        "seed": 1,
        "n": 2,
        "logprobs": True,
        "top_logprobs": 2,
        "presence_penalty": 0.5,
        "frequency_penalty": 0.5,
        "reasoning": "high",
        "cache_prompt": True,
    }
    declared = backend.features(model).settings
    asked = request(model=model, **{name: value for name, value in samples.items() if name in declared})
    assert wire_of(asked, backend).warnings == ()


def test_embedding_models_give_vectors_and_nothing_else() -> None:
    features = GEMINI.features("gemini-embedding-001")
    assert features.embeddings
    assert not features.tools
