"""Answers of Gemini that are sent back with the next request: what must be in them, and what the client sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from genkit.types import Part, Response, Text, Thinking

from .. import replies
from ..cassettes import Interaction
from ..reader import Reading
from .bodies import SKIPPING
from .names import plain_bytes, protocol_names

__all__ = ["as_plain", "sent_back", "unlike_answer", "unlike_client", "unlike_plain"]

JSON = dict[str, Any]


def as_plain(reading: Reading) -> bytes:
    """Return the plain answer that says the same as a stream."""
    choice = reading.choices[0]
    content = {"role": "model", "parts": [_wire(piece) for piece in _settled(reading.items)]}
    candidate = {"content": content, "finishReason": choice.finish, "index": 0, **choice.rest}
    facts = {"usageMetadata": reading.usage, "modelVersion": reading.model, "responseId": reading.id}
    return json.dumps({"candidates": [candidate], **facts, **reading.rest}).encode()


def unlike_plain(stream: Response[Any], plain: Response[Any]) -> list[str]:
    """Compare the response of a stream with that of the plain answer, whose texts may be cut into parts otherwise."""
    return replies.unlike_plain(_joined(stream), _joined(plain))


def _joined(response: Response[Any]) -> Response[Any]:
    parts: list[Part] = []
    for part in response.message.parts:
        last = parts[-1] if parts else None
        match last, part:
            case (Text(), Text()) | (Thinking(), Thinking()):
                parts[-1] = last.model_copy(update={"text": last.text + part.text})
            case _, Text() | Thinking():
                parts.append(part.model_copy(update={"native": None, "origin": None}))
            case _:
                parts.append(part)
    kept = [part for part in parts if not (isinstance(part, Text) and not part.text)]
    return response.model_copy(update={"message": response.message.model_copy(update={"parts": tuple(kept)})})


def _settled(parts: Sequence[JSON]) -> list[JSON]:
    """Return parts as pieces that do not depend on where the vendor cut: texts joined, signatures listed.

    A signature belongs to the text it ends, whether it stands on it or on an empty part after it.
    """
    pieces: list[JSON] = []
    for part in parts:
        signatures = [part["thoughtSignature"]] if part.get("thoughtSignature") else []
        facts = {key: value for key, value in part.items() if key != "thoughtSignature"}
        facts = {key: value for key, value in facts.items() if not (key == "thought" and not value)}
        last = pieces[-1]["part"] if pieces else {}
        if "text" in facts and "text" in last and last.get("thought") == facts.get("thought"):
            pieces[-1]["part"] = {**last, "text": last["text"] + facts["text"]}
            pieces[-1]["signatures"] += signatures
        elif facts != {"text": ""} or signatures:
            pieces.append({"part": _with_args(facts), "signatures": signatures})
    return pieces


def _with_args(part: JSON) -> JSON:
    call = part.get("functionCall")
    return part if call is None else {**part, "functionCall": {**call, "args": call.get("args") or {}}}


def _wire(piece: JSON) -> JSON:
    return piece["part"] | ({"thoughtSignature": piece["signatures"][-1]} if piece["signatures"] else {})


def _is_shown_thought(piece: JSON) -> bool:
    """Return whether this is but a summary of thoughts, which the vendor does not want back."""
    return bool(piece["part"].get("thought")) and not piece["signatures"]


def unlike_answer(reading: Reading, turn: Sequence[JSON]) -> list[str]:
    """Compare an encoded answer with the vendor's."""
    recorded = [piece for piece in _settled(reading.items) if not _is_shown_thought(piece)]
    if not recorded:
        return [] if len(turn) <= 1 else [f"an empty answer became {len(turn)} contents"]
    if len(turn) != 1 or turn[0].get("role") != "model":
        return [f"an answer became {[content.get('role') for content in turn]}"]
    sent = [piece for piece in _settled(turn[0]["parts"]) if not _is_shown_thought(piece)]
    return _unlike(recorded, sent)


def _unlike(recorded: Sequence[JSON], sent: Sequence[JSON]) -> list[str]:
    if len(recorded) != len(sent):
        return [f"parts {[sorted(piece['part']) for piece in recorded]} became {[sorted(p['part']) for p in sent]}"]
    return [
        f"part {number}: {_short(right)}, recorded {_short(left)}"
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
    before, after = (_contents(asked) for asked in (interaction, later))
    if after[: len(before)] != before or len(after) <= len(before) or after[len(before)].get("role") != "model":
        return None
    turn = after[len(before)]
    said = [_unsigned(piece) for piece in _settled(reading.items) if not _is_shown_thought(piece)]
    sent = [_unsigned(piece) for piece in _settled(turn["parts"]) if not _is_shown_thought(piece)]
    return [turn] if said == sent else None


def _contents(interaction: Interaction) -> list[JSON]:
    return plain_bytes(protocol_names(interaction.asked)).get("contents") or []


def _unsigned(piece: JSON) -> JSON:
    """Return a part without what the recorded client may have left out or made itself."""
    part = piece["part"]
    return {**part, "functionCall": {**part["functionCall"], "id": None}} if "functionCall" in part else part


def unlike_client(sent: Sequence[JSON], turn: Sequence[JSON]) -> list[str]:
    """Compare an encoded answer with what the recorded client sent: all signatures that it sent must be there."""
    if len(turn) != 1:
        return [f"the client sent one content back, genkit {len(turn)}"]
    pieces = [[piece for piece in _settled(content["parts"]) if piece["signatures"]] for content in (sent[0], turn[0])]
    theirs, mine = ([(_unsigned(piece), piece["signatures"]) for piece in found] for found in pieces)
    theirs = [piece for piece in theirs if piece[1] != [SKIPPING]]
    return [f"{_short(piece)} is not among {len(mine)} signed parts" for piece in theirs if piece not in mine]
