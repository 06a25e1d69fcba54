"""The pytest plugin. pytest loads it in every project beside which genkit-llm is installed, so it imports nothing.

It lies outside the package `genkit` for that: importing any part of a package runs the package's own imports first.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from genkit.testing.llm import MockLLM

__all__ = ["mock_llm"]

pytest.register_assert_rewrite("genkit.testing.contract")


@pytest.fixture
def mock_llm() -> Iterator[MockLLM]:
    """An `LLM` that answers from a script, while the network is blocked and retries do not wait.

    Rate limits do not wait either. Script it with `mock_llm.reply(...)`, `.fail(...)` and `.cut(...)`; `.calls` are
    the requests it got.
    """
    with import_module("genkit.testing.fixtures").mocked() as llm:
        yield llm
