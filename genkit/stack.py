"""The policies around one backend, in their order. Loaded at the first call: with it come tenacity and asyncio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .backends import Backend
from .policies import Control, Fallback, Limit, Policy, Retry, Target

__all__ = ["RETRIES", "Control", "Target", "build", "limited"]

RETRIES = 2


def limited(backend: Backend, policies: Mapping[str, Any]) -> Backend:
    """Return the backend within the limits that were given, if any."""
    concurrency, rate = policies.get("concurrency"), policies.get("requests_per_minute")
    if concurrency is None and rate is None:
        return backend
    return Limit(backend, concurrency=concurrency, requests_per_minute=rate)


def build(backend: Backend, label: str, policies: Mapping[str, Any], fallbacks: Sequence[Target]) -> Policy:
    """Return a (limited) backend inside its other policies: Retry, and Fallback around it.

    Args:
        backend: What `limited` returned.
        label: What reports of a fallback call it.
        policies: The keyword retries, where it was given.
        fallbacks: Who is asked, in order, when it fails.
    """
    stack = backend
    if retries := policies.get("retries", RETRIES):
        stack = Retry(stack, retries=retries)
    if fallbacks:
        stack = Fallback(Target(stack, None, label), *fallbacks)
    return stack if isinstance(stack, Policy) else Policy(stack)
