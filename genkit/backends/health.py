"""Whether calls to a backend behind HTTP can work: its probe is sent, and the answer judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ..errors import AuthenticationFailed, BadResponse, GenkitError, PermissionDenied
from ..events import load_json
from ..transport import HttpRequest, HttpResponse
from ..transport.messages import masked, masked_bytes, masked_url
from ..types import Health, Timeouts
from .body import first_words, shortened
from .signing import sign_in_time

if TYPE_CHECKING:
    from .wire import WireBackend

__all__ = ["examined"]

_TIMEOUTS = Timeouts(connect=5.0, first=10.0, total=10.0)
_State: TypeAlias = Literal["ready", "configured", "unconfigured", "refused", "failing", "unreachable"]


def examined(backend: WireBackend, *, online: bool) -> Health:
    """Return the state of a backend. Never raises; ten seconds at most."""
    wire = backend.probe()
    address: str | None = None

    def found(state: _State, message: str) -> Health:
        return Health(backend=backend.name, state=state, message=shortened(message), address=address)

    try:
        address = masked_url(backend.placeholders(wire)[0])
        if not online and backend.may_wait():
            # To find one out may take the network: a token, a role, a metadata service.
            return found("unconfigured", "no credential is at hand; where else one may come from is asked online only")
        http, _ = sign_in_time(backend, replace(wire, timeouts=_TIMEOUTS), b"")
    except GenkitError as error:
        return found("unconfigured", error.message)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # the user's own function, which may raise anything
        # Its words may hold what it was made of, a key among them.
        return found("unconfigured", f"the credential cannot be had: its source raised {type(error).__name__}")
    if not online:
        return found("configured", "there is a credential, or none is needed; the far end was not asked")
    return _asked(backend, replace(http, content=b"", method=wire.method), found)


def _asked(backend: WireBackend, http: HttpRequest, found: Callable[[_State, str], Health]) -> Health:
    try:
        reply = backend.transport.send(http, _TIMEOUTS)
        return found(*_judged(backend, reply, http))
    except BadResponse as error:
        return found("failing", masked(error.message, http.secrets()))
    except GenkitError as error:
        return found("unreachable", masked(error.message, http.secrets()))
    except (Exception, SystemExit) as error:  # noqa: BLE001  # an HTTP client of the user's own, or its hooks
        message = masked(f"it cannot be asked: {type(error).__name__}: {error}", http.secrets())
        return found("unreachable", message)


def _judged(backend: WireBackend, reply: HttpResponse, http: HttpRequest) -> tuple[_State, str]:
    """Return what an answer to the probe means."""
    answers = f"it answers (status {reply.status})"
    content = _json(reply.content)
    if 200 <= reply.status < 300:
        # LM Studio says 200 of routes that it does not have, and the error in the body.
        if isinstance(content, list) or (isinstance(content, dict) and not content.get("error")):
            return "ready", answers
        quoted = first_words(masked_bytes(reply.content, http.secrets()))
        return "failing", f"{answers}, and not as this API does: {quoted!r}; is the base URL right?"
    failure = backend.refusal(reply.status, reply.headers, reply.content, http)
    if isinstance(failure, AuthenticationFailed | PermissionDenied):
        return "refused", str(failure)
    known = backend.probe_answers().get(reply.status)
    if known is not None and isinstance(content, dict):
        if known == "ready":
            return known, answers
        why = "it does not list its models, so that the credential was not tried; is the path of the base URL right?"
        return known, f"{answers}; {why}"
    way_out = "; is the base URL right?" if reply.status in (404, 405) else ""
    return "failing", f"{answers}, which is a failure: {failure.message}{way_out}"


def _json(content: bytes) -> Any:
    try:
        return load_json(content)
    except ValueError:
        return None
