"""What an official client has that is not taken over."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from genkit.backends.openai import OpenAI
from genkit.errors import ConfigError

sdk = pytest.importorskip("openai")
KEY = "sk-test"


@pytest.fixture(params=["OpenAI", "AsyncOpenAI"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def client(kind: str, **options: Any) -> Any:
    return getattr(sdk, kind)(api_key=KEY, **options)


def http_client(kind: str) -> Any:
    return (sdk.DefaultHttpxClient if kind == "OpenAI" else sdk.DefaultAsyncHttpxClient)(proxy="http://proxy:3128")


def test_a_client_with_an_http_client_of_its_own_is_refused(kind: str) -> None:
    with pytest.raises(ConfigError, match="pass it as http_client= too"):
        OpenAI(client=client(kind, http_client=http_client(kind)))


@pytest.mark.parametrize("option", [{"proxy": "http://proxy:3128"}, {"ca": "system"}, {"http_client": None}])
def test_how_to_send_can_be_said_beside_it(option: dict[str, Any]) -> None:
    sender = http_client("OpenAI")
    if "http_client" in option:
        option = {"http_client": sender}
    if "ca" in option:
        option = {"ca": __import__("ssl").create_default_context()}
    assert OpenAI(client=client("OpenAI", http_client=sender), **option).name == "openai"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_retries": 0}, "max_retries=0 of client= is not taken over .* pass retries="),
        ({"timeout": 20}, "timeout=20 of client= is not taken over .* pass timeout="),
    ],
)
def test_its_time_limit_and_retries_are_warned_about(kind: str, options: dict[str, Any], message: str) -> None:
    with pytest.warns(UserWarning, match=message):
        OpenAI(client=client(kind, **options))


def test_a_client_of_defaults_is_taken_without_a_word(kind: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert OpenAI(client=client(kind)).name == "openai"
