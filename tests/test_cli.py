"""The command line, run as users run it: in a process of its own."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from genkit import Response
from tests.farend import Call, FarEnd


def genkit(*arguments: str, stdin: str | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", "import genkit_llm; genkit_llm.main()", *arguments],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        timeout=60,
        env={**_clean(), **environ},
        check=False,
    )


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY") and "GENKIT" not in name}


def test_the_answer_and_nothing_else_goes_to_standard_output() -> None:
    done = genkit("run", "Say hi", "--model", "mock:")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Say hi\n", "")


def test_the_prompt_may_come_through_a_pipe_or_both_ways() -> None:
    assert genkit("run", "-m", "mock:", stdin="piped\n").stdout == "piped\n"
    assert genkit("run", "-", "-m", "mock:", stdin="piped\n").stdout == "piped\n"
    assert genkit("run", "Sum up:", "-m", "mock:", stdin="one\ntwo\n").stdout == "Sum up:\n\none\ntwo\n"


def test_json_is_the_whole_response_on_one_line() -> None:
    done = genkit("run", "hi", "-m", "mock:", "--json")
    assert done.stdout.count("\n") == 1
    response = Response.model_validate_json(done.stdout)
    assert (response.text, response.finish, response.usage.total) == ("hi", "stop", 2)
    assert json.loads(done.stdout)["backend"] == "mock"


def test_a_plan_has_its_warnings_in_the_json_and_on_standard_error() -> None:
    done = genkit("plan", "hi", "-m", "openai:gpt-5", "--set", "temperature=0")
    assert (done.returncode, "temperature" in done.stderr) == (0, True)
    assert [item["subject"] for item in json.loads(done.stdout)["warnings"]] == ["temperature"]


def test_without_streaming_the_answer_is_the_same() -> None:
    assert genkit("run", "a b c", "-m", "mock:", "--no-stream").stdout == genkit("run", "a b c", "-m", "mock:").stdout


def test_settings_are_checked_and_used() -> None:
    done = genkit("run", "a b c d", "-m", "mock:", "--set", "max_tokens=2")
    assert done.stdout == "a b\n"
    assert "length" in done.stderr
    wrong = genkit("run", "a", "-m", "mock:", "--set", "temprature=0")
    assert wrong.returncode == 2
    assert "did you mean 'temperature'" in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["run", "-m", "mock:"], 2),
        (["run", "hi", "-m", "opnai:x"], 2),
        (["run", "hi", "-m", "openai:gpt-5-mini"], 2),
        (["run", "hi", "-m", "ollama:x", "--set", "timeout=2"], 1),
        (["models", "rm", "nothing"], 2),
        (["fly"], 2),
    ],
)
def test_failures_are_one_line_and_an_exit_code(arguments: list[str], code: int) -> None:
    done = genkit(*arguments, OLLAMA_HOST="", OLLAMA_BASE_URL="http://127.0.0.1:9")
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_key_is_named() -> None:
    assert "OPENAI_API_KEY" in genkit("run", "hi", "-m", "openai:gpt-5-mini").stderr


def test_the_model_may_come_from_the_environment() -> None:
    done = genkit("run", "hi", GENKIT_LLM_MODEL="mock:")
    assert (done.stdout, done.stderr) == ("hi\n", "")


def test_a_reader_that_goes_away_ends_it_without_noise() -> None:
    start = f"{sys.executable} -c 'import genkit_llm; genkit_llm.main()'"
    command = f"{start} run - -m mock: | head -c 3; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        input="word " * 200_000,
        capture_output=True,
        text=True,
        timeout=60,
        env=_clean(),
        check=False,
    )
    assert done.stdout == "wor141\n"
    assert done.stderr == ""


def test_an_interrupt_is_exit_code_130(tmp_path: Path) -> None:
    script = tmp_path / "slow.py"
    script.write_text(
        # A child of a shell's background job ignores the signal unless told otherwise.
        "import signal, sys, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import genkit_llm\nfrom genkit.backends.mock import Mock\n"
        "def slow(self, request):\n    print('ready', file=sys.stderr, flush=True)\n    time.sleep(30)\n"
        "Mock.stream = slow\nsys.argv = ['genkit', 'run', 'hi', '-m', 'mock:']\ngenkit_llm.main()\n"
    )
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, str(script)], text=True, env=_clean(), **pipes) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "ready\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in errors


EVERY_OUTPUT = pytest.mark.parametrize(
    "arguments", [["run", "hi", "-m", "mock:"], ["models", "list"], ["--version"], ["--help"], ["run", "--help"]]
)


def writing_to(stdout: Any, arguments: list[str], **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", "import genkit_llm; genkit_llm.main()", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        env={**_clean(), **environ},
        check=False,
    )


@EVERY_OUTPUT
def test_a_full_disk_is_one_line(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = writing_to(full, arguments)
    assert (done.returncode, done.stderr) == (1, "genkit: cannot write the answer: No space left on device\n")


@EVERY_OUTPUT
def test_a_reader_that_has_gone_is_exit_code_141(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = writing_to(writing, arguments)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@EVERY_OUTPUT
def test_a_closed_standard_output_is_one_line(arguments: list[str]) -> None:
    script = f"exec {shlex.join([sys.executable, '-c', 'import genkit_llm; genkit_llm.main()', *arguments])} >&-"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, env=_clean(), check=False)
    said = "genkit: standard output is closed, so there is nowhere to write the answer\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


def test_without_a_standard_error_nothing_but_the_answer_is_printed() -> None:
    command = [sys.executable, "-c", "import genkit_llm; genkit_llm.main()", "run", "a b", "-m", "mock:"]
    script = f"exec {shlex.join([*command, '--set', 'max_tokens=1'])} 2>&-"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, env=_clean(), check=False)
    assert (done.returncode, done.stdout) == (0, "a\n")


def test_an_answer_that_breaks_off_has_a_line_of_its_own() -> None:
    def script(call: Call) -> None:
        call.head(200, {"content-type": "text/event-stream"})
        call.chunk(b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"so far"}}]}\n\n')
        call.end()

    with FarEnd(script) as far:
        done = genkit("run", "hi", "-m", "vllm:m", VLLM_BASE_URL=f"{far.url}/v1")
    assert (done.returncode, done.stdout) == (1, "so far\n")
    assert "what arrived is above" in done.stderr
    assert ".response" not in done.stderr


def test_a_setting_of_the_wrong_kind_is_said_in_words() -> None:
    done = genkit("run", "hi", "-m", "mock:", "--set", "stop=5")
    assert done.returncode == 2
    assert "stop=5: must be a text or a list of texts" in done.stderr


def test_standard_input_that_is_no_text_is_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import genkit_llm; genkit_llm.main()", "run", "-m", "mock:"],
        input=b"\xff\xfe",
        capture_output=True,
        timeout=60,
        env={**_clean(), "PYTHONIOENCODING": "utf-8:strict"},
        check=False,
    )
    assert done.returncode == 2
    assert b"no utf-8 text" in done.stderr
    assert b"Traceback" not in done.stderr


def test_the_models_of_this_machine_are_listed(tmp_path: Path) -> None:
    done = genkit("models", "list", GENKIT_LLM_CACHE=str(tmp_path))
    assert done.returncode == 0
    assert "hf:smollm2" in done.stdout
    assert "genkit models pull smollm2" in done.stdout


def test_the_version_is_printed() -> None:
    assert genkit("--version").stdout.startswith("genkit-llm ")
