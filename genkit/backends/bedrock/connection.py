"""Where Bedrock is and who calls it: regions, endpoints, API keys, and AWS credentials as botocore finds them.

Nothing is looked up before the first call, and no secret is ever shown. botocore is loaded only where neither an API
key nor keys in the environment will do: a profile, SSO, a role, a container, an instance.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from pydantic import SecretStr

from ...errors import AuthenticationFailed, ConfigError, GenkitError, MissingCredential, MissingExtra
from ...transport.messages import is_public, quoted_url
from ...transport.waiting import in_thread
from .signing import Keys

__all__ = ["Connection", "Identity", "Place"]

Identity: TypeAlias = Keys | str
"""AWS keys to sign with, or an API key that is sent as a bearer token."""

_BEARER = "AWS_BEARER_TOKEN_BEDROCK"
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
_ENDPOINTS = ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AWS_ENDPOINT_URL")
_REGION = re.compile(r"[a-z]{2,5}(-[a-z0-9]+)+-\d{1,2}")
_ARN_REGION = re.compile(r"arn:[^:]*:(?:bedrock|sagemaker):(?P<region>[a-z0-9-]+):")
# https://docs.aws.amazon.com/general/latest/gr/bedrock.html and botocore's partitions, read 2026-11-23.
_DOMAINS = (
    ("cn-", "amazonaws.com.cn"),
    ("eusc-", "amazonaws.eu"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
)
_HOW_TO_SIGN_IN = (
    f"set {_BEARER}, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, run aws configure or aws sso login, or pass "
    "api_key=, profile= or session="
)


@dataclass(frozen=True, slots=True)
class Place:
    """An address, without a slash at its end, and the region that signatures are for."""

    base: str
    region: str


class Connection:
    """Address and identity of one backend instance.

    Args:
        name: The backend's name, for errors.
        region: The region; else that of `client` or `session`, AWS_REGION, AWS_DEFAULT_REGION, or the profile's.
        profile: A profile of AWS's configuration files.
        session: A session of boto3 or botocore.
        client: A boto3 client of bedrock-runtime; endpoint, region and credentials are taken from it.
        api_key: A Bedrock API key, or a function that returns the current one.
        base_url: Another endpoint.
        headers: Further headers.

    Raises:
        ConfigError: If arguments contradict each other or cannot be used.
    """

    def __init__(
        self,
        name: str,
        *,
        region: str | None = None,
        profile: str | None = None,
        session: object | None = None,
        client: object | None = None,
        api_key: str | SecretStr | Callable[[], str] | None = None,
        base_url: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        given = [
            option
            for option, value in (("profile", profile), ("session", session), ("client", client), ("api_key", api_key))
            if value is not None
        ]
        if len(given) > 1:
            raise ConfigError(f"{given[0]}= and {given[1]}= both say who calls: give one of them", backend=name)
        if client is not None:
            _check_client(client, name)
        if session is not None:
            _check_session(session, name)
        if isinstance(api_key, SecretStr):
            api_key = api_key.get_secret_value()
        self._key = SecretStr(_checked(api_key, "api_key=", name)) if isinstance(api_key, str) else api_key
        self._region = _checked_region(region, "region=", name) if region else None
        self._base = _checked_base(base_url, "base_url", name) if base_url else None
        self._profile = profile
        self._session: Any = session
        self._client: Any = client
        self.headers = {key.lower(): value for key, value in (headers or {}).items()}
        self._lock = threading.Lock()
        self._session_lock = threading.Lock()
        self._made: Any = None
        # That of the configuration files, once they have been read.
        self._known_region: str | None = None
        self._credentials: Any = None
        self._places: dict[tuple[str | None, str | None], Place] = {}

    def __repr__(self) -> str:
        return f"Connection({self.name!r})"

    # ------------------------------------------------------------ where

    def place(self, model: str, *, strict: bool = True) -> Place:
        """Return where requests for a model go now; variables of the environment may change between calls.

        Args:
            model: An ARN says its region, where nothing else does.
            strict: Whether an unknown region is an error; else the variable's name stands in the address. What is not
                strict loads nothing and reads no files.

        Raises:
            ConfigError: If the region is unknown or malformed.
        """
        region = self._region or self._client_region() or self._session_region() or _variable(_REGIONS)
        if region is None and (arn := _ARN_REGION.match(model)) is not None:
            region = arn["region"]
        base = self._base or self._client_base() or _variable(_ENDPOINTS)
        known = self._places.get((region, base))
        if known is not None:
            return known
        # An API key needs no region where the address is known.
        enough = base is not None and self.bearer()
        if region is None:
            region = self._profile_region() if strict and not enough else self._known_region
        if region is None:
            if strict and not enough:
                raise ConfigError(
                    f"no region for {self.name!r}: set AWS_REGION, or pass region=, such as 'us-east-1'",
                    backend=self.name,
                )
            return Place((base or f"https://bedrock-runtime.<{_REGIONS[0]}>.amazonaws.com").rstrip("/"), "<AWS_REGION>")
        region = _checked_region(region, "the environment", self.name)
        address = _checked_base(base, "the endpoint", self.name) if base else _endpoint(region)
        place = self._places[region, base] = Place(address, region)
        return place

    async def aplace(self, model: str) -> Place:
        """Async twin of `place`: files are read in a worker thread, once."""
        quick = self.place(model, strict=False)
        if not quick.region.startswith("<") or (self._base and self.bearer()):
            return quick
        return await in_thread(functools.partial(self.place, model), name="genkit-credential")

    def _client_region(self) -> str | None:
        return None if self._client is None else self._client.meta.region_name

    def _client_base(self) -> str | None:
        return None if self._client is None else self._client.meta.endpoint_url

    def _session_region(self) -> str | None:
        if self._session is None:
            return None
        if (found := getattr(self._session, "region_name", None)) is not None:
            return str(found)
        lookup = getattr(self._session, "get_config_variable", None)
        return None if lookup is None else lookup("region")

    def _profile_region(self) -> str | None:
        """Return the region that the configuration files name; loads botocore, where it is installed."""
        if self._client is not None or self._session is not None:
            return None
        try:
            found = self._own_session().get_config_variable("region")
        except MissingExtra:
            return None
        self._known_region = str(found) if found else None
        return self._known_region

    # ------------------------------------------------------------ who

    def identity(self) -> Identity:
        """Return who calls; may block to find or refresh credentials.

        Raises:
            MissingCredential: If there are none.
            MissingExtra: If they would have to be looked for, and botocore is not installed.
            AuthenticationFailed: If they are there, and cannot be had or refreshed.
        """
        ready = self._at_hand()
        if ready is not None:
            return ready
        if callable(self._key):
            return self._called(self._key)
        with self._lock:
            if self._credentials is None:
                self._credentials = self._found()
        return self._frozen(self._credentials)

    async def aidentity(self) -> Identity:
        """Async twin of `identity`; what may block happens in a worker thread."""
        ready = self._at_hand()
        if ready is not None:
            return ready
        if self._credentials is not None and not _may_block(self._credentials):
            return self._frozen(self._credentials)
        return await in_thread(self.identity, name="genkit-credential")

    def may_wait(self) -> bool:
        """Whether `identity` may have to ask a function, or to find or refresh credentials."""
        if self.authorized() or self._at_hand() is not None:
            return False
        return self._credentials is None or _may_block(self._credentials)

    def bearer(self) -> bool:
        """Return whether an API key is sent in place of a signature."""
        if self._key is not None:
            return True
        if self._client is not None:
            return _sends_bearer(self._client)
        return self._profile is None and self._session is None and bool(os.environ.get(_BEARER))

    def authorized(self) -> bool:
        """Return whether the caller's own headers authorize."""
        return "authorization" in self.headers

    def _at_hand(self) -> Identity | None:
        """Return the identity that is known without calling or loading anything."""
        if isinstance(self._key, SecretStr):
            return self._key.get_secret_value()
        if self._key is not None or self._client is not None or self._profile is not None or self._session is not None:
            return None
        if key := os.environ.get(_BEARER):
            return _checked(key, _BEARER, self.name)
        # The first that botocore looks at as well, as long as no profile is asked for by name.
        access, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
        if access and secret:
            token = os.environ.get("AWS_SESSION_TOKEN") or os.environ.get("AWS_SECURITY_TOKEN")
            return Keys(access, secret, token or None)
        return None

    def _called(self, source: Callable[[], Any]) -> str:
        try:
            key = source()
        except GenkitError:
            raise
        except Exception as error:
            raise AuthenticationFailed(
                f"the function that gives the key for {self.name!r} failed ({type(error).__name__})", backend=self.name
            ) from error
        if inspect.isawaitable(key):
            if inspect.iscoroutine(key):
                key.close()
            raise ConfigError("api_key= is an asynchronous function: pass one that is not", backend=self.name)
        if not isinstance(key, str) or not key:
            raise MissingCredential(f"the function that gives the key for {self.name!r} gave none", backend=self.name)
        return _checked(key, "the function", self.name)

    def _found(self) -> Any:
        """Return the object that gives keys, after looking wherever botocore looks."""
        try:
            if self._client is not None:
                found = _of_client(self._client)
            else:
                found = (self._session or self._own_session()).get_credentials()
        except GenkitError:
            raise
        except Exception as error:  # botocore's, or a provider's of the user's own; kept as the cause
            raise self._failed(error) from error
        if inspect.isawaitable(found):
            if inspect.iscoroutine(found):
                found.close()
            raise ConfigError("session= is asynchronous: pass one of boto3 or botocore", backend=self.name)
        if found is None:
            raise MissingCredential(f"no AWS credentials for {self.name!r}: {_HOW_TO_SIGN_IN}", backend=self.name)
        return found

    def _own_session(self) -> Any:
        """Return botocore's session for this connection, made once: it reads files and takes a fifth of a second."""
        with self._session_lock:
            if self._made is None:
                self._made = self._make_session()
            return self._made

    def _make_session(self) -> Any:
        try:
            module: Any = import_module("botocore.session")
        except ModuleNotFoundError as error:
            raise MissingExtra(
                f"backend {self.name!r} needs 'botocore' to find AWS credentials: pip install 'genkit-llm[bedrock]'; "
                f"or set {_BEARER}, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                backend=self.name,
            ) from error
        try:
            session = module.Session(profile=self._profile)
            session.get_config_variable("region")  # reads the files, so that a missing profile is told here
        except Exception as error:
            raise self._failed(error) from error
        return session

    def _frozen(self, credentials: Any) -> Identity:
        if isinstance(credentials, str):
            return credentials
        try:
            keys = credentials.get_frozen_credentials()
        except Exception as error:  # botocore's, or a provider's of the user's own; kept as the cause
            raise self._failed(error) from error
        if not keys.access_key or not keys.secret_key:
            raise MissingCredential(f"no AWS credentials for {self.name!r}: {_HOW_TO_SIGN_IN}", backend=self.name)
        return Keys(keys.access_key, keys.secret_key, keys.token or None)

    def _failed(self, error: Exception) -> GenkitError:
        kind = type(error).__name__
        if kind == "ProfileNotFound":
            return ConfigError(f"{error}; the profiles are in ~/.aws/config", backend=self.name)
        return AuthenticationFailed(
            f"AWS credentials cannot be had ({kind}: {error}); sign in again (aws sso login), or check the profile",
            backend=self.name,
        )

    def placeholders(self, place: Place) -> dict[str, str]:
        """Return the headers that would authorize, with names where secrets would stand."""
        shown = {
            name: value if is_public(name) or not value else f"<headers[{name!r}]>"
            for name, value in self.headers.items()
        }
        if self.authorized():
            return shown
        if self.bearer():
            what = "<api_key>" if self._key is not None else "<key of client>" if self._client else f"<{_BEARER}>"
            return {"authorization": f"Bearer {what}", **shown}
        scope = f"<date>/{place.region}/bedrock/aws4_request"
        signature = f"AWS4-HMAC-SHA256 Credential=<AWS access key>/{scope}, SignedHeaders=..., Signature=<signature>"
        token = {"x-amz-security-token": "<AWS session token>"} if self._has_token() else {}
        return {"x-amz-date": "<time>", **token, "authorization": signature, **shown}

    def _has_token(self) -> bool:
        """Return whether the keys are known to be those of a session; nothing is looked up for it."""
        keys = self._at_hand()
        if keys is None and self._credentials is not None and not _may_block(self._credentials):
            keys = self._frozen(self._credentials)
        return isinstance(keys, Keys) and keys.token is not None


def _may_block(credentials: Any) -> bool:
    needed = getattr(credentials, "refresh_needed", None)
    return needed is not None and bool(needed())


def _of_client(client: Any) -> Any:
    """Return what a boto3 client signs with: credentials, or the API key it sends."""
    signer = client._request_signer  # noqa: SLF001  # there is no public way to a client's credentials
    if not _sends_bearer(client):
        return getattr(signer, "_credentials", None)
    token: Any = getattr(signer, "_auth_token", None)
    frozen = token.get_frozen_token() if hasattr(token, "get_frozen_token") else token
    return getattr(frozen, "token", None) or os.environ.get(_BEARER)


def _sends_bearer(client: Any) -> bool:
    """Return whether a boto3 client would send an API key: as it was told in code, else where there is one."""
    version = getattr(client.meta.config, "signature_version", None)
    chosen = type(version).__name__ == "ClientConfigString"  # botocore's mark of what was set in code
    return version == "bearer" or (not chosen and bool(os.environ.get(_BEARER)))


def _check_client(client: Any, name: str) -> None:
    meta = getattr(client, "meta", None)
    model = getattr(meta, "service_model", None)
    service = getattr(model, "service_name", None)
    if service != "bedrock-runtime" or not hasattr(client, "_request_signer"):
        what = f"a client of {service!r}" if service else f"a {type(client).__name__}"
        raise ConfigError(
            f"client= takes boto3.client('bedrock-runtime'), not {what}; an HTTP client goes into http_client=",
            backend=name,
        )


def _check_session(session: Any, name: str) -> None:
    if not hasattr(session, "get_credentials"):
        raise ConfigError(
            f"session= takes a session of boto3 or botocore, not a {type(session).__name__}", backend=name
        )


def _variable(names: tuple[str, ...]) -> str | None:
    return next((value for name in names if (value := os.environ.get(name))), None)


def _endpoint(region: str) -> str:
    domain = next((domain for prefix, domain in _DOMAINS if region.startswith(prefix)), "amazonaws.com")
    fips = "-fips" if os.environ.get("AWS_USE_FIPS_ENDPOINT", "").lower() == "true" else ""
    return f"https://bedrock-runtime{fips}.{region}.{domain}"


def _checked_region(region: str, where: str, name: str) -> str:
    if not _REGION.fullmatch(region):
        raise ConfigError(f"{region[:40]!r} from {where} is no AWS region; write it as 'us-east-1'", backend=name)
    return region


def _checked_base(url: str, where: str, name: str) -> str:
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
    except ValueError:
        raise ConfigError(f"{where} {quoted_url(url)} is malformed: check its host and port", backend=name) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query:
        raise ConfigError(
            f"{where} {quoted_url(url)} cannot be used: write it as https://host, without user and query", backend=name
        )
    if parts.path.rstrip("/").endswith(("/converse", "/converse-stream", "/invoke")) or "/model/" in parts.path:
        raise ConfigError(f"{where} {quoted_url(url)} is the address of one model: leave its path off", backend=name)
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")


def _checked(key: str, where: str, name: str) -> str:
    """Return a key that can stand in a header; what cannot is not shown."""
    if not key or not key.isascii() or any(character <= " " or character == "\x7f" for character in key):
        raise ConfigError(
            f"the API key for {name!r} from {where} is empty, or holds a line break, a space or a character outside "
            "ASCII: copy it again (it is not shown here)",
            backend=name,
        )
    return key
