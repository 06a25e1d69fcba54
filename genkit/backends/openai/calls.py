"""What the pieces of a tool call of Chat Completions say, in all the ways that servers have of saying it."""

from __future__ import annotations

from typing import Any

from ...events import Block, dump_json, load_json, parse_arguments
from ...types import ToolCall
from ..base import Losses

__all__ = ["Calls", "is_whole", "keep_more", "keep_wording", "lose_form", "written"]

JSON = dict[str, Any]

_CALL = frozenset({"id", "type", "index", "function", "custom"})
_FUNCTION = frozenset({"name", "arguments", "input"})


class Calls:
    """The calls of one answer while they grow; a piece is found its call without a look at all of them.

    Attributes:
        blocks: The calls, in order.
    """

    __slots__ = ("_by_id", "_ids", "_newest", "blocks")

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._ids: set[str] = set()
        # By number, and under None for pieces without one, which may belong to any.
        self._newest: dict[int | None, tuple[str, Block]] = {}
        self._by_id: dict[tuple[int | None, str], Block] = {}

    def add(self, index: int | None, call_id: str, block: Block) -> None:
        """Remember a call under the number and the id that the server gave it."""
        self.blocks.append(block)
        self._ids.add(block.id)
        for at in {index, None}:
            self._newest[at] = (call_id, block)
            self._by_id[at, call_id] = block

    def taken(self, call_id: str) -> bool:
        """Return whether there is a call of this id: two of one id could not be answered apart."""
        return call_id in self._ids

    def known(self, index: int | None, call_id: str, name: str) -> Block | None:
        """Return the call that a piece belongs to, or None when it begins another one."""
        if index not in self._newest:
            return None
        # Some servers number every call 0, or none, and tell them apart by id.
        if call_id and (same := self._by_id.get((index, call_id))) is not None:
            return same
        known, newest = self._newest[index]
        # Others send a new id with every piece; one without a name goes on with what there is.
        if not name or not call_id or (not known and index is not None):
            return newest
        return None


def written(arguments: Any) -> str:
    """Return a piece of arguments as text; an object instead of its JSON is a known deviation."""
    return arguments if isinstance(arguments, str) else dump_json(arguments) if arguments else ""


def is_whole(block: Block) -> bool:
    """Return whether a call has its name and the whole of its arguments, so that nothing more can belong to it."""
    if not block.name or not block.pieces or not block.pieces[-1].rstrip().endswith("}"):
        return False
    return parse_arguments("".join(block.pieces))[0] is not None


def keep_more(block: Block, call: JSON, function: JSON) -> None:
    """Keep what a piece of a call has besides the usual."""
    if call.keys() <= _CALL and function.keys() <= _FUNCTION:
        return
    kept = dict(block.native or {})
    # Google's route keeps the signature of a thought there, and wants it back.
    if signed := call.get("extra_content"):
        kept["extra_content"] = signed
    more = dict(kept.get("more", {}))
    for fields, known in ((call, _CALL | {"extra_content"}), (function, _FUNCTION)):
        more |= {name: value for name, value in fields.items() if name not in known and value is not None}
    if more:
        kept["more"] = more
    block.native = kept or None


def keep_wording(block: Block) -> None:
    """Keep the arguments as the model wrote them, where that is not how genkit would write them again.

    A prompt that changes by one space is not found in the vendor's cache.
    """
    if block.free:
        return
    text = "".join(block.pieces)
    try:
        same = dump_json(load_json(text)) == text if text else True
    except ValueError:
        return
    if not same:
        block.native = {**(block.native or {}), "arguments": text}


def lose_form(call: ToolCall, losses: Losses) -> None:
    """Report a call of a custom tool that another interface issued: only there does its native data say how it goes."""
    native = call.native or {}
    item = native.get("item")
    if native.get("type") == "custom" or (isinstance(item, dict) and item.get("type") == "custom_tool_call"):
        why = f"the call of the custom tool {call.name!r} is from {call.origin}, and is sent as a call of a function"
        losses.lose("tool_call", why, kind="changed")
