"""The vendors whose recordings are replayed."""

from __future__ import annotations

from .openai.recordings import OpenAIRecordings
from .vendor import Vendor

__all__ = ["VENDORS"]

VENDORS: tuple[Vendor, ...] = (OpenAIRecordings(),)
