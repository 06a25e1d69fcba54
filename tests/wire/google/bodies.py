"""In what the bodies sent to Gemini and Vertex AI may differ from the recorded ones, each with its reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from genkit.types import CallWarning

from ..bodies import Rule, objects
from .names import plain_bytes, protocol_names
from .schemas import bare, is_openapi, json_schema

__all__ = ["ACCEPTED", "FIELDS", "explained"]

JSON = dict[str, Any]


def _rewritten(change: Callable[[Any], Any]) -> Rule:
    def rule(theirs: JSON, mine: JSON) -> bool:
        found = False
        for body in (theirs, mine):
            new = change(body)
            found = found or (body is theirs and new != body)
            body.clear()
            body.update(new)
        return found

    return rule


def _whole_request_counted(theirs: JSON, mine: JSON) -> bool:
    if "generateContentRequest" not in mine or "generateContentRequest" in theirs:
        return False
    inner = mine.pop("generateContentRequest")
    mine |= {key: value for key, value in inner.items() if key != "model"}
    return True


def _turns_joined(theirs: JSON, mine: JSON) -> bool:
    found = False
    for body in (theirs, mine):
        joined: list[JSON] = []
        for content in body.get("contents") or []:
            if joined and joined[-1].get("role") == content.get("role"):
                joined[-1] = {**joined[-1], "parts": [*joined[-1]["parts"], *content["parts"]]}
                found = found or body is theirs
            else:
                joined.append(content)
        if "contents" in body:
            body["contents"] = joined
    return found


def _system_role(theirs: JSON, mine: JSON) -> bool:
    left, right = theirs.get("systemInstruction") or {}, mine.get("systemInstruction") or {}
    if "role" in left and left.get("role") != right.get("role"):
        left.pop("role")
        right.pop("role", None)
        return True
    return False


def _user_role(theirs: JSON, mine: JSON) -> bool:
    found = False
    for left, right in objects(theirs.get("contents"), mine.get("contents")):
        if "parts" in left and right.get("role") == "user" and left.get("role") in (None, "function"):
            left["role"] = "user"
            found = True
    return found


def _functions(body: JSON) -> Iterator[JSON]:
    for tool in body.get("tools") or []:
        yield from tool.get("functionDeclarations") or []


def _schemas(theirs: JSON, mine: JSON) -> Iterator[tuple[JSON, JSON, str, str]]:
    """Pair the places where schemas stand, with the names of both dialects' fields."""
    for left, right in zip(_functions(theirs), _functions(mine), strict=False):
        yield left, right, "parameters", "parametersJsonSchema"
    sections = (body.get("generationConfig") or {} for body in (theirs, mine))
    yield *sections, "responseSchema", "responseJsonSchema"


def _schema_field(theirs: JSON, mine: JSON) -> bool:
    found = False
    for left, right, old, new in _schemas(theirs, mine):
        if old in left and old not in right:
            schema = left.pop(old)
            left[new] = json_schema(schema) if is_openapi(schema) else schema
            found = True
    return found


def _no_parameters(theirs: JSON, mine: JSON) -> bool:
    found = False
    for left, right in zip(_functions(theirs), _functions(mine), strict=False):
        for one, other in ((left, right), (right, left)):
            schema = one.get("parametersJsonSchema")
            if schema is not None and "parametersJsonSchema" not in other and not schema.get("properties"):
                del one["parametersJsonSchema"]
                found = True
    return found


def _no_titles(theirs: JSON, mine: JSON) -> bool:
    found = False
    for left, right in zip(_functions(theirs), _functions(mine), strict=False):
        one, other = left.get("parametersJsonSchema"), right.get("parametersJsonSchema")
        if isinstance(one, dict) and one != other and bare(one) != one:
            left["parametersJsonSchema"] = bare(one)
            found = True
    return found


def _texts_joined(theirs: JSON, mine: JSON) -> bool:
    found = False
    for left, right in objects(theirs.get("contents"), mine.get("contents")):
        if left.get("role") != "model" or len(left["parts"]) == len(right["parts"]):
            continue
        joined: list[JSON] = []
        for part in left["parts"]:
            last = joined[-1] if joined else {}
            if part == {"text": ""}:
                continue
            if "text" in last and last == {**part, "text": last["text"]}:
                joined[-1] = {**part, "text": last["text"] + part["text"]}
            else:
                joined.append(part)
        found = found or joined != left["parts"]
        left["parts"] = joined
    return found


SKIPPING = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="
"""What the vendor documents in place of a signature, for calls of other models; it skips the check."""


def _check_skipped(theirs: JSON, mine: JSON) -> bool:
    found = False
    for left, right in objects(theirs.get("contents"), mine.get("contents")):
        calls = [part for part in right.get("parts") or [] if "functionCall" in part]
        for part, other in zip(left.get("parts") or [], right.get("parts") or [], strict=False):
            further = bool(calls) and other is not calls[0]
            if further and part.get("thoughtSignature") == SKIPPING and "thoughtSignature" not in other:
                del part["thoughtSignature"]
                found = True
    return found


def _purpose_said(theirs: JSON, mine: JSON) -> bool:
    words = {"RETRIEVAL_QUERY": "task: search result | query: ", "RETRIEVAL_DOCUMENT": "title: none | text: "}
    found = False
    for left, right in zip(theirs.get("requests") or [], mine.get("requests") or [], strict=False):
        prefix = words.get(left.get("taskType") or "")
        if prefix and "taskType" not in right:
            text = left["content"]["parts"][0]
            text["text"] = prefix + text["text"]
            del left["taskType"]
            found = True
    return found


def _nothing_said(theirs: JSON, mine: JSON) -> bool:
    found = False
    for left, right in objects(theirs, mine):
        for one, other in ((left, right), (right, left)):
            for key in [key for key in one if key not in other]:
                if one[key] is None or (one[key] == "" and key == "description") or (one[key] == {} and key == "args"):
                    del one[key]
                    found = True
    return found


def _defaults(theirs: JSON, mine: JSON) -> bool:
    found = False
    for one, other in ((theirs, mine), (mine, theirs)):
        left, right = one.get("generationConfig") or {}, other.get("generationConfig") or {}
        thinking = left.get("thinkingConfig") or {}
        if left.get("responseModalities") == ["TEXT"] and "responseModalities" not in right:
            del left["responseModalities"]
            found = True
        if thinking.get("includeThoughts") is False and "includeThoughts" not in (right.get("thinkingConfig") or {}):
            del thinking["includeThoughts"]
            found = True
        config, others = (body.get("toolConfig") or {} for body in (one, other))
        if config.get("functionCallingConfig") == {"mode": "AUTO"} and "functionCallingConfig" not in others:
            del config["functionCallingConfig"]
            found = True
    return found


def _empty(theirs: JSON, mine: JSON) -> bool:
    found = False
    for one, other in ((theirs, mine), (mine, theirs)):
        inside = one.get("generationConfig") or {}
        if inside.get("thinkingConfig") == {} and "thinkingConfig" not in (other.get("generationConfig") or {}):
            del inside["thinkingConfig"]
            found = True
        for key in ("generationConfig", "toolConfig", "tools", "safetySettings", "labels"):
            if one.get(key) in ({}, []) and key not in other:
                del one[key]
                found = True
    return found


def _told_in_words(theirs: JSON, mine: JSON) -> bool:
    """A tool's answer in genkit is a text: it is sent under one name, or as the object that it is the JSON of."""
    found = False
    for left, right in objects(theirs.get("contents"), mine.get("contents")):
        one, other = left.get("response"), right.get("response")
        if not isinstance(one, dict) or not isinstance(other, dict) or one == other or len(other) != 1:
            continue
        ((name, value),) = other.items()
        if name == "output" and (_is_json_of(value, one) or (value, one) == ("", {})):
            left["response"] = other
            found = True
    return found


def _is_json_of(text: Any, value: Any) -> bool:
    try:
        return isinstance(text, str) and bool(json.loads(text) == value)
    except ValueError:
        return False


ACCEPTED: tuple[tuple[str, Rule], ...] = (
    ("names in snake_case are the same fields", _rewritten(protocol_names)),
    ("bytes in the base64 of URLs are the same bytes", _rewritten(plain_bytes)),
    ("tokens are counted of the whole request", _whole_request_counted),
    ("the instructions have no role of their own", _system_role),
    ("two turns of one side in a row are one", _turns_joined),
    ("what is not the model's has the role user", _user_role),
    ("texts of one kind in a row are one part of an answer, and an empty one is none", _texts_joined),
    ("only the first call of a turn says that its signature is not to be checked", _check_skipped),
    ("the purpose of a text is said in it, for a model that takes no task type", _purpose_said),
    ("a schema goes as JSON schema, not in the OpenAPI dialect's field", _schema_field),
    ("titles are left out of what functions take", _no_titles),
    ("a function without parameters has no schema, or an empty one", _no_parameters),
    ("null, or an empty description or args, is left out", _nothing_said),
    ("a vendor's default is left out, or said (modality text, no thoughts shown, tools by mode AUTO)", _defaults),
    ("an empty section is left out", _empty),
    ("a tool's answer goes as text under one name", _told_in_words),
)
"""Differences that are meant: the reason, and what removes one."""

# A warning about a setting explains its field.
FIELDS = {
    "temperature": ("generationConfig.temperature",),
    "top_p": ("generationConfig.topP",),
    "top_k": ("generationConfig.topK",),
    "max_tokens": ("generationConfig.maxOutputTokens",),
    "stop": ("generationConfig.stopSequences",),
    "seed": ("generationConfig.seed",),
    "n": ("generationConfig.candidateCount",),
    "logprobs": ("generationConfig.responseLogprobs",),
    "top_logprobs": ("generationConfig.logprobs",),
    "presence_penalty": ("generationConfig.presencePenalty",),
    "frequency_penalty": ("generationConfig.frequencyPenalty",),
    "reasoning": ("generationConfig.thinkingConfig",),
    "output_schema": ("generationConfig.responseJsonSchema", "generationConfig.responseSchema"),
    "tool_choice": ("toolConfig",),
}


def explained(theirs: JSON, mine: JSON, warning: CallWarning) -> list[str]:
    """Remove thoughts that are not sent back; return the reasons."""
    if warning.subject != "thinking":
        return []
    reasons = []
    for left, right in objects(theirs.get("contents"), mine.get("contents")):
        kept = [part for part in left.get("parts") or [] if not part.get("thought")]
        if len(kept) < len(left.get("parts") or []) and len(kept) == len(right.get("parts") or []):
            left["parts"] = kept
            reasons.append("reported by a warning: thoughts that cannot go back")
    return reasons
