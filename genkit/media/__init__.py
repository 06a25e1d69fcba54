"""Media on their way to a vendor: their types, and their bytes, fetched under a policy where a URL will not do."""

from __future__ import annotations

from .fetch import Fetcher, policy_of
from .parts import by_url, data_url, fill, held_places, inline_bytes, media_type, own_file, show_places

__all__ = [
    "Fetcher",
    "by_url",
    "data_url",
    "fill",
    "held_places",
    "inline_bytes",
    "media_type",
    "own_file",
    "policy_of",
    "show_places",
]
