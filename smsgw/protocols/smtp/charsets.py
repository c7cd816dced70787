"""The charsets of MIME that Python can decode: names to codecs, found by rule and not by a list of charsets.

Python has codecs that are no charsets: compressions, ``rot13``, ``idna``, ``unicode_escape``, the code page of the
machine. A charset is known by its make: it is a table of the 256 octets, a table of multi-octet characters, or a
transformation format of Unicode.
"""

from __future__ import annotations

import codecs
import encodings
import functools
import importlib
import pkgutil
import re
from collections.abc import Mapping
from encodings.aliases import aliases
from typing import Final

_CHARSET: Final = re.compile(r"[A-Za-z0-9._:-]{1,40}")
_UNICODE: Final = re.compile(r"ascii|latin_1|utf_(?:7|8|16|32)(?:_[bl]e)?")
_IGNORED: Final = re.compile(r"(?<![0-9])0+(?=[0-9])|[^a-z0-9]")
_CODE_PAGE: Final = re.compile(r"(?:windows|ibm|ccsid|dos)([0-9]+)")
_OTHERS: Final[Mapping[str, str]] = {
    "iso88596i": "iso8859_6",
    "iso88596e": "iso8859_6",
    "iso88598i": "iso8859_8",
    "iso88598e": "iso8859_8",
    "iso10646ucs2": "utf_16_be",
    "windows31j": "cp932",
    "macce": "mac_latin2",
}
"""Names of the MIME registry, and one of mail programs, that Python does not know for codecs that it has."""


def _matched(name: str) -> str:
    """Return a name of a charset in the form in which names are compared: small letters and digits, without zeros that
    begin a number (Unicode Technical Standard 22, 1.4)."""
    return _IGNORED.sub("", name.lower())


def _modules() -> dict[str, str]:
    """Return the module of :mod:`encodings` for each of its names and aliases; no module is loaded."""
    named = {_matched(found.name): found.name for found in pkgutil.iter_modules(encodings.__path__)}
    return {**named, **{_matched(alias): module for alias, module in aliases.items()}, **_OTHERS}


MODULES: Final[Mapping[str, str]] = _modules()
"""The module of :mod:`encodings` for each name, charset or not, in the form in which names are compared."""


def charset_codec(name: str) -> codecs.CodecInfo | None:
    """Return the codec of a charset by any of its names, also private ones that begin with ``x-``; None if it is
    unknown or no charset."""
    if not _CHARSET.fullmatch(name):
        return None
    key = _matched(name.lower().removeprefix("x-"))
    page = _CODE_PAGE.fullmatch(key)
    module = MODULES.get(key) or (MODULES.get(f"cp{page[1]}") if page is not None else None)
    return None if module is None else _codec(module)


@functools.cache
def _codec(module: str) -> codecs.CodecInfo | None:
    """Return the codec of a module of :mod:`encodings`, None if that is no charset."""
    try:
        made = importlib.import_module(f"encodings.{module}")
    except ImportError:  # a code page of another operating system
        return None
    is_table = hasattr(made, "decoding_table")
    is_multibyte = hasattr(getattr(made, "codec", None), "decode")
    return codecs.lookup(module) if is_table or is_multibyte or _UNICODE.fullmatch(module) else None
