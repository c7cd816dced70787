"""Callback addresses: parsing, and the options of smsc.ru inside an address. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv6Address
from typing import Final, Literal
from urllib.parse import unquote_plus

import attrs

_ADDRESS: Final = re.compile(
    r"(?P<scheme>https?)://(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?"
    r"""(?:[/?][!"$-\[\]-~]*)?"""
)

_PORTS: Final = {"http": 80, "https": 443}

_SECRET: Final = re.compile(r"[A-Za-z0-9_-]+")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")

DIGESTS: Final[frozenset[str]] = frozenset({"md5", "sha1", "crc32"})
"""The parameters of a handler's address whose value, a secret, is replaced by a hash (002-116)."""

CHARSETS: Final[Mapping[str, str]] = {"windows-1251": "cp1251", "utf-8": "utf-8", "koi8-r": "koi8-r"}
"""The charsets that a handler may choose, with Python's names (002-108, 002-109)."""

FORMS: Final[Mapping[str, Literal["xml", "json"]]] = {"2": "xml", "3": "json"}
"""The formats that `fmt` chooses (002-111, 002-112)."""


@attrs.frozen
class Place:
    """The origin of an address: scheme, host in lower case (an IPv6 address without its brackets), port."""

    scheme: str
    host: str
    port: int


def place_of(url: str) -> Place:
    """Parse the scheme, host and port of an http or https address.

    :raises ValueError: the address has other elements than scheme, host, port, path and query, or is not ASCII.
    """
    found = _ADDRESS.fullmatch(url)
    if found is None:
        raise ValueError(
            "an address is http:// or https://, a host without user or password, perhaps port and path; no fragment"
        )
    if found["six"] is not None:
        IPv6Address(found["six"])
    scheme = found["scheme"]
    port = int(found["port"]) if found["port"] is not None else _PORTS[scheme]
    if not 0 < port < 65_536:
        raise ValueError("a port is a number from 1 to 65535")
    return Place(scheme, (found["six"] or found["name"]).lower(), port)


def host_of(url: str) -> str:
    """Return the host of an http or https address, in lower case; an IPv6 address without its brackets.

    :raises ValueError: as :func:`place_of`.
    """
    return place_of(url).host


def origin_of(url: str) -> str:
    """Return scheme, host and port as text, for logs and keys: path and query may hold secrets.

    :raises ValueError: as :func:`place_of`.
    """
    place = place_of(url)
    return f"{place.scheme}://{place.host}:{place.port}"


@attrs.frozen
class Parameter:
    """One parameter of an address: its name, its value as text, both as written, and the hash that replaces the value
    (empty: none)."""

    name: str
    value: str
    written: str
    digest: str = ""


@attrs.frozen
class Handler:
    """A handler's address, parsed as smsc.ru does (provider document 002.2).

    :ivar url: the address without the parameters. :ivar query: the parameters that stay in the address (002-115).
    :ivar body: the parameters that go into the body (002-114).
    :ivar charset: Python's name of the charset of the values. :ivar form: the format of the body.
    """

    url: str
    query: tuple[Parameter, ...]
    body: tuple[Parameter, ...]
    charset: str
    form: Literal["form", "xml", "json"]


def read_handler(url: str) -> Handler:
    """Parse the options inside a handler's address.

    Without ``!`` all parameters after ``?`` go into the body; with ``!`` those between ``!`` and ``?`` stay in the
    address.

    :raises ValueError: for a bad address, a secret with other characters than Latin letters, digits, minus and
    underscore (002-122), an unknown `charset` or `fmt`, and koi8-r together with fmt (002-113).
    """
    place_of(url)
    head, _, behind = url.partition("?")
    base, mark, query = head.partition("!")
    kept = _read(query) if mark else ()
    body = _read(behind)
    charset, form = "cp1251", "form"
    for one in (*kept, *body):
        if one.name == "charset":
            if one.value.lower() not in CHARSETS:
                raise ValueError(f"charset: one of {', '.join(CHARSETS)}")
            charset = CHARSETS[one.value.lower()]
        elif one.name == "fmt":
            if one.value not in FORMS:
                raise ValueError("fmt: 2 (XML) or 3 (JSON); without fmt the body has form fields")
            form = FORMS[one.value]
    if form != "form" and charset == "koi8-r":
        raise ValueError("charset: koi8-r is not used together with fmt")
    if form == "xml":
        for one in body:
            if not _NAME.fullmatch(one.name):
                raise ValueError(f"parameter {one.name!r}: not a name that XML allows")
    return Handler(base, kept, body, charset, form)  # type: ignore[arg-type]


def _read(text: str) -> tuple[Parameter, ...]:
    parameters = []
    for written in filter(None, text.split("&")):
        name, _, value = written.partition("=")
        name, value = unquote_plus(name), unquote_plus(value)
        digest = name if name in DIGESTS else ""
        if digest and not _SECRET.fullmatch(value):
            raise ValueError(f"{digest}: a secret has Latin letters, digits, minus and underscore")
        parameters.append(Parameter(name, value, written, digest))
    return tuple(parameters)
