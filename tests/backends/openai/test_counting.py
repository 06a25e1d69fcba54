"""Counting tokens: what is sent, by whom, and who cannot."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from genkit import LLM
from genkit.backends.openai import OpenAI
from genkit.errors import BadResponse, Unsupported
from genkit.types import Audio, Document, Message, Request, Schema, Tool, ToolChoice
from tests.backends.openai.chat_cases import request
from tests.farend import Call, FarEnd

SCHEMA = Schema(json_schema={"type": "object", "properties": {}, "additionalProperties": False})
AZURE = "https://x.openai.azure.com"


def counting(asked: Request, **options: Any) -> dict[str, Any]:
    """Return the body that counts, and no other, whatever the interface."""
    wire = OpenAI(**options)._counting(asked)
    assert (wire.path, wire.model) == ("/responses/input_tokens", asked.model)
    return wire.body


@pytest.mark.parametrize("api", ["auto", "chat", "responses"])
def test_the_prompt_is_counted_as_responses_sees_it(api: Any) -> None:
    asked = request(Message.system("Rules"), "Hi", model="gpt-5", tools=(Tool(name="f"),), output_schema=SCHEMA)
    assert counting(asked, api=api) == {
        "model": "gpt-5",
        "instructions": "Rules",
        "input": "Hi",
        "tools": [
            {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": False}
        ],
        "text": {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA.json_schema, "strict": True}},
    }


def test_settings_that_become_no_tokens_are_left_out_and_are_no_reason_to_refuse() -> None:
    asked = request(
        model="gpt-4o",
        temperature=0.5,
        stop=("x",),
        seed=1,
        n=3,
        top_k=3,
        max_tokens=5,
        cache_prompt="1h",
        on_unsupported="error",
        extra={"openai": {"service_tier": "flex", "store": True, "max_output_tokens": 9}},
    )
    assert counting(asked) == {"model": "gpt-4o", "input": "Hi"}


def test_settings_that_become_tokens_are_counted() -> None:
    tools, choice = (Tool(name="f"), Tool(name="g")), ToolChoice(mode="named", names=("g",))
    asked = request(model="gpt-5", tools=tools, tool_choice=choice, parallel_tool_calls=False, reasoning="low")
    sent = counting(asked)
    assert sent["tool_choice"] == {"type": "function", "name": "g"}
    assert sent["parallel_tool_calls"] is False
    assert sent["reasoning"] == {"effort": "low"}


def test_options_of_the_vendors_own_are_counted_where_the_route_takes_them() -> None:
    extra = {"openai": {"previous_response_id": "resp_1", "truncation": "auto"}}
    sent = counting(request(model="gpt-5", extra=extra))
    assert (sent["previous_response_id"], sent["truncation"]) == ("resp_1", "auto")


def test_media_are_counted() -> None:
    sent = counting(request(Message.user("Read", Document(file_id="file-1")), model="gpt-5"))
    assert sent["input"][0]["content"][1] == {"type": "input_file", "file_id": "file-1"}


def test_sound_which_only_chat_reads_is_not_counted_short() -> None:
    with pytest.raises(Unsupported, match="audio"):
        counting(request(Message.user("Hear", Audio(data=b"RIFF", mime="audio/wav")), model="gpt-9"), api="chat")


@pytest.mark.parametrize("name", ["messages", "functions", "response_format", "prompt"])
def test_a_prompt_in_extra_is_not_counted_short(name: str) -> None:
    with pytest.raises(Unsupported, match=name):
        counting(request(model="gpt-5", extra={"openai": {name: {}}}))


@pytest.mark.parametrize(
    ("options", "model", "counts"),
    [
        ({}, "gpt-5", True),
        ({"api": "chat"}, "gpt-4o", True),
        ({"api": "responses"}, "gpt-5", True),
        ({"base_url": "https://eu.api.openai.com/v1"}, "gpt-5", True),
        ({"base_url": "http://localhost:1/v1", "api": "responses"}, "gpt-5", True),
        ({"base_url": "http://localhost:1/v1"}, "gpt-5", False),
        # Models of Chat alone.
        ({}, "gpt-audio", False),
        ({"name": "azure", "base_url": AZURE}, "gpt-5", False),
        ({"name": "azure", "base_url": AZURE, "api": "responses"}, "gpt-5", False),
        ({"name": "ollama"}, "qwen3", False),
        ({"name": "vllm", "api": "responses"}, "qwen3", False),
    ],
)
def test_who_counts_says_so_and_who_does_not_refuses(options: Any, model: str, counts: bool) -> None:
    backend = OpenAI(**options)
    assert backend.features(model).count_tokens is counts
    if not counts:
        with pytest.raises(Unsupported, match="token counting"):
            backend.count_tokens(request(model=model))
        with pytest.raises(Unsupported, match="token counting"):
            asyncio.run(backend.acount_tokens(request(model=model)))


def test_the_count_comes_from_the_route_of_responses() -> None:
    seen: list[Any] = []

    def count(call: Call) -> None:
        seen.append((call.request.target, json.loads(call.request.body)))
        call.answer(b'{"object": "response.input_tokens", "input_tokens": 11}')

    with FarEnd(count) as far, LLM("openai:gpt-5", base_url=f"{far.url}/v1", api_key="k", api="responses") as llm:
        assert llm.count_tokens("Hi", system="Rules") == 11
    assert seen == [("/v1/responses/input_tokens", {"model": "gpt-5", "instructions": "Rules", "input": "Hi"})]


@pytest.mark.parametrize("answer", [b"{}", b'{"input_tokens": null}', b'{"input_tokens": true}'])
def test_an_answer_without_a_count_is_a_bad_response(answer: bytes) -> None:
    def speak(call: Call) -> None:
        call.answer(answer, headers={"x-request-id": "req_1"})

    with FarEnd(speak) as far:
        backend = OpenAI(base_url=f"{far.url}/v1", api_key="k", api="responses")
        with pytest.raises(BadResponse, match="no count of tokens") as caught:
            backend.count_tokens(request(model="gpt-5"))
        backend.close()
    assert caught.value.request_id == "req_1"


def test_a_dated_route_of_azure_has_no_deployment_in_paths_below_responses() -> None:
    openai = pytest.importorskip("openai")
    client = openai.AzureOpenAI(api_key="k", azure_endpoint=AZURE, api_version="2025-04-01-preview")
    connection = OpenAI(name="azure", client=client)._connection
    for path in ("/responses", "/responses/input_tokens"):
        assert f"/openai{path}?" in connection.url(connection.place(), path, model="gpt-5")
