"""The gateway with Perl's Net::SMPP."""

from __future__ import annotations

import functools

from twisted.trial.unittest import SynchronousTestCase

from tests.flows.shared import shown
from tests.interop import peers

NUMBER = "79161234569"
DELIVERED = 2


@functools.cache
def has_module(perl: str) -> bool:
    """Return whether Perl finds the module."""
    return peers.run(perl, "-MNet::SMPP", "-MJSON::PP", "-e", "1").returncode == 0


class PerlTests(SynchronousTestCase):
    def test_all_kinds_of_text(self) -> None:
        """A GSM, a UCS-2 and a 3-part text are accepted and have receipts; the session ends with unbind."""
        perl = peers.program("perl")
        if not has_module(perl):
            peers.missing("Net::SMPP for Perl is not installed")
        cut = [peers.LONG[at : at + 153] for at in range(0, len(peers.LONG), 153)]
        messages: list[dict[str, object]] = [
            {"hex": b"Code 1234".hex(), "data_coding": 0},
            {"hex": peers.UCS2.encode("utf-16-be").hex(), "data_coding": 8},
            *(
                {"hex": f"050003a803{number:02x}" + text.encode("ascii").hex(), "data_coding": 0, "esm_class": 0x40}
                for number, text in enumerate(cut, 1)
            ),
        ]
        gateway = peers.gateway()
        report = peers.report(
            "esme.pl",
            perl,
            port=gateway.smpp,
            login="perl",
            password="perl",
            messages=[{"destination_addr": NUMBER, **message} for message in messages],
        )
        self.assertEqual(report["bind"], {"status": 0, "system_id": "smsgw"})
        self.assertEqual([submit["status"] for submit in report["submits"]], [0] * 5)
        ids = [submit["id"] for submit in report["submits"]]
        self.assertEqual(sorted(receipt["id"] for receipt in report["receipts"]), sorted(ids))
        for receipt in report["receipts"]:
            fields = (receipt["state"], receipt["esm_class"], receipt["from"], receipt["to"])
            self.assertEqual(fields, (DELIVERED, 0x04, NUMBER, "DEMO"))
            self.assertIn(" stat:DELIVRD err:000 ", receipt["text"])
        for id, query in zip(ids, report["queries"], strict=True):
            self.assertRegex(query.pop("final_date"), r"\A\d{15}[+-]\Z")
            self.assertEqual(query, {"status": 0, "id": id, "state": DELIVERED})
        self.assertEqual((report["enquire_link"], report["unbind"]), (0, 0))
        texts = [shown(gateway, "perl", id)["text"] for id in ids]
        self.assertEqual(texts, ["Code 1234", peers.UCS2, *cut])
