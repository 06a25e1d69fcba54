"""Whether calls of a backend behind HTTP can work: what `health` finds out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from ..errors import AuthenticationFailed, GenkitError, PermissionDenied
from ..transport.messages import masked_url
from ..types import Health, Timeouts
from .signing import sign_in_time

if TYPE_CHECKING:
    from .wire import WireBackend

__all__ = ["health_of"]

_TIMEOUTS = Timeouts(connect=5.0, first=10.0, total=10.0)


def health_of(backend: WireBackend, *, online: bool) -> Health:
    """Return whether calls can work; with `online`, the far end is asked by the backend's `probe`. Never raises."""
    wire = backend.probe()
    address: str | None = None
    state: Literal["ready", "configured", "unconfigured", "refused", "unreachable"] = "unconfigured"
    try:
        address = masked_url(backend.placeholders(wire)[0])
        if not online and backend.may_wait():
            # To find one out may take the network: a token, a role, a metadata service.
            message = "no credential is at hand; where else one may come from is asked online only"
            return Health(backend=backend.name, state=state, message=message, address=address)
        http, _ = sign_in_time(backend, replace(wire, timeouts=_TIMEOUTS), b"")
        state, message = "configured", "there is a credential, or none is needed; the far end was not asked"
        if online:
            state = "unreachable"
            reply = backend.transport.send(replace(http, content=b"", method=wire.method), _TIMEOUTS)
            state, message = "ready", f"it answers (status {reply.status})"
            if reply.status in {400, 401, 403}:
                failure = backend.refusal(reply.status, reply.headers, reply.content, http)
                if isinstance(failure, AuthenticationFailed | PermissionDenied):
                    state, message = "refused", str(failure)
    except GenkitError as error:
        message = error.message
    return Health(backend=backend.name, state=state, message=message, address=address)
