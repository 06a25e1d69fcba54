"""Reads the code blocks out of Markdown pages, with the output shown after them.

A `text` block right after a `python` block is the output of that block. An HTML comment before a block, which readers
do not see, scripts what the model behind it answers:

    <!-- answers: "Paris.", "Oslo." -->    one reply after the other, as JSON values
    <!-- answers: {"fail": "RateLimited"}, "Second try." -->

`<!-- no mock -->` leaves the real backend in place, for what it does without sending.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[\w-]*)[^\n]*\n(?P<code>.*?)^(?P=indent)```[ ]*$"
    r"|^ *<!-- answers: (?P<answers>.*?) -->[ ]*$|^ *<!-- (?P<real>no mock) -->[ ]*$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """One fenced block: where it stands, what it says, what it is to print, and what answers it."""

    line: int
    language: str
    code: str
    shown: str | None = None
    answers: tuple[Any, ...] = ()
    real: bool = False


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, outputs joined to the code that makes them."""
    text = page.read_text(encoding="utf-8")
    found: list[Block] = []
    answers: tuple[Any, ...] = ()
    real = False
    end_of_code = -1
    for match in _FENCE.finditer(text):
        if match["answers"] is not None:
            answers = tuple(json.loads(f"[{match['answers']}]"))
            continue
        if match["real"] is not None:
            real = True
            continue
        indent = match["indent"]
        code = "".join(line.removeprefix(indent) for line in match["code"].splitlines(keepends=True))
        # Only blank lines between code and output: a sentence in between makes it a block of its own.
        if match["language"] == "text" and end_of_code >= 0 and not text[end_of_code : match.start()].strip():
            found[-1] = replace(found[-1], shown=code)
        else:
            line = text.count("\n", 0, match.start()) + 2
            found.append(Block(line, match["language"], code, answers=answers, real=real))
            answers, real = (), False
        end_of_code = match.end() if match["language"] == "python" else -1
    return found


def pages_with(language: str) -> list[Path]:
    """Return the pages that have a block of a language."""
    return [page for page in PAGES if any(block.language == language for block in blocks(page))]
