"""Secrets, allow-lists and patterns."""

from __future__ import annotations

import copy
import fnmatch
import ipaddress
import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.config import AllowList, Globs, Secret
from smsgw.config.types import networks
from smsgw.config.values import NetworkSet


class SecretTests(SynchronousTestCase):
    def test_blind(self) -> None:
        """Formatting a secret hides its text; `reveal` returns it."""
        secret = Secret("hunter2")
        shown = f"{secret} {secret!r} {secret!s} %s %r" % (secret, secret) + str([secret]) + str({"a": secret})
        self.assertNotIn("hunter2", shown)
        self.assertEqual(secret.reveal(), "hunter2")

    def test_equality(self) -> None:
        """Secrets are compared by their text, so that a reload detects a change; a secret is unequal to a str."""
        self.assertEqual(Secret("a"), Secret("a"))
        self.assertEqual(hash(Secret("a")), hash(copy.copy(Secret("a"))))
        self.assertNotEqual(Secret("a"), Secret("b"))
        self.assertNotEqual(Secret("a"), "a")


class AllowListTests(SynchronousTestCase):
    def test_networks(self) -> None:
        """An address in one of the networks is allowed; an IPv4-mapped address is IPv4, an IPv6 zone is ignored."""
        allowed = networks().take("127.0.0.0/8, ::1, 10.1.2.3, fe80::/10")
        for host in ("127.0.0.1", "127.9.9.9", "::1", "10.1.2.3", "::ffff:10.1.2.3", "fe80::1%eth0"):
            self.assertTrue(allowed.allows(host), host)
        for host in ("10.1.2.4", "::2", "::ffff:10.1.2.4", "128.0.0.1", "", "/run/socket", "localhost", "10.1.2.3.4"):
            self.assertFalse(allowed.allows(host), host)

    def test_mapped_network(self) -> None:
        """An IPv4-mapped network means the IPv4 network."""
        self.assertEqual(networks().take("::ffff:10.0.0.0/104").networks, (ipaddress.ip_network("10.0.0.0/8"),))

    @given(
        st.lists(st.tuples(st.ip_addresses(), st.integers(0, 32)), max_size=5),
        st.lists(st.ip_addresses().map(str), max_size=5),
        st.booleans(),
    )
    def test_network_set(self, given: list[tuple[ipaddress.IPv4Address, int]], hosts: list[str], mapped: bool) -> None:
        """A set of networks has the same addresses as the list that it is made of."""
        written = ", ".join(f"{ipaddress.ip_network((address, size), strict=False)}" for address, size in given)
        allowed = networks().take(written)
        some = NetworkSet(allowed.networks)
        hosts = [*hosts, *(str(address) for address, _ in given), "", "localhost", "fe80::1%eth0"]
        for host in hosts:
            if mapped and "." in host:
                host = f"::ffff:{host}"
            self.assertEqual(host in some, allowed.allows(host), host)

    def test_empty_refuses_all(self) -> None:
        """An empty list allows no client, `any` allows all, also clients without an address."""
        self.assertFalse(AllowList().allows("127.0.0.1"))
        self.assertTrue(networks().take("any").allows("203.0.113.9"))
        self.assertTrue(networks().take("any").allows(""))

    @given(st.ip_addresses(), st.integers(0, 128))
    def test_own_network(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address, prefix: int) -> None:
        """An address is inside each of its own networks, for every size of network."""
        network = ipaddress.ip_network(f"{address}/{min(prefix, address.max_prefixlen)}", strict=False)
        self.assertTrue(networks().take(str(network)).allows(str(address)))


class GlobTests(SynchronousTestCase):
    def test_whole_text(self) -> None:
        """A pattern matches the whole text."""
        globs = Globs(("7910*", "7???"))
        for text in ("7910", "79101112233", "7abc"):
            self.assertTrue(globs.matches(text), text)
        for text in ("17910", "79110", "79", "7abcd"):
            self.assertFalse(globs.matches(text), text)

    def test_case_is_ignored(self) -> None:
        """Latin and Cyrillic letters match in either case."""
        self.assertTrue(Globs(("*код*",)).matches("Ваш КОД: 1234"))
        self.assertTrue(Globs(("AVARIA",)).matches("avaria"))

    def test_none(self) -> None:
        """Without patterns the object matches no text, also not the empty one, and is false."""
        self.assertFalse(Globs().matches(""))
        self.assertFalse(Globs())
        self.assertTrue(Globs(("*",)))
        self.assertTrue(Globs(("*",)).matches("line\nline"))

    @given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
    def test_like_the_shell(self, pattern: str, text: str) -> None:
        """Star and question mark mean what they mean in a shell."""
        expected = re.fullmatch(fnmatch.translate(pattern), text) is not None
        self.assertEqual(Globs((pattern,)).matches(text), expected)

    @given(st.text(st.characters(exclude_characters="*?"), max_size=20))
    def test_everything_else_is_itself(self, text: str) -> None:
        """A text without star and question mark matches itself literally, also with brackets."""
        self.assertTrue(Globs((text,)).matches(text))

    def test_equality(self) -> None:
        """Equal patterns are equal values."""
        self.assertEqual(Globs(("a*",)), Globs(("a*",)))
        self.assertNotEqual(Globs(("a*",)), Globs(("b*",)))
        self.assertEqual(list(Globs(("a", "b"))), ["a", "b"])
