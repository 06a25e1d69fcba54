"""No key or address of the machine that runs the tests gets into them."""

from __future__ import annotations

import pytest

from genkit.backends.services import SERVICES

_FURTHER = ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "AZURE_OPENAI_AD_TOKEN")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every variable away that the rows of `services` name."""
    named = {name for row in SERVICES.values() for name in (*row.key_env, *row.base_url_env)}
    named |= {name for row in SERVICES.values() for _, names in row.variables for name in names}
    for name in named | set(_FURTHER):
        monkeypatch.delenv(name, raising=False)
