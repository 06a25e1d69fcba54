"""The pytest plugin, in a pytest of its own."""

from __future__ import annotations

import subprocess
import sys


def test_pytest_finds_the_fixture_by_itself(pytester):
    pytester.makepyfile(
        """
        from pydantic import BaseModel
        from genkit.testing import tool_call

        class Person(BaseModel):
            name: str

        def test_x(mock_llm):
            mock_llm.reply("hi", tool_call("weather", city="Oslo"), Person(name="A"))
            assert mock_llm.generate("q").text == "hi"
            assert mock_llm.generate("q").tool_calls[0].name == "weather"
            assert mock_llm.generate("q").text == '{"name":"A"}'
            assert mock_llm.calls[0].messages[-1].text == "q"
        """
    )
    pytester.runpytest_subprocess("-W", "error", "-p", "no:asyncio").assert_outcomes(passed=1)


def test_each_test_has_a_mock_of_its_own(pytester):
    pytester.makepyfile(
        """
        def test_one(mock_llm):
            mock_llm.reply("one")

        def test_two(mock_llm):
            assert mock_llm.generate("two").text == "two"
            assert len(mock_llm.calls) == 1
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=2)


def test_a_test_that_leaves_the_machine_fails_and_is_told_what_to_do(pytester):
    pytester.makepyfile(
        """
        import socket

        def test_x(mock_llm):
            try:
                socket.create_connection(("api.openai.com", 443))
            except Exception:
                pass

        def test_y():
            assert "guarded" not in socket.getaddrinfo.__qualname__
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*'api.openai.com' was refused: tests with mock_llm stay on this machine*"])


def test_retries_do_not_wait(pytester):
    pytester.makepyfile(
        """
        import time
        from genkit.errors import RateLimited

        def test_x(mock_llm):
            mock_llm.fail(RateLimited("slow down", retry_after=50), times=2)
            started = time.monotonic()
            assert mock_llm.generate("q").text == "q"
            assert time.monotonic() - started < 5
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_the_contract_explains_its_failures(pytester):
    pytester.makepyfile(
        """
        import pytest
        from genkit.testing import BackendContract, Mock

        class Silent(Mock):
            def generate(self, request):
                return super().generate(request).model_copy(update={"backend": ""})

        class TestSilent(BackendContract):
            @pytest.fixture
            def backend(self):
                return Silent()
        """
    )
    result = pytester.runpytest_subprocess("-k", "assistant_message")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*AssertionError: an answer names its backend*", "*where '' = Response(*"])


def test_loading_it_imports_nothing_of_genkit():
    heavy = ["genkit", "pydantic", "torch", "transformers", "numpy", "aiohttp", "httpcore2", "openai"]
    program = f"import sys, genkit_llm_pytest; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
