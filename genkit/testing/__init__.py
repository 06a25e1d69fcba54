"""For tests: a model that answers from a script, a block on the network, and the contract of all backends as tests.

pytest finds the fixture `mock_llm` by itself where genkit-llm is installed (`genkit_llm_pytest.py`). Everything here
loads on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..backends.mock import Mock, tool_call
    from .contract import BackendContract
    from .llm import MockLLM
    from .network import loopback_only

__all__ = ["BackendContract", "Mock", "MockLLM", "loopback_only", "tool_call"]

_HOMES = {
    "BackendContract": "genkit.testing.contract",
    "Mock": "genkit.backends.mock",
    "MockLLM": "genkit.testing.llm",
    "loopback_only": "genkit.testing.network",
    "tool_call": "genkit.backends.mock",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
