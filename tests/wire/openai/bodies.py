"""In what the bodies sent to OpenAI and Azure may differ from the recorded ones, each with its reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from genkit.types import CallWarning

from ..bodies import Rule, objects

__all__ = ["ACCEPTED", "FIELDS", "explained", "turns"]

JSON = dict[str, Any]


def turns(theirs: JSON, mine: JSON) -> Iterator[tuple[JSON, JSON]]:
    """Pair the messages or items of two bodies, as far as they pair."""
    for name in ("messages", "input"):
        left, right = theirs.get(name), mine.get(name)
        if isinstance(left, list) and isinstance(right, list):
            yield from (
                (a, b) for a, b in zip(left, right, strict=False) if isinstance(a, dict) and isinstance(b, dict)
            )


def _stream_usage(theirs: JSON, mine: JSON) -> bool:
    if mine.get("stream") and "stream_options" not in theirs and mine.get("stream_options") == {"include_usage": True}:
        del mine["stream_options"]
        return True
    return False


def _stream_false(theirs: JSON, mine: JSON) -> bool:
    if theirs.get("stream") is False and "stream" not in mine:
        del theirs["stream"]
        return True
    return False


def _token_field(theirs: JSON, mine: JSON) -> bool:
    if "max_tokens" in theirs and "max_completion_tokens" in mine and "max_completion_tokens" not in theirs:
        theirs["max_completion_tokens"] = theirs.pop("max_tokens")
        return True
    return False


def _one_turn(theirs: JSON, mine: JSON) -> bool:
    found = False
    for one, other in ((theirs, mine), (mine, theirs)):
        text, turns = one.get("input"), other.get("input")
        if isinstance(text, str) and isinstance(turns, list) and len(turns) == 1:
            one["input"] = [{"role": "user", "content": text}] if isinstance(turns[0], dict) else [text]
            found = True
    return found


def _instructions(theirs: JSON, mine: JSON) -> bool:
    first = theirs["input"][0] if isinstance(theirs.get("input"), list) and theirs["input"] else {}
    leads = isinstance(first, dict) and first.get("role") in ("system", "developer") and "content" in first
    if leads and "instructions" in mine and not theirs.get("instructions"):
        theirs.pop("instructions", None)
        theirs["instructions"] = first["content"]
        theirs["input"] = theirs["input"][1:]
        return True
    return False


def _nothing_kept(theirs: JSON, mine: JSON) -> bool:
    if "input" not in mine or "encoding_format" in mine:
        return False
    found = False
    if mine.get("store") is False and "store" not in theirs:
        del mine["store"]
        found = True
    wanted = "reasoning.encrypted_content"
    asked = mine.get("include") or []
    if wanted in asked and wanted not in (theirs.get("include") or []):
        mine["include"] = [name for name in asked if name != wanted]
        if not mine["include"] and "include" not in theirs:
            del mine["include"]
        found = True
    return found


def _content_form(theirs: JSON, mine: JSON) -> bool:
    found = False
    for left, right in turns(theirs, mine):
        for name in ("content", "output"):
            one, other = _as_text(left.get(name)), _as_text(right.get(name))
            if one is not None and one == other and left[name] != right[name]:
                left[name] = right[name] = one
                found = True
    return found


def _joined(theirs: JSON, mine: JSON) -> bool:
    found = False
    for left, right in turns(theirs, mine):
        content = left.get("content")
        if (
            left.get("role") != "assistant"
            or not isinstance(content, list)
            or not isinstance(right.get("content"), str)
        ):
            continue
        if all(set(part) == {"type", "text"} for part in content):
            left["content"] = "".join(part["text"] for part in content)
            found = True
    return found


def _as_text(content: Any) -> str | None:
    if isinstance(content, str):
        return content
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
        part = content[0]
        if part.get("type") in ("text", "input_text", "output_text") and not set(part) - {
            "type",
            "text",
            "annotations",
        }:
            return part["text"] if not part.get("annotations") else None
    return None


def _message_type(theirs: JSON, mine: JSON) -> bool:
    found = False
    for left, right in turns(theirs, mine):
        if ("type" in left) != ("type" in right) and "message" in (left.get("type"), right.get("type")):
            left["type"] = right["type"] = "message"
            found = True
    return found


def _system_word(theirs: JSON, mine: JSON) -> bool:
    found = False
    for left, right in turns(theirs, mine):
        if {left.get("role"), right.get("role")} == {"system", "developer"}:
            left["role"] = right["role"]
            found = True
    return found


def _written_anew(theirs: JSON, mine: JSON) -> bool:
    found = False
    for left, right in objects(theirs, mine):
        one, other = left.get("arguments"), right.get("arguments")
        if isinstance(one, str) and isinstance(other, str) and one != other and _same_json(one, other):
            left["arguments"] = other
            found = True
    return found


def _same_json(one: str, other: str) -> bool:
    try:
        return bool(json.loads(one or "{}") == json.loads(other or "{}"))
    except ValueError:
        return False


def _nothing_said(theirs: JSON, mine: JSON) -> bool:
    found = False
    for left, right in objects(theirs, mine):
        for one, other in ((left, right), (right, left)):
            for key in [key for key in one if key not in other]:
                empty_list = one[key] == [] and key in ("annotations", "logprobs", "include", "tools")
                if one[key] is None or empty_list or (one[key] == "" and key == "description"):
                    del one[key]
                    found = True
        if left.get("content", 0) in ("", None) and right.get("content", 0) in ("", None) and left != right:
            left["content"] = right["content"]
            found = True
    return found


def _defaults(theirs: JSON, mine: JSON) -> bool:
    defaults = {"strict": False, "n": 1, "detail": "auto", "logprobs": False}
    found = False
    for left, right in objects(theirs, mine):
        for key, value in defaults.items():
            for one, other in ((left, right), (right, left)):
                if key in one and key not in other and one[key] == value and type(one[key]) is type(value):
                    del one[key]
                    found = True
    return found


def _stop_list(theirs: JSON, mine: JSON) -> bool:
    if isinstance(theirs.get("stop"), str) and mine.get("stop") == [theirs["stop"]]:
        theirs["stop"] = mine["stop"]
        return True
    return False


def _packed_vectors(theirs: JSON, mine: JSON) -> bool:
    if mine.get("encoding_format") == "base64" and theirs.get("encoding_format") != "base64":
        theirs["encoding_format"] = "base64"
        return True
    return False


ACCEPTED: tuple[tuple[str, Rule], ...] = (
    ("usage is always asked for in streams (stream_options)", _stream_usage),
    ("stream: false is the default and left out", _stream_false),
    ("max_tokens is sent by its newer name, max_completion_tokens", _token_field),
    ("a leading system item of Responses is sent as instructions", _instructions),
    ("a lone input is a bare string here, a list of one there", _one_turn),
    ("nothing is kept at the vendor: store false, encrypted reasoning asked for", _nothing_kept),
    ("a text as content is a string here, a list of one part there", _content_form),
    ("several texts in one answer of the model are sent as one string", _joined),
    ("a message item says type: message, or leaves it out", _message_type),
    ("the system role is called what the model's family calls it", _system_word),
    ("the JSON of tool call arguments is written anew, with the same value", _written_anew),
    ("null, or an empty list, description or content, is left out", _nothing_said),
    ("a vendor's default is left out, or said (strict false, n 1, detail auto, logprobs false)", _defaults),
    ("a single stop text is sent as a list", _stop_list),
    ("vectors are always asked for in base64", _packed_vectors),
)
"""Differences that are meant: the reason, and what removes one."""

# A warning about a setting explains its field.
FIELDS = {
    "max_tokens": ("max_tokens", "max_completion_tokens", "max_output_tokens"),
    "reasoning": ("reasoning", "reasoning_effort"),
    "output_schema": ("response_format", "text"),
}


def explained(theirs: JSON, mine: JSON, warning: CallWarning) -> list[str]:
    """Remove reasoning that cannot go back, and system messages of models without that role; return the reasons."""
    reasons = []
    if warning.subject == "thinking" and isinstance(theirs.get("input"), list):
        sent = {item.get("id") for item in mine.get("input") or [] if isinstance(item, dict)}
        lost = [item for item in theirs["input"] if item.get("type") == "reasoning" and item.get("id") not in sent]
        if lost:
            theirs["input"] = [item for item in theirs["input"] if item not in lost]
            reasons.append("reported by a warning: reasoning that cannot go back")
    if warning.subject == "system":
        for left, right in turns(theirs, mine):
            if left.get("role") in ("system", "developer") and right.get("role") == "user":
                left["role"] = "user"
                reasons.append("reported by a warning: no system role")
    return reasons
