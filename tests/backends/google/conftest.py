"""No key, project or address of the machine that runs the tests gets into them."""

from __future__ import annotations

import pytest

VARIABLES = (
    "GOOGLE_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_CLOUD_PROJECT",
    "GOOGLE_CLOUD_LOCATION",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_GENAI_API_VERSION",
)


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every variable away that the backend reads."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
