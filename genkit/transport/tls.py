"""The one TLS context of a transport. A module of its own, loaded on first use: `ssl` and certificates take time."""

from __future__ import annotations

import importlib
import os
import ssl
from collections.abc import Mapping
from pathlib import Path

from ..errors import ConfigError

__all__ = ["make_context"]


def make_context(
    ca: str | os.PathLike[str] | ssl.SSLContext | None, *, trust_env: bool, environ: Mapping[str, str] = os.environ
) -> ssl.SSLContext:
    """Return the context that checks certificates.

    Args:
        ca: A PEM file, a directory of them as OpenSSL hashes it, a context to use as it is, or None for the system's
            certificates (certifi's where the system has none).
        trust_env: Whether SSL_CERT_FILE and SSL_CERT_DIR take the place of the system's certificates.
        environ: Where they are read.

    Raises:
        ConfigError: If a file or directory is not there or holds no certificates.
    """
    if isinstance(ca, ssl.SSLContext):
        return ca
    if ca is not None:
        return _load(os.fspath(ca), source="ca=")
    if trust_env:
        for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
            path = environ.get(variable)
            # OpenSSL itself passes over a path that is not there, and fails later without saying why.
            if path and not Path(path).exists():
                raise ConfigError(f"the environment variable {variable} names {path!r}, which is not there")
    from_environment = bool(environ.get("SSL_CERT_FILE") or environ.get("SSL_CERT_DIR"))
    if trust_env and from_environment:
        return ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    file = Path(paths.openssl_cafile) if Path(paths.openssl_cafile).is_file() else None
    folder = Path(paths.openssl_capath) if any(Path(paths.openssl_capath).glob("*")) else None
    if from_environment and (file or folder):
        # create_default_context follows the variables: name the compiled-in places instead.
        return ssl.create_default_context(cafile=file, capath=folder)
    context = ssl.create_default_context()
    if file or folder or context.cert_store_stats()["x509_ca"]:
        return context
    try:
        certifi = importlib.import_module("certifi")
    except ImportError:
        return context
    return _load(certifi.where(), source="certifi")


def _load(path: str, *, source: str) -> ssl.SSLContext:
    try:
        if Path(path).is_dir():
            return ssl.create_default_context(capath=path)
        return ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        reason = "it is not there" if isinstance(error, FileNotFoundError) else f"{error}"
        raise ConfigError(
            f"{source} names {path!r}, which cannot be used: {reason}; it must be a PEM file of CA certificates"
        ) from error
