"""Answers of Converse that are sent back with the next request: what must be in them, and what the client sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..cassettes import Interaction
from ..reader import Reading

__all__ = ["as_plain", "sent_back", "unlike_answer", "unlike_client"]

JSON = dict[str, Any]


def as_plain(reading: Reading) -> bytes:
    """Return the plain answer that says the same as a stream."""
    message = {"role": "assistant", "content": reading.items}
    facts = {"stopReason": reading.choices[0].finish, "usage": reading.usage}
    return json.dumps({"output": {"message": message}, **facts, **reading.rest}).encode()


def unlike_answer(reading: Reading, turn: Sequence[JSON]) -> list[str]:
    """Compare an encoded answer with the vendor's."""
    recorded = _wanted(reading.items)
    if not recorded:
        return [] if len(turn) <= 1 else [f"an empty answer became {len(turn)} messages"]
    if len(turn) != 1 or turn[0].get("role") != "assistant":
        return [f"an answer became {[message.get('role') for message in turn]}"]
    return _unlike(recorded, _wanted(turn[0]["content"]))


def _wanted(blocks: Sequence[JSON]) -> list[JSON]:
    """Return the blocks that the vendor takes back: no blank text, and no reasoning without its signature."""
    found = []
    for block in blocks:
        said = block.get("reasoningContent", {}).get("reasoningText")
        if (said is not None and not said.get("signature")) or ("text" in block and not block["text"].strip()):
            continue
        call = block.get("toolUse")
        if call is not None and call.get("type") == "tool_use":
            found.append({"toolUse": {key: value for key, value in call.items() if key != "type"}})
        else:
            found.append(block)
    return found


def _unlike(recorded: Sequence[JSON], sent: Sequence[JSON]) -> list[str]:
    if len(recorded) != len(sent):
        return [f"blocks {[*map(sorted, recorded)]} became {[*map(sorted, sent)]}"]
    return [
        f"block {number}: {_short(right)}, recorded {_short(left)}"
        for number, (left, right) in enumerate(zip(recorded, sent, strict=True))
        if left != right
    ]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:100]}...{text[-100:]}"


def sent_back(interaction: Interaction, later: Interaction, reading: Reading) -> list[JSON] | None:
    """Return what the recorded client sent back of an answer, where it did so unchanged in a later request."""
    if (later.api, later.model) != (interaction.api, interaction.model) or not reading.choices:
        return None
    before, after = interaction.asked.get("messages") or [], later.asked.get("messages") or []
    if after[: len(before)] != before or len(after) <= len(before) or after[len(before)]["role"] != "assistant":
        return None
    turn = after[len(before)]
    return [turn] if _wanted(turn["content"]) == _wanted(reading.items) else None


def unlike_client(sent: Sequence[JSON], turn: Sequence[JSON]) -> list[str]:
    """Compare an encoded answer with what the recorded client sent."""
    if len(turn) != 1:
        return [f"the client sent one message back, genkit {len(turn)}"]
    return _unlike(_wanted(sent[0]["content"]), _wanted(turn[0]["content"]))
