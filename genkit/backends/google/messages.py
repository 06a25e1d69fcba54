"""Conversations as Gemini's contents: every part of the vocabulary in its place, or a report of what became of it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any

from ...errors import InvalidRequest
from ...types import Audio, Document, Image, Message, Opaque, Part, Text, Thinking, ToolCall, ToolResult, Video
from ..base import Losses
from ..history import FRAME, Turn, mended, turns
from .media import Shelf
from .names import FunctionNames

__all__ = ["BYPASS", "SIGNATURE", "Conversation"]

JSON = dict[str, Any]

SIGNATURE = "thoughtSignature"

# What Google documents for calls that another model made: "skip_thought_signature_validator", as bytes in JSON.
# https://ai.google.dev/gemini-api/docs/generate-content/thought-signatures, read 2026-11-23.
BYPASS = base64.b64encode(b"skip_thought_signature_validator").decode()

# Steps of the vendor's own that it shows and does not take back.
_SHOWN_ONLY = frozenset({"mediaProcessing", "thoughtSignature"})
# What may stand beside the data of a piece of media.
_METADATA = "partMetadata"
_BESIDE = frozenset({"videoMetadata", "mediaResolution"})
_RESOLUTIONS = {
    "low": "MEDIA_RESOLUTION_LOW",
    "high": "MEDIA_RESOLUTION_HIGH",
    "original": "MEDIA_RESOLUTION_ULTRA_HIGH",
}


class Conversation:
    """One request's messages on their way to the wire.

    Args:
        shelf: What media may be.
        losses: Hears of all that cannot be sent as it is.
        origin: Mark of native data that may be sent back.
        name: The backend's name, for reports.
        names: Of the functions.
    """

    def __init__(self, shelf: Shelf, losses: Losses, *, origin: str, name: str, names: FunctionNames) -> None:
        self._shelf = shelf
        self._family = shelf.family
        self._losses = losses
        self._origin = origin
        self._name = name
        self._names = names
        self._out: list[JSON] = []
        self._calls: dict[str, tuple[int, str | None]] = {}
        # The same signature twice would be billed twice.
        self._signed: set[str] = set()
        self._forgotten: dict[str, int] = {}
        self._unsigned = 0
        self._marks = 0
        self._uncited = 0
        self._silent = False

    def encode(self, messages: Sequence[Message]) -> tuple[JSON | None, list[JSON]]:
        """Return the instructions, if any, and the contents."""
        plain = _plain(messages) if self._family.system and not self._family.text_beside_media else None
        if plain is not None:
            self._ends(plain[1])
            return plain
        said = mended(self._without_empty(messages), self._losses)
        system, conversation = turns(said, self._losses, where=self._name)
        instructions, conversation = self._system(system, conversation)
        for turn in conversation:
            if turn.role == "assistant":
                self._model(turn)
            else:
                self._user(turn)
        self._report()
        self._out = _alternating(self._out)
        self._begin(instructions)
        if not self._out:
            raise InvalidRequest("the prompt is empty: give at least one message with text or another part in it")
        self._ends(self._out)
        return instructions, self._out

    def _ends(self, contents: Sequence[JSON]) -> None:
        """Say what is to be expected where the model spoke last."""
        if contents[-1]["role"] == "model":
            why = "the conversation ends with the model's turn, to which Gemini may answer with an empty text"
            self._losses.note("messages", why)

    def _without_empty(self, messages: Sequence[Message]) -> list[Message]:
        """Return the messages without empty texts, which are refused; signed ones are not empty."""
        kept: list[Message] = []
        silent: list[str] = []
        left: list[str] = []
        for message in messages:
            parts = tuple([part for part in message.parts if not _is_empty(part)])
            if parts:
                kept.append(
                    message if len(parts) == len(message.parts) else message.model_copy(update={"parts": parts})
                )
                continue
            first = message.role == "user" and all(before.role == "system" for before in kept)
            (silent if first else left).append(message.role)
        follows = next((message.role for message in kept if message.role != "system"), "assistant")
        # Before the model's turn `_begin` puts it back.
        self._silent = bool(silent) and follows == "assistant"
        for role in left if self._silent else silent + left:
            self._losses.lose("message", f"{self._name} takes no empty turn (one of the {role}'s)")
        return kept

    def _begin(self, instructions: JSON | None) -> None:
        """Let the user's turn come first: a call of the model's is refused where no turn of the user's is before it."""
        alone = not self._out and self._silent and instructions is not None
        if not alone and not (self._out and self._out[0]["role"] == "model"):
            return
        if not self._silent:
            why = "a conversation begins with the user; an empty turn of the user's is sent before the model's"
            self._losses.lose("messages", why, kind="changed")
        self._out.insert(0, {"role": "user", "parts": [{"text": ""}]})

    def _report(self) -> None:
        for origin, count in self._forgotten.items():
            parts = f"{count} part{'s' if count > 1 else ''}"
            self._losses.lose("thinking", f"reasoning from {origin} cannot be sent back here ({parts})")
        if self._unsigned:
            why = "calls without a signature of this model are sent with the one that skips its check"
            self._losses.lose("tool_call", why, kind="changed")
        for doubt in self._shelf.doubts:
            self._losses.note("image", doubt)
        if self._uncited:
            texts = f"{self._uncited} text{'s' if self._uncited > 1 else ''}"
            self._losses.lose("citations", f"{self._name} takes no sources of what was said ({texts})")
        if self._marks:
            why = (
                f"{self._name} caches beginnings of prompts by itself, and takes no marks; what must stay is a cached "
                f"content of its own, whose name goes into extra={{{self._name!r}: {{'cachedContent': ...}}}}"
            )
            self._losses.lose("cache", why)

    # ------------------------------------------------------------ instructions

    def _system(self, parts: Sequence[Part], conversation: list[Turn]) -> tuple[JSON | None, list[Turn]]:
        """Return the instructions, or put them into the user's first turn where there is no other place."""
        if not parts:
            return None, conversation
        other = next((part for part in parts if not isinstance(part, Text)), None)
        if other is None and (conversation or self._silent) and self._family.system:
            said = [self._text(part) for part in parts if isinstance(part, Text)]
            said = [sent for sent in said if sent != {"text": ""}]
            return {"parts": said} if said else None, conversation
        if not conversation:
            why = f"{self._name} answers no instructions alone; they are sent as the user's"
        elif other is not None:
            why = f"{self._name} takes only text there, no {other.kind}; sent as marked text of the user's"
        else:
            why = "this model has no instructions; sent as marked text of the user's"
        self._losses.lose("system", why, kind="changed")
        framed: list[Part] = [Text(text=FRAME), *parts] if conversation else [*parts]
        first = conversation[0] if conversation else None
        if first is not None and first.role == "user":
            return None, [Turn("user", [*framed, *first.parts]), *conversation[1:]]
        return None, [Turn("user", framed), *conversation]

    # ------------------------------------------------------------ the user

    def _user(self, turn: Turn) -> None:
        results = [part for part in turn.parts if isinstance(part, ToolResult)]
        others = [part for part in turn.parts if not isinstance(part, ToolResult)]
        framed: list[JSON] = []
        if results:
            # Without ids they pair with the calls by their order.
            results.sort(key=lambda result: self._calls.get(result.id, (len(self._calls), None))[0])
            answers = [self._result(result, framed) for result in results]
            # Whatever else stood among the results would be read as the model's.
            self._add("user", answers)
        said = framed + [sent for part in others if (sent := self._said(part)) is not None]
        if said and self._family.text_beside_media and not any("text" in part for part in said):
            self._losses.lose("message", "this model wants text in every turn; a space is added", kind="changed")
            said.append({"text": " "})
        self._add("user", said)

    def _said(self, part: Part) -> JSON | None:
        match part:
            case Text():
                return self._text(part)
            case Image() | Audio() | Video() | Document():
                return self._media(part)
            case Opaque():
                return self._opaque(part)
            case Thinking():
                self._losses.lose("thinking", "a user message cannot hold reasoning")
                return None
            case _:
                raise InvalidRequest(f"a user message cannot hold a {part.kind}", backend=self._name)

    def _result(self, part: ToolResult, framed: list[JSON]) -> JSON:
        texts: list[str] = []
        inside: list[JSON] = []
        self._mark(part)
        for item in part.parts:
            self._mark(item)
            if isinstance(item, Text):
                texts.append(item.text)
                continue
            sent = self._shelf.part(item)
            if self._fits_result(item, sent):
                if isinstance(item, Image) and item.detail not in (None, "auto"):
                    self._losses.lose("detail", "inside a result, media have no resolution of their own")
                inside.append(sent)
                continue
            sent = self._dressed(item, sent)
            why = f"it has no place in a result of {part.name or part.id!r}; it follows as the user's"
            self._losses.lose(item.kind, why, kind="changed")
            texts.append(f"[The {item.kind} of this result follows.]")
            framed += [{"text": f"[From a result of {part.name or part.id!r}:]"}, sent]
        # As text: a key "$ref" in an object would be taken for a pointer.
        response = {"error" if part.failed else "output": "\n".join(texts)}
        answer: JSON = {"name": self._names.wire(part.name or ""), "response": response}
        known = self._calls.get(part.id)
        if known is not None and known[1] is not None:
            answer["id"] = known[1]
        if inside:
            answer["parts"] = inside
        return {"functionResponse": answer}

    def _fits_result(self, item: Image | Audio | Video | Document, sent: JSON) -> bool:
        """Return whether a piece of media has a place inside a tool's result."""
        if "inlineData" in sent:
            return sent["inlineData"].get("mimeType") in self._family.tool_media
        kind = sent["fileData"].get("mimeType")
        known = kind in self._family.tool_media or (kind is None and isinstance(item, (Image, Document)))
        return known and self._family.tool_files and self._shelf.holds(sent["fileData"]["fileUri"])

    # ------------------------------------------------------------ the model

    def _model(self, turn: Turn) -> None:
        self._calls = {}
        content: list[JSON] = []
        for part in turn.parts:
            match part:
                case Text():
                    content.append(self._text(part))
                case Thinking():
                    content += self._thinking(part)
                case ToolCall():
                    content.append(self._call(part))
                case Image() | Audio() | Video() | Document():
                    content.append(self._media(part))
                case Opaque():
                    if (native := self._opaque(part)) is not None:
                        content.append(native)
                case ToolResult():
                    raise InvalidRequest("a tool result belongs into a tool message", backend=self._name)
        self._add("model", content)

    def _call(self, part: ToolCall) -> JSON:
        self._mark(part)
        own = part.origin == self._origin
        # Their ids are what this model gave; minted ones it never saw.
        sent_id = part.id if not part.minted and (own or self._family.ids) else None
        arguments = part.arguments
        if arguments is None:
            why = f"the arguments of the call {part.id!r} are no JSON object; they are sent as text in one"
            self._losses.lose("tool_call", why, kind="changed")
            arguments = {"arguments": part.raw or ""}
        call: JSON = {"name": self._names.wire(part.name), "args": arguments}
        if sent_id is not None:
            call["id"] = sent_id
        sent: JSON = {"functionCall": call, **self._beside(part)}
        if self._family.signed and SIGNATURE not in sent and not self._calls:
            self._unsigned += 1
            sent[SIGNATURE] = BYPASS
        self._calls[part.id] = (len(self._calls), sent_id)
        return sent

    def _thinking(self, part: Thinking) -> list[JSON]:
        if part.origin != self._origin:
            self._forget(part.origin)
            return []
        beside = self._beside(part)
        return [{"text": part.text, "thought": True, **beside}] if part.text or beside else []

    def _opaque(self, part: Opaque) -> JSON | None:
        self._mark(part)
        if part.origin != self._origin or part.native is None:
            self._losses.lose(part.type, f"only {part.origin or 'its origin'} can read it")
            return None
        if part.type in _SHOWN_ONLY:
            self._losses.lose(part.type, f"{self._name} shows such steps, and refuses them when they are sent back")
            return None
        signature = part.native.get(SIGNATURE)
        if signature is None:
            return part.native
        return {**{key: value for key, value in part.native.items() if key != SIGNATURE}, **self._beside(part)}

    # ------------------------------------------------------------ parts

    def _text(self, part: Text) -> JSON:
        self._mark(part)
        if part.citations:
            self._uncited += 1
        if part.refusal:
            self._losses.lose("refusal", f"{self._name} does not tell a refusal from other text", kind="changed")
        return {"text": part.text, **self._beside(part)}

    def _media(self, part: Image | Audio | Video | Document) -> JSON:
        self._mark(part)
        return self._dressed(part, self._shelf.part(part))

    def _dressed(self, part: Image | Audio | Video | Document, sent: JSON) -> JSON:
        """Return a piece of media with what is said beside its data."""
        if part.name and part.data is not None:
            self._losses.note("name", f"{self._name} takes no names of files: {part.name!r} is not sent")
        if isinstance(part, Audio) and part.transcript:
            self._losses.lose("transcript", f"{self._name} hears the sound, and takes no words beside it")
        if part.origin == self._origin and part.native:
            sent |= {key: value for key, value in part.native.items() if key in _BESIDE}
        if isinstance(part, Image) and part.detail not in (None, "auto") and "mediaResolution" not in sent:
            if self._family.resolution:
                sent["mediaResolution"] = {"level": _RESOLUTIONS[part.detail]}
            else:
                self._losses.lose("detail", "this model has one media resolution for all of a request")
        return {**sent, **self._beside(part)}

    def _beside(self, part: Part) -> JSON:
        """Return what stands beside a part: its metadata, and its signature, to who gave it, and once."""
        beside: JSON = {}
        if part.native and part.origin == self._origin and not isinstance(part, Opaque):
            beside = {_METADATA: part.native[_METADATA]} if _METADATA in part.native else {}
        if part.origin != self._origin:
            if any("signature" in key.lower() for key in part.native or ()):
                self._forget(part.origin)
            return {}
        signature = part.native.get(SIGNATURE) if part.native else None
        if not isinstance(signature, str):
            return beside
        if signature in self._signed:
            return beside
        self._signed.add(signature)
        return {**beside, SIGNATURE: signature}

    def _forget(self, origin: str | None) -> None:
        where = origin or "an unknown model"
        self._forgotten[where] = self._forgotten.get(where, 0) + 1

    def _mark(self, part: Part) -> None:
        self._marks += bool(part.cache)

    def _add(self, role: str, parts: Iterable[JSON]) -> None:
        # Mending a history may leave an empty text, and so may the signature of somebody else.
        content = [part for part in parts if part != {"text": ""}]
        if content:
            self._out.append({"role": role, "parts": content})


def _alternating(contents: list[JSON]) -> list[JSON]:
    """Return the contents with neighbours of one side as one, where nothing is left of what stood between them.

    Results of functions stay alone: what stands beside them would be read as the model's.
    """
    joined: list[JSON] = []
    for content in contents:
        before = joined[-1] if joined else None
        alone = before is None or before["role"] != content["role"] or any(map(_answers, (before, content)))
        if alone or before is None:
            joined.append(content)
        else:
            joined[-1] = {**before, "parts": [*before["parts"], *content["parts"]]}
    return joined


def _answers(content: JSON) -> bool:
    return any("functionResponse" in part for part in content["parts"])


def _plain(messages: Sequence[Message]) -> tuple[JSON | None, list[JSON]] | None:
    """Return what a conversation of nothing but text becomes, past all the cases; None for any other."""
    system: list[JSON] = []
    out: list[JSON] = []
    for message in messages:
        role, parts = message.role, message.parts
        if len(parts) != 1 or type(part := parts[0]) is not Text or not part.text or part.native or part.cache:
            return None
        if part.citations or part.refusal:
            return None
        if message.name or role == "tool" or (role == "system" and out):
            return None
        if role == "system":
            system.append({"text": part.text})
            continue
        spoken = "model" if role == "assistant" else "user"
        if out and out[-1]["role"] == spoken:
            return None
        out.append({"role": spoken, "parts": [{"text": part.text}]})
    if not out or out[0]["role"] == "model":
        return None
    return ({"parts": system} if system else None), out


def _is_empty(part: Part) -> bool:
    return isinstance(part, Text) and not part.text and not (part.native and SIGNATURE in part.native)
