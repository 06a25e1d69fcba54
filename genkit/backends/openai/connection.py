"""Where a service is and who calls it: addresses, keys, Entra tokens, and what an official client knows of both.

Nothing is looked up before the first call, and no secret is ever shown.
"""

from __future__ import annotations

import importlib
import inspect
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from urllib.parse import SplitResult, quote, urlsplit

from pydantic import SecretStr
from typing_extensions import override

from ...errors import AuthenticationFailed, ConfigError, GenkitError, MissingCredential
from ...transport import HttpRequest
from ...transport.messages import is_public, quoted_url
from ..keys import acalled, called
from ..services import SERVICES, Service
from ..tokens import Tokens

__all__ = ["Connection", "Credential", "Place", "TokenSource"]

ENTRA_SCOPE = "https://cognitiveservices.azure.com/.default"
_ENTRA_VARIABLE = "AZURE_OPENAI_AD_TOKEN"
_ENDPOINTS = ("/chat/completions", "/responses", "/embeddings")


class Credential(Protocol):
    """What azure-identity's credentials have; the async ones of `azure.identity.aio` fit too."""

    def get_token(self, *scopes: str) -> Any:
        """Return an object with `token` and `expires_on` (Unix time), or an awaitable of one."""


@dataclass(frozen=True, slots=True)
class Place:
    """A resolved address.

    Attributes:
        base: Without a slash at the end, and without query.
        query: To be added to every URL, with its question mark, or empty.
        service: The dialect spoken there.
        home: Whether OpenAI itself or Azure's v1 route answers, and so both interfaces are there.
        deployments: The deployment goes into the path, as Azure's dated routes want it.
    """

    base: str
    query: str
    service: Service
    home: bool
    deployments: bool = False


class TokenSource(Tokens[str]):
    """Entra tokens of a credential, by default of azure-identity's chain."""

    def __init__(self, credential: Credential | None, *, name: str, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock=clock)
        self._credential = credential
        self._name = name

    @property
    @override
    def awaits(self) -> bool:
        return self._credential is not None and _is_async(self._credential)

    @override
    def fetch(self) -> tuple[str, float]:
        credential = self._credential = self._credential or self._default()
        if _is_async(credential):
            raise ConfigError(
                f"the credential of {self._name!r} is asynchronous: use the a-methods, or one of azure.identity",
                backend=self._name,
            )
        return self._checked(credential.get_token(ENTRA_SCOPE))

    @override
    async def afetch(self) -> tuple[str, float]:
        credential: Any = self._credential
        return self._checked(await credential.get_token(ENTRA_SCOPE))

    def _checked(self, found: Any) -> tuple[str, float]:
        return checked_key(found.token, "the credential", self._name), float(found.expires_on)

    @override
    def failed(self, error: Exception) -> GenkitError:
        return AuthenticationFailed(
            f"{type(self._credential).__name__} gave no Entra token for {self._name!r} ({type(error).__name__}); "
            "sign in (az login), or pass api_key=",
            backend=self._name,
        )

    def _default(self) -> Credential:
        """Return azure-identity's default chain of credentials, if that package is installed."""
        try:
            identity: Any = importlib.import_module("azure.identity")
        except ImportError as error:
            raise MissingCredential(
                f"no credential for {self._name!r}: set AZURE_OPENAI_API_KEY, pass api_key= or credential=, or install "
                "azure-identity to sign in with Entra (pip install 'genkit-llm[azure]')",
                backend=self._name,
            ) from error
        credential: Credential = identity.DefaultAzureCredential()
        return credential


def _is_async(credential: Credential) -> bool:
    return inspect.iscoroutinefunction(credential.get_token)


def checked_key(key: str, where: str, name: str) -> str:
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


@dataclass(slots=True)
class _Adopted:
    """What an official client of the openai package says about itself."""

    base_url: str
    azure: bool
    headers: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    organization: str | None = None
    project: str | None = None


class Connection:
    """Address and identity of one backend instance.

    Args:
        name: The backend's name; it picks the service.
        api_key: A key, or a function that returns the current one.
        base_url: Another address than the service's own.
        client: An `OpenAI`, `AsyncOpenAI` or Azure client; address, key, organization, headers are taken from it.
        credential: For Azure, an object with `get_token(scope)`.
        organization: Sent as OpenAI-Organization.
        project: Sent as OpenAI-Project.
        headers: Further headers; one that authorizes replaces the key.

    Raises:
        ConfigError: If arguments contradict each other or cannot be used.
    """

    def __init__(
        self,
        name: str,
        *,
        api_key: str | SecretStr | Callable[[], str] | None = None,
        base_url: str | None = None,
        client: object | None = None,
        credential: Credential | None = None,
        organization: str | None = None,
        project: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._client: Any = client
        self._adopted = _adopt(client, name) if client is not None else None
        if client is not None and (api_key is not None or base_url is not None or credential is not None):
            raise ConfigError(
                "client= already has an address and a key: give either client=, or api_key=, base_url= and credential=",
                backend=name,
            )
        if isinstance(api_key, SecretStr):
            api_key = api_key.get_secret_value()
        if isinstance(api_key, str):
            api_key = SecretStr(checked_key(api_key, "api_key=", name)) if api_key else None
        self._key = api_key
        self._base_url = base_url
        row = SERVICES.get(name) or replace(SERVICES["openai"], name=name, base_url="")
        if self._adopted is not None and self._adopted.azure:
            row = replace(SERVICES["azure"], name=name)
        self._row = row
        if credential is not None and row.key_header != "api-key":
            raise ConfigError(
                f"credential= is for Azure; for {name!r} pass api_key=, which may be a function that returns a token",
                backend=name,
            )
        self._tokens = TokenSource(credential, name=name) if row.key_header == "api-key" else None
        self._entra = credential is not None
        self._organization, self._project = organization, project
        self._headers = {key.lower(): value for key, value in (headers or {}).items()}
        self._places: dict[str, Place] = {}

    # ------------------------------------------------------------ where

    def place(self, *, strict: bool = True) -> Place:
        """Return where requests go now; variables of the environment may change between calls.

        Args:
            strict: Whether a missing variable is an error; else its name stands in the address.

        Raises:
            ConfigError: If the address is unknown or malformed.
        """
        raw = self._raw(strict=strict)
        known = self._places.get(raw)
        if known is None:
            known = self._places[raw] = self._resolve(raw)
        return known

    def _raw(self, *, strict: bool) -> str:
        if self._adopted is not None:
            return self._adopted.base_url
        found = self._base_url or _from_environment(self._row.base_url_env) or self._row.base_url
        if not found:
            names = " or ".join(self._row.base_url_env) or "no variable"
            if strict:
                raise ConfigError(f"no address for {self.name!r}: set {names}, or pass base_url=", backend=self.name)
            return f"https://<{names}>"
        for name, variables in self._row.variables:
            if f"{{{name}}}" not in found:
                continue
            value = _from_environment(variables)
            if value is None and strict:
                raise ConfigError(
                    f"{self.name!r} needs a {name} for its address: set {' or '.join(variables)}, or pass base_url=",
                    backend=self.name,
                )
            if value == "global":
                # Google's global endpoint has no prefix, though its path has the location.
                found = found.replace(f"https://{{{name}}}-", "https://")
            found = found.replace(f"{{{name}}}", quote(value, safe="") if value else f"<{variables[0]}>")
        return found

    def _resolve(self, raw: str) -> Place:
        url = raw.strip()
        parts = self._split(url)
        base = f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")
        ending = next((end for end in _ENDPOINTS if base.endswith(end)), None)
        if ending is not None:
            raise ConfigError(f"base_url {quoted_url(base)} ends with {ending!r}: leave that off", backend=self.name)
        query = f"?{parts.query}" if parts.query else ""
        if self._adopted is not None and self._adopted.query:
            more = "&".join(f"{quote(key)}={quote(value)}" for key, value in self._adopted.query.items())
            query = f"{query}&{more}" if query else f"?{more}"
        if self._row.key_header == "api-key":
            return self._azure(base, parts.path.rstrip("/"), query)
        own = self._row.name == "openai" or self._row.rules == "openai"
        host = parts.hostname or ""
        home = own and (host == "api.openai.com" or host.endswith(".api.openai.com"))
        if not own or home:
            return Place(base, query, self._row, home)
        # Someone else's server, or a gateway: OpenAI's rules only for models with OpenAI's names, and no key demanded.
        elsewhere = replace(
            self._row,
            api="chat",
            rules="deployment",
            max_tokens="max_tokens",
            key_required=False,
            named_tools=False,
            settings=(self._row.settings | {"top_k"}) - {"cache_prompt"},
            media_urls=self._row.media_urls | {"document"},
        )
        return Place(base, query, elsewhere, home=False)

    def _split(self, url: str) -> SplitResult:
        """Return the parts of an address.

        Raises:
            ConfigError: If it cannot be used; the address is not quoted where it may hold a password.
        """
        try:
            parts = urlsplit(url)
            # It raises for what is no port, such as the password in "user:pass/word@host".
            _ = parts.port
        except ValueError:
            raise ConfigError(
                f"base_url {quoted_url(url)} is malformed: check its host and port, and write it as https://host/v1",
                backend=self.name,
            ) from None
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ConfigError(
                f"base_url {quoted_url(url)} is not absolute: write it as https://host/v1", backend=self.name
            )
        if parts.fragment:
            raise ConfigError(
                f"base_url {quoted_url(url)} has a fragment ('#...'), which no server is ever sent: leave it off",
                backend=self.name,
            )
        if "@" in parts.netloc:
            raise ConfigError(
                f"base_url holds a user or password for {parts.hostname!r}: pass them as headers="
                "{'authorization': 'Basic ...'}, or the key as api_key=",
                backend=self.name,
            )
        return parts

    def _azure(self, base: str, path: str, query: str) -> Place:
        if self._adopted is not None and self._adopted.azure:
            dated = not path.endswith("/openai/v1")
            return Place(base, query, self._row, home=not dated, deployments=dated and "/deployments/" not in path)
        if path in ("", "/openai"):
            base = f"{base.removesuffix('/openai')}/openai/v1"
        dated = "/deployments/" in path
        return Place(base, query, self._row, home=not dated)

    def url(self, place: Place, path: str, *, model: str) -> str:
        """Return the URL for a path below the base."""
        if place.deployments and not path.startswith("/responses"):
            path = f"/deployments/{quote(model, safe='')}{path}"
        return f"{place.base}{path}{place.query}"

    # ------------------------------------------------------------ who

    def headers(self, place: Place) -> dict[str, str]:
        """Return the headers of a request; may block to fetch a token.

        Raises:
            MissingCredential: If a key is needed and there is none.
        """
        headers = self._common(place)
        if not self._authorized():
            self._authorize(headers, place, self._current_key(place))
        return {**headers, **self._headers}

    async def aheaders(self, place: Place) -> dict[str, str]:
        """Async twin of `headers`; what may block happens in a worker thread."""
        headers = self._common(place)
        if not self._authorized():
            key = self._key_at_hand(place)
            if key is None:
                key = await self._afetch(place)
            self._authorize(headers, place, key)
        return {**headers, **self._headers}

    def may_wait(self) -> bool:
        """Whether `headers` may have to ask a function, or to fetch a token."""
        if isinstance(self._key, SecretStr) or (self._key is None and self._client is None and self._tokens is None):
            return False
        return not self._authorized() and self._key_at_hand(self.place(strict=False)) is None

    def renews(self, request: HttpRequest) -> bool:
        """Give up the token that a refused request was sent with; return whether another may do."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return self._tokens is not None and scheme == "Bearer" and self._tokens.drop(token)

    def placeholders(self, place: Place) -> dict[str, str]:
        """Return the headers with names where secrets would stand."""
        headers = self._common(place)
        if not self._authorized():
            key = self._named_key(place)
            if key is not None:
                self._authorize(headers, place, key)
        hidden = {
            name: f"<headers[{name!r}]>"
            for name, value in {**headers, **self._headers}.items()
            if name in self._secret_candidates() and value and not is_public(name)
        }
        return {**headers, **self._headers, **hidden}

    def _secret_candidates(self) -> set[str]:
        adopted = self._adopted.headers if self._adopted is not None else {}
        return {*self._headers, *adopted}

    def _authorized(self) -> bool:
        return not {"authorization", "api-key"}.isdisjoint(self._secret_candidates())

    def _common(self, place: Place) -> dict[str, str]:
        headers = {"content-type": "application/json", "user-agent": "genkit-llm"}
        adopted = self._adopted
        organization = self._organization or (adopted.organization if adopted else None)
        project = self._project or (adopted.project if adopted else None)
        if place.home and place.service.rules == "openai" and adopted is None:
            organization = organization or os.environ.get("OPENAI_ORG_ID")
            project = project or os.environ.get("OPENAI_PROJECT_ID")
        if organization:
            headers["openai-organization"] = organization
        if project:
            headers["openai-project"] = project
        return {**headers, **(adopted.headers if adopted else {})}

    def _authorize(self, headers: dict[str, str], place: Place, key: tuple[str, bool] | None) -> None:
        if key is None:
            return
        value, bearer = key
        if bearer or place.service.key_header == "authorization":
            headers["authorization"] = f"Bearer {value}"
        else:
            headers["api-key"] = value

    def _current_key(self, place: Place) -> tuple[str, bool] | None:
        """Return the key or token, and whether it is a bearer token wherever it goes."""
        found = self._key_at_hand(place)
        return found if found is not None else self._fetch(place)

    def _key_at_hand(self, place: Place) -> tuple[str, bool] | None:
        """Return the key if it is known without calling anything that may block."""
        if self._adopted is not None:
            return self._clients_key()
        if isinstance(self._key, SecretStr):
            return self._key.get_secret_value(), False
        if callable(self._key):
            return None
        if not self._entra:
            for variable in place.service.key_env:
                if found := os.environ.get(variable):
                    return checked_key(found, variable, self.name), False
            if self._tokens is not None and (found := os.environ.get(_ENTRA_VARIABLE)):
                return checked_key(found, _ENTRA_VARIABLE, self.name), True
        if self._tokens is not None and (token := self._tokens.ready()):
            return token, True
        return None

    def _fetch(self, place: Place) -> tuple[str, bool] | None:
        source = self._key_function()
        if source is not None:
            return self._checked_result(called(source, self.name))
        if self._adopted is None and self._tokens is not None:
            return self._tokens.get(), True
        self._check_optional(place)
        return None

    async def _afetch(self, place: Place) -> tuple[str, bool] | None:
        source = self._key_function()
        if source is not None:
            return self._checked_result(await acalled(source, self.name))
        if self._adopted is None and self._tokens is not None:
            return await self._tokens.aget(), True
        self._check_optional(place)
        return None

    def _key_function(self) -> Callable[[], Any] | None:
        if self._client is not None:
            source = getattr(self._client, "_azure_ad_token_provider", None) or getattr(
                self._client, "_api_key_provider", None
            )
            return source if callable(source) else None
        return self._key if callable(self._key) else None

    def _checked_result(self, key: Any) -> tuple[str, bool]:
        if not isinstance(key, str) or not key:
            raise MissingCredential(f"the function that gives the key for {self.name!r} gave none", backend=self.name)
        entra = self._adopted is not None and getattr(self._client, "_azure_ad_token_provider", None) is not None
        return checked_key(key, "the function", self.name), entra

    def _clients_key(self) -> tuple[str, bool] | None:
        token = getattr(self._client, "_azure_ad_token", None)
        if isinstance(token, str) and token:
            return checked_key(token, "client=", self.name), True
        if self._key_function() is not None:
            return None
        key = getattr(self._client, "api_key", None)
        # The SDK's own marks for "no key" are words in angle brackets.
        if isinstance(key, str) and key and not key.startswith("<"):
            return checked_key(key, "client=", self.name), False
        return None

    def _check_optional(self, place: Place) -> None:
        """Raise for a missing key where one is needed."""
        if self._adopted is not None:
            raise MissingCredential("client= has no API key; give it one, or pass api_key= instead", backend=self.name)
        if place.service.key_required:
            names = " or ".join(place.service.key_env)
            raise MissingCredential(f"no API key for {self.name!r}: set {names}, or pass api_key=", backend=self.name)

    def _named_key(self, place: Place) -> tuple[str, bool] | None:
        if self._adopted is not None:
            return "<key of client>", self._adopted.azure and self._clients_bearer()
        if self._key is not None:
            return "<api_key>", False
        if self._entra:
            return "<Entra token>", True
        service = place.service
        known = next((variable for variable in service.key_env if os.environ.get(variable)), None)
        if known is None and not service.key_required:
            return None
        return f"<{known or (service.key_env[0] if service.key_env else 'api_key')}>", False

    def _clients_bearer(self) -> bool:
        return any(getattr(self._client, name, None) for name in ("_azure_ad_token", "_azure_ad_token_provider"))

    def __repr__(self) -> str:
        return f"Connection({self.name!r})"


def _from_environment(names: tuple[str, ...]) -> str | None:
    return next((value for name in names if (value := os.environ.get(name))), None)


def _adopt(client: object, name: str) -> _Adopted:
    """Read an official client; by its module, since the package is never imported here.

    Raises:
        ConfigError: If it is something else, or signs in by means that only its own transport has.
    """
    kinds = type(client).__mro__
    if not any(kind.__module__.partition(".")[0] == "openai" for kind in kinds) or not hasattr(client, "base_url"):
        raise ConfigError(
            f"client= takes an OpenAI, AsyncOpenAI, AzureOpenAI or AsyncAzureOpenAI, not a {type(client).__name__}; "
            "an HTTP client goes into http_client=",
            backend=name,
        )
    known: Any = client
    for attribute, means in (("_provider_runtime", "provider="), ("workload_identity", "workload_identity=")):
        if getattr(known, attribute, None) is not None:
            raise ConfigError(
                f"client= signs in through {means}, which only its own transport can do: pass api_key= (a key, or a "
                "function that returns a token) and base_url=",
                backend=name,
            )
    azure = any(kind.__name__ == "BaseAzureClient" for kind in kinds)
    return _Adopted(
        base_url=str(known.base_url),
        azure=azure,
        headers=_strings(getattr(known, "_custom_headers", None), lower=True),
        query=_strings(getattr(known, "_custom_query", None), lower=False),
        organization=getattr(known, "organization", None),
        project=getattr(known, "project", None),
    )


def _strings(values: Any, *, lower: bool) -> dict[str, str]:
    """Return the entries that are texts or numbers; the SDK marks left-out ones with objects of its own."""
    if not isinstance(values, Mapping):
        return {}
    return {
        (str(name).lower() if lower else str(name)): str(value)
        for name, value in values.items()
        if isinstance(value, (str, int, float))
    }
