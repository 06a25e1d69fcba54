"""The table of compatible services."""

from __future__ import annotations

import dataclasses
from string import Formatter
from urllib.parse import urlsplit

import pytest

from genkit.backends import TABLE, load
from genkit.backends.services import SERVICES, Service
from genkit.types import Message, Request, Settings

ROWS = list(SERVICES.values())
FIXED = [row for row in ROWS if row.base_url and not row.variables]


def test_the_promised_services_are_there() -> None:
    assert set(SERVICES) >= {
        "openai",
        "azure",
        "ollama",
        "vllm",
        "lmstudio",
        "llamacpp",
        "groq",
        "together",
        "fireworks",
        "openrouter",
        "deepseek",
        "mistral",
        "xai",
        "cerebras",
        "nvidia",
        "huggingface",
        "anthropic",
        "bedrock-openai",
        "vertex-openai",
    }


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_says_where_its_facts_stand(row: Service) -> None:
    assert row.source.startswith("https://")
    assert row.checked


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_setting_of_a_row_is_one_of_genkits(row: Service) -> None:
    assert row.settings <= Settings.model_fields.keys()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_service_that_needs_a_key_names_its_variable(row: Service) -> None:
    assert row.key_env


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_gap_in_an_address_has_a_variable(row: Service) -> None:
    gaps = {name for _, name, _, _ in Formatter().parse(row.base_url) if name}
    assert gaps == {name for name, _ in row.variables}


@pytest.mark.parametrize("row", FIXED, ids=lambda row: row.name)
def test_keys_leave_this_machine_only_over_tls(row: Service) -> None:
    parts = urlsplit(row.base_url)
    assert parts.scheme == "https" or parts.hostname == "localhost"


@pytest.mark.parametrize("row", FIXED, ids=lambda row: row.name)
def test_a_row_is_all_that_a_service_takes(row: Service) -> None:
    backend = load(row.name)
    plan = backend.plan(Request(model="m", messages=(Message.user("Hi"),)))
    assert plan.url.startswith(row.base_url)
    assert plan.body["model"] == "m"
    assert plan.backend == row.name


def test_every_row_is_a_backend() -> None:
    assert set(SERVICES) <= set(TABLE)


def test_rows_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        SERVICES["openai"].base_url = "x"  # type: ignore[misc]
