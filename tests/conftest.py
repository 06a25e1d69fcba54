"""What every test of the project runs under: no network beyond this machine."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from genkit.testing import loopback_only

if importlib.util.find_spec("hypothesis"):  # the minimal install's tests run without it
    _settings: Any = importlib.import_module("hypothesis").settings
    # A shared machine is slow at times, and a failure must come again when the test is run again.
    _settings.register_profile("genkit", deadline=None, derandomize=True)
    _settings.load_profile("genkit")


@pytest.fixture(autouse=True)
def this_machine_only(request: pytest.FixtureRequest) -> Iterator[None]:
    """Refuse connections and name look-ups that leave this machine; tests marked `live` may leave it."""
    if request.node.get_closest_marker("live"):
        yield
        return
    with loopback_only(), pytest.MonkeyPatch.context() as patch:
        refuse = socket.getaddrinfo

        def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
            # Names under .invalid exist nowhere (RFC 6761), so that asking for one needs no network to be answered.
            if str(host).endswith(".invalid"):
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return refuse(host, *arguments, **options)

        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield
