"""Messages as input items of the Responses interface."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from ....errors import InvalidRequest, Unsupported
from ....events import dump_json, parse_arguments
from ....media import data_url
from ....types import (
    Audio,
    Document,
    Image,
    Media,
    Message,
    Opaque,
    Part,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Video,
)
from ...base import Losses
from ...services import Service
from ..cache import Cache
from ..calls import lose_form
from ..left import Left
from ..media import check_source
from ..models import Family

__all__ = ["Input"]

JSON = dict[str, Any]

# What stands inside a message; all other items stand beside it.
_CONTENTS = frozenset({"input_audio", "input_file", "input_image", "input_text"})

# The vendor answers 400 to longer ones, its own included.
_LONGEST_CALL_ID = 64


class Input:
    """The items of one request, collected message by message.

    Args:
        losses: Hears of all that cannot be sent.
        cache: Marks the ends of what is cached.
        origin: Mark of the native data that may be sent back.
        service: Where they go, and `family` the model's rules: they say what media can be read.
        stored: Whether the vendor keeps answers, and so knows its reasoning by id.
    """

    def __init__(
        self, losses: Losses, cache: Cache, *, origin: str, service: Service, family: Family, stored: bool
    ) -> None:
        self.items: list[JSON] = []
        self._losses = losses
        self._cache = cache
        self._origin = origin
        self._service = service
        self._family = family
        self._stored = stored
        # Calls of custom tools: their results have a form of their own.
        self._custom: set[str] = set()
        self._reasoning: set[str | None] = set()
        self._left = Left(losses, origin=origin)

    def fill(self, messages: Sequence[Message], *, before: int) -> list[JSON]:
        """Return the items of `messages`, which `before` others precede."""
        self._left.signatures(messages)
        for index, message in enumerate(messages, start=before):
            if not message.parts and message.role != "tool":
                self._left.add("message", "a turn without content is no item of this interface")
            if message.name is not None:
                self._losses.lose("name", f"messages[{index}] has a name, and this interface has no field for it")
            if message.role == "assistant":
                self._answer(message.parts, index)
            else:
                self._turn(message, index)
        self._left.settle()
        return self.items

    # ------------------------------------------------------------ system, user, tool

    def _turn(self, message: Message, index: int) -> None:
        """Add a message of anybody but the model; what is an item of its own stands between its contents."""
        role = self._family.role if message.role == "system" else "user"
        content: list[JSON] = []
        for number, part in enumerate(message.parts):
            if isinstance(part, Opaque):
                self._cache.end(part, None)
            match part:
                case ToolResult():
                    self._say(role, content)
                    self._result(part)
                case Opaque(native=dict(native)) if self._own(part) and native.get("type") in _CONTENTS:
                    content.append(native)
                case Opaque():
                    self._say(role, content)
                    self._opaque(part)
                case Thinking() if message.role == "user":
                    self._forget("a user message cannot hold reasoning")
                case Thinking() | ToolCall():
                    raise _misplaced(part, message.role, index, number)
                case _ if message.role == "tool":
                    raise _misplaced(part, message.role, index, number)
                case _:
                    content.extend(self._content(part))
        self._say(role, content)

    def _say(self, role: str, content: list[JSON]) -> None:
        """Add the contents gathered so far as a message, and begin anew."""
        if content:
            alone = content[0]["text"] if len(content) == 1 and content[0].keys() == {"type", "text"} else None
            self.items.append({"role": role, "content": [*content] if alone is None else alone})
            content.clear()

    def _content(self, part: Part) -> list[JSON]:
        blocks = self._blocks(part)
        self._cache.end(part, blocks[-1] if blocks else None)
        return blocks

    def _blocks(self, part: Part) -> list[JSON]:
        match part:
            case Text(text=text):
                self._left.text(part)
                return [{"type": "input_text", "text": text}]
            case Image():
                self._check(part, "image")
                return [_image(part, backend=self._service.name)]
            case Document():
                self._check(part, "document")
                if part.data is None and not (part.url or "").startswith("data:"):
                    self._left.name(part)
                return [_file(part, backend=self._service.name)]
            case Audio():
                why = 'this interface does not read it; api="chat" reads audio with the models that hear'
                self._losses.lose("audio", why, guarantee=True)
                return []
            case Video():
                self._losses.lose("video", "no interface reads it; send frames of it as images", guarantee=True)
                return []
            case _:
                return []

    def _check(self, part: Media, kind: str) -> None:
        """Refuse media that cannot be read there, as Chat does."""
        name = self._service.name
        if kind not in self._service.media:
            raise Unsupported(f"{name} takes no {kind} (Responses)", backend=name)
        if kind not in self._family.media:
            raise Unsupported(f"{name} takes no {kind} for this model (Responses)", backend=name)
        check_source(part, self._service, origin=self._origin)

    def _result(self, part: ToolResult) -> None:
        content = [entry for piece in part.parts for entry in self._content(piece)]
        if part.failed:
            # There is no field for it; the model reads it.
            first = content[0].get("text", "") if content else ""
            if first and not first.lower().startswith("error"):
                content[0]["text"] = f"Error: {first}"
            elif not first:
                content.insert(0, {"type": "input_text", "text": "Error"})
        self._cache.end(part, content[-1] if part.parts and content else None)
        plain = not content or (len(content) == 1 and content[0].keys() == {"type", "text"})
        output: Any = (content[0]["text"] if content else "") if plain else content
        kind = "custom_tool_call_output" if part.id in self._custom else "function_call_output"
        self.items.append({"type": kind, "call_id": _call_id(part.id), "output": output})

    # ------------------------------------------------------------ assistant

    def _answer(self, parts: Sequence[Part], index: int) -> None:
        """Add what the model said, in the vendor's own items where they are from here."""
        orphaned = False
        for number, part in enumerate(parts):
            if not isinstance(part, Media | ToolResult):
                self._cache.end(part, None)
            match part:
                case Thinking():
                    orphaned = not self._thinking(part, parts[number + 1 :]) and self._own(part)
                case Text():
                    self._text(part, parts[number - 1] if number else None, orphaned=orphaned)
                case ToolCall():
                    self._call(part, orphaned=orphaned, where=f"messages[{index}].parts[{number}]")
                case Opaque():
                    self._opaque(part, orphaned=orphaned)
                case Image(data=data) if self._own(part) and data is not None and not orphaned:
                    self._cache.end(part, None)
                    self.items.append({**(part.native or {}), "result": base64.b64encode(data).decode()})
                case Audio(transcript=str(transcript)):
                    self._cache.end(part, None)
                    self._losses.lose("audio", "only the transcript of earlier spoken answers is sent", kind="changed")
                    self.items.append({"role": "assistant", "content": transcript})
                case Image() | Document() | Audio() | Video():
                    self._shown(part)
                case ToolResult():
                    self._result(part)

    def _own(self, part: Part) -> bool:
        return part.origin == self._origin and part.native is not None

    def _thinking(self, part: Thinking, rest: Sequence[Part]) -> bool:
        """Add reasoning if the vendor will take it; return whether it was added.

        It takes only its own, in a form it can read again, and followed by what it led to: a call, which it knows
        without an id as well, or another item by its id.
        """
        native = part.native or {}
        if not self._own(part):
            if part.text or part.redacted or part.native:
                self._forget("reasoning of another origin cannot be sent back")
            return False
        if not self._stored and not native.get("encrypted_content"):
            self._forget("reasoning that came without its encrypted form cannot be sent back")
            return False
        after = next((other for other in rest if not isinstance(other, Thinking)), None)
        if not isinstance(after, ToolCall) and not (after and self._own(after) and _item(after).get("id")):
            self._forget("reasoning cannot be sent back without the item that followed it")
            return False
        self._reasoning.add(native.get("id"))
        self.items.append(native)
        return True

    def _forget(self, why: str) -> None:
        self._left.add("thinking", why)

    def _known(self, part: Part, *, orphaned: bool) -> bool:
        """Return whether a part can go as the vendor's own item: its id is refused without the reasoning before it."""
        native = part.native or {}
        reasoning = native.get("reasoning")
        return self._own(part) and not orphaned and (reasoning is None or reasoning in self._reasoning)

    def _text(self, part: Text, before: Part | None, *, orphaned: bool) -> None:
        word = "refusal" if part.refusal else "text"
        known = self._known(part, orphaned=orphaned)
        self._left.text(part, cited=known and not part.refusal, refused=True)
        if not known:
            phase = _item(part).get("phase") if self._own(part) else None
            joined = isinstance(before, Text) and not before.refusal
            self._plain(part, {"phase": phase} if phase else {}, joined=joined)
            return
        item = _item(part)
        kept: JSON = (
            item["content"][0] if item.get("content") else {"type": "refusal" if part.refusal else "output_text"}
        )
        piece = {**kept, word: part.text}
        if not part.refusal:
            piece["annotations"] = [*part.citations]
        self._message({**item, "content": [piece]})

    def _message(self, item: JSON) -> None:
        """Add a message of the vendor's; contents of the same one stay together."""
        last = self.items[-1] if self.items else {}
        if item.get("id") and last.get("id") == item["id"] and last.get("type") == "message":
            last["content"].extend(item["content"])
        else:
            self.items.append({**item, "content": [*item.get("content", ())]})

    def _plain(self, part: Text, phase: JSON, *, joined: bool) -> None:
        """Add text of the model without an id; neighbours stay one message."""
        last = self.items[-1] if self.items else {}
        if part.refusal:
            self.items.append({"role": "assistant", "content": [{"type": "refusal", "refusal": part.text}], **phase})
        elif joined and last.get("role") == "assistant" and "id" not in last:
            if isinstance(last["content"], str):
                last["content"] = [{"type": "output_text", "text": last["content"]}]
            last["content"].append({"type": "output_text", "text": part.text})
        else:
            self.items.append({"role": "assistant", "content": part.text, **phase})

    def _call(self, part: ToolCall, *, orphaned: bool, where: str) -> None:
        item = _item(part) if self._own(part) else {}
        if not item:
            lose_form(part, self._losses)
        kept = {name: value for name, value in item.items() if name not in ("arguments", "type")}
        if not self._known(part, orphaned=orphaned):
            kept.pop("id", None)
        if item.get("type") == "custom_tool_call":
            self._custom.add(part.id)
            given = dump_json(part.arguments) if part.arguments is not None else part.raw or ""
            custom: JSON = {"type": "custom_tool_call", "call_id": _call_id(part.id), "name": part.name}
            self.items.append({**custom, "input": given, **kept})
            return
        said = item.get("arguments")
        if part.arguments is None:
            arguments = part.raw or ""
        elif isinstance(said, str) and parse_arguments(said) == (part.arguments, None):
            # Byte for byte what the model wrote, which is what its cache of the prompt knows.
            arguments = said
        else:
            try:
                arguments = json.dumps(part.arguments, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            except (TypeError, ValueError) as error:
                raise InvalidRequest(f"the arguments of the tool call at {where} are not JSON: {error}") from error
        call: JSON = {"type": "function_call", "call_id": _call_id(part.id), "name": part.name, "arguments": arguments}
        self.items.append({**call, **kept})

    def _opaque(self, part: Opaque, *, orphaned: bool = False) -> None:
        native = part.native or {}
        if self._own(part) and not orphaned:
            if native.get("type") == "message":
                self._message(native)
            else:
                self.items.append(native)
        elif self._own(part):
            self._losses.lose(part.type, "it is refused without the reasoning before it, which cannot be sent back")
        else:
            self._losses.lose(part.type, f"only {part.origin or 'its origin'} understands it")

    def _shown(self, part: Media) -> None:
        """Hand over media of an answer as the user's: the model's turns hold none."""
        content = self._content(part)  # type: ignore[arg-type]  # the caller passes parts
        if content:
            kind: str = content[0]["type"].removeprefix("input_")
            self._losses.lose(kind, "the model's turns hold no media here; sent as the user's", kind="changed")
            self.items.append({"role": "user", "content": content})


def _item(part: Part) -> JSON:
    """Return the vendor's item of a part of ours."""
    native = part.native or {}
    inner: JSON = native.get("item", native)
    return inner


def _misplaced(part: Part, role: str, index: int, number: int) -> InvalidRequest:
    way_out = (
        "what belongs to a result goes into the parts of the ToolResult"
        if role == "tool"
        else "what the model said goes into a message of role 'assistant'"
    )
    return InvalidRequest(
        f"messages[{index}].parts[{number}] is a {part.kind}, which a message of role {role!r} cannot hold; {way_out}"
    )


def _call_id(call_id: str) -> str:
    """Return an id within the vendor's limit, the same each time for the same id."""
    if len(call_id) <= _LONGEST_CALL_ID:
        return call_id
    return f"call_{hashlib.sha256(call_id.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def _image(part: Image, *, backend: str) -> JSON:
    source = {"file_id": part.file_id} if part.file_id else {"image_url": part.url or data_url(part, backend=backend)}
    return {"type": "input_image", **source, "detail": part.detail or "auto"}


def _file(part: Document, *, backend: str) -> JSON:
    if part.file_id:
        return {"type": "input_file", "file_id": part.file_id}
    if part.url:
        return {"type": "input_file", "file_url": part.url}
    url = data_url(part, backend=backend)
    ending = url[5 : url.index(";")].rpartition("/")[2]
    name = part.name or ("document.pdf" if ending == "pdf" else "document")
    return {"type": "input_file", "filename": name, "file_data": url}
