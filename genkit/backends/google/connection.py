"""Where Google's models are and who calls them: the Gemini API with a key, Vertex AI with Google Cloud's credentials.

Nothing is looked up before the first call, and no secret is ever shown.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic import SecretStr

from ...errors import ConfigError, MissingCredential
from ...transport import HttpRequest, Transport
from ...transport.messages import is_public, quoted_url
from ..keys import acalled, called
from .models import Vendor
from .tokens import CloudTokens

__all__ = ["Connection", "Place"]

KEY_HEADER = "x-goog-api-key"
_GEMINI = "https://generativelanguage.googleapis.com"
_KEYS: dict[str, tuple[str, ...]] = {"google": ("GOOGLE_API_KEY", "GEMINI_API_KEY"), "vertex": ("GOOGLE_API_KEY",)}
_VERSIONS = {"google": "v1beta", "vertex": "v1beta1"}
_VERSION = re.compile(r"/v\d+\w*$")
_FULL = re.compile(r"/projects/[^/]+/locations/([^/]+)/")
# They become parts of an address that a token is sent to. A project may have a domain before it: "example.com:name".
_LOCATION = re.compile(r"[a-z][a-z0-9-]*")
_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]*")


@dataclass(frozen=True, slots=True)
class Place:
    """A resolved address.

    Attributes:
        base: Without a slash at the end and without the version.
        version: The version's part of the path, with its slash, or empty where the base has it.
        home: Whether Google itself answers there.
    """

    base: str
    version: str
    home: bool


@dataclass(slots=True)
class _Adopted:
    """What an official client says about itself."""

    base_url: str | None
    version: str | None
    project: str | None
    location: str | None
    api_key: str | None
    credentials: Any
    headers: dict[str, str] = field(default_factory=dict)


class Connection:
    """Address and identity of one backend instance.

    Args:
        name: The backend's name.
        vendor: Whose door it is.
        transport: What token servers are asked through.
        api_key: A key, or a function that returns the current one.
        base_url: Another address than Google's own.
        client: A `google.genai.Client`; address, identity, project, location and headers are taken from it.
        project: Google Cloud's project.
        location: Its location, such as "europe-west4" or "global".
        credentials: An object of google-auth.
        headers: Further headers; one that authorizes replaces the credential.
        api_version: The API's version, such as "v1".

    Raises:
        ConfigError: If arguments contradict each other or cannot be used.
    """

    def __init__(
        self,
        name: str,
        vendor: Vendor,
        *,
        transport: Transport,
        api_key: str | SecretStr | Callable[[], str] | None = None,
        base_url: str | None = None,
        client: object | None = None,
        project: str | None = None,
        location: str | None = None,
        credentials: Any = None,
        headers: Mapping[str, str] | None = None,
        api_version: str | None = None,
    ) -> None:
        self.name = name
        self.vendor: Vendor = vendor
        adopted = _adopt(client, vendor, name) if client is not None else None
        given = {"api_key": api_key, "base_url": base_url, "credentials": credentials}
        if adopted is not None and (both := [key for key, value in given.items() if value is not None]):
            raise ConfigError(
                f"client= already has an address and an identity: give either client= or {both[0]}=", backend=name
            )
        if api_key is not None and credentials is not None:
            raise ConfigError("give either api_key= (express mode) or credentials=, not both", backend=name)
        if vendor == "google" and (credentials is not None or project is not None or location is not None):
            raise ConfigError(
                "credentials=, project= and location= are for Vertex AI: write the model as 'vertex:...'",
                backend=name,
            )
        if adopted is not None:
            api_key, base_url, credentials = adopted.api_key, adopted.base_url, adopted.credentials
            project, location = project or adopted.project, location or adopted.location
            api_version = api_version or adopted.version
            headers = {**adopted.headers, **(headers or {})}
        if isinstance(api_key, SecretStr):
            api_key = api_key.get_secret_value()
        if isinstance(api_key, str):
            api_key = SecretStr(_checked(api_key, "api_key=", name)) if api_key else None
        self._key = api_key
        self._base_url, self._version = base_url, api_version
        # The place at that address, and the version it was made for.
        self._elsewhere: tuple[str, Place] | None = None
        self._project, self._location = self._fit_project(project), self._fit_location(location)
        self._tokens = CloudTokens(credentials, transport=transport, name=name) if vendor == "vertex" else None
        self._given_credentials = credentials is not None
        self._headers = {key.lower(): value for key, value in (headers or {}).items()}

    # ------------------------------------------------------------ where

    def resource(self, model: str) -> str:
        """Return a model's name as a path, without a slash before it and not yet encoded."""
        if self.vendor == "google":
            return model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"
        if model.startswith(("projects/", "publishers/", "models/", "endpoints/")):
            return model
        publisher, slash, name = model.partition("/")
        return f"publishers/{publisher}/models/{name}" if slash else f"publishers/google/models/{model}"

    def path(self, model: str, method: str) -> str:
        """Return the path of a call, below the project.

        Raises:
            ConfigError: If the model's name would lead out of its place.
        """
        resource = self.resource(model)
        if ".." in resource.split("/") or not model:
            raise ConfigError(f"{model!r} is no model's name", backend=self.name)
        return f"/{quote(resource, safe='/@-._~')}{method}"

    def place(self, path: str = "", *, strict: bool = True) -> Place:
        """Return where requests for a path go now; variables of the environment may change between calls.

        Args:
            path: Of the call; one that begins with a project names its own location.
            strict: Whether a missing location is an error; else the name of its variable stands in the address.

        Raises:
            ConfigError: If the address is unknown or malformed.
        """
        version = self._version or os.environ.get("GOOGLE_GENAI_API_VERSION") or _VERSIONS[self.vendor]
        version = _VERSIONS[self.vendor] if version == "beta" else version
        if self._base_url is not None:
            if self._elsewhere is None or self._elsewhere[0] != version:
                base = self._split(self._base_url)
                home = (urlsplit(base).hostname or "").endswith(".googleapis.com")
                self._elsewhere = version, Place(base, "" if _VERSION.search(base) else f"/{version}", home=home)
            return self._elsewhere[1]
        return Place(_GEMINI if self.vendor == "google" else self._cloud(path, strict=strict), f"/{version}", home=True)

    def files(self) -> tuple[str, str]:
        """Return address and version of the Gemini API apart, as its file service wants them."""
        place = self.place()
        version = place.version or "/" + place.base.rpartition("/")[2]
        return place.base.removesuffix(version), version[1:]

    def _cloud(self, path: str, *, strict: bool) -> str:
        full = _FULL.match(path)
        location = self._fit_location(full[1]) if full else self._where(path, strict=strict)
        if location is None or location == "global":
            return "https://aiplatform.googleapis.com"
        if location in ("us", "eu"):
            return f"https://aiplatform.{location}.rep.googleapis.com"
        return f"https://{location}-aiplatform.googleapis.com"

    def _where(self, path: str, *, strict: bool) -> str | None:
        """Return the location, or None in express mode, which has none."""
        if self.express:
            return self._location
        found = self._location or os.environ.get("GOOGLE_CLOUD_LOCATION")
        if found is None and strict and path:
            raise ConfigError(
                f"no location for {self.name!r}: set GOOGLE_CLOUD_LOCATION, or pass location=, such as 'global' or "
                "'europe-west4'",
                backend=self.name,
            )
        return self._fit_location(found) or "<GOOGLE_CLOUD_LOCATION>"

    def _fit_location(self, location: str | None) -> str | None:
        """Return a location that is one, or None where there is none.

        Raises:
            ConfigError: If it could lead to another host.
        """
        if location and not _LOCATION.fullmatch(location):
            raise ConfigError(
                f"{location!r} is no location of Google Cloud: such as 'global' or 'europe-west4'", backend=self.name
            )
        return location

    def _fit_project(self, project: str | None) -> str | None:
        """Return a project that is one, or None where there is none.

        Raises:
            ConfigError: If it could lead to another place.
        """
        if project and not _PROJECT.fullmatch(project):
            raise ConfigError(f"{project!r} is no project of Google Cloud: pass its id", backend=self.name)
        return project

    @property
    def express(self) -> bool:
        """Whether Vertex AI is called with a key and without a project."""
        if self.vendor != "vertex" or self._project is not None or self._given_credentials:
            return False
        if self._key is not None:
            return True
        return not os.environ.get("GOOGLE_CLOUD_PROJECT") and self._from_environment() is not None

    def url(self, path: str, *, bare: bool = False, strict: bool = True) -> str:
        """Return the URL for a path, in the project where Vertex AI wants one.

        Args:
            path: Of the call.
            bare: It belongs to no project.
            strict: Whether a missing project or location is an error; else a variable's name stands in the address.

        Raises:
            ConfigError: If project or location are unknown.
        """
        place = self.place(path, strict=strict)
        outside = bare or self.vendor == "google" or self.express or path.startswith("/projects/")
        return f"{place.base}{place.version}{'' if outside else self._inside(path, strict=strict)}{path}"

    def _inside(self, path: str, *, strict: bool) -> str:
        project = self._project or self._fit_project(os.environ.get("GOOGLE_CLOUD_PROJECT"))
        if project is None and self._tokens is not None:
            project = self._fit_project(self._tokens.project)
        if project is None and strict:
            raise ConfigError(
                f"no project for {self.name!r}: set GOOGLE_CLOUD_PROJECT, or pass project=", backend=self.name
            )
        location = self._where(path, strict=strict) or ""
        return f"/projects/{project or '<GOOGLE_CLOUD_PROJECT>'}/locations/{location}"

    def _split(self, url: str) -> str:
        """Return an address without its end slash.

        Raises:
            ConfigError: If it cannot be used; it is not quoted where it may hold a password.
        """
        try:
            parts = urlsplit(url.strip())
            _ = parts.port
        except ValueError:
            raise ConfigError(
                f"base_url {quoted_url(url)} is malformed: check its host and port", backend=self.name
            ) from None
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.query:
            raise ConfigError(
                f"base_url {quoted_url(url)} is no address: write it as https://host, without a query",
                backend=self.name,
            )
        if "@" in parts.netloc:
            raise ConfigError(
                f"base_url holds a user or password for {parts.hostname!r}: pass them as headers="
                "{'authorization': 'Basic ...'}",
                backend=self.name,
            )
        return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")

    # ------------------------------------------------------------ who

    def headers(self) -> dict[str, str]:
        """Return the headers of a request; may block to fetch a token.

        Raises:
            MissingCredential: If there is no credential.
        """
        if self._authorized:
            return {**_common(), **self._headers}
        key = self._key_at_hand()
        if key is None and callable(self._key):
            key = self._checked_result(called(self._key, self.name))
        if key is None and self._tokens is not None:
            return {**_common(), **self._bearer(self._tokens.ready() or self._tokens.get()), **self._headers}
        return {**_common(), KEY_HEADER: self._needed(key), **self._headers}

    async def aheaders(self) -> dict[str, str]:
        """Async twin of `headers`; what may block happens in a worker thread."""
        if self._authorized:
            return {**_common(), **self._headers}
        key = self._key_at_hand()
        if key is None and callable(self._key):
            key = self._checked_result(await acalled(self._key, self.name))
        if key is None and self._tokens is not None:
            return {**_common(), **self._bearer(await self._tokens.aget()), **self._headers}
        return {**_common(), KEY_HEADER: self._needed(key), **self._headers}

    def may_wait(self) -> bool:
        """Whether `headers` may have to ask a function, or to fetch a token."""
        if self._authorized or self._key_at_hand() is not None:
            return False
        return callable(self._key) or (self._tokens is not None and self._tokens.ready() is None)

    def renews(self, request: HttpRequest) -> bool:
        """Give up the token that a refused request was sent with; return whether another may do."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return self._tokens is not None and scheme == "Bearer" and self._tokens.drop(token)

    def placeholders(self) -> dict[str, str]:
        """Return the headers with names where secrets would stand."""
        hidden = {
            name: value if is_public(name) or not value else f"<headers[{name!r}]>"
            for name, value in self._headers.items()
        }
        if self._authorized:
            return {**_common(), **hidden}
        if self._key is not None:
            return {**_common(), KEY_HEADER: "<api_key>", **hidden}
        if self.vendor == "google" or self.express:
            known = next((name for name in _KEYS[self.vendor] if os.environ.get(name)), _KEYS[self.vendor][0])
            return {**_common(), KEY_HEADER: f"<{known}>", **hidden}
        return {**_common(), "authorization": "Bearer <Google Cloud token>", **hidden}

    @property
    def _authorized(self) -> bool:
        return not {"authorization", KEY_HEADER}.isdisjoint(self._headers)

    def _bearer(self, token: str) -> dict[str, str]:
        quota = self._tokens.quota_project if self._tokens is not None else None
        billed = {"x-goog-user-project": quota} if quota else {}
        # Anonymous credentials give none, for emulators and gateways.
        return {**billed, **({"authorization": f"Bearer {token}"} if token else {})}

    def _key_at_hand(self) -> str | None:
        """Return the key if it is known without calling anything that may block."""
        if isinstance(self._key, SecretStr):
            return self._key.get_secret_value()
        if self._key is not None or (self.vendor == "vertex" and not self.express):
            return None
        return self._from_environment()

    def _from_environment(self) -> str | None:
        for variable in _KEYS[self.vendor]:
            if found := os.environ.get(variable):
                return _checked(found, variable, self.name)
        return None

    def _needed(self, key: str | None) -> str:
        if key is None:
            names = " or ".join(_KEYS[self.vendor])
            raise MissingCredential(f"no API key for {self.name!r}: set {names}, or pass api_key=", backend=self.name)
        return key

    def _checked_result(self, key: Any) -> str:
        if not isinstance(key, str) or not key:
            raise MissingCredential(f"the function that gives the key for {self.name!r} gave none", backend=self.name)
        return _checked(key, "the function", self.name)

    def __repr__(self) -> str:
        return f"Connection({self.name!r})"


def _common() -> dict[str, str]:
    return {"content-type": "application/json", "user-agent": "genkit-llm"}


def _checked(key: str, where: str, name: str) -> str:
    """Return a key that can stand in a header.

    Raises:
        ConfigError: If it holds something that cannot; it is not shown.
    """
    if not key.isascii() or any(character <= " " or character == "\x7f" for character in key):
        raise ConfigError(
            f"the API key for {name!r} from {where} holds a line break, a space or a character outside ASCII: "
            "copy it again (it is not shown here)",
            backend=name,
        )
    return key


def _adopt(client: object, vendor: Vendor, name: str) -> _Adopted:
    """Read an official client; by its module, since the package is never imported here.

    Raises:
        ConfigError: If it is something else, or a client of the other door.
    """
    if not type(client).__module__.startswith("google.genai") or not hasattr(client, "_api_client"):
        raise ConfigError(
            f"client= takes a google.genai.Client, not a {type(client).__name__}; "
            "an HTTP client goes into http_client=",
            backend=name,
        )
    owner: Any = client
    known: Any = owner._api_client  # noqa: SLF001  # the only place where the SDK keeps it
    if bool(known.vertexai) is not (vendor == "vertex"):
        other = "vertex" if known.vertexai else "google"
        raise ConfigError(f"client= is a client of {other!r}: write the model as '{other}:...'", backend=name)
    options = getattr(known, "_http_options", None)
    base = str(getattr(options, "base_url", "") or "")
    official = urlsplit(base).hostname or ""
    headers = getattr(options, "headers", None) or {}
    return _Adopted(
        # Google's own addresses go by the location, which a model's full name may change.
        base_url=None if not base or official.endswith(".googleapis.com") else base,
        version=getattr(options, "api_version", None),
        project=known.project,
        location=known.location,
        api_key=known.api_key,
        credentials=getattr(known, "_credentials", None),
        headers={
            key.lower(): str(value)
            for key, value in headers.items()
            if key.lower() not in ("content-type", "user-agent", "x-goog-api-client", KEY_HEADER)
        },
    )
