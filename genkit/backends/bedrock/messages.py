"""The turns of Converse: every part of the vocabulary in its place, or a report of what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import InvalidRequest, Unsupported
from ...events import dump_json
from ...types import Audio, Document, Image, Media, Message, Opaque, Part, Text, Thinking, ToolCall, ToolResult, Video
from ..base import Losses
from ..history import FRAME, Turn, mended, turns
from . import media
from .models import Family
from .names import ToolNames, call_id

__all__ = ["MAKER", "Conversation", "cache_point"]

JSON = dict[str, Any]

MAKER = "maker"
"""The key in `native` that says whose models can read what stands beside it."""

# Whitespace alone is refused, so that this is the shortest thing one can say.
_FILLER = "."
_NO_OUTPUT = "(no output)"
_WITH_DOCUMENT = "The document is attached."


class Conversation:
    """One request's messages on their way to the wire.

    Args:
        family: What the model takes.
        losses: Told of what changes.
        origin: Mark of native data that may be sent back.
        names: Of the tools.
        tools: Whether tools are sent. Without them calls and results are refused, and go as text.
        prefill: Whether the model may be asked to go on with a turn of its own.
        backend: Name for errors.
    """

    def __init__(
        self,
        family: Family,
        losses: Losses,
        *,
        origin: str,
        names: ToolNames,
        tools: bool,
        prefill: bool,
        backend: str,
    ) -> None:
        self._family = family
        self._losses = losses
        self._origin = origin
        self._names = names
        self._tools = tools
        self._prefill = prefill
        self._backend = backend
        self._out: list[JSON] = []
        # Media that have no place where they stand; they follow in the next turn of the user's.
        self._framed: list[JSON] = []
        self._documents = 0
        self._forgotten: dict[str, int] = {}
        self._bytes = 0
        self._empty_texts = False
        self._as_text = False

    def encode(self, messages: Sequence[Message]) -> tuple[list[JSON], list[JSON]]:
        """Return the instructions and the turns."""
        messages = self._said_something(messages)
        instructions, spoken = turns(mended(messages, self._losses), self._losses, where="Converse")
        system = self._system(instructions)
        if system and not self._family.system:
            self._losses.lose("system", "this model has no instructions; sent as marked text", kind="changed")
            framed = [Text(text=FRAME + block["text"]) for block in system if "text" in block]
            for kind in sorted({kind for block in system for kind in block} - {"text", "cachePoint"}):
                self._losses.lose(kind, "this model has no instructions that could hold it")
            if not spoken or spoken[0].role != "user":
                spoken.insert(0, Turn("user"))
            spoken[0].parts[:0] = framed
            system = []
        for turn in spoken:
            if turn.role == "user":
                self._user(turn.parts)
            else:
                self._assistant(turn.parts)
        self._flush()
        self._ends()
        for origin, count in self._forgotten.items():
            parts = f"{count} part{'s' if count > 1 else ''}"
            self._losses.lose("thinking", f"{origin} cannot be sent back here ({parts})")
        if self._as_text:
            why = "the request has no tools, without which Bedrock refuses calls and results; sent as text"
            self._losses.lose("tool_call", why, kind="changed")
        if self._empty_texts:
            self._losses.note("text", "empty texts are left out: Bedrock refuses them, and they say nothing")
        return system, self._out

    def _said_something(self, messages: Sequence[Message]) -> list[Message]:
        """Return the messages without the empty ones: Converse has no empty turns."""
        found: list[Message] = []
        for message in messages:
            if all(isinstance(part, Text) and not part.text for part in message.parts):
                self._losses.lose("message", f"Converse takes no empty turn (one of role {message.role!r})")
            else:
                found.append(message)
        return found

    def _ends(self) -> None:
        """Let a conversation begin and end with the sides that the model takes there."""
        if not self._out:
            self._losses.lose("messages", f"Converse needs a turn of the user's; {_FILLER!r} is sent", kind="changed")
            self._add("user", [{"text": _FILLER}])
        if self._out[0]["role"] == "assistant" and not self._family.leads:
            why = f"a conversation begins with the user for this model; {_FILLER!r} is sent first"
            self._losses.lose("messages", why, kind="changed")
            self._out.insert(0, {"role": "user", "content": [{"text": _FILLER}]})
        last = self._out[-1]
        if last["role"] != "assistant":
            return
        if not self._prefill:
            why = f"this model goes on with no turn of its own; {_FILLER!r} of the user's follows it"
            self._losses.lose("messages", why, kind="changed")
            self._add("user", [{"text": _FILLER}])
        elif self._family.maker == "anthropic" and (text := last["content"][-1].get("text")) is not None:
            if text != text.rstrip():
                self._losses.lose("text", "a begun answer may not end with whitespace; it is cut off", kind="changed")
            last["content"][-1] = {"text": text.rstrip()}

    def _add(self, role: str, blocks: list[JSON]) -> None:
        if not blocks:
            return
        if self._out and self._out[-1]["role"] == role:
            self._out[-1]["content"] += blocks
        else:
            self._out.append({"role": role, "content": blocks})

    def _mark(self, part: Part, blocks: list[JSON], place: str = "messages") -> None:
        """Let a cache point follow what has just been added, where the part asks for one."""
        wanted = part.cache or (isinstance(part, ToolResult) and next((p.cache for p in part.parts if p.cache), False))
        if not wanted:
            return
        if not blocks or place not in self._family.cache:
            where = "an empty part" if not blocks else f"the {place} of this model"
            self._losses.lose("cache", f"{where} cannot be cached")
        else:
            blocks.append(cache_point(wanted, self._family, self._losses, subject="cache"))

    # ------------------------------------------------------------ system

    def _system(self, parts: Sequence[Part]) -> list[JSON]:
        blocks: list[JSON] = []
        for part in parts:
            match part:
                case Text():
                    blocks += self._text(part)
                case Opaque():
                    blocks += self._opaque(part)
                case _:
                    raise Unsupported(
                        f"instructions are text on Converse; put the {part.kind} into a user message",
                        backend=self._backend,
                    )
            self._mark(part, blocks, "system")
        return blocks

    # ------------------------------------------------------------ user

    def _user(self, parts: Sequence[Part]) -> None:
        """Add a turn of the user's: the results first, then what else there is."""
        results: list[JSON] = []
        others: list[JSON] = [*self._framed]
        self._framed = []
        for part in parts:
            if isinstance(part, ToolResult) and self._tools:
                self._result(part, results, others)
            else:
                others += self._said(part)
                self._mark(part, others)
        if any("document" in block for block in others) and not any("text" in block for block in others):
            # A document without any text beside it is refused.
            others.insert(0, {"text": _WITH_DOCUMENT})
        self._add("user", results)
        kinds = {kind for block in others for kind in block} - {"cachePoint"}
        beside = self._family.beside_results
        if "pdf" in beside and all(block["document"]["format"] == "pdf" for block in others if "document" in block):
            beside |= {"document"}
        if results and not kinds <= beside:
            why = f"this model takes no {sorted(kinds)} beside results; {_FILLER!r} of the assistant's goes between"
            self._losses.lose("tool_result", why, kind="changed")
            self._add("assistant", [{"text": _FILLER}])
        self._add("user", others)

    def _said(self, part: Part) -> list[JSON]:
        """Return what stands for a part of the user's."""
        match part:
            case Text():
                return self._text(part)
            case Image() | Audio() | Video() | Document():
                return [self._media(part)]
            case Opaque():
                return self._opaque(part)
            case Thinking():
                self._losses.lose("thinking", "a user message cannot hold reasoning")
                return []
            case ToolResult():
                return self._told(part)
            case ToolCall():
                raise InvalidRequest(
                    "a user message cannot hold a tool_call; what the model said goes into a message of role "
                    "'assistant'",
                    backend=self._backend,
                )

    def _text(self, part: Text) -> list[JSON]:
        if part.text.strip():
            return [{"text": part.text}]
        # An empty block is refused anywhere, and would be again with every replay of the history.
        if part.text:
            self._losses.lose("text", "Bedrock refuses text of whitespace alone")
        else:
            self._empty_texts = True
        return []

    def _media(self, part: Media) -> JSON:
        if isinstance(part, Document):
            self._documents += 1
            if part.name and part.name != self._document():
                # AWS warns that a model may take a document's name for an instruction.
                self._losses.note(
                    "name", f"the name {part.name!r} is not sent: documents have neutral names on Converse"
                )
        if isinstance(part, Image) and part.detail not in (None, "auto"):
            self._losses.lose("detail", "Converse has no detail of images")
        block = media.block(part, self._family, name=self._document(), backend=self._backend)
        self._bytes += media.sent_bytes(part)
        media.check_bytes(self._bytes, "the media of this request have", self._family, backend=self._backend)
        return block

    def _document(self) -> str:
        return f"Document {self._documents}"

    def _opaque(self, part: Opaque) -> list[JSON]:
        whose = part.origin or "its origin"
        if part.origin == self._origin and part.native is not None:
            if self._is_own(part):
                return [{name: value for name, value in part.native.items() if name != MAKER}]
            whose = f"a model of {part.native[MAKER]!r}"
        self._losses.lose(part.type, f"only {whose} can read it")
        return []

    def _is_own(self, part: Part) -> bool:
        """Return whether the model's own maker's models gave a part, or nobody knows whose did."""
        maker: object = (part.native or {}).get(MAKER, self._family.maker)
        return maker == self._family.maker

    def _result(self, part: ToolResult, results: list[JSON], others: list[JSON]) -> None:
        """Add a tool's result; media that it cannot hold follow it."""
        content: list[JSON] = []
        for item in part.parts:
            if isinstance(item, Text):
                content += self._text(item)
            elif (kind := media.kind_of(item)) in self._family.result_media:
                content.append(self._media(item))
            else:
                self._losses.lose(
                    kind, "this model takes none in a tool's result; it follows as the user's", kind="changed"
                )
                content.append({"text": f"[The {kind} of this result follows.]"})
                others += [{"text": f"[From the result of {part.name or part.id!r}:]"}, self._media(item)]
        if not content:
            self._losses.lose("tool_result", f"an empty result is refused; {_NO_OUTPUT!r} is sent", kind="changed")
            content = [{"text": _NO_OUTPUT}]
        result: JSON = {"toolUseId": self._id(part.id), "content": content}
        if self._family.status:
            result["status"] = "error" if part.failed else "success"
        elif part.failed:
            # There is no flag for it; the model reads it.
            content.insert(0, {"text": "Error:"})
        results.append({"toolResult": result})
        self._mark(part, results)

    def _told(self, part: ToolResult) -> list[JSON]:
        """Return a tool's result as text, with its media."""
        self._as_text = True
        head = f"[{'Failure' if part.failed else 'Result'} of the tool {part.name or part.id!r}]"
        blocks: list[JSON] = [{"text": head}]
        for item in part.parts:
            blocks += self._text(item) if isinstance(item, Text) else [self._media(item)]
        return blocks

    def _id(self, given: str) -> str:
        return call_id(given, self._family.tool_id_length, issued=self._family.issued_ids)

    # ------------------------------------------------------------ assistant

    def _assistant(self, parts: Sequence[Part]) -> None:
        """Add what the model said: text before the calls, since it is refused after them."""
        self._flush()
        blocks: list[JSON] = []
        for part in parts:
            before = len(blocks)
            self._unsigned(part)
            match part:
                case Thinking():
                    blocks += self._thinking(part)
                case Text():
                    blocks += self._answer(part)
                case ToolCall():
                    blocks.append(self._call(part))
                case Opaque():
                    blocks += self._opaque(part)
                case Image() | Audio() | Video() | Document():
                    self._frame(part)
                case ToolResult():
                    raise InvalidRequest("a tool result belongs into a tool message", backend=self._backend)
            if part.cache and (isinstance(part, Thinking) or len(blocks) == before):
                self._losses.lose("cache", f"a {part.kind} cannot be cached here")
            else:
                self._mark(part, blocks)
        ordered = _calls_last(blocks)
        if ordered is not blocks:
            self._losses.lose("text", "text is refused after calls; it is sent before them", kind="changed")
        self._add("assistant", ordered)

    def _unsigned(self, part: Part) -> None:
        """Count a part that goes without what another vendor signed of it."""
        if isinstance(part, (Thinking, Opaque)) or part.origin == self._origin or not part.native:
            return
        if any("signature" in name.lower() for name in part.native):
            whose = f"what {part.origin or 'somebody'} signed"
            self._forgotten[whose] = self._forgotten.get(whose, 0) + 1

    def _thinking(self, part: Thinking) -> list[JSON]:
        """Return reasoning if the model takes it back: signed, and by its own maker's models."""
        native = part.native or {}
        if part.origin == self._origin and native.get(MAKER) == self._family.maker and self._family.replays:
            if "signature" in native:
                return [{"reasoningContent": {"reasoningText": {"text": part.text, "signature": native["signature"]}}}]
            if "redactedContent" in native:
                return [{"reasoningContent": {"redactedContent": native["redactedContent"]}}]
        if part.text or native:
            whose = f"reasoning from {part.origin or 'nowhere'}"
            if part.origin == self._origin:
                whose = "reasoning of another model's" if native else "reasoning without a signature"
            self._forgotten[whose] = self._forgotten.get(whose, 0) + 1
        return []

    def _answer(self, part: Text) -> list[JSON]:
        own = part.origin == self._origin and self._is_own(part)
        if part.citations and own and part.text.strip():
            return [{"citationsContent": {"content": [{"text": part.text}], "citations": [*part.citations]}}]
        if part.citations:
            why = "Bedrock refuses them without text" if own else f"only {part.origin or 'their origin'} can read them"
            if part.origin == self._origin and not own:
                why = f"only models of {(part.native or {})[MAKER]!r} can read them"
            self._losses.lose("citations", why)
        if part.refusal:
            self._losses.lose("refusal", "Converse does not tell a refusal from other text", kind="changed")
        return self._text(part)

    def _call(self, part: ToolCall) -> JSON:
        if not self._tools:
            self._as_text = True
            given = part.raw if part.arguments is None else dump_json(part.arguments)
            return {"text": f"[Called the tool {part.name!r} with {given}]"}
        arguments = part.arguments
        if arguments is None:
            why = f"what {part.name!r} was called with is no JSON object; it is sent inside of one"
            self._losses.lose("tool_call", why, kind="changed")
            arguments = {"raw": part.raw or ""}
        return {"toolUse": {"toolUseId": self._id(part.id), "name": self._names.wire(part.name), "input": arguments}}

    def _frame(self, part: Media) -> None:
        """Let media of an answer follow as the user's: the model's turns hold none."""
        kind = media.kind_of(part)
        self._losses.lose(kind, "the model's turns hold no media on Converse; it follows as the user's", kind="changed")
        self._framed += [{"text": f"[The {kind} of your answer:]"}, self._media(part)]

    def _flush(self) -> None:
        if self._framed:
            blocks, self._framed = self._framed, []
            self._add("user", blocks)


def cache_point(wanted: bool | str, family: Family, losses: Losses, *, subject: str) -> JSON:
    """Return a cache point for the span that is wanted, or for the usual one where the model has no other."""
    point: JSON = {"type": "default"}
    if isinstance(wanted, str):
        if wanted in family.ttls:
            point["ttl"] = wanted
        elif wanted != "5m":
            why = f"this model caches for five minutes, not for {wanted!r}"
            losses.lose(subject, why, kind="changed")
    return {"cachePoint": point}


def _calls_last(blocks: list[JSON]) -> list[JSON]:
    """Return the blocks of a turn with its calls at the end, where text follows one; cache points go with theirs."""
    calls = [at for at, block in enumerate(blocks) if "toolUse" in block and "type" not in block["toolUse"]]
    if not calls or not any(block.keys() & {"text", "citationsContent"} for block in blocks[calls[0] :]):
        return blocks
    first: list[JSON] = []
    last: list[JSON] = []
    for at, block in enumerate(blocks):
        follows = "cachePoint" in block and at > 0 and at - 1 in calls
        (last if at in calls or follows else first).append(block)
    return first + last
