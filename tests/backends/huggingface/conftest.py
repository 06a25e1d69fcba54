"""A tiny random model, loaded once for all tests of the backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from genkit.backends.huggingface import HuggingFace
from genkit.backends.huggingface.engine import Engine
from genkit.backends.huggingface.loading import Source, find, load
from genkit.types import Message, Request, Settings
from tests.tiny import checkpoint


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def backend() -> HuggingFace:
    return HuggingFace(device="cpu")


@pytest.fixture(scope="session")
def engine(tiny: Path) -> Engine:
    source = Source(str(tiny), device="cpu")
    return load(source, find(source))


@pytest.fixture
def ask(tiny: Path) -> Any:
    """Return a function that makes a request to the tiny model."""

    def make(*prompt: str | Message, **settings: Any) -> Request:
        fields = {name: settings.pop(name) for name in list(settings) if name in Request.model_fields}
        messages = tuple(Message.user(item) if isinstance(item, str) else item for item in prompt or ("Say hello",))
        return Request(**{"model": str(tiny), "messages": messages, **fields}, settings=Settings(**settings))

    return make
