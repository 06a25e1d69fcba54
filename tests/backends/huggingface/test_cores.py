"""The threads of a pass: few for a small model, and nobody else's number changes.

Each in a process of its own: the number of torch's threads is the process's.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

BEGIN = """
import ctypes, os, signal, threading, torch
from pathlib import Path
from genkit.backends.huggingface import HuggingFace, cores, loading
from genkit.types import Message, Request, Settings
torch.set_num_threads(3)
backend = HuggingFace(device="cpu")
asked = Request(model=MODEL, messages=(Message.user("hi"),), settings=Settings(max_tokens=2))
source = loading.Source(MODEL, device="cpu")
engine = loading.load(source, loading.find(source))
forward = engine.model.forward
"""


def said(script: str, model: Path) -> str:
    """Run a script that begins with a loaded tiny model, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", f"MODEL = {str(model)!r}\n{BEGIN}{script}"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


DURING = """
seen = {}

def watched(*arguments, **options):
    seen["pass"] = torch.get_num_threads()
    born = threading.Thread(target=lambda: seen.update(born=torch.get_num_threads()))
    born.start()
    born.join()
    go.set()
    known_done.wait()
    return forward(*arguments, **options)

go, known_done = threading.Event(), threading.Event()

def known():
    seen["known before"] = torch.get_num_threads()
    go.wait()
    seen["known"] = torch.get_num_threads()
    known_done.set()

other = threading.Thread(target=known)
other.start()
engine.model.forward = watched
backend.generate(asked)
other.join()
print(seen, torch.get_num_threads())
"""


def test_a_small_model_takes_one_thread_and_no_other_thread_notices(tiny: Path) -> None:
    expected = {"known before": 3, "pass": 1, "born": 3, "known": 3}
    script = DURING.replace("print(seen,", "print(dict(sorted(seen.items())),")
    assert said(script, tiny) == f"{dict(sorted(expected.items()))} 3\n"


MKL = """
try:
    count = ctypes.CDLL(str(Path(torch.__file__).with_name("lib") / "libtorch_cpu.so")).MKL_Get_Max_Threads
except (OSError, AttributeError):
    count = None
seen = []

def watched(*arguments, **options):
    seen.append(count())
    return forward(*arguments, **options)

if count is None:
    print("none")
else:
    engine.model.forward = watched
    before = count()
    backend.generate(asked)
    print(before, set(seen), count())
"""


def test_the_matrix_library_keeps_to_it_where_the_user_has_set_a_number(tiny: Path) -> None:
    printed = said(MKL, tiny)
    if printed == "none\n":
        pytest.skip("this torch has no MKL")
    assert printed == "3 {1} 3\n"


BIG = """
engine.size = 10**15
seen = []

def watched(*arguments, **options):
    seen.append(torch.get_num_threads())
    return forward(*arguments, **options)

engine.model.forward = watched
backend.generate(asked)
print(set(seen))
"""


def test_a_large_model_takes_all_threads(tiny: Path) -> None:
    assert said(BIG, tiny) == "{3}\n"


FAILING = """
def failing(*arguments, **options):
    raise RuntimeError("broken")

engine.model.forward = failing
try:
    backend.generate(asked)
except Exception as error:
    print(type(error).__name__, torch.get_num_threads())
"""


def test_a_pass_that_fails_gives_the_threads_back(tiny: Path) -> None:
    assert said(FAILING, tiny) == "BadResponse 3\n"


NOT_FOUND = """
cores._LIBRARIES = ("no-such-library.so",)
cores._setter.cache_clear()
seen = []

def watched(*arguments, **options):
    seen.append(torch.get_num_threads())
    return forward(*arguments, **options)

engine.model.forward = watched
print(bool(backend.generate(asked).usage.output), set(seen))
"""


def test_where_the_libraries_are_not_found_nothing_is_limited(tiny: Path) -> None:
    assert said(NOT_FOUND, tiny) == "True {3}\n"


FORKED = """
engine.size = 10**15
backend.generate(asked)
# OpenMP's threads exist from here on, but in this process only.
torch.randn(600, 600) @ torch.randn(600, 600)
torch.randn(10**7).exp()
long = asked.model_copy(update={"messages": (Message.user("word " * 80),)})
child = os.fork()
if not child:
    signal.alarm(60)
    os._exit(0 if backend.generate(long).usage.output else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_does_not_wait_for_threads_of_its_parent(tiny: Path) -> None:
    assert said(FORKED, tiny) == "0\n"
