"""What an independent reading of a recorded answer says: the form that all vendors' readers fill.

Each vendor's `reader` is its documentation in code once more, with nothing of genkit: it turns status, headers and
bytes into a `Reading`, and the runner holds what genkit made of the same bytes against it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Call", "Choice", "Reading", "sse"]

JSON = dict[str, Any]


@dataclass
class Call:
    """A tool call; `id` is None where the vendor gave none, as with the `function_call` of old.

    Attributes:
        form: "function", "function_call" (the old one), or "custom", whose arguments are any text.
    """

    id: str | None
    name: str
    arguments: str
    form: str = "function"


@dataclass
class Choice:
    """One answer.

    Attributes:
        finish: The vendor's own words for why it ended.
        items: Types of the vendor's further items, in order.
        tokens: Entries with "token", "logprob" and "top_logprobs", in order; None where none were sent.
        rest: The answer's own further fields, to be found again in some place.
    """

    text: str = ""
    refusal: str = ""
    thinking: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    finish: str | None = None
    citations: list[JSON] = field(default_factory=list)
    tokens: list[JSON] | None = None
    items: list[str] = field(default_factory=list)
    images: list[bytes] = field(default_factory=list)
    audio: list[bytes] = field(default_factory=list)
    rest: JSON = field(default_factory=dict)

    @property
    def logprobs(self) -> list[tuple[str, float]] | None:
        """Token and log-probability, in order."""
        return None if self.tokens is None else _pairs(self.tokens)

    @property
    def likeliest(self) -> list[list[tuple[str, float]]]:
        """Per token the likeliest ones in its place."""
        return [_pairs(token.get("top_logprobs") or []) for token in self.tokens or []]


def _pairs(entries: list[JSON]) -> list[tuple[str, float]]:
    return [(entry["token"], entry["logprob"]) for entry in entries]


@dataclass
class Reading:
    """What an answer says.

    Attributes:
        error: The vendor's error object, where the answer is one.
        count: The counted tokens, where that was asked.
        items: The answer in the vendor's own pieces (items, parts, blocks), in order, as it has to go back.
        final: The last response object of a stream that repeats the whole answer.
        rest: Top-level fields that have no other place here, last value of a stream.
        terminated: Whether the stream's terminator was sent; true for plain answers.
        finish_ends: Whether an answer is whole without the terminator, once it said why it ended.
    """

    choices: list[Choice] = field(default_factory=list)
    id: str | None = None
    model: str | None = None
    request_id: str | None = None
    usage: JSON | None = None
    error: JSON | None = None
    vectors: list[list[float]] = field(default_factory=list)
    count: int | None = None
    items: list[JSON] = field(default_factory=list)
    final: JSON = field(default_factory=dict)
    rest: JSON = field(default_factory=dict)
    terminated: bool = True
    finish_ends: bool = False

    @property
    def whole(self) -> bool:
        """Whether a body that ends here, without an error, is a whole answer."""
        finished = bool(self.choices) and all(choice.finish for choice in self.choices)
        return self.terminated or (self.finish_ends and finished)


def sse(content: bytes) -> list[tuple[str, str]]:
    """Return event name and data of every event, as the HTML standard says."""
    text = content.decode("utf-8").removeprefix("\ufeff")
    events: list[tuple[str, str]] = []
    name, data = "", []
    for line in [*re.split(r"\r\n|\n|\r", text), ""]:
        if not line:
            if data:
                events.append((name, "\n".join(data)))
            name, data = "", []
            continue
        key, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if key == "data":
            data.append(value)
        elif key == "event":
            name = value
    return events
