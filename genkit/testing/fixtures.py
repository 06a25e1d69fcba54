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
    """Give a fresh `MockLLM`, no network, and retries and rate limits that do not wait."""
    with loopback_only(), pytest.MonkeyPatch.context() as patch:
        # Retries and limits stay on, as users have them; only the time they let pass is not worth a test's while.
        for policy in ("retry", "limit"):
            patch.setattr(f"genkit.policies.{policy}.Sleep", lambda seconds: Sleep(0.0))  # noqa: ARG005
        yield MockLLM()
