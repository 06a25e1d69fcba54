"""The libraries that are compared, behind one small face; each client is made once and reused, as its docs recommend.

Each has a module of its own, so that a process loads the library it measures and no other.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Literal, Protocol, TypeAlias, cast

__all__ = ["NAMES", "Api", "Subject", "load"]

PROMPT = "Say something neither long nor short, please."
MODEL = "gpt-bench"
GEMINI = "gemini-2.5-flash"
NOVA = "amazon.nova-lite-v1:0"
KEY = "sk-bench"
# A key pair for signing, which the far end does not check.
AWS_KEY, AWS_SECRET, REGION = "AKIDBENCH", "bench-secret", "us-east-1"

Api: TypeAlias = Literal["chat", "responses", "gemini", "converse"]

NAMES = {
    "genkit": "benchmarks.subject_genkit",
    "openai": "benchmarks.subject_openai",
    "openai_aiohttp": "benchmarks.subject_openai_aiohttp",
    "engine": "benchmarks.subject_engine",
    "google": "benchmarks.subject_google",
    "boto3": "benchmarks.subject_boto3",
}


class Subject(Protocol):
    """One client of one library. Every method returns what a user reads, so that lazy objects are paid for."""

    def __init__(self, base_url: str, *, api: Api = "chat", ca: str | None = None) -> None: ...

    def call(self) -> str:
        """Return the text of one answer."""
        ...

    def stream(self) -> Iterator[str]:
        """Yield the text pieces of one streamed answer."""
        ...

    def embed(self, texts: Sequence[str]) -> int:
        """Return the length of the vectors of the texts."""
        ...

    def close(self) -> None: ...

    async def acall(self) -> str: ...

    def astream(self) -> AsyncIterator[str]: ...

    async def aclose(self) -> None: ...


def load(name: str) -> type[Subject]:
    """Return a subject's class, importing its library."""
    return cast("type[Subject]", importlib.import_module(NAMES[name]).Client)
