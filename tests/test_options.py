"""What an LLM may be made with: checked where it is written, and carried to other backends where it must be."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from pydantic import SecretStr

from genkit import LLM, errors
from genkit.backends import load
from genkit.backends.mock import Mock
from genkit.backends.openai import OpenAI
from genkit.errors import ConfigError
from genkit.transport.messages import Target
from genkit.transport.route import Proxy
from tests.farend import FarEnd, answer

IMPOSSIBLE: list[dict[str, Any]] = [
    {"headers": {"x": 5}},
    {"headers": {5: "x"}},
    {"headers": ["x"]},
    {"headers": "x"},
    {"base_url": 5},
    {"proxy": 5},
    {"ca": 5},
    {"api_key": 5},
    {"api_key": b"secret"},
    {"api_key": {"a": "secret"}},
    {"credential": "secret"},
    {"organization": 5},
    {"project": 5},
    {"api": "soap"},
    {"max_bytes": 0},
    {"max_bytes": True},
    {"max_bytes": "1"},
    {"extra": {"openai": {5: 1}}},
]


@pytest.mark.parametrize("wrong", IMPOSSIBLE)
def test_options_of_a_backend_that_cannot_be_are_errors_at_construction(wrong: dict[str, Any]) -> None:
    [name] = wrong
    for make in (LLM, LLM("azure:m").with_):
        with pytest.raises(ConfigError, match=name) as caught:
            make("azure:m", **wrong)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("wrong", [{"device": 0}, {"dtype": 5}, {"revision": 5}, {"trust_remote_code": "yes"}])
def test_options_of_a_local_model_that_cannot_be_are_errors_at_construction(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        LLM("hf:smollm2", **wrong)


def test_options_may_be_of_every_documented_kind(tmp_path: Any) -> None:
    class Token:
        def get_token(self, *scopes: str) -> Any: ...

    for ca in (str(tmp_path), tmp_path, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)):
        LLM("azure:m", api_key=lambda: "k", ca=ca, headers={"x": "y"}, max_bytes=1, proxy="http://p:1", api="chat")
    LLM("azure:m", api_key=SecretStr("k"), credential=Token(), organization=None)


WAY: dict[str, Any] = {"proxy": "http://127.0.0.1:9", "ca": "/nowhere.pem", "max_bytes": 5}


def test_with_another_backend_goes_through_the_same_proxy_and_certificates() -> None:
    llm = LLM("openai:gpt-5", api_key="secret", headers={"x": "y"}, **WAY)
    for other in (
        llm.with_("groq:llama"),
        llm.with_("mock:").with_("groq:llama"),
        llm.with_(backend=Mock()).with_("groq:m"),
    ):
        made = other._core.source()
        assert isinstance(made, OpenAI)
        assert made.transport._route.proxy_for(Target("https", "x", 443, "/")) == Proxy("127.0.0.1", 9)
        assert (made.transport._ca, made.transport._max_bytes) == ("/nowhere.pem", 5)
        assert made._connection._headers == {}
        assert made._connection._key is None


def test_a_backend_without_a_network_needs_no_proxy() -> None:
    assert LLM("openai:gpt-5", **WAY).with_("mock:").generate("hi").text == "hi"
    assert LLM("openai:gpt-5", **WAY).with_("hf:smollm2")._core.source().name == "hf"


def test_a_copys_own_proxy_comes_before_the_one_it_would_take_over() -> None:
    made = LLM("openai:gpt-5", **WAY).with_("groq:m", proxy="http://127.0.0.1:7")._core.source()
    assert isinstance(made, OpenAI)
    assert made.transport._route.proxy_for(Target("https", "x", 443, "/")) == Proxy("127.0.0.1", 7)


def test_a_fallback_by_name_goes_through_the_same_proxy() -> None:
    with FarEnd(answer(b"{}", status=503)) as proxy:
        llm = LLM("openai:a", base_url="http://one.example/v1", api_key="k", proxy=proxy.url, retries=0)
        llm = llm.with_(fallback=["ollama:b", "mock:"])
        assert llm.generate("hi").text == "hi"
        llm.close()
    assert [asked.target.split("/")[2] for asked in proxy.requests] == ["one.example:80", "localhost:11434"]


def test_the_backend_of_another_package_that_knows_no_proxy_is_not_asked_without_one(monkeypatch: Any) -> None:
    class Point:
        name = "acme"
        value = "genkit.backends.mock:Mock"

    monkeypatch.setattr("genkit.backends._entry_points", lambda: [Point])
    with pytest.raises(ConfigError, match="proxy"):
        LLM("openai:gpt-5", **WAY).with_("acme:x").generate("hi")


def test_an_answer_beyond_max_bytes_is_refused_and_the_message_names_the_option() -> None:
    with FarEnd(answer(b'{"choices":' + b" " * 100 + b"[]}")) as far:
        llm = LLM("openai:m", base_url=far.url, api_key="k", api="chat", max_bytes=50)
        with pytest.raises(errors.BadResponse, match="limit of 50 bytes: raise max_bytes"):
            llm.generate("hi")
        llm.close()


def test_what_an_llm_is_made_of_shows_no_secret() -> None:
    llm = LLM("openai:gpt-5", api_key="hidden", headers={"x": "hidden"}, proxy="http://u:hidden@p:1")
    assert "hidden" not in repr(llm._core.connection) + repr(llm._core)


@pytest.mark.parametrize("name", ["openai", "azure", "google", "vertex", "bedrock", "ollama"])
def test_every_backend_on_the_wire_takes_over_where_it_may_go_and_what_it_may_fetch(name: str) -> None:
    made: Any = LLM("groq:m", fetch=False, **WAY).with_(f"{name}:m")._core.source()
    assert made.transport._route.proxy_for(Target("https", "x", 443, "/")) == Proxy("127.0.0.1", 9)
    assert (made.transport._ca, made.transport._max_bytes, made.fetch) == (
        "/nowhere.pem",
        5,
        load("groq", fetch=False).fetch,
    )
