"""Reliability as backends around backends.

Each policy is one generator, `flow`, that says what it wants done and is sent the outcome; it does no I/O, so the same
lines serve plain calls and streams, sync and async. Order, outermost first: Trace, Fallback, Cache, Budget, Retry,
Limit, the backend (Cache and Budget sit inside Fallback, so that a fallback's answer is never stored or priced as the
primary's). Trace, Cache and Budget are to come; `settle` is what they will stand on.
"""

from __future__ import annotations

from .base import Attempt, Call, Effect, Flow, Policy, Sleep, Wait
from .fallback import Fallback, Target
from .limit import Limit
from .retry import Retry
from .streams import AsyncLive, Control, Live

__all__ = [
    "AsyncLive",
    "Attempt",
    "Call",
    "Control",
    "Effect",
    "Fallback",
    "Flow",
    "Limit",
    "Live",
    "Policy",
    "Retry",
    "Sleep",
    "Target",
    "Wait",
]
