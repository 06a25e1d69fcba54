"""Vectors and likelihoods without a model: from hashes and byte counts."""

from __future__ import annotations

import hashlib
import math

from ...types import Score

__all__ = ["score", "vector"]

_NATS_PER_BYTE = math.log(256)


def vector(text: str, size: int) -> tuple[float, ...]:
    """Return a unit vector that depends on the words of a text alone, not on their order."""
    sums = [0] * size
    for word in text.casefold().split() or [""]:
        for i, byte in enumerate(hashlib.shake_256(word.encode("utf-8", "surrogatepass")).digest(size)):
            sums[i] += 2 * byte - 255
    length = math.sqrt(sum(value * value for value in sums))
    # Each summand is odd, so only opposite words can cancel to nothing, and in one or two dimensions only.
    return tuple(value / length for value in sums) if length else (1.0, *(0.0,) * (size - 1))


def score(text: str) -> Score:
    """Return the likelihood of a text whose bytes are all equally likely; its tokens are characters."""
    logprobs = tuple(-_NATS_PER_BYTE * len(character.encode("utf-8", "surrogatepass")) for character in text)
    return Score(tokens=tuple(text), logprobs=logprobs, bos=True)
