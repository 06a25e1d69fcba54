"""Any history may go to any backend: what is sent is valid by that vendor's rules, and nothing vanished unreported."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genkit import LLM
from genkit.backends import TABLE
from genkit.testing.contract.asking import WEATHER
from tests.portability.answers import ORIGINS
from tests.portability.histories import History, histories
from tests.portability.rules import RULES

TARGETS = {
    "OpenAI Responses": ("openai:gpt-4.1", {"api": "responses"}, "responses"),
    "OpenAI Responses, reasoning": ("openai:gpt-5", {"api": "responses"}, "responses"),
    "OpenAI Chat": ("openai:gpt-4.1", {"api": "chat"}, "chat"),
    "Azure": ("azure:gpt-4.1", {"api": "responses"}, "responses"),
    "Gemini 2.5": ("google:gemini-2.5-flash", {}, "google"),
    "Gemini 3": ("google:gemini-3-pro-preview", {}, "google"),
    "Vertex": ("vertex:gemini-2.5-pro", {}, "google"),
    "Nova": ("bedrock:amazon.nova-lite-v1:0", {}, "bedrock"),
    "Claude": ("bedrock:us.anthropic.claude-sonnet-4-5-20250929-v1:0", {}, "claude"),
    "Mistral on Bedrock": ("bedrock:mistral.mistral-large-2407-v1:0", {}, "bedrock"),
}
# These cache prompts by themselves: a mark is heeded without a word on the wire.
CACHES = {"chat": {"cache"}, "responses": {"cache"}}
LOOK = WEATHER.model_copy(update={"name": "look"})


@pytest.mark.parametrize("with_tools", [True, False], ids=["tools", "no tools"])
@pytest.mark.parametrize("origin", ORIGINS, ids=str)
@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_history_of_one_vendor_goes_to_another(data: Any, target: str, origin: str | None, with_tools: bool) -> None:
    model, options, rules = TARGETS[target]
    history: History = data.draw(histories(origin))
    plan = LLM(model, **options).plan(history.messages, tools=[LOOK] if with_tools else [])
    body = json.dumps(plan.body, ensure_ascii=False) + _decoded(plan.body)
    assert list(RULES[rules](plan.body)) == []
    assert [mark for mark in history.kept if mark not in body] == []
    told = {warning.subject for warning in plan.warnings} | CACHES.get(rules, set())
    lost = [one for one in history.either if not one[2] & told and one[0] not in _below(plan.body, one[1], body)]
    assert lost == []


def _below(value: Any, key: str, body: str) -> str:
    """Return the texts that stand below a key of a body, or all of it for no key."""
    if not key:
        return body
    if isinstance(value, dict):
        return " ".join(json.dumps(one) if name == key else _below(one, key, body) for name, one in value.items())
    return " ".join(_below(one, key, body) for one in value) if isinstance(value, list) else ""


def _decoded(value: Any) -> str:
    """Return what stands in a body as base64, as text."""
    if isinstance(value, dict):
        return " ".join(map(_decoded, value.values()))
    if isinstance(value, list):
        return " ".join(map(_decoded, value))
    if isinstance(value, str) and len(value) > 16:
        try:
            return base64.b64decode(value.rpartition("base64,")[2], validate=True).decode("latin-1")
        except ValueError:
            return ""
    return ""


def test_every_vendor_of_the_table_is_a_target() -> None:
    assert {model.partition(":")[0] for model, _, _ in TARGETS.values()} >= {
        "openai",
        "azure",
        "google",
        "vertex",
        "bedrock",
    }
    assert {model.partition(":")[0] for model, _, _ in TARGETS.values()} <= set(TABLE)
