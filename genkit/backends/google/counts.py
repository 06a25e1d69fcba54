"""Token counts of Gemini's usage as classes that do not overlap."""

from __future__ import annotations

from typing import Any

from ...types import Usage

__all__ = ["count", "usage"]

JSON = dict[str, Any]


def usage(counts: JSON | None) -> Usage:
    """Return the disjoint usage for the vendor's counts.

    The prompt includes what was cached; thoughts stand beside the answer, and so do the results of Google's own tools
    beside the prompt, which is what is billed for them.
    """
    if not counts:
        return Usage()
    prompt, tools = count(counts, "promptTokenCount"), count(counts, "toolUsePromptTokenCount") or 0
    thoughts, answer = count(counts, "thoughtsTokenCount") or 0, count(counts, "candidatesTokenCount")
    total = count(counts, "totalTokenCount")
    if answer is None and prompt is not None and total is not None:
        # It is left out where it is 0, as when all tokens went into thought.
        answer = max(total - prompt - tools - thoughts, 0)
    if prompt is None:
        return Usage(output=answer, reasoning=thoughts, raw=counts)
    cached = count(counts, "cachedContentTokenCount") or 0
    given, kept = _kinds(counts, "promptTokensDetails"), _kinds(counts, "cacheTokensDetails")
    used = _kinds(counts, "toolUsePromptTokensDetails")
    made = _kinds(counts, "candidatesTokensDetails")
    left, (read, heard, seen) = _share(
        prompt + tools,
        cached,
        *(max(given.get(kind, 0) - kept.get(kind, 0), 0) + used.get(kind, 0) for kind in ("AUDIO", "IMAGE")),
    )
    rest: int | None = None
    spoken = drawn = 0
    if answer is not None:
        rest, (spoken, drawn) = _share(answer, made.get("AUDIO", 0), made.get("IMAGE", 0))
    return Usage(
        input=left,
        output=rest,
        cache_read=read,
        reasoning=thoughts,
        input_audio=heard,
        output_audio=spoken,
        input_image=seen,
        output_image=drawn,
        raw=counts,
    )


def count(counts: Any, name: str) -> int | None:
    """Return a count, or None where there is none."""
    found = counts.get(name) if isinstance(counts, dict) else None
    return max(found, 0) if isinstance(found, int) and not isinstance(found, bool) else None


def _kinds(counts: JSON, name: str) -> dict[str, int]:
    details = counts.get(name)
    found: dict[str, int] = {}
    for entry in details if isinstance(details, list) else ():
        if isinstance(entry, dict) and isinstance(kind := entry.get("modality"), str):
            found[kind] = found.get(kind, 0) + (count(entry, "tokenCount") or 0)
    return found


def _share(total: int, *classes: int) -> tuple[int, list[int]]:
    """Take each class out of what is left of the total, so that the classes add up to what was billed."""
    taken = []
    for wanted in classes:
        taken.append(min(wanted, total))
        total -= taken[-1]
    return total, taken
