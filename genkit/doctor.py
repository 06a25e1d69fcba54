"""What is installed, configured and reachable: `genkit doctor`.

Every backend of the table is looked at in a thread of its own, and no model is asked, so nothing is billed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import suppress

from .backends import TABLE, find, load
from .errors import GenkitError, MissingExtra
from .types import Health

__all__ = ["examine"]

_LONGEST_S = 20.0


def examine(names: Iterable[str] = (), *, online: bool = True) -> tuple[Health, ...]:
    """Return the state of backends, in the order of their names; without names, that of the whole table.

    Args:
        names: Names of backends, those of other packages included.
        online: Whether far ends are asked: each for ten seconds at most.

    Raises:
        UnknownBackend: For a name that is none.
    """
    wanted = sorted(dict.fromkeys(names)) or sorted(TABLE)
    for name in wanted:
        find(name)
    found: dict[str, Health] = {}

    def look(name: str) -> None:
        found[name] = _state(name, online=online)

    # Daemons: a credential chain that hangs must not keep the program from ending.
    threads = [threading.Thread(target=look, args=(name,), daemon=True) for name in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_LONGEST_S)
    late = f"no answer in {_LONGEST_S:.0f} s: a credential source or the network hangs"
    return tuple(found.get(name) or Health(backend=name, state="unreachable", message=late) for name in wanted)


def _state(name: str, *, online: bool) -> Health:
    try:
        backend = load(name)
    except MissingExtra as error:
        return Health(backend=name, state="not installed", message=error.message)
    except GenkitError as error:
        return Health(backend=name, state="unconfigured", message=error.message)
    try:
        return backend.health(online=online)
    except GenkitError as error:
        return Health(backend=name, state="unconfigured", message=error.message)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # another package's backend or an SDK may raise anything
        return Health(backend=name, state="unconfigured", message=f"{type(error).__name__}: {error}")
    finally:
        with suppress(Exception):
            backend.close()
