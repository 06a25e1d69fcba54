"""Conversations as each vendor leaves them behind, and as programs and people write them: generated, with marks.

Every piece of content is unique, so that a test can look for it on the wire.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from genkit.types import (
    Document,
    Image,
    Message,
    Opaque,
    Part,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

__all__ = ["ORIGINS", "History", "histories"]

ORIGINS = (
    None,
    "openai/chat",
    "openai/responses",
    "google/generateContent",
    "vertex/generateContent",
    "bedrock/converse",
)
_PNG = b"\x89PNG\r\n\x1a\n"
_TURNS = ("user", "user", "assistant", "assistant", "calls", "calls", "system", "empty", "orphan")


def thinking_of(origin: str | None, mark: str) -> dict[str, Any] | None:
    """Return the vendor's own data of a piece of reasoning, in the form its decoder keeps."""
    match origin:
        case "openai/responses":
            return {"type": "reasoning", "id": f"rs_{mark}", "summary": [], "encrypted_content": f"sealed-{mark}"}
        case "bedrock/converse":
            return {"reasoningText": {"text": mark, "signature": f"signed-{mark}"}}
        case "google/generateContent" | "vertex/generateContent":
            return {"thought": True, "thoughtSignature": "c2lnbmVk"}
        case _:
            return None


def _item(origin: str, mark: str) -> dict[str, Any]:
    """Return a vendor's item that has no word in genkit."""
    match origin:
        case "google/generateContent" | "vertex/generateContent":
            return {"executableCode": {"language": "PYTHON", "code": mark}}
        case "bedrock/converse":
            return {"guardContent": {"text": {"text": mark}}}
        case _:
            action = {"type": "search", "query": "q"}
            return {"type": "web_search_call", "id": mark, "status": "completed", "action": action}


@dataclass
class History:
    """A conversation under construction.

    Attributes:
        origin: The vendor whose model answered in it.
        kept: Texts that no vendor may lose, whatever happens.
        either: Texts that must be on the wire, or else be reported under one of these subjects.
    """

    origin: str | None
    messages: list[Message] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    either: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    number: int = 0

    def mark(self, word: str) -> str:
        """Return a text that stands nowhere else."""
        self.number += 1
        return f"{word}-{self.number:03d}-x"

    def text(self, word: str) -> Text:
        mark = self.mark(word)
        self.kept.append(mark)
        return Text(text=mark)

    def add(self, turn: str, draw: Any) -> None:
        """Add one turn of a kind."""
        match turn:
            case "user":
                self.messages.append(Message(role="user", parts=tuple(self._said(draw))))
            case "assistant":
                self.messages.append(Message(role="assistant", parts=tuple(self._answered(draw))))
            case "calls":
                self._calls(draw)
            case "system":
                self.messages.append(Message(role="system", parts=(self.text("system"),)))
            case "empty":
                self.messages.append(Message(role=draw(st.sampled_from(["user", "assistant"])), parts=()))
            case "orphan":
                result = ToolResult(
                    id=draw(st.sampled_from(["gone", "call_1"])), name="look", parts=(self.text("lone"),)
                )
                self.messages.append(Message.tool(result))

    def _said(self, draw: Any) -> list[Part]:
        parts: list[Part] = [self.text("user")]
        kind = draw(st.sampled_from(["", "", "", "image", "document"]))
        if kind == "image":
            mark = self.mark("image")
            parts.append(Image(data=_PNG + mark.encode(), mime="image/png"))
        elif kind == "document":
            mark = self.mark("document")
            parts.append(Document(data=b"%PDF-1.4 " + mark.encode(), mime="application/pdf", name="paper.pdf"))
        return parts

    def _answered(self, draw: Any) -> list[Part]:
        parts: list[Part] = []
        if draw(st.booleans()):
            parts.append(self._thought())
        if self.origin and draw(st.integers(0, 5)) == 0:
            mark = self.mark("opaque")
            parts.append(Opaque(type="web_search_call", origin=self.origin, native=_item(self.origin, mark)))
            self.either.append((mark, frozenset({"web_search_call", "opaque"})))
        parts.append(self.text("answer"))
        return parts

    def _thought(self) -> Thinking:
        mark = self.mark("thought")
        self.either.append((mark, frozenset({"thinking"})))
        return Thinking(text=mark, origin=self.origin, native=thinking_of(self.origin, mark))

    def _calls(self, draw: Any) -> None:
        count = draw(st.integers(1, 3))
        shared = draw(st.integers(0, 3)) == 0
        minted = draw(st.booleans())
        parts: list[Part] = [self._thought()] if draw(st.booleans()) else []
        ids = []
        for at in range(count):
            mark = self.mark("argument")
            self.kept.append(mark)
            ids.append(
                "call_1" if shared and at == 0 else f"call/{mark}" if draw(st.booleans()) else f"toolu_{mark}" * 3
            )
            call = ToolCall(id=ids[-1], name="look", arguments={"where": mark}, minted=minted)
            parts.append(call)
        self.messages.append(Message(role="assistant", parts=tuple(parts)))
        answered = draw(st.permutations(ids))[: draw(st.integers(0, count))] if draw(st.integers(0, 3)) == 0 else ids
        results = [self._result(one, draw) for one in answered]
        if results and draw(st.booleans()):
            self.messages.append(Message.tool(*results))
        else:
            self.messages += [Message.tool(result) for result in results]

    def _result(self, call_id: str, draw: Any) -> ToolResult:
        kind = draw(st.sampled_from(["text", "text", "empty", "failed", "array"]))
        if kind == "empty":
            return ToolResult(id=call_id)
        part = self.text("result")
        if kind == "array":
            part = Text(text=f'["{part.text}", 2]')
        return ToolResult(id=call_id, name="look", parts=(part,), failed=kind == "failed")


@st.composite
def histories(draw: Any, origin: str | None) -> History:
    """Give conversations whose answers came from `origin`, and which end with a question."""
    history = History(origin)
    if draw(st.booleans()):
        history.add("system", draw)
    for turn in draw(st.lists(st.sampled_from(_TURNS), max_size=7)):
        history.add(turn, draw)
    history.add("user", draw)
    return history
