"""The vendors whose recordings are replayed."""

from __future__ import annotations

from .bedrock.recordings import BedrockRecordings
from .google.recordings import GoogleRecordings
from .openai.recordings import OpenAIRecordings
from .vendor import Vendor

__all__ = ["VENDORS"]

VENDORS: tuple[Vendor, ...] = (OpenAIRecordings(), GoogleRecordings(), BedrockRecordings())
