"""What the pytest plugin does when a test asks for it; loaded then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ..policies import Sleep
from .llm import MockLLM
from .network import loopback_only

__all__ = ["mocked"]


@contextmanager
def mocked() -> Iterator[MockLLM]:
    """Give a fresh `MockLLM`, no network, and retries that do not wait."""
    with loopback_only(), pytest.MonkeyPatch.context() as patch:
        # Retries stay on, as users have them; only the time between two tries is not worth a test's while.
        patch.setattr("genkit.policies.retry.Sleep", lambda seconds: Sleep(0.0))  # noqa: ARG005
        yield MockLLM()
