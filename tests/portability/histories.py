"""Conversations as each vendor leaves them behind, and as programs and people write them: generated, with marks.

Every piece of content is unique, so that a test can look for it on the wire.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from genkit.types import Document, Image, Message, Part, Text, ToolCall, ToolResult
from tests.portability.answers import Said, answered, has

__all__ = ["History", "histories"]

_PNG = b"\x89PNG\r\n\x1a\n"
_TURNS = ("user", "user", "assistant", "assistant", "calls", "calls", "system", "empty", "orphan")


@dataclass
class History:
    """A conversation under construction.

    Attributes:
        origin: The vendor whose model answered in it.
        kept: Texts that no vendor may lose, whatever happens.
        either: Texts that must be on the wire, below the key if there is one, or else be reported under one of these
            subjects.
    """

    origin: str | None
    messages: list[Message] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    either: list[tuple[str, str, frozenset[str]]] = field(default_factory=list)
    number: int = 0

    def mark(self, word: str) -> str:
        """Return a text that stands nowhere else."""
        self.number += 1
        return f"{word}-{self.number:03d}-x"

    def text(self, word: str) -> Text:
        mark = self.mark(word)
        self.kept.append(mark)
        return Text(text=mark)

    def report(self, text: str, *subjects: str, key: str = "") -> None:
        """Remember that a text must be on the wire or reported."""
        self.either.append((text, key, frozenset(subjects)))

    def add(self, turn: str, draw: Any) -> None:
        """Add one turn of a kind."""
        match turn:
            case "user":
                self._message("user", self._said(draw), draw)
            case "assistant":
                self._message("assistant", answered(self.origin, self._answer(draw)), draw)
            case "calls":
                self._calls(draw)
            case "system":
                self._message("system", [self.text("system")], draw)
            case "empty":
                self.messages.append(Message(role=draw(st.sampled_from(["user", "assistant"])), parts=()))
            case "orphan":
                result = ToolResult(
                    id=draw(st.sampled_from(["gone", "call_1"])),
                    name="look",
                    parts=(self.text("lone"),),
                    failed=draw(st.booleans()),
                )
                self.messages.append(Message.tool(result))

    def _message(self, role: Any, parts: Sequence[Part], draw: Any) -> None:
        """Add a message, now and then with the name of its speaker and the mark of a cache."""
        name = None
        if draw(st.integers(0, 4)) == 0:
            name = self.mark("name")
            self.report(name, "name")
        given = list(parts)
        if isinstance(given[-1], Text) and draw(st.integers(0, 4)) == 0:
            given[-1] = given[-1].model_copy(update={"cache": True})
            self.report("cachePoint", "cache")
        self.messages.append(Message(role=role, parts=tuple(given), name=name))

    def _said(self, draw: Any) -> list[Part]:
        parts: list[Part] = []
        kind = draw(st.sampled_from(["", "", "", "image", "document"]))
        if kind == "image":
            mark = self.mark("image")
            parts.append(Image(data=_PNG + mark.encode(), mime="image/png"))
        elif kind == "document":
            mark = self.mark("document")
            parts.append(Document(data=b"%PDF-1.4 " + mark.encode(), mime="application/pdf", name="paper.pdf"))
        said: list[Part] = draw(st.permutations([*parts, self.text("user")]))
        return said

    def _answer(self, draw: Any) -> list[Said]:
        """Return what the model says in an answer without calls."""
        said = [self._thought(draw)] if has(self.origin, "thinking") and draw(st.booleans()) else []
        if has(self.origin, "item") and draw(st.integers(0, 5)) == 0:
            mark = self.mark("opaque")
            self.report(mark, "web_search_call", "executableCode", "opaque")
            said.append(Said("item", mark))
        if has(self.origin, "refusal") and draw(st.integers(0, 5)) == 0:
            mark = self.mark("refusal")
            self.kept.append(mark)
            self.report(mark, "refusal", key="refusal")
            return [*said, Said("refusal", mark)]
        return [*said, self._spoken(draw)]

    def _spoken(self, draw: Any) -> Said:
        mark = self.mark("answer")
        self.kept.append(mark)
        source = self.mark("source") if has(self.origin, "source") and draw(st.integers(0, 3)) == 0 else ""
        if source:
            self.report(source, "citations")
        return Said("text", mark, source=source, sealed=self._sealed(draw, "sealed text"))

    def _thought(self, draw: Any) -> Said:
        mark = self.mark("thought")
        self.report(mark, "thinking")
        return Said("thinking", mark, sealed=self._sealed(draw, "sealed"))

    def _sealed(self, draw: Any, what: str) -> str:
        """Return what the vendor seals its answer with, if it does."""
        if not has(self.origin, what) or draw(st.booleans()):
            return ""
        # Long enough for what is read of base64 on the wire.
        sealed = self.mark("sealed-by-the-vendor")
        self.report(sealed, "thinking", "signature")
        return sealed

    def _calls(self, draw: Any) -> None:
        said = [self._thought(draw)] if has(self.origin, "thinking") and draw(st.booleans()) else []
        if draw(st.integers(0, 3)) == 0:
            said.append(self._spoken(draw))
        shared = draw(st.integers(0, 3)) == 0
        broken = draw(st.integers(0, 9)) == 0
        calls = [self._call(draw, shared=shared and at == 0, broken=broken) for at in range(draw(st.integers(1, 3)))]
        parts = answered(self.origin, [*said, *calls])
        if broken:
            parts = tuple(_cut(part) if isinstance(part, ToolCall) else part for part in parts)
        self.messages.append(Message(role="assistant", parts=parts))
        ids = [part.id for part in parts if isinstance(part, ToolCall)]
        found = draw(st.permutations(ids))[: draw(st.integers(0, len(ids)))] if draw(st.integers(0, 3)) == 0 else ids
        results = [self._result(one, draw) for one in found]
        if results and draw(st.integers(0, 5)) == 0:
            self.add("user", draw)
        if results and draw(st.booleans()):
            self.messages.append(Message.tool(*results))
        else:
            self.messages += [Message.tool(result) for result in results]

    def _call(self, draw: Any, *, shared: bool, broken: bool) -> Said:
        mark = self.mark("argument")
        given = draw(st.sampled_from([f"call/{mark}", f"toolu_{mark}" * 3]))
        if has(self.origin, "no id") and draw(st.booleans()):
            given = None
        kind = "custom" if has(self.origin, "custom") and draw(st.integers(0, 5)) == 0 else "call"
        self.kept.append(mark)
        sealed = "" if broken else self._sealed(draw, "sealed text")
        return Said(kind, mark, id="call_1" if shared else given, sealed=sealed)

    def _result(self, call_id: str, draw: Any) -> ToolResult:
        kind = draw(st.sampled_from(["text", "text", "empty", "failed", "array"]))
        if kind == "empty":
            return ToolResult(id=call_id)
        part = self.text("result")
        if kind == "array":
            part = Text(text=f'["{part.text}", 2]')
        return ToolResult(id=call_id, name="look", parts=(part,), failed=kind == "failed")


def _cut(call: ToolCall) -> ToolCall:
    """Return a call whose arguments are no JSON, as those of a model that was cut short."""
    if call.arguments is None:
        return call
    return call.model_copy(update={"arguments": None, "raw": f'{{"where": "{call.arguments["where"]}', "native": None})


@st.composite
def histories(draw: Any, origin: str | None) -> History:
    """Give conversations whose answers came from `origin`; most begin with the user, and end with a question."""
    history = History(origin)
    if draw(st.booleans()):
        history.add("system", draw)
    if draw(st.integers(0, 5)) == 0:
        history.add("assistant", draw)
    for turn in draw(st.lists(st.sampled_from(_TURNS), max_size=7)):
        history.add(turn, draw)
    history.add("user", draw)
    if draw(st.integers(0, 5)) == 0:
        history.add("assistant", draw)
    return history
