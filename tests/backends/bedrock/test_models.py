"""The table of families: ids in all their forms, rows of the caller's own, and the newest rules for the rest."""

from __future__ import annotations

import re
from typing import Any

import pytest

from genkit.backends.bedrock import Bedrock
from genkit.backends.bedrock.models import FAMILIES, UNKNOWN, Families, base_model
from genkit.errors import ConfigError
from genkit.types import Settings
from tests.backends.bedrock.cases import request

TABLE = Families(backend="bedrock")


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0"),
        ("us.amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0"),
        ("apac.anthropic.claude-3-haiku-20240307-v1:0", "anthropic.claude-3-haiku-20240307-v1:0"),
        ("global.anthropic.claude-sonnet-4-6", "anthropic.claude-sonnet-4-6"),
        ("us-gov.anthropic.claude-sonnet-4-6", "anthropic.claude-sonnet-4-6"),
        ("arn:aws:bedrock:us-east-1::foundation-model/meta.llama3-8b-instruct-v1:0", "meta.llama3-8b-instruct-v1:0"),
        ("arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc",
            "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc",
        ),
        ("au.example", "au.example"),
    ],
)
def test_a_models_own_id_is_found_in_all_its_forms(given: str, base: str) -> None:
    assert base_model(given) == base


@pytest.mark.parametrize(
    ("model", "facts"),
    [
        ("anthropic.claude-v2:1", {"tools": False, "thinks": None}),
        ("anthropic.claude-3-haiku-20240307-v1:0", {"thinks": None, "schema": "tool", "prefill": True}),
        ("anthropic.claude-3-7-sonnet-20250219-v1:0", {"thinks": "budget", "schema": "tool", "sampling": "both"}),
        ("anthropic.claude-sonnet-4-20250514-v1:0", {"thinks": "budget", "schema": "tool", "sampling": "both"}),
        ("anthropic.claude-opus-4-1-20250805-v1:0", {"thinks": "budget", "sampling": "one", "schema": "tool"}),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", {"thinks": "budget", "sampling": "one", "schema": "native"}),
        ("anthropic.claude-sonnet-4-6", {"thinks": "adaptive", "sampling": "one", "prefill": False}),
        ("anthropic.claude-opus-4-7", {"thinks": "adaptive", "sampling": "none", "prefill": False}),
        ("amazon.nova-micro-v1:0", {"media": frozenset(), "thinks": None}),
        ("amazon.nova-2-lite-v1:0", {"thinks": "nova", "s3": True}),
        ("meta.llama3-1-70b-instruct-v1:0", {"media": frozenset({"document"}), "stops": 0}),
        ("mistral.pixtral-large-2502-v1:0", {"tool_id_length": 9, "issued_ids": True, "schema": "tool"}),
        ("openai.gpt-oss-20b-1:0", {"thinks": "effort", "schema": "native"}),
        ("moonshot.kimi-k2-thinking", {"thinks": "always"}),
        ("writer.palmyra-x5-v1:0", {"status": False}),
    ],
)
def test_a_family_has_its_facts(model: str, facts: dict[str, Any]) -> None:
    family = TABLE.of(model)
    assert {name: getattr(family, name) for name in facts} == facts


@pytest.mark.parametrize(
    ("newer", "known"),
    [("anthropic.claude-opus-9", "anthropic.claude-opus-5"), ("amazon.nova-7", "amazon.nova-2-lite")],
)
def test_a_newer_model_of_a_known_maker_gets_that_makers_newest_rules(newer: str, known: str) -> None:
    assert TABLE.of(newer) is TABLE.of(known)


def test_an_id_that_tells_nothing_gets_everything_but_reasoning() -> None:
    family = TABLE.of("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc")
    assert family is UNKNOWN
    assert "reasoning" not in Bedrock().features("imported").settings


def test_rows_of_the_callers_own_come_first() -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"
    rows = [{"pattern": r".*/abc$", "like": "us.anthropic.claude-sonnet-4-6", "stops": 2}]
    backend = Bedrock(families=rows)
    assert "reasoning" in backend.features(arn).settings
    sent = backend.encode(request("Hi", model=arn, reasoning="low"), stream=False).body
    assert sent["additionalModelRequestFields"]["thinking"] == {"type": "adaptive"}


def test_a_row_takes_what_it_leaves_out_from_the_table() -> None:
    own = Families([{"pattern": r"amazon\.nova-lite", "media": ["image"]}], backend="bedrock").of(
        "us.amazon.nova-lite-v1:0"
    )
    assert own.media == frozenset({"image"})
    assert own.fields == {"top_k": "inferenceConfig.topK"}


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({}, "needs a pattern"),
        ({"pattern": "("}, "no regular expression"),
        ({"pattern": "x", "mediaz": ["image"]}, "did you mean 'media'"),
        ({"pattern": "x", "media": "image"}, "takes a list"),
        ({"pattern": "x", "media": ["smell"]}, "'media'"),
        ({"pattern": "x", "thinks": "bogus"}, "'thinks'"),
        ({"pattern": "x", "thinks": "effort"}, "needs efforts"),
        ({"pattern": "x", "efforts": ["bogus"]}, "'efforts'"),
        ({"pattern": "x", "stops": "a"}, "'stops'"),
        ({"pattern": "x", "fields": ["top_k"]}, "'fields'"),
    ],
)
def test_a_row_that_cannot_be_used_says_why(row: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Bedrock(families=[row])


@pytest.mark.parametrize("family", [*FAMILIES, UNKNOWN], ids=lambda family: family.pattern or "unknown")
def test_a_row_is_consistent(family: Any) -> None:
    re.compile(family.pattern)
    assert family.source.startswith("https://")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", family.checked)
    assert set(family.fields) <= set(Settings.model_fields)
    assert family.reasoning is bool(family.efforts)
    assert family.cache <= {"system", "tools", "messages"}
    assert family.schema != "tool" or "any" in family.choices


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.pattern)
def test_no_row_hides_another(family: Any) -> None:
    later = FAMILIES[FAMILIES.index(family) + 1 :]
    assert all(row.pattern != family.pattern for row in later)
