"""The messages of Chat Completions: every part of the vocabulary in its place, or a report of what became of it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

from ...errors import InvalidRequest, Unsupported
from ...events import dump_json, parse_arguments
from ...media import data_url, media_type
from ...mime import plain
from ...types import (
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
from ..base import Losses
from ..history import mended
from ..services import Service
from .cache import Cache
from .calls import lose_form
from .left import Left
from .media import check_source
from .models import Family

__all__ = ["encode_messages", "takes_no_url"]

JSON = dict[str, Any]

_SOUNDS = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/vnd.wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
}
# Longer ids of tool calls are refused by OpenAI.
_LONGEST_ID = 40
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def encode_messages(
    messages: Sequence[Message], service: Service, family: Family, losses: Losses, *, cache: Cache, origin: str
) -> list[JSON]:
    """Return the messages of a request, in order; nothing is moved and nothing left out without a report."""
    plain = _plain(messages, family)
    if plain is not None:
        return plain
    return _Conversation(mended(messages, losses), service, family, losses, cache=cache, origin=origin).encode()


def takes_no_url(part: Media, service: Service, family: Family) -> bool:
    """Return whether Chat reads such media, and not from the URL that this part has."""
    kind: str = part.kind  # type: ignore[attr-defined]  # every subclass has one
    if kind not in service.media & family.media or part.url is None:
        return False
    scheme = part.url.partition(":")[0].lower()
    return scheme in ("http", "https", "data") and kind not in service.media_urls and not _is_inline(part)


def _is_inline(part: Media) -> bool:
    """Return whether a part needs no fetching by anybody; for sound there is no place for a data URL."""
    return part.url is None or (part.url.startswith("data:") and not isinstance(part, Audio))


def _plain(messages: Sequence[Message], family: Family) -> list[JSON] | None:
    """Return the messages of a conversation of nothing but text, past all the cases; None for any other."""
    out: list[JSON] = []
    for message in messages:
        role, parts = message.role, message.parts
        if len(parts) != 1 or type(part := parts[0]) is not Text or part.refusal or message.name or role == "tool":
            return None
        if part.cache or part.citations or part.native:
            return None
        if role == "system" and (out or family.role == "user"):
            return None
        out.append({"role": family.role if role == "system" else role, "content": part.text})
    return out


class _Conversation:
    """One request's messages on their way to the wire."""

    def __init__(
        self,
        messages: Sequence[Message],
        service: Service,
        family: Family,
        losses: Losses,
        *,
        cache: Cache,
        origin: str,
    ) -> None:
        self._messages = messages
        self._service = service
        self._family = family
        self._losses = losses
        self._cache = cache
        self._origin = origin
        self._out: list[JSON] = []
        # Media that Chat has no place for where they stand; they follow as the next user turn.
        self._framed: list[JSON] = []
        # Calls in the form of old: id and name, since their results go by name.
        self._legacy: dict[str, str] = {}
        self._left = Left(losses, origin=origin)
        turns = [at for at, message in enumerate(messages) if message.role == "user"]
        self._running = turns[-1] if turns else -1

    def encode(self) -> list[JSON]:
        self._left.signatures(self._messages)
        for at, message in enumerate(self._messages):
            if not any(isinstance(part, ToolResult) for part in message.parts):
                self._flush()
            match message.role:
                case "system":
                    self._system(message, at)
                case "user":
                    self._user(message)
                case "assistant":
                    self._lose_marks(message)
                    self._assistant(message, running=at > self._running)
                case "tool":
                    self._results(message)
        self._flush()
        self._left.settle()
        if not self._out:
            raise InvalidRequest("nothing of the prompt can be sent: give it a text", backend=self._service.name)
        return self._out

    def _add(self, role: str, message: Message | None, **fields: Any) -> None:
        name = {"name": message.name} if message is not None and message.name else {}
        self._out.append({"role": role, **name, **fields})

    def _flush(self) -> None:
        if self._framed:
            self._add("user", None, content=self._framed)
            self._framed = []

    # ------------------------------------------------------------ by role

    def _system(self, message: Message, at: int) -> None:
        other = next((part for part in message.parts if not isinstance(part, Text)), None)
        if other is not None:
            raise self._lacks(f"{other.kind} in a system message; put it into a user message")
        if at and not self._service.system_anywhere and any(m.role != "system" for m in self._messages[:at]):
            where = f"{self._service.name} moves system messages to the beginning"
            self._losses.lose("system", where, kind="changed")
        role = self._family.role
        if role == "user":
            self._losses.lose("system", "this model has no system role, it is sent as the user's", kind="changed")
        self._add(
            role, message, content=_content([self._text(part) for part in message.parts if isinstance(part, Text)])
        )

    def _user(self, message: Message) -> None:
        content: list[JSON] = []
        for part in message.parts:
            if isinstance(part, ToolResult):
                self._result(part)
            elif (encoded := self._user_part(part)) is not None:
                content.append(encoded)
        if content or not message.parts:
            self._flush()
            self._add("user", message, content=_content(content))
        else:
            self._lose_name(message)

    def _lose_name(self, message: Message) -> None:
        if message.name:
            self._losses.lose("name", f"Chat Completions has no names beside results (message of {message.name!r})")

    def _user_part(self, part: Part) -> JSON | None:
        block = self._block(part)
        self._cache.end(part, None if isinstance(part, Opaque) else block)
        return block

    def _text(self, part: Text, *, ends: bool = True) -> JSON:
        block = self._words(part)
        self._cache.end(part, block if ends else None)
        return block

    def _words(self, part: Text) -> JSON:
        self._left.text(part)
        return {"type": "text", "text": part.text}

    def _block(self, part: Part) -> JSON | None:
        match part:
            case Text():
                return self._words(part)
            case Image():
                return self._image(part)
            case Audio():
                return self._audio(part)
            case Document():
                return self._document(part)
            case Video():
                raise self._lacks("video; send frames of it as images")
            case Opaque():
                return self._opaque(part)
            case Thinking():
                self._left.add("thinking", "a user message cannot hold reasoning")
                return None
            case _:
                raise InvalidRequest(f"a user message cannot hold a {part.kind}", backend=self._service.name)

    def _opaque(self, part: Opaque) -> JSON | None:
        if part.origin == self._origin and part.native is not None:
            return part.native
        self._losses.lose(part.type, f"only {part.origin or 'its origin'} can read it")
        return None

    def _assistant(self, message: Message, *, running: bool) -> None:
        fields: JSON = {"content": None}
        texts: list[str] = []
        calls: list[JSON] = []
        for part in message.parts:
            match part:
                case Text(refusal=True):
                    self._left.text(part, refused=True)
                    fields["refusal"] = fields.get("refusal", "") + part.text
                case Text():
                    self._left.text(part)
                    texts.append(part.text)
                case ToolCall():
                    self._call(part, fields, calls)
                case Thinking():
                    self._thinking(part, message, fields, running=running)
                case Opaque():
                    self._assistant_opaque(part, fields)
                case Audio() if sound := self._sound(part):
                    fields["audio"] = {"id": sound}
                case Image() | Audio() | Document() | Video():
                    self._frame(part, "an assistant's message")
                case ToolResult():
                    raise InvalidRequest("a tool result belongs into a tool message", backend=self._service.name)
        if calls:
            fields["tool_calls"] = calls
        # A message of nothing but what was left out still was a turn.
        if texts or not fields.keys() & {"tool_calls", "function_call", "refusal", "audio"}:
            fields["content"] = "".join(texts)
        self._add("assistant", message, **fields)

    def _lose_marks(self, message: Message) -> None:
        """Report marks where no breakpoint can stand; media that follow as the user's take theirs with them."""
        for part in message.parts:
            if not isinstance(part, Media) or self._sound(part):
                self._cache.end(part, None)

    def _sound(self, part: Part) -> Any:
        """Return the id of sound that the vendor made and still has."""
        native = part.native if isinstance(part, Audio) and part.origin == self._origin else None
        return native.get("id") if native else None

    def _call(self, part: ToolCall, fields: JSON, calls: list[JSON]) -> None:
        own = part.native if part.origin == self._origin and part.native else {}
        if not own:
            lose_form(part, self._losses)
        arguments = _written(part, own.get("arguments"))
        signed = {"extra_content": own["extra_content"]} if "extra_content" in own else {}
        if own.get("type") == "function_call":
            self._legacy[part.id] = part.name
            fields["function_call"] = {"name": part.name, "arguments": arguments}
        elif own.get("type") == "custom":
            custom = {"name": part.name, "input": arguments}
            calls.append({"id": self._id(part.id), "type": "custom", "custom": custom, **signed})
        else:
            function = {"name": part.name, "arguments": arguments}
            calls.append({"id": self._id(part.id), "type": "function", "function": function, **signed})

    def _thinking(self, part: Thinking, message: Message, fields: JSON, *, running: bool) -> None:
        if part.origin == self._origin and part.native and "reasoning_details" in part.native:
            fields["reasoning_details"] = [*fields.get("reasoning_details", ()), *part.native["reasoning_details"]]
            return
        wanted = self._service.replay_thinking
        if wanted and running and message.tool_calls and part.text and self._stood_in(part, wanted, message):
            fields[wanted] = fields.get(wanted, "") + part.text
            return
        own = part.origin in (None, self._origin)
        # What such a service does not want back it would not read.
        if own and wanted and not (running and message.tool_calls):
            return
        if part.text or part.redacted or (not own and part.native):
            whose = "of earlier answers" if own else f"from {part.origin}"
            self._left.add("thinking", f"reasoning {whose} cannot be sent back here")

    def _stood_in(self, part: Thinking, wanted: str, message: Message) -> bool:
        """Return whether reasoning stood in the wanted field, where an answer had texts of its own in both."""
        fields = [self._field(other) for other in message.parts if isinstance(other, Thinking)]
        return self._field(part) == (wanted if wanted in fields else None)

    def _field(self, part: Thinking) -> str | None:
        return part.native.get("field") if part.origin == self._origin and part.native else None

    def _assistant_opaque(self, part: Opaque, fields: JSON) -> None:
        native = self._opaque(part)
        if native is not None:
            fields.setdefault("content", None)
            self._losses.lose(part.type, "Chat Completions takes it from users only")

    def _results(self, message: Message) -> None:
        self._lose_name(message)
        for part in message.parts:
            if not isinstance(part, ToolResult):
                raise InvalidRequest(
                    f"a tool message holds tool results, not a {part.kind}", backend=self._service.name
                )
            self._result(part)

    def _result(self, part: ToolResult) -> None:
        content: list[JSON] = []
        # Results in the form of old are a string.
        legacy = part.id in self._legacy
        last: JSON | None = None
        for item in part.parts:
            if isinstance(item, Text):
                last = self._text(item, ends=not legacy)
                content.append(last)
            else:
                content.append({"type": "text", "text": f"[The {item.kind} of this result follows.]"})
                last = self._frame(item, f"a result of {part.name or part.id!r}")
        if part.failed:
            # There is no flag for it; the model reads it.
            content = content or [{"type": "text", "text": ""}]
            first = content[0]["text"]
            if not first.lower().startswith("error"):
                content[0]["text"] = f"Error: {first}" if first else "Error"
        self._cache.end(part, None if legacy else last)
        if legacy:
            self._out.append({"role": "function", "name": self._legacy[part.id], "content": _content(content)})
        else:
            self._add("tool", None, tool_call_id=self._id(part.id), content=_content(content))

    # ------------------------------------------------------------ media

    def _frame(self, part: Media, where: str) -> JSON | None:
        """Let media follow as the user's, where Chat has no place for them; return their block."""
        encoded = self._user_part(part)  # type: ignore[arg-type]  # every subclass of Media is a part
        why = f"Chat Completions has no place for it in {where}; it follows as a user message"
        self._losses.lose(part.kind, why, kind="changed")  # type: ignore[attr-defined]  # every subclass has a kind
        if encoded is not None:
            self._framed += [{"type": "text", "text": f"[From {where}:]"}, encoded]
        return encoded

    def _image(self, part: Image) -> JSON:
        self._check(part, "image")
        if part.file_id is not None:
            raise self._lacks("images by file id; use the Responses interface, or send its bytes or URL")
        url = part.url if part.url is not None else data_url(part, backend=self._service.name)
        image: JSON = {"url": url}
        if part.detail == "original":
            self._losses.lose("detail", 'Chat Completions has no detail "original", "high" is sent', kind="changed")
            image["detail"] = "high"
        elif part.detail is not None:
            image["detail"] = part.detail
        return {"type": "image_url", "image_url": image}

    def _audio(self, part: Audio) -> JSON:
        self._check(part, "audio")
        if part.data is None:
            raise self._lacks("audio by URL or file id; send its bytes")
        if part.transcript:
            self._left.add("transcript", "Chat Completions takes the sound alone")
        mime = plain(media_type(part, backend=self._service.name))
        form = _SOUNDS.get(mime)
        if form is None:
            if not self._family.free:
                raise self._lacks(f"audio of type {mime!r}; convert it to WAV or MP3")
            form = mime.removeprefix("audio/").removeprefix("x-")
        return {"type": "input_audio", "input_audio": {"data": base64.b64encode(part.data).decode(), "format": form}}

    def _document(self, part: Document) -> JSON:
        self._check(part, "document")
        if part.file_id is not None:
            self._left.name(part)
            return {"type": "file", "file": {"file_id": part.file_id}}
        data = part.url if part.url is not None else data_url(part, backend=self._service.name)
        # A name is demanded with data; the model sees it.
        name = part.name or ("document.pdf" if "application/pdf" in data[:64] else "document")
        return {"type": "file", "file": {"filename": name, "file_data": data}}

    def _check(self, part: Media, kind: str) -> None:
        if kind not in self._service.media:
            raise self._lacks(kind)
        if kind not in self._family.media:
            raise self._lacks(f"{kind} for this model")
        check_source(part, self._service, origin=self._origin)
        if not _is_inline(part) and kind not in self._service.media_urls:
            raise self._lacks(f"{kind} by URL; send its bytes")

    def _lacks(self, what: str) -> Unsupported:
        return Unsupported(f"{self._service.name} takes no {what} (Chat Completions)", backend=self._service.name)

    def _id(self, call_id: str) -> str:
        """Return a tool call's id in the form the service insists on; the same id gives the same again."""
        length = self._service.tool_id_length
        if length is None:
            if self._family.free or len(call_id) <= _LONGEST_ID:
                return call_id
            return f"call_{_digest(call_id).hex()[:32]}"
        if len(call_id) == length and call_id.isascii() and call_id.isalnum():
            return call_id
        number = int.from_bytes(_digest(call_id)[:8], "big")
        return "".join(_DIGITS[number // 36**place % 36] for place in range(length))


def _written(part: ToolCall, said: object) -> str:
    """Return a call's arguments: byte for byte what the model wrote, unless they were changed since."""
    if part.arguments is None:
        return part.raw or ""
    if isinstance(said, str) and parse_arguments(said)[0] == part.arguments:
        return said
    return dump_json(part.arguments)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _content(parts: list[JSON]) -> str | list[JSON]:
    """Return content in its shortest form; a lone text is a string for all who never heard of parts."""
    if not parts:
        return ""
    if len(parts) == 1 and parts[0].get("type") == "text" and len(parts[0]) == 2:
        return str(parts[0]["text"])
    return parts
