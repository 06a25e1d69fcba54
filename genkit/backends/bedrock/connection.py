"""Where Bedrock is and who calls it: regions, endpoints, API keys, and AWS credentials as botocore finds them.

Nothing is looked up before the first call, and no secret is ever shown. botocore is loaded only where neither an API
key nor keys in the environment will do: a profile, SSO, a role, a container, an instance.
"""

from __future__ import annotations

import functools
import inspect
import ipaddress
import logging
import os
import re
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from pydantic import SecretStr
from typing_extensions import override

from ...errors import AuthenticationFailed, ConfigError, GenkitError, MissingCredential, MissingExtra
from ...transport.messages import is_public, quoted_url
from ...transport.waiting import in_thread
from ..keys import acalled, called
from ..tokens import Tokens
from .signing import Keys

__all__ = ["Connection", "Identity", "Place"]

Identity: TypeAlias = Keys | str
"""AWS keys to sign with, or an API key that is sent as a bearer token."""

_log = logging.getLogger("genkit")

_BEARER = "AWS_BEARER_TOKEN_BEDROCK"
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
_PROFILES = ("AWS_DEFAULT_PROFILE", "AWS_PROFILE")
_ENDPOINTS = ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AWS_ENDPOINT_URL")
_UNDER_WAY_S = 5.0
# What AWS says of keys that are over or unknown to it.
_STALE = frozenset({"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"})
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
# Where both IPv4 and IPv6 are spoken; two partitions have no such place.
_DUAL_DOMAINS = (
    ("cn-", "api.amazonwebservices.com.cn"),
    ("eusc-", "api.amazonwebservices.eu"),
    ("us-isof-", ""),
    ("eu-isoe-", ""),
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
        api_key: A Bedrock API key, or a function that returns the current one, asynchronously for the a-methods only.
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
        api_key: str | SecretStr | Callable[[], str | Awaitable[str]] | None = None,
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
        self._keys = _KeysInTime(self)
        self._dropped = 0.0
        self._session_lock = threading.Lock()
        self._made: Any = None
        # That of the configuration files, once they have been read, and that of the session, once it has been asked.
        self._known_region: str | None = None
        self._asked_region: tuple[str | None] | None = None
        self._warned = False
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
        address = _checked_base(base, "the endpoint", self.name) if base else _endpoint(region, self.name)
        place = self._places[region, base] = Place(address, region)
        return place

    async def aplace(self, model: str) -> Place:
        """Async twin of `place`: files are read, and a session is asked, in a worker thread, once."""
        if self._region or self._session is None or self._asked_region is not None:
            quick = self.place(model, strict=False)
            if not quick.region.startswith("<") or (self._base and self.bearer()):
                return quick
        return await in_thread(functools.partial(self.place, model), name="genkit-credential")

    def _client_region(self) -> str | None:
        return None if self._client is None else self._client.meta.region_name

    def _client_base(self) -> str | None:
        return None if self._client is None else self._client.meta.endpoint_url

    def _session_region(self) -> str | None:
        """Return the region that the session names; it is asked once, since it may read files."""
        if self._session is None:
            return None
        if self._asked_region is None:
            try:
                found = getattr(self._session, "region_name", None)
                if found is None and (lookup := getattr(self._session, "get_config_variable", None)) is not None:
                    found = lookup("region")
            except Exception as error:  # botocore's, or that of a session of the user's own
                raise self.failed(error) from error
            self._asked_region = (str(found) if found else None,)
        return self._asked_region[0]

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
            return self._given(called(self._key, self.name))
        credentials = self._credentials
        if credentials is not None and not _may_block(credentials):
            return self._frozen(credentials)
        return self._keys.get()

    async def aidentity(self) -> Identity:
        """Async twin of `identity`; what may block happens in a worker thread."""
        ready = self._at_hand()
        if ready is not None:
            return ready
        if callable(self._key):
            return self._given(await acalled(self._key, self.name))
        credentials = self._credentials
        if credentials is not None and not _may_block(credentials):
            return self._frozen(credentials)
        return await self._keys.aget()

    def may_wait(self) -> bool:
        """Whether `identity` may have to ask a function, or to find or refresh credentials."""
        if self.authorized() or self._at_hand() is not None:
            return False
        credentials = self._credentials
        if credentials is not None and not _may_block(credentials):
            return False
        return callable(self._key) or self._keys.ready() is None

    def renews(self, code: str | None) -> bool:
        """Give up keys that were refused with an error of AWS's; return whether others may do."""
        now = time.monotonic()
        if code not in _STALE or (self._credentials is None and not self._dropped):
            return False
        # Requests that were under way together are refused together, and have found others once.
        if not self._dropped or now - self._dropped > _UNDER_WAY_S:
            self._dropped = now
            # A session keeps what it has found.
            self._credentials = self._made = None
            self._keys.forget()
        return True

    def fetched(self) -> tuple[Identity, float]:
        """Return new keys and when they end; may block. What is not known to last has ended."""
        credentials = self._credentials = self._credentials or self._found()
        identity = self._frozen(credentials)
        return identity, _ends(credentials)

    def held(self) -> tuple[Identity, float] | None:
        """Return the keys that botocore has fetched and when they end, without asking it to fetch others."""
        credentials = self._credentials
        keys = getattr(credentials, "_frozen_credentials", None)
        if keys is None or not keys.access_key or not keys.secret_key:
            return None
        return Keys(keys.access_key, keys.secret_key, keys.token or None), _ends(credentials)

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

    def _given(self, key: object) -> str:
        """Return what the function for the key gave, if that is one."""
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
            raise self.failed(error) from error
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
            raise self.failed(error) from error
        return session

    def _frozen(self, credentials: Any) -> Identity:
        if isinstance(credentials, str):
            return credentials
        try:
            keys = credentials.get_frozen_credentials()
        except Exception as error:  # botocore's, or a provider's of the user's own; kept as the cause
            raise self.failed(error) from error
        if not keys.access_key or not keys.secret_key:
            raise MissingCredential(f"no AWS credentials for {self.name!r}: {_HOW_TO_SIGN_IN}", backend=self.name)
        return Keys(keys.access_key, keys.secret_key, keys.token or None)

    def failed(self, error: Exception) -> GenkitError:
        """Return what it means that credentials cannot be had.

        Of an error only its class is shown: its words may hold a secret, as what a program for keys wrote does.
        """
        kind = type(error).__name__
        if kind == "ProfileNotFound":
            profile = self._profile or _variable(_PROFILES) or "default"
            return ConfigError(
                f"there is no profile {profile!r} of AWS's; the profiles are in ~/.aws/config", backend=self.name
            )
        return AuthenticationFailed(
            f"AWS credentials cannot be had ({kind}); sign in again (aws sso login), or check the profile",
            backend=self.name,
        )

    def watch(self, place: Place) -> None:
        """Warn, once, where a key would go to another machine for everybody on the way to read."""
        if self._warned or not place.base.startswith("http://") or not (self.bearer() or self.authorized()):
            return
        self._warned = True
        host = urlsplit(place.base).hostname or ""
        if not _is_loopback(host):
            _log.warning("the key of %r goes to %s over http://, unencrypted: use https://", self.name, host)

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


class _KeysInTime(Tokens[Identity]):
    """Keys that end: used until then, and replaced before that in the background, as botocore alone does not."""

    # botocore begins to ask for others then.
    early = 900.0

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    @override
    def fetch(self) -> tuple[Identity, float]:
        return self._connection.fetched()

    @override
    def held(self) -> tuple[Identity, float] | None:
        return self._connection.held()

    @override
    def failed(self, error: Exception) -> GenkitError:
        return self._connection.failed(error)


def _ends(credentials: Any) -> float:
    """Return when credentials end; 0 where they may have to be refreshed and do not say when."""
    ends = getattr(credentials, "_expiry_time", None)
    return float(ends.timestamp()) if ends is not None else 0.0


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


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _endpoint(region: str, name: str) -> str:
    dual = _is_set("AWS_USE_DUALSTACK_ENDPOINT")
    domains, usual = (_DUAL_DOMAINS, "api.aws") if dual else (_DOMAINS, "amazonaws.com")
    domain = next((domain for prefix, domain in domains if region.startswith(prefix)), usual)
    if not domain:
        raise ConfigError(f"{region} has no dual-stack endpoint: unset AWS_USE_DUALSTACK_ENDPOINT", backend=name)
    fips = "-fips" if _is_set("AWS_USE_FIPS_ENDPOINT") else ""
    return f"https://bedrock-runtime{fips}.{region}.{domain}"


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "").lower() == "true"


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
