"""What the runner asks of a vendor: everything in which one vendor's recordings differ from another's.

A vendor is a folder beside this file: its reader of raw answers, its translation of recorded bodies into requests, the
differences of bodies that are accepted, and how its answers go back. All of it is written from the vendor's
documentation and the recordings, never from genkit's own encoders and decoders.
"""

from __future__ import annotations

import abc
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from genkit import errors
from genkit.backends.wire import WireBackend
from genkit.types import CallWarning, EmbedRequest, Message, Request, Response, ToolResult

from . import bodies, replies
from .bodies import Rule
from .cassettes import Interaction, Interface
from .reader import Choice, Reading

__all__ = ["Translation", "Vendor"]

JSON = dict[str, Any]


@dataclass(frozen=True)
class Translation:
    """A recorded body as a request, with the names of what had to go by `extra` or as an opaque part."""

    request: Request | EmbedRequest
    unworded: tuple[str, ...] = ()


class Vendor(abc.ABC):
    """One vendor's recordings.

    Attributes:
        backends: Name of genkit's backend, by the provider that a cassette names.
        credential: Header that carries the credential, by backend.
        accepted: The accepted differences between a body recorded and a body sent, each with its reason.
        fields: Where a setting stands in a body, as dotted paths, where it is not its own name.
        says_end: Whether a stream has a terminator of its own, so that a connection lost before it is always an error.
        epilogue: What may come after the terminator, and is not read.
        listed: Known differences one by one: what is compared and where, with the reason; strict, both ways.
    """

    backends: ClassVar[Mapping[str, str]]
    credential: ClassVar[Mapping[str, str]]
    accepted: ClassVar[tuple[tuple[str, Rule], ...]]
    fields: ClassVar[Mapping[str, tuple[str, ...]]]
    says_end: ClassVar[bool] = True
    listed: ClassVar[Mapping[tuple[str, str], str]] = {}
    epilogue: ClassVar[bytes] = b"\n\n: the end\n\n"

    # What was recorded.

    @abc.abstractmethod
    def interface(self, method: str, path: str, body: JSON) -> Interface:
        """Return which interface a request is for."""

    def recorded(self, interaction: Interaction) -> Interaction:
        """Return what the vendor would have answered to genkit, which may ask for another form than the recorder."""
        return interaction

    @abc.abstractmethod
    def route(self, interaction: Interaction) -> str:
        """Return the path that genkit has to send such a request to."""

    # What the answer says.

    @abc.abstractmethod
    def read(self, interaction: Interaction, content: bytes) -> Reading:
        """Read an answer, or the beginning of one."""

    @abc.abstractmethod
    def tokens(self, usage: JSON | None) -> dict[str, int | None]:
        """Return the vendor's counts in classes that do not overlap, by the names of `Usage`."""

    @abc.abstractmethod
    def finish_words(self, api: str, choice: Choice) -> set[str]:
        """Return the words of genkit's six that are right for an answer."""

    @abc.abstractmethod
    def failure(self, status: int, error: JSON) -> tuple[type[errors.GenkitError], str | None]:
        """Return what kind of failure an error object is, and its code."""

    @abc.abstractmethod
    def breakdown(self, interaction: Interaction) -> tuple[bytes, type[errors.GenkitError]]:
        """Return how the vendor reports in mid-stream that something is wrong, and what that is."""

    def damaged(self, content: bytes) -> Iterator[tuple[bytes, type[errors.GenkitError]]]:
        """Yield a stream with faults that the vendor's framing reveals, and what they are."""
        yield from ()

    def variants(self, content: bytes) -> Iterator[bytes]:
        """Yield the same stream in other bytes: other line ends, and comments."""
        lines = content.replace(b"\r\n", b"\n")
        dripping = b"\xef\xbb\xbf: hello\n\n" + lines.replace(b"\n\n", b"\n: still here\n\n")
        for end in (b"\r\n", b"\r"):
            yield dripping.replace(b"\n", end)

    def compare(self, recorded: JSON, sent: JSON, warnings: Sequence[CallWarning] = ()) -> tuple[list[str], list[str]]:
        """Return the reasons of the accepted differences between two bodies, and the differences that are not."""
        return bodies.compare(
            recorded, sent, warnings, accepted=self.accepted, fields=self.fields, explained=self.explained
        )

    # Asking for it.

    def place(self, interaction: Interaction) -> Hashable:
        """Return what tells the backends apart: interactions of one place share a backend."""
        return interaction.backend, interaction.api

    @abc.abstractmethod
    def backend(self, interaction: Interaction) -> WireBackend:
        """Return a backend as it is at home, with a made-up credential."""

    @abc.abstractmethod
    def translate(self, interaction: Interaction) -> Translation:
        """Return the recorded body as a request. Raises `NotYet` where genkit has no word for something in it."""

    def explained(self, theirs: JSON, mine: JSON, warning: CallWarning) -> list[str]:
        """Remove what a warning explains, beyond the field of its setting; return the reasons."""
        return []

    # Sending it back.

    @abc.abstractmethod
    def as_plain(self, interaction: Interaction, reading: Reading) -> bytes:
        """Return the plain answer that says the same as a stream."""

    def unlike_plain(self, stream: Response[Any], plain: Response[Any]) -> list[str]:
        """Compare the response of a stream with that of the plain answer."""
        return replies.unlike_plain(stream, plain)

    @abc.abstractmethod
    def turns(self, api: str, body: JSON) -> list[JSON] | None:
        """Return the conversation in a body: its messages, items or contents; None where it is no list."""

    def following(self, answer: Message) -> tuple[tuple[Message, ...], int]:
        """Return what has to follow an answer in a history, and in how many pieces it is sent."""
        # A call must have its result, which is not looked at.
        results = tuple(ToolResult(id=call.id, name=call.name) for call in answer.tool_calls)
        return ((Message.tool(*results),) if results else ()), len(results)

    @abc.abstractmethod
    def unlike_answer(self, interaction: Interaction, reading: Reading, turn: Sequence[JSON]) -> list[str]:
        """Compare an encoded answer with the vendor's: nothing invented, nothing left out that it wants back."""

    @abc.abstractmethod
    def sent_back(self, interaction: Interaction, later: Interaction, reading: Reading) -> list[JSON] | None:
        """Return what the recorded client sent back of an answer, where it did so unchanged in a later request."""

    @abc.abstractmethod
    def unlike_client(self, sent: Sequence[JSON], turn: Sequence[JSON]) -> list[str]:
        """Compare an encoded answer with what the recorded client sent: all that it sent must be there, and equal."""
