"""Callback addresses of clients must never make the gateway call itself, its networks, or other addresses that are not
public.

A canary listens on loopback, and its port stands in every vector that can have one: it must not be touched.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IHostnameResolver
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from smsgw.protocols.http.client import RequestFailed, WebClient
from smsgw.protocols.http.public_address import why_not_public
from tests.protocols.http.servers import ReceiverFactory, answering, reactor

ADDRESSES = (
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255",
    "127.0.0.1", "127.0.0.53", "127.1.2.3", "127.255.255.255", "169.254.0.1", "169.254.169.254", "169.254.170.2",
    "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1",
    "192.168.255.255", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255",
    "240.0.0.1", "255.255.255.255",
    "::", "::1", "::2", "::7f00:1", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1",
    "2001:0:7f00:1::",
    "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::1", "2002:a9fe:a9fe::", "2002:808:808::1",
    "3fff::1", "5f00::1", "fc00::1", "fd00::1", "fd00:ec2::254", "fe80::1", "fe80::1%1", "fe80::1%eth0", "febf::1",
    "fec0::1", "ff02::1", "ff0e::1", "4000::1", "not an address", "",
)  # fmt: skip

PUBLIC = ("8.8.8.8", "1.1.1.1", "93.184.216.34", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1",
          "223.255.255.255", "::ffff:8.8.8.8", "2606:4700::1111", "2a00:1450:4001::1")  # fmt: skip

LITERALS = (
    "127.0.0.1", "127.1", "127.0.1", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "0x7F.1", "2130706433", "017700000001",
    "127.0.0.1.", "0", "0.0.0.0", "00.00.00.00", "localhost", "LOCALHOST", "localhost.", "ip6-localhost",
    "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]", "[0000::0001]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "127.000.000.001", "127.0.0.01", "0x7f.0x0.0x0.0x1", "127.255.255.254",
)  # fmt: skip

TRICKS = (
    "http://good.example@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@good.example/",
    "http://good.example:80@127.0.0.1:{port}/",
    "http://good.example#@127.0.0.1:{port}/",
    "http://good.example\\@127.0.0.1:{port}/",
    "http://good.example%00@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\.good.example/",
    "http://127.0.0.1:{port}%2f.good.example/",
    "http://127。0。0。1:{port}/",
    "http://①②⑦.⓪.⓪.①:{port}/",
    "http://ⓛocalhost:{port}/",
    "http://127.0.0.1\t:{port}/",
    "http://127.0.0.1:{port}\r\n/",
    " http://127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "http:127.0.0.1:{port}/",
    "http:\\\\127.0.0.1:{port}\\",
    "file://127.0.0.1:{port}/etc/passwd",
    "gopher://127.0.0.1:{port}/_x",
    "dict://127.0.0.1:{port}/",
    "ftp://127.0.0.1:{port}/",
    "http://[fe80::1%25lo]:{port}/",
    "http://[::1%lo]:{port}/",
    "http://[::1]{port}/",
    "http://good.example:22/",
    "http://good.example:25/",
)


@implementer(IHostnameResolver)
class Names:
    """Resolves the names of a test; others by the system.

    :ivar answers: for each name the addresses of successive look-ups; the last one repeats.
    """

    def __init__(self) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.system = reactor.nameResolver

    def resolveHostName(self, receiver: Any, name: str, *others: Any, **more: Any) -> Any:
        if name not in self.answers:
            return self.system.resolveHostName(receiver, name, *others, **more)
        answers = self.answers[name]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        receiver.resolutionBegan(None)
        for address in addresses:
            kind = IPv6Address if ":" in address else IPv4Address
            receiver.addressResolved(kind("TCP", address, 0))
        receiver.resolutionComplete()
        return None


class AddressTests(SynchronousTestCase):
    """Refused and public addresses."""

    def test_refused(self) -> None:
        """Loopback, private, link-local, shared, reserved and multicast addresses are refused, and those that embed
        another address."""
        for address in ADDRESSES:
            self.assertTrue(why_not_public(address), address)

    def test_public(self) -> None:
        """Public addresses are accepted."""
        for address in PUBLIC:
            self.assertEqual(why_not_public(address), "", address)


class CanaryTests(TestCase):
    """A guarded client and a listener (the canary) that must not be reached."""

    def setUp(self) -> None:
        """Start the canary, and a client whose look-ups and connections are recorded."""
        self.canary = ReceiverFactory(answering())
        self.addCleanup(self.canary.stop)
        self.names = Names()
        self.tried: list[str] = []
        real = reactor.connectTCP

        def connect(host: str, *arguments: Any, **others: Any) -> Any:
            self.tried.append(host)
            return real(host, *arguments, **others)

        self.patch(reactor, "connectTCP", connect)
        self.addCleanup(reactor.installNameResolver, reactor.installNameResolver(self.names))
        self.client = WebClient(reactor, seconds=2.0, guard=True)
        self.addCleanup(self.client.close)

    def tearDown(self) -> None:
        """Check that the canary got no connection."""
        self.assertEqual(self.canary.requests, [])
        self.assertEqual(self.canary.connections, [])
        self.assertEqual([host for host in self.tried if why_not_public(host)], [])

    async def refused(self, url: str) -> RequestFailed:
        """Check that the client refuses an address; return its error."""
        with self.assertRaises(RequestFailed, msg=url) as caught:
            await self.client.request(b"POST", url, (), b"x")
        self.assertFalse(caught.exception.sent, url)
        return caught.exception

    async def test_literals(self) -> None:
        """An address in any spelling that the system accepts is checked as the address it means."""
        port = self.canary.port.getHost().port
        for literal in LITERALS:
            await self.refused(f"http://{literal}:{port}/")
        self.assertEqual(self.tried, [])

    async def test_tricks(self) -> None:
        """Addresses that look like other ones are refused."""
        self.names.answers["good.example"] = [["8.8.8.8"]]
        port = self.canary.port.getHost().port
        for trick in TRICKS:
            self.assertTrue((await self.refused(trick.format(port=port))).refused, trick)
        self.assertEqual(self.tried, [])

    async def test_names(self) -> None:
        """A name with a refused address is not called, even if it has a public one too."""
        port = self.canary.port.getHost().port
        addresses = [address for address in ADDRESSES if address and " " not in address]
        for number, address in enumerate(addresses):
            self.names.answers[f"n{number}.example"] = [[address]]
            self.names.answers[f"m{number}.example"] = [["8.8.8.8", address]]
        for number in range(len(addresses)):
            for letter in "nm":
                failed = await self.refused(f"http://{letter}{number}.example:{port}/")
                self.assertTrue(failed.refused)
        self.assertEqual(self.tried, [])

    async def test_name_that_changes_its_mind(self) -> None:
        """The checked address is the one connected to: a name that is first public and then loopback is not looked up
        twice."""
        port = self.canary.port.getHost().port
        self.names.answers["rebind.example"] = [["8.8.8.8"], ["127.0.0.1"]]
        real = self.client

        class Refusing:
            """A fake network, so that a test sends nothing outside."""

            def __call__(self, host: str, *arguments: Any, **others: Any) -> Any:
                tried.append(host)
                return original("127.0.0.1", closed, *arguments[1:], **others)

        tried = self.tried
        original = reactor.connectTCP
        unused = ReceiverFactory(answering())
        closed = unused.port.getHost().port
        await unused.stop()
        self.patch(reactor, "connectTCP", Refusing())
        with self.assertRaises(RequestFailed):
            await real.request(b"POST", f"http://rebind.example:{port}/", (), b"x")
        self.assertEqual(tried[:1], ["8.8.8.8"])
        del tried[:]
        self.assertTrue((await self.refused(f"http://rebind.example:{port}/")).refused)
        self.assertEqual(tried, [])

    async def test_enough(self) -> None:
        """There are enough vectors."""
        self.assertGreaterEqual(len(LITERALS) + len(TRICKS) + 2 * len(ADDRESSES), 80)

    async def test_unguarded(self) -> None:
        """Without the guard, as for addresses of the configuration, loopback is accepted."""
        server = ReceiverFactory(answering())
        self.addCleanup(server.stop)
        client = WebClient(reactor)
        self.addCleanup(client.close)
        self.assertEqual((await client.request(b"GET", server.url)).status, 200)
        self.tried.clear()
