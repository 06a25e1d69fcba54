"""Which URLs may be fetched: by what they say, and by the addresses found for them."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genkit.errors import InvalidRequest
from genkit.media.guard import NotAdmitted, check_addresses, check_url, shown
from genkit.types import FetchPolicy

PUBLIC = FetchPolicy()
OWN = FetchPolicy(allow_private=True)

LOOPBACK = ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"]
PRIVATE = [
    *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "100.127.255.254"),
    *("fc00::1", "fd12:3456::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "2002:c0a8:101::1"),
]
METADATA = [
    *("169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200", "192.0.0.192"),
    *(
        "fd00:ec2::254",
        "fd20:ce::254",
        "fd00:c1::a9fe:a9fe",
        "fd00:42::42",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::",
    ),
]
NEVER = [
    *("0.0.0.0", "0.1.2.3", "255.255.255.255", "240.0.0.1", "224.0.0.1", "239.255.255.250", "169.254.1.1"),
    *("192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "192.0.0.1", "192.88.99.1"),
    *("::", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "2001:db8::1", "3fff::1", "2001::1", "100::1"),
    *("::7f00:1", "::a00:1", "64:ff9b:1::a00:1", "5f00::1", "4000::1", "::ffff:0.0.0.0", "::ffff:224.0.0.1"),
]
GOOD = [
    "93.184.215.14",
    "1.1.1.1",
    "172.32.0.1",
    "100.128.0.1",
    "2606:4700::1111",
    "64:ff9b::101:101",
    "2002:101:101::",
]


@pytest.mark.parametrize("address", GOOD)
def test_a_public_address_is_admitted(address: str) -> None:
    check_addresses([address], PUBLIC)


@pytest.mark.parametrize("address", [*LOOPBACK, *PRIVATE])
def test_an_own_address_is_admitted_only_where_the_policy_says_so(address: str) -> None:
    check_addresses([address], OWN)
    with pytest.raises(NotAdmitted, match="allow_private=True"):
        check_addresses([address], PUBLIC)


@pytest.mark.parametrize("address", [*METADATA, *NEVER])
@pytest.mark.parametrize("policy", [PUBLIC, OWN], ids=["public", "own"])
def test_metadata_and_special_addresses_are_never_admitted(address: str, policy: FetchPolicy) -> None:
    with pytest.raises(NotAdmitted, match=r"leads to \S+, which (?!.*allow_private)"):
        check_addresses([address], policy)


def test_one_bad_address_refuses_the_good_ones_beside_it() -> None:
    with pytest.raises(NotAdmitted, match=r"10\.0\.0\.1"):
        check_addresses(["1.1.1.1", "10.0.0.1"], PUBLIC)


def test_what_is_no_address_is_not_admitted() -> None:
    with pytest.raises(NotAdmitted):
        check_addresses(["somewhere"], OWN)


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "127.0.0.1.",
        "0",
        "017700000001",
        "1.2.3.0X4",
        "127.0.0.01",
    ],
)
@pytest.mark.parametrize("policy", [PUBLIC, OWN], ids=["public", "own"])
def test_an_address_in_disguise_is_refused_before_anybody_reads_it(host: str, policy: FetchPolicy) -> None:
    with pytest.raises(InvalidRequest, match="in disguise"):
        check_url(f"http://{host}/", policy)


@pytest.mark.parametrize("host", [*LOOPBACK, *PRIVATE, *METADATA])
def test_an_address_in_the_url_is_checked_without_a_look_up(host: str) -> None:
    with pytest.raises(InvalidRequest, match="does not fetch"):
        check_url(f"http://{f'[{host}]' if ':' in host else host}/", PUBLIC)


@pytest.mark.parametrize(
    "host",
    [
        *("metadata.google.internal", "METADATA.google.internal.", "metadata", "metadata.azure.internal"),
        *("instance-data", "instance-data.ec2.internal"),
    ],
)
def test_the_names_of_metadata_servers_are_refused(host: str) -> None:
    with pytest.raises(InvalidRequest, match="credentials"):
        check_url(f"http://{host}/", OWN)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://x.example/a", "only absolute http and https"),
        ("file:///etc/passwd", "only absolute http and https"),
        ("gopher://x.example", "only absolute http and https"),
        ("//x.example/a", "only absolute http and https"),
        ("http:///a", "only absolute http and https"),
        ("http://user:secret@x.example/a", "user or password"),
        ("http://public.example@10.0.0.1/a", "user or password"),
        ("http://public.example\\@10.0.0.1/a", "user or password"),
        ("http://x.example:port/a", "malformed"),
        ("http://[::1/a", "malformed"),
        ("http://[::1]x:80/", "malformed"),
        ("http://a[::1]/", "malformed"),
        ("http://x.example/a b", "percent-encode"),
        ("http://x.example/a\r\nhost: y", "percent-encode"),
        ("http://b\xfccher.example/", "percent-encode"),
        ("http://x.example:22/", "port 22 is not the usual one"),
        ("https://x.example:80/", "port 80 is not the usual one"),
    ],
)
def test_a_url_of_another_form_is_refused(url: str, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why) as caught:
        check_url(url, PUBLIC)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "url", "allowed"),
    [
        ("x.example", "https://x.example/a", True),
        ("X.example", "https://x.EXAMPLE./a", True),
        ("x.example", "https://a.x.example/a", False),
        ("x.example", "https://x.example.evil.example/a", False),
        ("x.example", "https://notx.example/a", False),
        ("*.x.example", "https://a.x.example/a", True),
        ("*.x.example", "https://a.b.x.example/a", True),
        ("*.x.example", "https://x.example/a", False),
        ("*.x.example", "https://notx.example/a", False),
        ("x.example", "https://x.example:8443/a", False),
        ("x.example:8443", "https://x.example:8443/a", True),
        ("x.example:8443", "https://x.example/a", False),
        ("x.example:443", "https://x.example/a", True),
        ("[2606:4700::1]:8080", "http://[2606:4700::1]:8080/", True),
        ("2606:4700::1", "http://[2606:4700::1]/", True),
    ],
)
def test_a_list_of_hosts_allows_these_alone(entry: str, url: str, allowed: bool) -> None:
    policy = FetchPolicy(allow_hosts=(entry,))
    if allowed:
        check_url(url, policy)
    else:
        with pytest.raises(InvalidRequest, match="allow_hosts"):
            check_url(url, policy)


def test_a_list_of_hosts_does_not_allow_private_addresses() -> None:
    with pytest.raises(InvalidRequest, match="private network"):
        check_url("http://10.0.0.1/", FetchPolicy(allow_hosts=("10.0.0.1",)))


def test_a_single_host_may_be_written_without_a_list() -> None:
    assert FetchPolicy(allow_hosts="x.example").allow_hosts == ("x.example",)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("https://x.example/a?sig=secret#secret", "https://x.example/a?..."),
        ("https://u:secret@x.example/a", "https://***@x.example/a"),
        ("data:image/png;base64,secret", "data: URL"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, seen: str) -> None:
    assert shown(url) == seen


@given(st.text(max_size=40).map("http://{}".format) | st.text(st.sampled_from(":/@[]%.?#\\0x17fe-*h t"), max_size=20))
def test_no_text_at_all_ends_in_another_error(url: str) -> None:
    for policy in (PUBLIC, OWN, FetchPolicy(allow_hosts=("x.example", "*.y.example:81"))):
        with contextlib.suppress(InvalidRequest):
            check_url(url, policy)


@given(st.ip_addresses())
def test_what_python_calls_private_is_not_admitted_as_public(address: Any) -> None:
    try:
        check_addresses([str(address)], PUBLIC)
    except NotAdmitted:
        return
    inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None) or address
    assert not any((inner.is_private, inner.is_loopback, inner.is_link_local, inner.is_multicast))
