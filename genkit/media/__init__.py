"""Media on their way to a vendor that cannot take a URL: fetched by us, under a policy, and put in the URL's place."""

from __future__ import annotations

from .fetch import Fetcher, policy_of
from .parts import by_url, fill, held_places, show_places

__all__ = ["Fetcher", "by_url", "fill", "held_places", "policy_of", "show_places"]
