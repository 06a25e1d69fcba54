"""The table of model families."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from genkit.backends.openai import OpenAI
from genkit.backends.openai.models import FAMILIES, FREE, NEWEST, Families, Family, family
from genkit.backends.services import SERVICES
from tests.backends.openai.chat_cases import request


@pytest.mark.parametrize(
    ("model", "reasons", "efforts"),
    [
        ("gpt-4o-mini", False, ()),
        ("gpt-4.1-2025-04-14", False, ()),
        ("gpt-3.5-turbo", False, ()),
        ("chatgpt-4o-latest", False, ()),
        ("gpt-5-chat-latest", False, ()),
        ("o1", True, ("low", "medium", "high")),
        ("o3-mini-2025-01-31", True, ("low", "medium", "high")),
        ("gpt-5-nano", True, ("minimal", "low", "medium", "high")),
        ("gpt-5-2025-08-07", True, ("minimal", "low", "medium", "high")),
        ("gpt-5-pro", True, ("high",)),
        ("gpt-5.1", False, ("none", "low", "medium", "high")),
        ("gpt-5.1-chat-latest", True, ("medium",)),
        ("gpt-5.2-pro", True, ("medium", "high", "xhigh")),
        ("gpt-5.4-mini", False, ("none", "low", "medium", "high", "xhigh")),
        ("gpt-5.6-luna", True, ("none", "low", "medium", "high", "xhigh", "max")),
        ("gpt-6-astra", True, ("low", "medium", "high", "xhigh", "max")),
    ],
)
def test_each_name_finds_its_family(model: str, reasons: bool, efforts: tuple[str, ...]) -> None:
    found = family(model)
    assert (found.reasons, found.efforts) == (reasons, efforts)


@pytest.mark.parametrize("model", ["gpt-7", "gpt-5.9-mini", "gpt-6.2-sol", "whatever"])
def test_an_unknown_name_gets_the_newest_rules(model: str) -> None:
    assert family(model) is NEWEST


def test_a_tuned_model_has_the_rules_of_its_base() -> None:
    assert family("ft:gpt-4o-mini-2024-07-18:me::abc") is family("gpt-4o-mini")


def test_models_of_compatible_services_have_no_rules() -> None:
    assert family("gpt-5", SERVICES["groq"]) is FREE


@pytest.mark.parametrize("effort", [None, "none", "high"])
def test_a_model_without_rules_samples_at_every_effort(effort: str | None) -> None:
    assert FREE.samples(effort)
    assert not NEWEST.samples("high")


def test_a_deployment_has_rules_only_if_it_is_named_after_a_model() -> None:
    assert family("gpt-5-mini", SERVICES["azure"]).reasons
    assert family("production", SERVICES["azure"]) is FREE


@pytest.mark.parametrize(
    ("model", "api"),
    [("o1-pro", "responses"), ("gpt-5.1-codex", "responses"), ("gpt-4o-audio-preview", "chat"), ("gpt-audio", "chat")],
)
def test_models_with_one_interface_are_asked_through_it(model: str, api: str) -> None:
    assert family(model).apis == {api}


@pytest.mark.parametrize(
    ("model", "wanted", "sent"),
    [
        ("gpt-5", "none", "minimal"),
        ("gpt-5", "max", "high"),
        ("gpt-5.1", "minimal", "low"),
        ("gpt-5.1", "xhigh", "high"),
        ("o3", "minimal", "low"),
        ("gpt-5-pro", "low", "high"),
        ("gpt-4o", "low", None),
        ("gpt-9", "max", "max"),
    ],
)
def test_an_effort_that_is_unknown_to_a_model_becomes_the_nearest(model: str, wanted: str, sent: str | None) -> None:
    assert family(model).nearest(wanted) == sent


EXAMPLES = (
    "gpt-6-astra gpt-5.6-sol gpt-5.5-pro gpt-5.5 gpt-5.4-pro gpt-5.4 gpt-5.3-chat-latest gpt-5.3-codex gpt-5.2-pro "
    "gpt-5.2 gpt-5.1-codex-max gpt-5.1-codex gpt-5.1 gpt-5-chat-latest gpt-5-pro gpt-5-codex gpt-5 o1-mini o1-pro "
    "o3-deep-research o3-mini o3 o1 gpt-4o-audio-preview gpt-4o-search-preview gpt-4o gpt-4"
)


def test_no_row_hides_another() -> None:
    assert [family(model) for model in EXAMPLES.split()] == list(FAMILIES)


@pytest.mark.parametrize("row", FAMILIES, ids=lambda row: row.pattern)
def test_a_row_says_where_it_comes_from_and_when_it_was_read(row: Family) -> None:
    assert row.source.startswith("https://")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", row.checked)


def test_features_follow_the_family() -> None:
    openai = OpenAI()
    assert "temperature" in openai.features("gpt-4o").settings
    assert "temperature" not in openai.features("gpt-5").settings
    assert "temperature" in openai.features("gpt-5.1").settings
    assert "stop" not in openai.features("o3").settings
    assert openai.features("gpt-4o").media == {"image", "document"}
    assert "reasoning" not in openai.features("gpt-4o").settings
    assert openai.features("gpt-audio").media == {"audio"}
    assert openai.features("gpt-5").thinking
    assert not openai.features("gpt-4o").thinking
    assert openai.features("text-embedding-3-small").embeddings
    assert not openai.features("gpt-4o").embeddings


CHAT_ALONE = {"stop", "seed", "n", "presence_penalty", "frequency_penalty"}


@pytest.mark.parametrize(
    ("backend", "model"),
    [(OpenAI(), "gpt-5-pro"), (OpenAI(api="responses"), "gpt-7"), (OpenAI(name="azure"), "o1-pro")],
)
def test_features_promise_nothing_that_the_chosen_interface_lacks(backend: OpenAI, model: str) -> None:
    found = backend.features(model)
    assert not found.settings & CHAT_ALONE
    assert "audio" not in found.media
    assert {"max_tokens", "tool_choice", "cache_prompt", "timeout"} <= found.settings


def test_a_model_that_both_interfaces_reach_has_the_settings_of_both() -> None:
    assert OpenAI().features("gpt-4o").settings >= CHAT_ALONE
    assert OpenAI(api="chat").features("gpt-5-pro").settings >= {"stop", "seed", "n"}


@pytest.mark.parametrize("name", ["openai", "ollama"])
def test_a_model_for_embeddings_takes_a_timeout_and_no_other_setting(name: str) -> None:
    found = OpenAI(name=name).features("text-embedding-3-small")
    assert found.settings == {"timeout"}
    assert found.embeddings
    assert [found.tools, found.output_schema, found.thinking, found.media] == [False, False, False, frozenset()]


def test_a_row_of_the_callers_own_says_what_an_azure_deployment_is() -> None:
    azure = OpenAI(name="azure", base_url="https://x.openai.azure.com", families=[{"pattern": "prod", "like": "o3"}])
    sent = azure.encode(request(model="prod-eu", temperature=0.5), stream=False)
    assert "temperature" not in sent.body
    assert OpenAI(name="azure").encode(request(model="prod-eu", temperature=0.5), stream=False).body["temperature"]


@pytest.mark.parametrize("name", ["openai", "groq"])
def test_a_row_says_only_what_it_says(name: str) -> None:
    """What it leaves out is as without it: the newest rules at OpenAI, none at a compatible service."""
    own = Families([{"pattern": "mine", "media": []}], backend=name).of("mine", SERVICES[name])
    assert own == replace(family("mine", SERVICES[name]), pattern="mine", media=frozenset())


def test_a_row_for_a_compatible_service_keeps_the_service_s_own_words() -> None:
    backend = OpenAI(name="ollama", families=[{"pattern": "qwen3", "media": ["image"]}])
    asked = request(model="qwen3", max_tokens=5, temperature=0.5, reasoning="high")
    assert backend.encode(asked, stream=False).body == OpenAI(name="ollama").encode(asked, stream=False).body


def test_a_row_holds_for_a_tuned_model_of_its_name() -> None:
    own = Families([{"pattern": "gpt-9", "efforts": []}, {"pattern": "ft:gpt-8", "efforts": ["low"]}], backend="openai")
    assert own.of("ft:gpt-9:me").efforts == ()
    assert own.of("ft:gpt-8:me").efforts == ("low",)


def test_efforts_of_a_row_that_genkit_has_no_words_for_are_still_taken() -> None:
    own = Families([{"pattern": "a", "efforts": ["ultra"]}, {"pattern": "b", "efforts": ["ultra", "low"]}], backend="x")
    assert own.of("a").nearest("high") == "ultra"
    assert own.of("b").nearest("high") == "low"
