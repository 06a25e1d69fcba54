"""What every backend promises, as tests.

A backend passes by a subclass that gives the fixture `backend`; the package that ships the backend needs nothing more:

    class TestAcme(BackendContract):
        model = "acme-large"

        @pytest.fixture
        def backend(self):
            with far_end() as url:
                acme = Acme(base_url=url)
                yield acme
                acme.close()

The far end (a server on loopback, a tiny model) must give the same answer to the same request, and more than 16 tokens
to `long_prompt`; where it cannot, `comparable` says what is equal. What `features` does not declare must be refused or
reported: a declared feature that fails is red, and so is an undeclared one that works.
"""

from __future__ import annotations

from .answers import Answers, Streams
from .before import Foresight
from .features import Abilities, Honesty
from .running import Concurrency, Limits

__all__ = ["BackendContract"]


class BackendContract(Answers, Streams, Concurrency, Limits, Honesty, Abilities, Foresight):
    """The suite. Subclass it and give the fixture `backend`; the hooks say what the far end can be made to do.

    Attributes:
        model: A model the backend answers for.
        embedding_model: The one for `embed`; the same where None.
        prompt: What is usually asked.
        long_prompt: What is asked for an answer of more than 16 tokens.
        settings: Go with every request (a temperature of 0, say, so that answers repeat).
    """
