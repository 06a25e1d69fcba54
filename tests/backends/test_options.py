"""The check of options by their kind."""

from __future__ import annotations

import pytest

from genkit.backends.openai import OpenAI
from genkit.backends.options import check_options
from genkit.errors import ConfigError


def test_none_and_names_that_are_not_known_are_passed_over() -> None:
    check_options({"api_key": None, "colour": 5}, backend="acme")


def test_a_message_says_which_backend_and_what_would_do() -> None:
    with pytest.raises(ConfigError, match=r"api= must be 'auto', 'responses' or 'chat', not 'soap' \(backend='acme'\)"):
        check_options({"api": "soap"}, backend="acme")


@pytest.mark.parametrize("name", ["api_key", "base_url", "credential", "proxy"])
def test_what_may_be_a_secret_is_not_shown(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_options({name: ["secret"]}, backend="acme")
    assert "secret" not in str(caught.value)


def test_a_backend_that_is_made_by_hand_checks_them_too() -> None:
    with pytest.raises(ConfigError, match="proxy= must be a text"):
        OpenAI(proxy=5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="base_url= must be a text"):
        OpenAI(base_url=5)  # type: ignore[arg-type]
