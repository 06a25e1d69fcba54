"""The body genkit sent against the body recorded: equal, up to the differences that a vendor's list accepts.

`compare` removes an accepted difference only where it meets one, and says which; what is left over is a failure.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from genkit.types import CallWarning

__all__ = ["Explanation", "Rule", "compare", "objects"]

JSON = dict[str, Any]
Rule = Callable[[JSON, JSON], bool]
"""Removes one kind of difference between the recorded body and the one sent; returns whether it met it."""
Explanation = Callable[[JSON, JSON, CallWarning], list[str]]
"""Removes what a warning explains, and returns the reasons."""


def _nothing_more(theirs: JSON, mine: JSON, warning: CallWarning) -> list[str]:
    return []


def compare(
    recorded: JSON,
    sent: JSON,
    warnings: Sequence[CallWarning] = (),
    *,
    accepted: Sequence[tuple[str, Rule]],
    fields: Mapping[str, tuple[str, ...]],
    explained: Explanation = _nothing_more,
) -> tuple[list[str], list[str]]:
    """Return the reasons of the differences that are accepted, and the differences that are not.

    Args:
        recorded: The recorded body.
        sent: The body that genkit sent.
        warnings: What genkit said it does not send as asked.
        accepted: The vendor's list: reason, and what removes such a difference.
        fields: Where a setting stands in a body, as dotted paths, where it is not its own name.
        explained: Removes what a warning explains beyond the field of its setting.
    """
    mine, theirs = copy.deepcopy(sent), copy.deepcopy(recorded)
    reasons = []
    for warning in warnings:
        reasons += _reported(theirs, mine, warning, fields.get(warning.subject, (warning.subject,)))
        reasons += explained(theirs, mine, warning)
    reasons += [why for why, rule in accepted if rule(theirs, mine)]
    return reasons, list(_unequal(theirs, mine, "body"))


def _reported(theirs: JSON, mine: JSON, warning: CallWarning, paths: Sequence[str]) -> list[str]:
    """Remove the fields of the setting that a warning names; return the reasons."""
    reasons = []
    for path in paths:
        *way, name = path.split(".")
        left, right = _inside(theirs, way), _inside(mine, way)
        if name in left and left.get(name) != right.get(name):
            left.pop(name)
            right.pop(name, None)
            reasons.append(f"reported by a warning: {warning.kind} {warning.subject}")
    return reasons


def _inside(body: JSON, way: Sequence[str]) -> JSON:
    for step in way:
        body = body.get(step) or {}
    return body


def _unequal(theirs: Any, mine: Any, path: str) -> Iterator[str]:
    if isinstance(theirs, dict) and isinstance(mine, dict):
        for key in sorted({*theirs, *mine}):
            if key not in mine:
                yield f"{path}.{key}: recorded {_short(theirs[key])}, not sent"
            elif key not in theirs:
                yield f"{path}.{key}: sent {_short(mine[key])}, not recorded"
            else:
                yield from _unequal(theirs[key], mine[key], f"{path}.{key}")
    elif isinstance(theirs, list) and isinstance(mine, list) and len(theirs) == len(mine):
        for number, (left, right) in enumerate(zip(theirs, mine, strict=True)):
            yield from _unequal(left, right, f"{path}[{number}]")
    elif theirs != mine or isinstance(theirs, bool) != isinstance(mine, bool):
        yield f"{path}: recorded {_short(theirs)}, sent {_short(mine)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 160 else text[:160] + "..."


def objects(theirs: Any, mine: Any) -> Iterator[tuple[JSON, JSON]]:
    """Pair all objects of two bodies that stand in the same place."""
    if isinstance(theirs, dict) and isinstance(mine, dict):
        yield theirs, mine
        for key in theirs.keys() & mine.keys():
            yield from objects(theirs[key], mine[key])
    elif isinstance(theirs, list) and isinstance(mine, list):
        for left, right in zip(theirs, mine, strict=False):
            yield from objects(left, right)
