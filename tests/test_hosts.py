"""Which URLs are read, which hosts are trusted, and where a trusted name may lead."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.hosts import HostError, TrustedHosts, UrlError, join, parse


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file:///etc/passwd", "only http and https"),
        ("gopher://localhost/", "only http and https"),
        ("localhost:8080/x", "not an absolute URL"),
        ("//localhost/x", "not an absolute URL"),
        ("http:/localhost/", "not an absolute URL"),
        ("http:///path", "not a host"),
        ("http://user@localhost/", "user or password"),
        ("http://localhost@evil.example/", "user or password"),
        ("http://localhost:80@evil.example/", "user or password"),
        ("http://local\thost/", "control character"),
        ("http://localhost/\r\nX: y", "control character"),
        ("http://localhost/\x85", "control character"),
        ("http://localhost/a b", "a space"),
        ("http://localhost\\@evil.example/", "backslash"),
        ("http://evil.example\\.localhost/", "backslash"),
        ("http://0177.0.0.1/", "four decimal numbers"),
        ("http://0x7f.0.0.1/", "four decimal numbers"),
        ("http://0x7f000001/", "four decimal numbers"),
        ("http://2130706433/", "four decimal numbers"),
        ("http://127.1/", "four decimal numbers"),
        ("http://127.0.0.01/", "four decimal numbers"),
        ("http://127.0.0.256/", "four decimal numbers"),
        ("http://1.2.3.4.5/", "four decimal numbers"),
        ("http://[::ffff:127.0.0.1]/", "one form"),
        ("http://[::127.0.0.1]/", "one form"),
        ("http://[fe80::1%25eth0]/", "one form"),
        ("http://[fe80::1%eth0]/", "one form"),
        ("http://[0:0:0:0:0:0:0:1]/", "one form"),
        ("http://[::1/", "brackets"),
        ("http://::1/", "brackets"),
        ("http://[v1.x]/", "not an IPv6 address"),
        ("http://localhost./", "ends in a dot"),
        ("http://a..b/", "not a host name"),
        ("http://-a.example/", "not a host name"),
        ("http://a%2eb/", "not a host name"),
        ("http://a,b/", "not a host name"),
        (f"http://{'a' * 64}.example/", "not a host name"),
        ("http://exаmple.com/", "not ASCII"),  # a Cyrillic letter
        ("http://ｌocalhost/", "not ASCII"),
        ("http://localhost。/", "not ASCII"),
        ("http://localhost:/", "proper port"),
        ("http://localhost:0/", "proper port"),
        ("http://localhost:080/", "proper port"),
        ("http://localhost:65536/", "proper port"),
        ("http://localhost:+80/", "brackets"),
        ("http://localhost:80:80/", "brackets"),
        (f"http://localhost/{'a' * 9000}", "longer than"),
    ],
)
def test_a_url_that_two_programs_could_read_in_two_ways_is_refused(text: str, said: str) -> None:
    with pytest.raises(UrlError, match=said):
        parse(text)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("HTTP://LocalHost", "http://localhost/"),
        ("http://localhost:80/a?b=c#d", "http://localhost/a?b=c"),
        ("https://localhost:443", "https://localhost/"),
        ("http://localhost?x", "http://localhost/?x"),
        ("http://[::1]:8080/ä", "http://[::1]:8080/%C3%A4"),
        ("http://127.0.0.1:8080/%41", "http://127.0.0.1:8080/%41"),
        ("https://xn--exmple-4nf.com/", "https://xn--exmple-4nf.com/"),
        ("http://my_service.localhost/", "http://my_service.localhost/"),
    ],
)
def test_a_plain_url_has_one_form_and_reading_it_again_changes_nothing(text: str, read: str) -> None:
    assert str(parse(text)) == read
    assert parse(read) == parse(text)


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_whatever_is_accepted_reads_the_same_again(rest: str) -> None:
    try:
        url = parse(f"http://localhost{rest}")
    except UrlError:
        return
    assert parse(str(url)) == url
    assert str(url).isascii()


def test_a_redirect_may_be_relative_and_is_read_as_strictly() -> None:
    base = parse("https://localhost:8443/a/b?c")
    assert str(join(base, "d")) == "https://localhost:8443/a/d"
    assert str(join(base, "/d?e")) == "https://localhost:8443/d?e"
    assert str(join(base, "//other.example/x")) == "https://other.example/x"
    for location in ("//u@other.example", "/a b", "\\\\other.example", "file:///etc/passwd", "http://0x7f.1/"):
        with pytest.raises(UrlError):
            join(base, location)


def trusted(*items: str) -> TrustedHosts:
    return TrustedHosts(items)


@pytest.mark.parametrize(
    ("items", "yes", "no"),
    [
        ((), ["http://localhost:9", "http://127.9.9.9/", "https://[::1]:4/", "http://a.localhost/"],
         ["http://localhost.example/", "http://10.0.0.1/", "http://0.0.0.0/", "http://[::]/", "http://x/"]),
        (("api.example.com",), ["https://api.example.com/", "http://API.example.com/"],
         ["https://api.example.com:8443/", "https://x.api.example.com/", "https://api.example.com.evil.example/"]),
        (("api.example.com:8443",), ["https://api.example.com:8443/"], ["https://api.example.com/"]),
        (("*.in.example",), ["http://a.in.example/", "http://a.b.in.example/"],
         ["http://in.example/", "http://ain.example/", "http://a.in.example:81/"]),
        (("10.0.0.5:8080",), ["http://10.0.0.5:8080/"], ["http://10.0.0.5/", "http://10.0.0.6:8080/"]),
        (("10.0.0.0/8", "fd00::/8"), ["http://10.9.9.9/", "http://[fd00::5]/"], ["http://11.0.0.1/", "http://[fe80::1]/"]),
        (("0.0.0.0/0", "::/0"), ["http://8.8.8.8/"],
         ["http://0.0.0.0/", "http://224.0.0.1/", "http://[64:ff9b::a00:1]/", "http://[2002:a00:1::]/",
          "http://255.255.255.255/", "http://[::ffff:a00:1]/", "http://[ff02::1]/"]),
    ],
)  # fmt: skip
def test_this_machine_and_what_is_listed_is_trusted(items: tuple[str, ...], yes: list[str], no: list[str]) -> None:
    for url in yes:
        trusted(*items).check(parse(url))
    for url in no:
        with pytest.raises(UrlError):
            trusted(*items).check(parse(url))


def test_a_refusal_names_the_line_that_would_allow_it() -> None:
    with pytest.raises(
        HostError, match=r'add "db.example:8080" to trusted_hosts in section \[http\] of config/'
    ) as told:
        trusted().check(parse("https://db.example:8080/x"))
    line = str(told.value).split('"')[1]
    trusted(line).check(parse("https://db.example:8080/x"))


@pytest.mark.parametrize(
    ("items", "url", "address", "allowed"),
    [
        (("a.example",), "http://a.example", "93.184.216.34", True),
        (("a.example",), "http://a.example", "2606:4700::1111", True),
        (("a.example",), "http://a.example", "10.1.2.3", False),
        (("a.example", "10.0.0.0/8"), "http://a.example", "10.1.2.3", True),
        (("a.example:81", "10.1.2.3:81"), "http://a.example:81", "10.1.2.3", True),
        (("a.example", "10.1.2.3:81"), "http://a.example", "10.1.2.3", False),
        (("a.example",), "http://a.example", "127.0.0.1", False),
        (("a.example", "127.0.0.1"), "http://a.example", "127.0.0.1", True),
        (("a.example",), "http://a.example", "169.254.169.254", False),
        (("a.example",), "http://a.example", "100.64.0.1", False),
        (("a.example",), "http://a.example", "fd00::1", False),
        (("a.example",), "http://a.example", "fe80::1", False),
        (("a.example",), "http://a.example", "5f00::1", False),
        *[
            (("a.example", "0.0.0.0/0", "::/0"), "http://a.example", address, False)
            for address in ("0.0.0.0", "224.0.0.1", "ff0e::1", "64:ff9b::808:808", "64:ff9b:1::1", "2002:808:808::1",
                            "2001:0:1::1", "::ffff:8.8.8.8", "::8.8.8.8", "255.255.255.255", "192.88.99.1")
        ],
        ((), "http://localhost", "127.0.0.1", True),
        ((), "http://a.localhost", "::1", True),
        ((), "http://localhost", "93.184.216.34", False),
        (("93.184.216.34",), "http://localhost", "::ffff:127.0.0.1", False),
    ],
)  # fmt: skip
def test_a_name_may_lead_to_public_and_to_listed_addresses(
    items: tuple[str, ...], url: str, address: str, allowed: bool
) -> None:
    hosts, found = trusted(*items), [ipaddress.ip_address(address)]
    if allowed:
        hosts.check_addresses(parse(url), found)
        return
    with pytest.raises(HostError, match="leads to"):
        hosts.check_addresses(parse(url), found)


def test_one_bad_address_among_good_ones_is_enough_to_refuse_all() -> None:
    found = [ipaddress.ip_address(text) for text in ("93.184.216.34", "10.0.0.1")]
    with pytest.raises(HostError, match=r"10\.0\.0\.1, which is private"):
        trusted("a.example").check_addresses(parse("http://a.example"), found)


@pytest.mark.parametrize(
    "item", ["", "*", "https://a.example", "a.example/x", "*.10.0.0.1", "010.0.0.1", "10.0.0.1/8", "a:b", "ä.example"]
)
def test_an_item_that_is_not_understood_is_refused_by_name(item: str) -> None:
    with pytest.raises(HostError, match="can be trusted"):
        trusted(item)
