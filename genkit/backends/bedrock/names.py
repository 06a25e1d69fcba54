"""Names and ids as Bedrock wants them, and back."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

__all__ = ["ToolNames", "call_id"]

_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_ISSUED = re.compile(r"tooluse_[a-zA-Z0-9_-]{1,56}")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def call_id(given: str, length: int | None, *, issued: bool = False) -> str:
    """Return a tool call's id in the form that is accepted; the same id gives the same again.

    Args:
        given: The id, of whatever vendor.
        length: Exact length of alphanumeric ids, where the model insists on one.
        issued: Whether ids that Bedrock gave itself are taken all the same.
    """
    if length is not None and not (issued and _ISSUED.fullmatch(given)):
        if len(given) == length and given.isascii() and given.isalnum():
            return given
        number = int.from_bytes(_digest(given)[:8], "big")
        return "".join(_DIGITS[number // 36**place % 36] for place in range(length))
    return given if _ID.fullmatch(given) else f"call_{_digest(given).hex()[:32]}"


class ToolNames:
    """Tool names with characters that Bedrock refuses, under others while they are on the wire.

    Args:
        names: The names of all tools of a request; no two of them share one on the wire.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._wire: dict[str, str] = {}
        self._taken: set[str] = set()
        # Names that are fine keep themselves, whoever comes first.
        for name in sorted(names, key=lambda name: _NAME.fullmatch(name) is None):
            self.wire(name)

    def wire(self, name: str) -> str:
        """Return a name as it is sent."""
        found = self._wire.get(name)
        if found is None:
            found = self._wire[name] = self._fresh(name)
            self._taken.add(found)
        return found

    @property
    def changed(self) -> Mapping[str, str]:
        """The names that are sent otherwise, by how they are sent."""
        return {sent: name for name, sent in self._wire.items() if sent != name}

    def _fresh(self, name: str) -> str:
        if _NAME.fullmatch(name) and name not in self._taken:
            return name
        bare = re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:55] or "tool"
        return bare if bare not in self._taken and name else f"{bare}_{_digest(name).hex()[:8]}"


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
