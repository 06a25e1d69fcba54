"""Answers that are sent back with the next request: what must be in them, by the vendor and by the recorded client."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from genkit.types import Response

from .. import bodies, replies
from ..cassettes import Interaction
from ..reader import Choice, Reading
from .bodies import ACCEPTED, FIELDS

__all__ = ["as_plain", "sent_back", "unlike_answer", "unlike_client", "unlike_plain"]

JSON = dict[str, Any]


def _left(recorded: JSON, sent: JSON) -> list[str]:
    return bodies.compare(recorded, sent, accepted=ACCEPTED, fields=FIELDS)[1]


def as_plain(api: str, reading: Reading) -> bytes:
    """Return the plain answer that says the same as a stream."""
    if api == "responses":
        return json.dumps(reading.final).encode()
    choices = []
    for index, choice in enumerate(reading.choices):
        logprobs = None if choice.tokens is None else {"content": choice.tokens}
        message = {**_message(choice), "annotations": choice.citations, "reasoning_content": "".join(choice.thinking)}
        choices.append({"index": index, "message": message, "logprobs": logprobs, "finish_reason": choice.finish})
    answer = {"id": reading.id, "model": reading.model, "choices": choices, "usage": reading.usage}
    return json.dumps({"object": "chat.completion", **answer, **reading.rest}).encode()


def unlike_plain(stream: Response[Any], plain: Response[Any]) -> list[str]:
    """Compare the response of a stream with that of the plain answer."""
    kinds = [part.kind for part in stream.message.parts]
    if "tool_call" in kinds and "text" in kinds[kinds.index("tool_call") :]:
        return []  # a plain answer of Chat has no place for text after a call
    return replies.unlike_plain(stream, plain)


def unlike_answer(api: str, reading: Reading, turn: Sequence[JSON], *, stored: bool) -> list[str]:
    """Compare an encoded answer with the vendor's: nothing invented, nothing left out that the vendor wants back.

    Args:
        api: The interface.
        reading: Of the answer.
        turn: The answer as it is sent back.
        stored: Whether the vendor keeps answers. Otherwise reasoning goes back encrypted, or not at all.
    """
    return _unlike_chat(reading, turn) if api == "chat" else _unlike_items(reading.items, turn, stored=stored)


def _unlike_chat(reading: Reading, turn: Sequence[JSON]) -> list[str]:
    if not reading.choices:
        return []
    choice = reading.choices[0]
    if not (choice.text or choice.refusal or choice.calls):
        return [] if len(turn) <= 1 else [f"an empty answer became {len(turn)} messages"]
    if len(turn) != 1 or turn[0].get("role") != "assistant":
        return [f"an answer became {[message.get('role') for message in turn]}"]
    message = turn[0]
    recorded = _message(choice)
    for call, got in zip(recorded["tool_calls"] or [], message.get("tool_calls") or [], strict=False):
        if call["id"] is None and got.get("id"):
            call["id"] = got["id"]
    return _left({"messages": [recorded]}, {"messages": [message]})


def _message(choice: Choice) -> JSON:
    """Return an answer as a message of Chat Completions; no text is no arguments."""
    calls, old = [], None
    for call in choice.calls:
        if call.form == "custom":
            calls.append({"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}})
            continue
        function = {"name": call.name, "arguments": call.arguments or "{}"}
        if call.form == "function_call":
            old = function
        else:
            calls.append({"id": call.id, "type": "function", "function": function})
    return {
        "role": "assistant",
        "content": choice.text or None,
        "refusal": choice.refusal or None,
        "tool_calls": calls or None,
        "function_call": old,
    }


def _unlike_items(items: Sequence[JSON], turn: Sequence[JSON], *, stored: bool) -> list[str]:
    wanted = [item for item in items if stored or item.get("type") != "reasoning" or item.get("encrypted_content")]
    if len(wanted) != len(turn):
        return [f"items {[item.get('type') for item in wanted]} became {[item.get('type') for item in turn]}"]
    problems = []
    for number, (item, sent) in enumerate(zip(wanted, turn, strict=True)):
        alone = len(wanted) < len(items) and "id" not in sent
        found = _unlike_text(item, sent) if alone and item.get("type") == "message" else _unlike_item(item, sent)
        problems += [f"item {number} ({item.get('type')}): {problem}" for problem in found]
    return problems


def _unlike_text(item: JSON, sent: JSON) -> list[str]:
    """Compare a message that goes back without its id, since the vendor refuses the id without its reasoning."""
    plain = {"role": "assistant", "content": "".join(part.get("text") or "" for part in item["content"])}
    if "phase" in sent:
        plain["phase"] = item.get("phase")
    return _left({"input": [plain]}, {"input": [sent]})


def _unlike_item(item: JSON, sent: JSON) -> list[str]:
    left = _left({"input": [item]}, {"input": [sent]})
    return [problem for problem in left if not _optional(problem)]


def _optional(problem: str) -> bool:
    """Return whether this is about something that the vendor does not want back."""
    return any(f".{name}: recorded " in problem for name in ("status", "annotations", "logprobs"))


def sent_back(interaction: Interaction, later: Interaction, reading: Reading) -> list[JSON] | None:
    """Return what the recorded client sent back of an answer, where it did so unchanged in a later request."""
    if (
        later.api != interaction.api
        or later.asked.get("model") != interaction.asked.get("model")
        or not reading.choices
    ):
        return None
    name = "messages" if interaction.api == "chat" else "input"
    before, after = interaction.asked.get(name), later.asked.get(name)
    if isinstance(before, str):
        before = [{"role": "user", "content": before}]
    if not isinstance(before, list) or not isinstance(after, list) or after[: len(before)] != before:
        return None
    tail = after[len(before) :]
    turn = tail[:1] if interaction.api == "chat" else _answered(tail)
    unchanged = _unchanged_message if interaction.api == "chat" else _unchanged_items
    return turn if turn and unchanged(reading, turn) else None


def _answered(tail: Sequence[JSON]) -> list[JSON]:
    turn = []
    for item in tail:
        if item.get("role", "assistant") != "assistant" or str(item.get("type", "")).endswith("_output"):
            break
        turn.append(item)
    return turn


def _unchanged_message(reading: Reading, turn: Sequence[JSON]) -> bool:
    message, choice = turn[0], reading.choices[0]
    if message.get("role") != "assistant" or (message.get("content") or "") != choice.text:
        return False
    calls = [
        (call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls") or []
    ]
    return calls == [(call.id, call.name, call.arguments) for call in choice.calls]


def _unchanged_items(reading: Reading, turn: Sequence[JSON]) -> bool:
    """Return whether these are the items of the answer, in order and whole, but for what may be left out."""
    if len(turn) != len(reading.items):
        return False
    for item, sent in zip(reading.items, turn, strict=True):
        if sent.get("type", "message") != item.get("type"):
            return False
        left = _left({"input": [item]}, {"input": [sent]})
        if not all(_optional(problem) or ".content: recorded" in problem for problem in left):
            return False
    return True


def unlike_client(sent: Sequence[JSON], turn: Sequence[JSON]) -> list[str]:
    """Compare an encoded answer with what the recorded client sent: all that it sent must be there, and equal."""
    if len(sent) != len(turn):
        return [f"the client sent {len(sent)} items back, genkit {len(turn)}"]
    left = _left({"input": [*sent]}, {"input": [*turn]})
    return [problem for problem in left if not (problem.endswith(", not recorded") or _optional(problem))]
