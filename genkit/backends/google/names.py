"""Names of functions as Gemini takes them, and back."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..wire import WireRequest

__all__ = ["FunctionNames", "NamedRequest"]

# The description of `FunctionDeclaration.name` in the API's reference, read 2026-11-25.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")


@dataclass(frozen=True, slots=True)
class NamedRequest(WireRequest):
    """A request whose functions may have other names on the wire.

    Attributes:
        names: Their names by how they are sent, where that differs.
    """

    names: Mapping[str, str] = field(default_factory=dict)


class FunctionNames:
    """Names that Gemini refuses, under others while they are on the wire.

    Args:
        names: The names of all functions of a request; no two of them share one on the wire.
    """

    def __init__(self, names: Iterable[str]) -> None:
        # Names that are fine keep themselves, whoever comes first.
        given = dict.fromkeys(names)
        taken = {name for name in given if _NAME.fullmatch(name)}
        self.changed: dict[str, str] = {}
        self._wire: dict[str, str] = {}
        for name in given:
            if name in taken:
                continue
            sent = _bare(name)
            if sent in taken:
                sent = f"{sent}_{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
            taken.add(sent)
            self._wire[name], self.changed[sent] = sent, name

    def wire(self, name: str) -> str:
        """Return a name as it is sent."""
        return self._wire.get(name, name)


def _bare(name: str) -> str:
    bare = re.sub(r"[^A-Za-z0-9_.:-]", "_", name)[:110]
    return bare if _NAME.fullmatch(bare) else f"_{bare}"
