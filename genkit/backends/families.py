"""Tables of model families, with rows of the caller's own before them: one meaning of `families=` for every vendor.

A table is a sequence of frozen dataclasses with a `pattern`, a regular expression for the beginning of a model's name;
the first row that matches holds. The tables themselves stand with their vendors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import Field, fields, replace
from typing import Any, ClassVar, Generic, Protocol, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from ..errors import ConfigError, UnknownSetting, suggest

__all__ = ["Families", "Family", "checked_rows"]

# A program uses few models; a server that is handed arbitrary names must not grow.
_MOST_NAMES = 512


class Family(Protocol):
    """What rows of every table have: a frozen dataclass with a pattern."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def pattern(self) -> str:
        """Regular expression for the beginning of a model's name."""
        ...


F = TypeVar("F", bound=Family)


class Families(Generic[F]):
    """A table, with the caller's own rows before it.

    Args:
        rows: Mappings with a `pattern` and any fields of a family. Those left out are the ones of the model named by
            `like`, or else of the family that the table has for the pattern.
        table: The vendor's rows.
        rest: The family of a name that no row matches.
        backend: Name for errors.
        base: Returns the name that the table goes by, out of a model's full one. Own rows may be for either.
        likes: The rows that `like` chooses from, where that is not `table`.

    Raises:
        ConfigError: If a row has no usable pattern, or a value that its field cannot hold.
        UnknownSetting: If it has a field that there is not.
    """

    def __init__(
        self,
        rows: Iterable[Mapping[str, Any]] | None,
        *,
        table: Sequence[F],
        rest: F,
        backend: str,
        base: Callable[[str], str] = str,
        likes: Sequence[F] | None = None,
    ) -> None:
        self._table = table
        self._likes = table if likes is None else likes
        self._rest = rest
        self._backend = backend
        self._base = base
        self._own = tuple(self._row(row) for row in checked_rows(rows, backend=backend))
        self._found: dict[str, F] = {}

    def of(self, model: str) -> F:
        """Return the rules for a model."""
        known = self._found.get(model)
        if known is None:
            base = self._base(model)
            known = _first(model, self._own) or _first(base, self._own) or _first(base, self._table) or self._rest
            if len(self._found) < _MOST_NAMES:
                self._found[model] = known
        return known

    def _row(self, given: Mapping[str, Any]) -> F:
        facts = dict(given)
        pattern, like = _pattern(facts.pop("pattern", None), self._backend), facts.pop("like", None)
        known = {entry.name for entry in fields(self._rest)}
        if unknown := sorted(facts.keys() - known):
            raise UnknownSetting(
                f"a row of families= has no field {unknown[0]!r}{suggest(unknown[0], known | {'like'})}; fields: like, "
                f"{', '.join(sorted(known))}",
                backend=self._backend,
            )
        values = {name: self._value(name, value) for name, value in facts.items()}
        # Without the signs of a pattern, the name that it is for.
        similar = _first(re.sub(r"\\b|[\\^$]", "", pattern), self._table)
        if like is not None:
            similar = _first(self._base(str(like)), self._likes)
        try:
            return replace(similar or self._rest, pattern=pattern, **values)
        except ValueError as error:
            raise ConfigError(f"a row of families= for {pattern!r}: {error}", backend=self._backend) from error

    def _value(self, name: str, value: Any) -> Any:
        """Return a field's value as the table has it; configuration files know lists only."""
        usual = getattr(self._rest, name)
        if isinstance(usual, frozenset | tuple):
            if isinstance(value, str) or not isinstance(value, Iterable):
                raise ConfigError(f"families= takes a list for {name!r}, not {value!r}", backend=self._backend)
            try:
                value = type(usual)(value)
            except TypeError as error:
                raise ConfigError(
                    f"families= cannot hold {value!r} for {name!r}: {error}", backend=self._backend
                ) from error
        if isinstance(usual, bool) and not isinstance(value, bool):
            raise ConfigError(f"families= takes True or False for {name!r}, not {value!r}", backend=self._backend)
        try:
            TypeAdapter(get_type_hints(type(self._rest))[name]).validate_python(value, strict=True)
        except ValidationError as error:
            why = error.errors()[0]["msg"]
            raise ConfigError(f"families= cannot hold {value!r} for {name!r}: {why}", backend=self._backend) from None
        return value


def checked_rows(rows: Iterable[Mapping[str, Any]] | None, *, backend: str) -> list[Mapping[str, Any]]:
    """Return what was given as `families=` as a list.

    Raises:
        ConfigError: If it is no list of mappings.
    """
    if isinstance(rows, str | Mapping) or not isinstance(rows, Iterable | None):
        raise ConfigError(f"families= takes a list of rows, not one {type(rows).__name__}", backend=backend)
    found = list(rows or ())
    for row in found:
        if not isinstance(row, Mapping):
            raise ConfigError(
                f"a row of families= is a mapping, such as {{'pattern': ...}}, not {row!r:.60}", backend=backend
            )
    return found


def _pattern(given: object, backend: str) -> str:
    if not isinstance(given, str) or not given:
        raise ConfigError(
            f"a row of families= needs a pattern for the beginning of model names, not {given!r}", backend=backend
        )
    try:
        re.compile(given)
    except re.error as error:
        raise ConfigError(
            f"families= has a pattern {given!r} that is no regular expression: {error}", backend=backend
        ) from None
    return given


def _first(model: str, rows: Iterable[F]) -> F | None:
    return next((row for row in rows if re.match(row.pattern, model)), None)
