"""The policies around one backend, in their order. Loaded at the first call: with it come tenacity and asyncio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .backends import Backend
from .policies import Control, Fallback, Limit, Policy, Retry, Target

__all__ = ["RETRIES", "Control", "Target", "build"]

RETRIES = 2


def build(backend: Backend, label: str, policies: Mapping[str, Any], fallbacks: Sequence[Target]) -> Policy:
    """Return the backend inside its policies, outermost Fallback, then Retry, then Limit.

    Args:
        backend: Innermost.
        label: What reports of a fallback call it.
        policies: The keywords retries, concurrency and requests_per_minute, as far as they were given.
        fallbacks: Who is asked, in order, when it fails.
    """
    stack = backend
    concurrency, rate = policies.get("concurrency"), policies.get("requests_per_minute")
    if concurrency is not None or rate is not None:
        stack = Limit(stack, concurrency=concurrency, requests_per_minute=rate)
    if retries := policies.get("retries", RETRIES):
        stack = Retry(stack, retries=retries)
    if fallbacks:
        stack = Fallback(Target(stack, None, label), *fallbacks)
    return stack if isinstance(stack, Policy) else Policy(stack)
