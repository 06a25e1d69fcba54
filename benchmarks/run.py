"""Measure genkit and the vendor's SDK side by side: `python -m benchmarks.run --help`.

Every measurement is a fresh process against one far end in a third. Rows come in shuffled order, and the subjects of a
row right after each other, shuffled too, so that a change of the machine's mood falls on all alike. The table shows
medians over the rounds; a ratio is the median of the ratios of neighbours.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from .rows import FORBIDDEN, LINES, Line

ROOT = Path(__file__).parents[1]
GROUPS = tuple(dict.fromkeys(line.group for line in LINES))
JOB_LIMIT_S = 400

_IMPORT = """
import sys, time
before = time.process_time()
{statement}
spent = time.process_time() - before
found = [name for name in {forbidden!r} if name in sys.modules]
import json
print(json.dumps({{"cpu_s": spent, "forbidden": len(found), "found": found}}))
"""
_IMPORTS = {
    "genkit": "from genkit import LLM",
    "pydantic": "from pydantic import BaseModel",
    "openai": "from openai import OpenAI",
}
_REPORT = """
import json, resource, time
rss = int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 2**20
assert text.startswith("The 1th answer"), text
print(json.dumps({"cpu_s": spent, "rss_mb": rss}))
"""
_SPENT = "\nimport time\nspent = time.process_time()\n" + _REPORT
_ENGINE_BODY = """
import json, ssl, sys
body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hello"}]}).encode()
headers = {"authorization": "Bearer x", "content-type": "application/json"}
url = sys.argv[1] + "/chat/completions"
"""
_FIRST = {
    ("first_sync", "genkit"): """
import sys
from genkit import LLM
llm = LLM("openai:gpt-bench", base_url=sys.argv[1], api_key="x", api="chat")
text = llm.generate("hello").text
""",
    ("first_async", "genkit"): """
import asyncio, sys
from genkit import LLM
async def main():
    llm = LLM("openai:gpt-bench", base_url=sys.argv[1], api_key="x", api="chat")
    answer = await llm.agenerate("hello")
    await llm.aclose()
    return answer.text
text = asyncio.run(main())
""",
    ("first_sync", "openai"): """
import sys
from openai import OpenAI
client = OpenAI(base_url=sys.argv[1], api_key="x")
answer = client.chat.completions.create(model="gpt-bench", messages=[{"role": "user", "content": "hello"}])
text = answer.choices[0].message.content
""",
    ("first_async", "openai"): """
import asyncio, sys
from openai import AsyncOpenAI
async def main():
    messages = [{"role": "user", "content": "hello"}]
    async with AsyncOpenAI(base_url=sys.argv[1], api_key="x") as client:
        answer = await client.chat.completions.create(model="gpt-bench", messages=messages)
        return answer.choices[0].message.content
text = asyncio.run(main())
""",
    ("first_sync", "engine"): _ENGINE_BODY + """
import httpcore2
with httpcore2.ConnectionPool(ssl_context=ssl.create_default_context()) as pool:
    reply = pool.request("POST", url, headers=headers, content=body)
text = json.loads(reply.content)["choices"][0]["message"]["content"]
""",
    ("first_async", "engine"): _ENGINE_BODY + """
import asyncio, aiohttp
async def main():
    async with aiohttp.ClientSession() as session, session.post(url, headers=headers, data=body) as reply:
        return json.loads(await reply.read())["choices"][0]["message"]["content"]
text = asyncio.run(main())
""",
}  # fmt: skip
_LOCAL = """
from genkit import LLM
text = LLM("hf:smollm2", max_tokens=40, temperature=0).generate("Say hello to the reader.").text
import json, time
assert text.strip()
print(json.dumps({"cpu_s": time.process_time()}))
"""

Figures: TypeAlias = dict[str, Any]
Results: TypeAlias = dict[tuple[str, str], list[Figures]]


class Job(NamedTuple):
    """One measurement of one subject."""

    row: str
    subject: str


@contextmanager
def far_end() -> Iterator[dict[str, Any]]:
    """Start the far end and yield its address; it ends when its standard input is closed."""
    command = [sys.executable, "-m", "benchmarks.farend"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    with process, tempfile.TemporaryDirectory() as directory:
        address = json.loads(process.stdout.readline())
        if address["ca"]:
            path = Path(directory, "ca.pem")
            path.write_text(address["ca"])
            address["ca_file"] = str(path)
        try:
            yield address
        finally:
            process.stdin.close()


def _environment() -> dict[str, str]:
    """Return an environment without proxies, keys and settings that would change what is measured."""
    unwanted = (
        "AWS_",
        "GEMINI_",
        "GENKIT_",
        "GOOGLE_",
        "OPENAI_",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONWARNINGS",
        "SSL_CERT_",
    )
    return {
        name: value
        for name, value in os.environ.items()
        if not name.upper().endswith("_PROXY") and not name.startswith(unwanted)
    }


def command_of(job: Job, address: dict[str, Any]) -> list[str]:
    """Return the command line that measures a job."""
    base_url = f"http://127.0.0.1:{address['port']}/whole-0/v1"
    if job.row == "import":
        code = _IMPORT.format(statement=_IMPORTS[job.subject], forbidden=FORBIDDEN)
        return [sys.executable, "-c", code]
    if job.row.startswith("first_"):
        return [sys.executable, "-c", _FIRST[job] + _SPENT, base_url]
    if job.row == "local":
        return [sys.executable, "-c", _LOCAL]
    return [sys.executable, "-m", "benchmarks.measure", job.subject, job.row]


def measure(job: Job, address: dict[str, Any]) -> Figures:
    """Run one job in a fresh process; a failure is a result too."""
    if job.row == "local":
        return _measure_local(command_of(job, address))
    before = _stats(address)
    figures = _run(command_of(job, address), _environment(), stdin=json.dumps(address))
    if "failed" in figures:
        return figures
    after = _stats(address)
    # The connection that asks for these counts is one of them.
    figures["connections"] = after["connections"] - before["connections"] - 1
    figures["requests"] = after["requests"] - before["requests"] - 1
    figures["most_open"] = after["most_open"]
    return figures


def _run(command: list[str], environment: dict[str, str], *, stdin: str = "") -> Figures:
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=JOB_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"not finished within {JOB_LIMIT_S} s"}
    if done.returncode != 0:
        return {"failed": (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1][:300]}
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def _measure_local(command: list[str]) -> Figures:
    """Answer twice from an empty cache; the download is another process's, and its CPU is not counted."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**_environment(), "GENKIT_LLM_CACHE": cache}
        first, later = _run(command, environment), _run(command, environment)
    if "failed" in first or "failed" in later:
        return first if "failed" in first else later
    return {"first_s": first["cpu_s"], "later_s": later["cpu_s"]}


def _stats(address: dict[str, Any]) -> dict[str, int]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{address['port']}/stats", timeout=10) as reply:
        counts: dict[str, int] = json.load(reply)
    return counts


def measure_all(lines: list[Line], *, rounds: int, seed: int, tls: bool, address: dict[str, Any]) -> Results:
    """Run all jobs of the lines, round after round, in shuffled order."""
    jobs = {Job(line.row, subject): line.once for line in lines for subject in line.subjects}
    if not tls:
        jobs = {job: once for job, once in jobs.items() if not job.row.startswith("tls_")}
    results: Results = defaultdict(list)
    order = random.Random(seed)
    for number in range(rounds):
        chosen = _shuffled([job for job, once in jobs.items() if number == 0 or not once], order)
        for at, job in enumerate(chosen, 1):
            _say(f"round {number + 1}/{rounds}, {at}/{len(chosen)}: {job.row} {job.subject}")
            figures = measure(job, address)
            results[job].append(figures)
            if "failed" in figures:
                _say(f"  {job.row} {job.subject} failed: {figures['failed']}", keep=True)
    _say("", keep=True)
    return results


def _shuffled(jobs: list[Job], order: random.Random) -> list[Job]:
    """Return the jobs with the rows in random order, and in each row its subjects; those of a row stay neighbours."""
    rows = defaultdict(list)
    for job in jobs:
        rows[job.row].append(job)
    chosen = []
    for row in order.sample(list(rows), len(rows)):
        order.shuffle(rows[row])
        # These are short, and the first one of all fills the file cache.
        chosen += rows[row] * (5 if row == "import" or row.startswith("first_") else 1)
    return chosen


def _say(text: str, *, keep: bool = False) -> None:
    end = "\n" if keep or not sys.stderr.isatty() else "\r"
    print(f"{text:<100}", end=end, file=sys.stderr, flush=True)


# The table


def median(results: Results, row: str, subject: str, figure: str) -> float | None:
    """Return the median of a figure over the rounds; None where the subject failed or was not measured."""
    values = [figures[figure] for figures in results.get(Job(row, subject), []) if figure in figures]
    return statistics.median(values) if values else None


def ratio_to(results: Results, line: Line, baseline: str) -> float | None:
    """Return the median of the ratios of neighbouring measurements."""
    pairs = zip(results.get(Job(line.row, "genkit"), []), results.get(Job(line.row, baseline), []), strict=False)
    ratios = [
        ours[line.figure] / theirs[line.figure]
        for ours, theirs in pairs
        if theirs.get(line.figure) and line.figure in ours
    ]
    return statistics.median(ratios) if ratios else None


def table(lines: list[Line], results: Results) -> str:
    """Return the lines as a Markdown table."""
    rows = [
        "| | genkit | vendor's SDK | ratio | goal | met | bare engine |",
        "|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        ours = median(results, line.row, "genkit", line.figure)
        sdk = next((name for name in ("google", "boto3") if name in line.subjects), "openai")
        baseline = "pydantic" if "pydantic" in line.subjects else sdk
        theirs = median(results, line.row, baseline, line.figure)
        shown = median(results, line.row, sdk, line.figure)
        engine = median(results, line.row, "engine", line.figure)
        ratio = ratio_to(results, line, baseline)
        comparable = ratio is not None and line.figure in ("cpu_us", "cpu_s", "per_cpu_s")
        verdict = "failed" if ours is None else line.verdict(ours, ratio)
        cells = (
            f"{line.title}, {line.unit}",
            _number(ours, line),
            _number(shown, line),
            f"{ratio:.2f}x" if comparable else "",
            line.goal,
            verdict,
            _number(engine, line) if baseline != "pydantic" else f"pydantic {_number(theirs, line)}",
        )
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _number(value: float | None, line: Line) -> str:
    return "" if value is None else f"{value:,.{line.digits}f}"


def notes(lines: list[Line], results: Results) -> list[str]:
    """Return what the table has no column for: the SDK on aiohttp, forbidden modules, open files, failures."""
    found, failed = [], defaultdict(list)
    for line in lines:
        other = median(results, line.row, "openai_aiohttp", line.figure)
        if other is not None:
            found.append(f"{line.title}: openai SDK on aiohttp {_number(other, line)} {line.unit}")
    for (row, subject), rounds in results.items():
        for figures in rounds:
            if subject == "genkit" and figures.get("found"):
                found.append(f"`from genkit import LLM` loads {', '.join(figures['found'])}")
            if "failed" in figures:
                failed[f"{subject}: {figures['failed']}"].append(row)
            if figures.get("files", 0) > 2:
                found.append(f"{row}, {subject}: {figures['files']:.0f} open files more than at the beginning")
    found += [f"failed, {why} ({', '.join(dict.fromkeys(rows))})" for why, rows in failed.items()]
    return list(dict.fromkeys(found))


def surroundings() -> dict[str, Any]:
    """Return what the figures depend on."""
    names = ("aiohttp", "boto3", "google-genai", "httpcore2", "openai", "pydantic")
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "versions": {name: metadata.version(name) for name in names},
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument("--only", help=f"groups, separated by commas: {','.join(GROUPS)}; without it, all but local")
    parser.add_argument("--rows", help="single rows instead, separated by commas, such as sync_chat,astream_paced")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1, help="of the order of the measurements")
    parser.add_argument("--json", type=Path, help="write every single figure to this file")
    options = parser.parse_args()
    groups = options.only.split(",") if options.only else [group for group in GROUPS if group != "local"]
    if unknown := set(groups) - set(GROUPS):
        parser.error(f"unknown groups {sorted(unknown)}; known: {', '.join(GROUPS)}")
    lines = [line for line in LINES if line.group in groups]
    if options.rows:
        rows = options.rows.split(",")
        if unknown := set(rows) - {line.row for line in LINES}:
            parser.error(
                f"unknown rows {sorted(unknown)}; known: {', '.join(dict.fromkeys(line.row for line in LINES))}"
            )
        lines = [line for line in LINES if line.row in rows]
    started, before = time.monotonic(), surroundings()
    with far_end() as address:
        results = measure_all(lines, rounds=options.rounds, seed=options.seed, tls=bool(address["ca"]), address=address)
    print(table(lines, results), "\n")
    for note in notes(lines, results):
        print(f"- {note}")
    after = os.getloadavg()[0]
    print(
        f"\nPython {before['python']}, {before['cores']} cores, load {before['load']:.1f} before, {after:.1f} after, "
        f"{', '.join(f'{name} {version}' for name, version in before['versions'].items())}; "
        f"{options.rounds} rounds in {time.monotonic() - started:.0f} s"
    )
    if options.json:
        every = [{"row": row, "subject": subject, "rounds": rounds} for (row, subject), rounds in results.items()]
        options.json.write_text(json.dumps({"surroundings": before, "load_after": after, "results": every}, indent=1))


if __name__ == "__main__":
    main()
