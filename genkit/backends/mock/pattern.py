"""A text for a regular expression, as far as schemas use them: literals, classes, groups, choices, repeats, anchors."""

from __future__ import annotations

import re

__all__ = ["sample"]

_CLASSES = {"d": "0", "w": "a", "s": " ", "D": "a", "W": "-", "S": "a", "b": "", "B": "", "A": "", "Z": "", "z": ""}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_CANDIDATES = "a0A-_ .1zZ9@#~" + "".join(map(chr, range(33, 127)))


def sample(pattern: str, length: int = 0) -> str | None:
    """Return a short text for a pattern, of about `length` characters where a repeat is open; None where there is none.

    It is a guess: the caller checks it against the pattern.
    """
    for repeats in (0, length):
        reader = _Reader(pattern, repeats)
        try:
            text = reader.choice()
        except (IndexError, ValueError):
            return None
        if reader.at == len(pattern) and len(text) >= length:
            return text
    return None


class _Reader:
    """A recursive descent over a pattern that writes what it reads."""

    def __init__(self, pattern: str, repeats: int) -> None:
        self._pattern = pattern
        self._repeats = repeats
        self.at = 0

    def choice(self) -> str:
        first = self._sequence()
        while self._peek() == "|":
            self.at += 1
            self._sequence()
        return first

    def _peek(self) -> str:
        return self._pattern[self.at : self.at + 1]

    def _sequence(self) -> str:
        written: list[str] = []
        while self._peek() not in ("", "|", ")"):
            atom = self._atom()
            written.append(atom * self._times())
        return "".join(written)

    def _atom(self) -> str:
        mark = self._peek()
        self.at += 1
        if mark in "^$":
            return ""
        if mark == ".":
            return "a"
        if mark == "\\":
            return self._escape()
        if mark == "[":
            return self._class()
        if mark == "(":
            return self._group()
        return mark

    def _escape(self) -> str:
        mark = self._pattern[self.at]
        self.at += 1
        if mark in _CLASSES:
            return _CLASSES[mark]
        if mark.isalnum() and mark not in _ESCAPES:
            raise ValueError(f"\\{mark} is not known here")
        return _ESCAPES.get(mark, mark)

    def _class(self) -> str:
        start = self.at - 1
        self.at += self._peek() == "^"
        self.at += self._peek() == "]"
        while self._pattern[self.at] != "]":
            self.at += 2 if self._pattern[self.at] == "\\" else 1
        self.at += 1
        allowed = re.compile(self._pattern[start : self.at])
        found = next((c for c in _CANDIDATES if allowed.fullmatch(c)), None)
        if found is None:
            # A class of other scripts: its own first character fits.
            found = next((c for c in self._pattern[start : self.at] if allowed.fullmatch(c)), None)
        if found is None:
            raise ValueError("an empty class")
        return found

    def _group(self) -> str:
        ahead = re.compile(r"\?(?::|P?<[A-Za-z_]\w*>|(?P<look><?[=!]))").match(self._pattern, self.at)
        if ahead:
            self.at = ahead.end()
        elif self._peek() == "?":
            raise ValueError("this kind of group is not known here")
        text = self.choice()
        if self._peek() != ")":
            raise ValueError("a group without an end")
        self.at += 1
        return "" if ahead and ahead["look"] else text

    def _times(self) -> int:
        found = re.compile(r"(?:([*+?])|\{(\d*)(,?)(\d*)\})[?+]?").match(self._pattern, self.at)
        if not found:
            return 1
        self.at = found.end()
        mark, least, comma, most = found.groups()
        if mark:
            return {"*": self._repeats, "+": max(self._repeats, 1), "?": 0}[mark]
        low = int(least or 0)
        if not comma:
            return low
        return max(low, min(self._repeats, int(most)) if most else self._repeats)
