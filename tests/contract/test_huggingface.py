"""The contract, on the Hugging Face backend with a tiny random model."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from genkit.testing import BackendContract

# Looked for, not imported: collecting the tests must not take what loading torch takes.
pytestmark = pytest.mark.skipif(
    find_spec("torch") is None or find_spec("transformers") is None, reason="needs the extra 'huggingface'"
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    from tests.tiny import checkpoint

    return checkpoint(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def shared(tiny):
    """One backend for the module: what it loaded is what takes long."""
    import torch

    from genkit.backends.huggingface import HuggingFace

    # A model this small gains nothing from threads, and waits for them on a busy machine.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    backend = HuggingFace(device="cpu", dtype="float32")
    yield backend
    backend.close()
    torch.set_num_threads(threads)


class TestHuggingFace(BackendContract):
    settings = {"temperature": 0.0, "max_tokens": 20}  # noqa: RUF012  # the class's own, and not changed

    @pytest.fixture
    def backend(self, shared, tiny):
        self.model = str(tiny)
        return shared

    def unknown_model(self) -> str:
        return f"{self.model}-that-is-not-there"
