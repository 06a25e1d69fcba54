"""`families=`: rows of the caller's own before a vendor's table, with one meaning for all vendors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from genkit import LLM
from genkit.backends import TABLE
from genkit.backends.bedrock import Bedrock
from genkit.backends.families import Families
from genkit.backends.google import Google
from genkit.backends.openai import OpenAI
from genkit.errors import ConfigError, UnknownSetting


@dataclass(frozen=True)
class Facts:
    """A family of a made-up vendor."""

    pattern: str
    words: tuple[str, ...] = ()
    media: frozenset[str] = frozenset()
    reasons: bool = False
    limit: int | None = None


OLD = Facts(r"old-", words=("low",), limit=5)
REST = Facts(r"", words=("low", "high"), reasons=True)


def families(*rows: Any, **options: Any) -> Families[Facts]:
    return Families(rows, table=(OLD,), rest=REST, backend="made-up", **options)


def test_without_rows_the_table_holds_and_the_rest_has_the_rules_of_the_rest() -> None:
    assert families().of("old-1") is OLD
    assert families().of("new-1") is REST


def test_a_row_of_the_callers_own_goes_first_and_keeps_what_the_table_has_for_it() -> None:
    own = families({"pattern": r"old-7", "media": ["image"]})
    assert own.of("old-7b") == Facts(r"old-7", words=("low",), limit=5, media=frozenset({"image"}))
    assert own.of("old-6") is OLD


@pytest.mark.parametrize("pattern", [r"old-7\b", r"^old-7$", r"old\-7"])
def test_the_signs_of_a_pattern_do_not_hide_what_the_table_has_for_it(pattern: str) -> None:
    assert families({"pattern": pattern}).of("old-7") == Facts(pattern, words=("low",), limit=5)


def test_a_row_for_a_name_that_nobody_knows_keeps_the_rules_of_the_rest() -> None:
    assert families({"pattern": r"mine", "words": ["max"]}).of("mine") == Facts(r"mine", words=("max",), reasons=True)


def test_a_row_can_be_like_a_model_that_the_table_knows() -> None:
    assert families({"pattern": r"mine", "like": "old-3", "limit": 9}).of("mine") == Facts(
        r"mine", words=("low",), limit=9
    )


def test_a_row_is_found_by_the_full_name_and_by_the_one_the_table_goes_by() -> None:
    rows = ({"pattern": r"path/to/mine", "limit": 1}, {"pattern": r"yours", "limit": 2})
    own = families(*rows, base=lambda model: model.rpartition("/")[2])
    assert [own.of(model).limit for model in ("path/to/mine", "path/to/yours", "path/to/old-1")] == [1, 2, 5]


def test_names_beyond_the_first_hundreds_are_looked_up_anew_and_do_not_pile_up() -> None:
    own = families()
    assert all(own.of(f"old-{number}") is OLD for number in range(2000))
    assert len(own._found) <= 512


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{}], "needs a pattern"),
        ([{"pattern": ""}], "needs a pattern"),
        ([{"pattern": 7}], "needs a pattern"),
        ([{"pattern": "("}], "no regular expression"),
        ([{"pattern": "x", "media": "image"}], "takes a list for 'media'"),
        ([{"pattern": "x", "media": None}], "takes a list for 'media'"),
        ([{"pattern": "x", "media": [["image"]]}], "cannot hold .* for 'media'"),
        ([{"pattern": "x", "media": [7]}], "cannot hold .* for 'media'"),
        ([{"pattern": "x", "source": 7}], "cannot hold 7 for 'source'"),
        (["gpt-9"], "is a mapping"),
        ({"pattern": "x"}, "takes a list of rows"),
        ("gpt-9", "takes a list of rows"),
        (7, "takes a list of rows"),
    ],
)
@pytest.mark.parametrize("kind", [OpenAI, Google, Bedrock])
def test_a_row_that_cannot_be_used_says_why_at_every_vendor(kind: Any, rows: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        kind(families=rows)


def test_a_word_where_true_or_false_belongs_is_an_error() -> None:
    with pytest.raises(ConfigError, match="takes True or False for 'reasons', not 'no'"):
        families({"pattern": "x", "reasons": "no"})


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        (Google, {"thinking": "bogus"}),
        (Google, {"budget": [1]}),
        (Google, {"budget": ["1", "2"]}),
        (Google, {"levels": [1]}),
        (Google, {"levels": ["bogus"]}),
        (Google, {"media": ["picture"]}),
        (Google, {"off": ["azure"]}),
        (Bedrock, {"schema": "bogus"}),
        (Bedrock, {"stops": "4"}),
        (OpenAI, {"role": "boss"}),
    ],
)
def test_a_value_that_a_field_cannot_hold_is_an_error(kind: Any, row: dict[str, Any]) -> None:
    (name,) = row
    with pytest.raises(ConfigError, match=f"cannot hold .* for '{name}'"):
        kind(families=[{"pattern": "x", **row}])


@pytest.mark.parametrize("row", [{"levels": []}, {"thinking": "budget"}, {"thinking": "budget", "budget": [9, 3]}])
def test_facts_that_do_not_fit_together_are_an_error(row: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="for 'gemini-9': thinking="):
        Google(families=[{"pattern": "gemini-9", **row}])


@pytest.mark.parametrize("kind", [OpenAI, Google, Bedrock])
def test_a_field_that_there_is_not_is_an_error_with_the_nearest_one_at_every_vendor(kind: Any) -> None:
    with pytest.raises(UnknownSetting, match="no field 'mediaa', did you mean 'media'"):
        kind(families=[{"pattern": "x", "mediaa": []}])


@pytest.mark.parametrize("name", sorted(TABLE.keys() - {"mock", "hf"}))
def test_every_vendor_takes_rows(name: str) -> None:
    assert "families" in (TABLE[name].options or ())


@pytest.mark.parametrize(
    ("model", "like"),
    [
        ("openai:gpt-9", "gpt-4o"),
        ("azure:production", "gpt-4o"),
        ("ollama:mine", "gpt-4o"),
        ("google:gemini-9", "gemini-2.0-flash"),
        ("bedrock:mine.model", "amazon.nova-lite-v1:0"),
    ],
)
def test_a_model_newer_than_the_table_can_be_like_an_older_one(model: str, like: str) -> None:
    pattern = model.partition(":")[2]
    own = LLM(model, families=[{"pattern": pattern, "like": like}])
    assert not own.capabilities.thinking
