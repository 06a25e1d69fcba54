"""In what the bodies sent to Bedrock may differ from the recorded ones, each with its reason."""

from __future__ import annotations

import json
from typing import Any

from ..bodies import Rule, objects

__all__ = ["ACCEPTED", "FIELDS"]

JSON = dict[str, Any]


def _sections(body: JSON) -> JSON:
    """Return the body that has the sections: CountTokens wraps one."""
    return (body.get("input") or {}).get("converse") or body


def _empty(theirs: JSON, mine: JSON) -> bool:
    found = False
    left, right = _sections(theirs), _sections(mine)
    for one, other in ((left, right), (right, left)):
        for key in ("system", "inferenceConfig", "additionalModelRequestFields"):
            if one.get(key) in ({}, []) and key not in other:
                del one[key]
                found = True
    return found


def _turns_joined(theirs: JSON, mine: JSON) -> bool:
    found = False
    joined: list[JSON] = []
    for message in theirs.get("messages") or []:
        if joined and joined[-1]["role"] == message["role"]:
            joined[-1] = {**joined[-1], "content": [*joined[-1]["content"], *message["content"]]}
            found = True
        else:
            joined.append(message)
    if found:
        theirs["messages"] = joined
    return found


def _floats(theirs: JSON, mine: JSON) -> bool:
    if mine.get("embedding_types") == ["float"] and "embedding_types" not in theirs:
        del mine["embedding_types"]
        return True
    return False


def _defaults(theirs: JSON, mine: JSON) -> bool:
    found = False
    for left, right in objects(theirs, mine):
        for one, other in ((left, right), (right, left)):
            if "toolUseId" in one and one.get("status") == "success" and "status" not in other:
                del one["status"]
                found = True
            if one.get("toolChoice") == {"auto": {}} and "toolChoice" not in other and "tools" in other:
                del one["toolChoice"]
                found = True
            if one.get("type") == "tool_use" and "toolUseId" in one and "type" not in other:
                del one["type"]
                found = True
    return found


def _not_counted(theirs: JSON, mine: JSON) -> bool:
    if "converse" not in (theirs.get("input") or {}):
        return False
    left, right = _sections(theirs), _sections(mine)
    found = False
    for key in ("inferenceConfig", "guardrailConfig"):
        if key in left and key not in right:
            del left[key]
            found = True
    return found


def _told_in_words(theirs: JSON, mine: JSON) -> bool:
    """A tool's answer in genkit is a text: an object goes as the JSON of it."""
    found = False
    for left, right in objects(theirs.get("messages"), mine.get("messages")):
        if set(left) == {"json"} and set(right) == {"text"} and json.loads(right["text"]) == left["json"]:
            left.clear()
            left["text"] = right["text"]
            found = True
    return found


def _schema_text(theirs: JSON, mine: JSON) -> bool:
    found = False
    for left, right in objects(theirs, mine):
        one, other = left.get("schema"), right.get("schema")
        if isinstance(one, str) and isinstance(other, str) and one != other and json.loads(one) == json.loads(other):
            left["schema"] = other
            found = True
    return found


def _nothing_said(theirs: JSON, mine: JSON) -> bool:
    found = False
    for left, right in objects(theirs, mine):
        for one, other in ((left, right), (right, left)):
            for key in [key for key in one if key not in other]:
                if one[key] is None or (one[key] == "" and key == "description"):
                    del one[key]
                    found = True
    return found


ACCEPTED: tuple[tuple[str, Rule], ...] = (
    ("an empty section is left out", _empty),
    ("two turns of one side in a row are one", _turns_joined),
    ("vectors are asked for as numbers", _floats),
    ("a vendor's default is left out, or said (status success, choice auto, type tool_use)", _defaults),
    ("what does not change the count is left out", _not_counted),
    ("a tool's answer goes as text", _told_in_words),
    ("the JSON of a schema is written anew, with the same value", _schema_text),
    ("null, or an empty description, is left out", _nothing_said),
)
"""Differences that are meant: the reason, and what removes one."""

# A warning about a setting explains its field.
FIELDS = {
    "temperature": ("inferenceConfig.temperature",),
    "top_p": ("inferenceConfig.topP",),
    "top_k": ("additionalModelRequestFields.top_k", "additionalModelRequestFields.inferenceConfig"),
    "max_tokens": ("inferenceConfig.maxTokens",),
    "stop": ("inferenceConfig.stopSequences",),
    "reasoning": (
        "additionalModelRequestFields.thinking",
        "additionalModelRequestFields.output_config",
        "additionalModelRequestFields.reasoning_effort",
    ),
    "output_schema": ("outputConfig",),
    "tool_choice": ("toolConfig.toolChoice",),
}
