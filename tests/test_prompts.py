"""What users write, and the request it means."""

from __future__ import annotations

from typing import Any

import pytest

from genkit.errors import ConfigError, InvalidRequest, UnknownSetting
from genkit.prompts import Asking, messages, settings
from genkit.types import Image, Message, Settings, Text, Timeouts

PICTURE = Image(url="http://x/y.png")


@pytest.mark.parametrize(
    ("prompt", "meant"),
    [
        ("hi", [Message.user("hi")]),
        (PICTURE, [Message.user(PICTURE)]),
        (Message.assistant("a"), [Message.assistant("a")]),
        (["what?", PICTURE], [Message.user("what?", PICTURE)]),
        (
            [Message.user("a"), Message.assistant("b"), "c"],
            [Message.user("a"), Message.assistant("b"), Message.user("c")],
        ),
        ((Text(text="a"), "b"), [Message.user("a", "b")]),
        ((piece for piece in ["a", "b"]), [Message.user("a", "b")]),
    ],
)
def test_a_prompt_becomes_messages(prompt: Any, meant: list[Message]) -> None:
    assert list(messages(prompt)) == meant


def test_the_system_text_comes_first() -> None:
    assert messages("hi", system="be brief") == (Message.system("be brief"), Message.user("hi"))


@pytest.mark.parametrize("prompt", ["", [], [""], Message.user(""), Message(role="user", parts=()), ["", ""]])
def test_an_empty_prompt_is_refused_even_beside_a_system_text(prompt: Any) -> None:
    for system in (None, "be brief"):
        with pytest.raises(InvalidRequest, match="empty"):
            messages(prompt, system=system)


def test_a_lone_system_message_is_a_prompt() -> None:
    assert messages([Message.system("hi")]) == (Message.system("hi"),)


@pytest.mark.parametrize("prompt", [None, 3, b"hi", {"role": "user"}, [3], ["a", None], [["a"]]])
def test_another_type_is_refused_and_named(prompt: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"not (NoneType|int|bytes|dict|list)"):
        messages(prompt)


def test_a_misspelt_setting_is_an_error_with_the_nearest_one() -> None:
    with pytest.raises(UnknownSetting, match="'temprature', did you mean 'temperature'"):
        settings({"temprature": 0})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"top_p": "high"}, "top_p='high'"),
        ({"stop": [""]}, "stop.0=''"),
        ({"stop": 5}, "stop=5: must be a text or a list of texts"),
        ({"temperature": True}, "temperature=True: must be a number, not bool"),
    ],
)
def test_a_value_that_cannot_be_is_an_error_that_shows_it(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match="invalid setting") as caught:
        settings(wrong)
    assert said in str(caught.value)
    assert "pydantic" not in str(caught.value)


def test_a_calls_settings_lie_over_the_defaults_and_none_takes_one_away() -> None:
    base = settings({"temperature": 0.2, "seed": 1})
    assert settings({"seed": None, "top_p": 0.5}, over=base).given() == {"temperature", "top_p"}
    assert settings({"timeout": 3}, over=base) == Settings(temperature=0.2, seed=1, timeout=Timeouts(total=3))


def test_what_a_call_says_beside_the_prompt_is_laid_over_the_defaults() -> None:
    base = Asking().over({"seed": 1}, system="a", extra={"openai": {"user": "u", "store": True}}, require={"seed"})
    asking = base.over({}, extra={"openai": {"store": False}}, require="stop", on_unsupported="error")
    request = asking.request("m", "hi")
    assert request.extra == {"openai": {"user": "u", "store": False}}
    assert request.require == {"seed", "stop"}
    assert request.on_unsupported == "error"
    assert request.messages[0] == Message.system("a")
    assert base.request("m", "hi").on_unsupported == "warn"


@pytest.mark.parametrize(
    "wrong",
    [
        {"on_unsupported": "explode"},
        {"require": ["sed"]},
        {"extra": {"opnai": {"user": "u"}}},
        {"extra": {"openai": ["user"]}},
    ],
)
def test_misspelt_ways_of_asking_are_errors(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Asking().over({}, **wrong)
