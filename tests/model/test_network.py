"""The network for which an address counts."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from smsgw.model.network import network_of


class NetworkTests(SynchronousTestCase):
    def test_networks(self) -> None:
        """An IPv4 address counts alone, also if written as IPv6; IPv6 addresses by 64 bits; others as they are."""
        for peer, network in (
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:0:1:2:3:4:5", "2001:db8:0:1::/64"),
            ("2001:db8:0:1::%eth0", "2001:db8:0:1::/64"),
            ("", ""),
            ("/run/socket", "/run/socket"),
        ):
            self.assertEqual(network_of(peer), network, peer)
