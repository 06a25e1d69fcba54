"""Token counts of OpenAI's usage, where details are parts of sums, as classes that do not overlap."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ...types import Usage

__all__ = ["count", "share", "usage"]

# Kinds of tokens that few answers count; cached and reasoning tokens are usual.
_RARE_INPUT = ("cache_write_tokens", "audio_tokens", "image_tokens")
_RARE_OUTPUT = ("audio_tokens", "image_tokens")


def usage(counts: dict[str, Any] | None) -> Usage:
    """Return the disjoint usage for the counts of Chat Completions, in which details are parts of the sums."""
    if not counts or not isinstance(counts.get("prompt_tokens"), int):
        return Usage(raw=counts or None)
    if not isinstance(counts.get("completion_tokens"), int):
        return _without_completion(counts)
    prompt, completion = count(counts, "prompt_tokens"), count(counts, "completion_tokens")
    inside, within = counts.get("prompt_tokens_details"), counts.get("completion_tokens_details")
    # DeepSeek's own name for it.
    cached = count(inside, "cached_tokens") or count(counts, "prompt_cache_hit_tokens")
    reasoning = count(within, "reasoning_tokens")
    # xAI and Google's route leave reasoning out of the completion; only the total tells.
    unseen = count(counts, "total_tokens") - prompt - completion
    if unseen > 0 and reasoning in (0, unseen):
        completion, reasoning = completion + unseen, unseen
    if not (_counts_any(inside, _RARE_INPUT) or _counts_any(within, _RARE_OUTPUT)):
        cached, reasoning = min(cached, prompt), min(reasoning, completion)
        return Usage(prompt - cached, completion - reasoning, cached, 0, reasoning, raw=counts)
    # Where details overlap, the earlier one takes the tokens, so that the classes add up to what was billed.
    left, (read, write, heard, seen) = share(prompt, cached, *(count(inside, name) for name in _RARE_INPUT))
    rest, (thought, spoken, drawn) = share(completion, reasoning, *(count(within, name) for name in _RARE_OUTPUT))
    return Usage(
        input=left,
        output=rest,
        cache_read=read,
        cache_write=write,
        reasoning=thought,
        input_audio=heard,
        output_audio=spoken,
        input_image=seen,
        output_image=drawn,
        raw=counts,
    )


def _without_completion(counts: dict[str, Any]) -> Usage:
    """Return the usage where the answer was not counted: it is what the total has beyond the prompt, or unknown."""
    total = counts.get("total_tokens")
    beyond = max(0, total - counts["prompt_tokens"]) if isinstance(total, int) else None
    known = usage({**counts, "completion_tokens": beyond or 0})
    return replace(known, output=None, raw=counts) if beyond is None else replace(known, raw=counts)


def count(counts: Any, name: str) -> int:
    """Return a count; what is missing, or is no count, is none."""
    found = counts.get(name) if isinstance(counts, dict) else None
    return max(found, 0) if isinstance(found, int) else 0


def share(total: int, *classes: int) -> tuple[int, list[int]]:
    """Take each class out of what is left of the total; return the rest, and what each class got."""
    taken = []
    for wanted in classes:
        taken.append(min(wanted, total))
        total -= taken[-1]
    return total, taken


def _counts_any(details: Any, names: Iterable[str]) -> bool:
    return isinstance(details, dict) and any(map(details.get, names))
