"""What the pieces of a tool call of Chat Completions say, in all the ways that servers have of saying it."""

from __future__ import annotations

from typing import Any

from ...events import Block, dump_json, load_json, parse_arguments

__all__ = ["is_whole", "keep_more", "keep_wording", "written"]

JSON = dict[str, Any]

_CALL = frozenset({"id", "type", "index", "function", "custom"})
_FUNCTION = frozenset({"name", "arguments", "input"})


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
