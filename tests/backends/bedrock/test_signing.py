"""Our signer against botocore's, over many requests, and against the far end's reading of the raw request."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from genkit.backends.bedrock.signing import Keys, Signer, canonical_path

MOMENT = 1_790_000_000.0
HOST = "bedrock-runtime.us-east-1.amazonaws.com"

MODELS = st.one_of(
    st.sampled_from(
        [
            "amazon.nova-lite-v1:0",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/mi1dadi0g15f",
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.anthropic.claude-3-haiku-20240307-v1:0",
            "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0",
            "a b+c~d%41é",
        ]
    ),
    st.text(min_size=1).filter(lambda text: text not in (".", "..") and text.isprintable()),
)
SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)


def botocores(keys: Keys, region: str, path: str, content: bytes, headers: dict[str, str]) -> dict[str, str]:
    """Return what botocore adds to a request."""
    import unittest.mock

    now = dt.datetime.fromtimestamp(MOMENT, dt.UTC)
    request = AWSRequest("POST", f"https://{HOST}{path}", data=content, headers={**headers, "host": HOST})
    with unittest.mock.patch("botocore.auth.get_current_datetime", return_value=now.replace(tzinfo=None)):
        SigV4Auth(Credentials(keys.access, keys.secret, keys.token), "bedrock", region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@settings(max_examples=300, deadline=None)
@given(
    model=MODELS,
    secret=SECRETS,
    token=st.one_of(st.none(), SECRETS),
    content=st.binary(),
    operation=st.sampled_from(["converse", "converse-stream", "invoke", "count-tokens"]),
    region=st.sampled_from(["us-east-1", "eu-central-1", "us-gov-west-1", "cn-north-1"]),
    more=st.sampled_from([{}, {"x-amz-meta": " two  spaces "}, {"content-type": "application/json; charset=utf-8"}]),
)
def test_the_signature_is_botocores(
    model: str, secret: str, token: str | None, content: bytes, operation: str, region: str, more: dict[str, str]
) -> None:
    path = f"/model/{quote(model, safe='')}/{operation}"
    headers = {"content-type": "application/json", **more}
    keys = Keys("AKIDEXAMPLE", secret, token)
    ours = Signer(lambda: MOMENT).sign(keys, region, host=HOST, path=path, content=content, headers=headers)
    theirs = botocores(keys, region, path, content, headers)
    assert ours == {name: theirs[name] for name in ours}
    assert ("x-amz-security-token" in ours) is (token is not None)


def test_a_path_is_encoded_once_on_the_wire_and_twice_in_the_signature() -> None:
    assert canonical_path("/model/amazon.nova-lite-v1%3A0/converse") == "/model/amazon.nova-lite-v1%253A0/converse"


def test_the_key_of_a_day_is_made_once_and_the_next_days_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [MOMENT]
    signer = Signer(lambda: now[0])
    given: Any = {"host": HOST, "path": "/", "content": b"", "headers": {}}
    keys = Keys("AKID", "secret")
    first = signer.sign(keys, "us-east-1", **given)
    kept = signer._kept[1]
    assert signer.sign(keys, "us-east-1", **given) == first
    assert signer._kept[1] is kept
    now[0] += 86_400
    assert signer.sign(keys, "us-east-1", **given)["authorization"] != first["authorization"]
    assert signer._kept[1] != kept


def test_a_clock_that_is_off_is_allowed_for() -> None:
    signer = Signer(lambda: MOMENT)
    signer.offset = 3600.0
    signed = signer.sign(Keys("A", "s"), "us-east-1", host=HOST, path="/", content=b"", headers={})
    assert signed["x-amz-date"] == dt.datetime.fromtimestamp(MOMENT + 3600, dt.UTC).strftime("%Y%m%dT%H%M%SZ")


def test_no_secret_is_shown() -> None:
    assert "hush" not in repr(Keys("AKIDEXAMPLE", "hush-secret", "hush-token"))
