"""The contract, on a backend of another package: found by its entry point, used by its name."""

from __future__ import annotations

import importlib
import sys

import pytest

from genkit import LLM
from genkit.backends import known, load
from genkit.errors import UnknownBackend
from genkit.testing import BackendContract

# Less than genkit's own backends have: it only generates and streams, by a plain generator.
SOURCE = """
import time

from genkit.backends.base import Backend, Losses
from genkit.errors import InvalidRequest, Timeout
from genkit.events import replay
from genkit.types import Features, Message, Response, Text, Timing


class Parrot(Backend):
    def __init__(self, *, name):
        self.name = name

    def features(self, model):
        return Features()

    def generate(self, request):
        if not request.messages:
            raise InvalidRequest("the prompt is empty", backend=self.name)
        losses, started = Losses(request, backend=self.name), time.time()
        losses.settings(request.settings, frozenset(), where="a parrot")
        for what, given in (("tools", request.tools), ("output_schema", request.output_schema)):
            if given:
                losses.lose(what, "a parrot has none", guarantee=True)
        for part in request.messages[-1].parts:
            if part.kind != "text":
                losses.lose(part.kind, "a parrot hears text", guarantee=True)
        return Response(
            message=Message.assistant(Text(text=request.messages[-1].text)),
            finish="stop",
            model=request.model,
            backend=self.name,
            warnings=tuple(losses.warnings),
            timing=Timing(started, time.time() - started, time.time() - started),
        )

    def stream(self, request):
        yield from replay(self.generate(request))
"""


@pytest.fixture
def parrot(tmp_path, monkeypatch):
    """Install the package for one test: a module, and the metadata a wheel would bring."""
    (tmp_path / "acme_parrot.py").write_text(SOURCE)
    info = tmp_path / "acme_parrot-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-parrot\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[genkit.backends]\nparrot = acme_parrot:Parrot\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield "parrot"
    sys.modules.pop("acme_parrot", None)


class TestParrot(BackendContract):
    @pytest.fixture
    def backend(self, parrot):
        return load(parrot)


def test_an_llm_takes_it_by_its_name(parrot):
    response = LLM(f"{parrot}:grey").generate("hello")
    assert (response.text, response.backend, response.model) == ("hello", "parrot", "grey")


def test_it_is_listed_among_the_known_backends(parrot):
    assert parrot in known()


def test_it_is_unknown_where_the_package_is_not_installed():
    with pytest.raises(UnknownBackend):
        LLM("parrot:grey")
