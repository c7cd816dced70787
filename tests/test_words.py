"""U9: the documentation speaks the words of the trade, and every page is valid reStructuredText."""

from __future__ import annotations

import importlib.util
import io
import re
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from smsgw.program import configfile

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.rst", ROOT / "benchmarks" / "README.rst", *sorted((ROOT / "docs").glob("*.rst"))]
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text("utf-8") for page in PAGES}
GLOSSARY = TEXTS["docs/glossary.rst"]

PRIVATE = (
    r"doors?", r"(?:a|the|another|every) way (?:in|out)", r"ways (?:in|out)", r"stranger", r"somebody", r"nobody",
    r"someone", r"no one", r"whoever", r"who asks", r"who (?:sends|knows|owns|has)", r"(?:is|are|be|was|were) told",
    r"errand", r"tallies", r"estranged?", r"whole of it", r"comes? to rest", r"of its own accord",
)
"""Riddles and private words; the actor is named instead: client, account, administrator, upstream, subscriber."""

CORE = "MO", "MT", "DLR", "throughput", "error code", "ESME", "SMSC", "bind", "callback", "webhook"
"""Words of the trade that explain ours on the pages themselves."""

SEARCHED = (
    "MO", "MT", "DLR", "throughput", "TPS", "throttling", "error code", "ESME", "SMSC", "bind", "system_id", "receipt",
    "callback", "webhook", "sender ID", "shortcode", "MSISDN", "concatenation", "UDH", "TLV", "TON", "NPI", "PDU",
    "data_coding", "UCS-2", "GSM 7-bit", "enquire_link", "window", "validity period", "failover", "load balancing",
    "idempotency key", "dead letter", "short code", "delivery receipt", "route", "connector", "upstream", "operator",
)
"""What users of SMS gateways search for."""

COMMON = frozenset({
    "ACME", "API", "ASCII", "AUTH", "BSD", "CA", "CHANGES", "CI", "CPU", "CR", "CRLF", "CSV", "CWD", "DATA",
    "DELETE", "DNS", "DSN", "EHLO", "ESC", "ESMTP", "FF", "GB", "GET", "GNU", "HMAC", "HTML", "HTTP", "HTTPS",
    "HUP", "ID", "INI", "IP", "JSON", "KB", "LF", "LICENSE", "LOGIN", "MIB", "MIME", "MIT", "NAME", "NAT64", "NFS",
    "NUL", "OS", "PDF", "PEM", "PLAIN", "POST", "PYTHONPATH", "RAM", "RCPT", "RFC", "SHA", "SHA256", "SIGHUP",
    "SIGINT", "SIGKILL", "SIGTERM", "SIGUSR1", "SIM", "SIZE", "SMB", "SMTP", "SMTPUTF8", "SQL", "SSL", "STARTTLS",
    "STATUS", "TCP", "TLS", "UDP", "UID", "UNIX", "URI", "URL", "USR1", "UTC", "UTF", "XML", "YAML", "YES",
})  # fmt: skip
"""Abbreviations that are not those of the trade."""


def prose(text: str) -> str:
    """A page without code: neither literals nor blocks of code."""
    text = re.sub(r"(?m)^(?:\.\. code-block::.*|.*::)\n\n(?:(?: {3,}.*)?\n)+", "\n", text)
    return re.sub(r"``.*?``", "", text, flags=re.DOTALL)


class U9Tests(SynchronousTestCase):
    def test_u9_no_private_language(self) -> None:
        """No page, and no explanation of a key, has a private word or a riddle in place of the actor."""
        others = {"keys": configfile.sample_config(every=True), "CHANGES": (ROOT / "CHANGES").read_text("utf-8")}
        pattern = re.compile(rf"\b(?:{'|'.join(PRIVATE)})\b", re.IGNORECASE)
        found = {name: pattern.findall(" ".join(text.split())) for name, text in (TEXTS | others).items()}
        self.assertEqual({name: words for name, words in found.items() if words}, {})

    def test_u9_words_that_users_search_for(self) -> None:
        """Each word of the trade is found in the glossary; the commonest on other pages, too."""
        others = "\n".join(text for name, text in TEXTS.items() if name != "docs/glossary.rst")
        for words, text in ((SEARCHED, GLOSSARY), (CORE, others)):
            missing = [one for one in words if not re.search(rf"(?i)(?<!\w){re.escape(one)}s?(?!\w)", text)]
            self.assertEqual(missing, [])

    def test_u9_glossary_is_complete(self) -> None:
        """Each abbreviation on a page is in the glossary or common outside the trade. docs/settings.rst is generated;
        its capitals are names for values."""
        entries = set(re.findall(r"[A-Z]{2,}", " ".join(re.findall(r"(?m)^\S.*(?=\n    )", GLOSSARY))))
        for name, text in TEXTS.items() - {("docs/settings.rst", TEXTS["docs/settings.rst"])}:
            found = set(re.findall(r"\b[A-Z]{2,}[0-9]*\b", prose(text)))
            found = {one.removesuffix("s") for one in found}
            self.assertEqual(found - entries - COMMON, set(), name)

    def test_u9_glossary_is_sorted(self) -> None:
        """Each word stands once, in alphabetical order, with a sentence."""
        terms = re.findall(r"(?m)^(\S.*)\n    \S", GLOSSARY)
        self.assertGreater(len(terms), 50)
        self.assertEqual(terms, sorted(set(terms), key=str.lower))

    def test_u9_every_page_is_linked(self) -> None:
        """README.rst names every page, and links lead to files."""
        for name in TEXTS:
            if name.startswith("docs/"):
                self.assertIn(f"<{name}>`_", TEXTS["README.rst"])
        for name, text in TEXTS.items():
            for target in re.findall(r"<([^<>\s:]+)>`__?", text):
                self.assertTrue(((ROOT / name).parent / target).exists(), f"{name}: {target}")

    def test_u9_pages_are_valid(self) -> None:
        """docutils reads every page without a warning."""
        if importlib.util.find_spec("docutils") is None:
            raise SkipTest("docutils is not installed")
        from docutils.core import publish_doctree

        for name, text in TEXTS.items():
            warnings = io.StringIO()
            settings = {"warning_stream": warnings, "report_level": 2, "syntax_highlight": "none"}
            publish_doctree(text, settings_overrides=settings)
            self.assertEqual(warnings.getvalue(), "", name)
