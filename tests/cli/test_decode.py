"""``decode`` explains PDUs."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from smsgw.cli.decode import read_hex
from smsgw.cli.field_words import FIELDS, TLVS
from smsgw.cli.pdutext import explain
from smsgw.smpp.codec import encode
from smsgw.smpp.consts import Tag
from smsgw.smpp.fields import DistributionList, SmeAddress
from smsgw.smpp.pdus import (
    BindTransceiver,
    DeliverSm,
    EnquireLink,
    Pdu,
    QuerySmResp,
    SubmitMulti,
    SubmitSm,
    SubmitSmResp,
    body,
)
from smsgw.smpp.receipt import receipt_tlvs
from smsgw.smpp.tlvs import tlv
from smsgw.text.udh import build, concatenation
from tests.cli.support import CommandTestCase
from tests.dialects.support import receipt_text
from tests.smpp.strategies import any_pdu

EXAMPLES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "smpp" / "examples.json").read_text("utf-8")
)
TIMES = {"schedule_delivery_time", "validity_period", "final_date"}
VERSIONS = {"3.3": 0x33, "3.4": 0x34, "5.0": 0x50}


class DecodeTestCase(CommandTestCase):
    def decoded(self, *pdus: Pdu | bytes, options: tuple[str, ...] = (), status: int = 0) -> dict[str, str]:
        """Return the explanation of each field of valid PDUs, or of faulty ones with `status` 1; the last of a name
        counts."""
        octets = b"".join(pdu if isinstance(pdu, bytes) else encode(pdu) for pdu in pdus)
        ran = self.run_command("decode", octets.hex(), *options)
        self.assertEqual((ran.status, ran.err), (status, ""), ran.out)
        fields = [line.strip().split(" ", 1) for line in ran.out.splitlines() if line.startswith("  ")]
        return {field[0]: field[-1].strip() for field in fields}


class ReadingTests(CommandTestCase):
    def test_what_people_put_between(self) -> None:
        """Blanks, line ends, colons, commas and 0x are ignored."""
        for text in ("0010ff", "00 10 FF", "00:10:ff\n", "0x00, 0x10, 0xff", "00\n10\r\n\tff\n"):
            self.assertEqual(read_hex(text), b"\x00\x10\xff")

    def test_where_it_is_wrong(self) -> None:
        """A character that is no hexadecimal digit is named with its line and position."""
        for text, words in (
            ("00 g0", "line 1, character 4: 'g'"),
            ("00\n0x 1z", "line 2, character 5: 'z'"),
            ("123", "3 hexadecimal digits"),
            ("привет", "line 1, character 1: 'п'"),
        ):
            with self.assertRaisesRegex(ValueError, words):
                read_hex(text)

    @given(st.text(alphabet=string.printable + "ж"))
    def test_any_text(self, text: str) -> None:
        """Any text gives octets or an error with a reason."""
        try:
            octets = read_hex(text)
        except ValueError as error:
            self.assertRegex(str(error), r"hexadecimal digit")
        else:
            self.assertEqual(len(octets) * 2, sum(char in string.hexdigits for char in text) - text.lower().count("0x"))

    def test_arguments_and_input(self) -> None:
        """The octets come as one or several arguments, or from standard input."""
        octets = encode(EnquireLink(7)).hex()
        several = self.run_command("decode", octets[:9], octets[9:])
        piped = self.run_command("decode", stdin=f"{octets[:16]}\n{octets[16:]}\n".encode())
        self.assertEqual((several.status, several.out), (0, piped.out))
        self.assertIn("enquire_link", piped.out)

    def test_nothing(self) -> None:
        """Empty input is refused."""
        ran = self.run_command("decode")
        self.assertEqual((ran.status, ran.err), (1, "there are no octets to explain\n"))


class ExampleTests(CommandTestCase):
    def test_good(self) -> None:
        """Every field of every valid example is named, and no fault is found."""
        good = [one for one in EXAMPLES if one["valid"]]
        self.assertGreater(len(good), 60)
        for one in good:
            decoded = explain(bytes.fromhex(one["hex"]), VERSIONS[one["version"]])
            self.assertEqual((decoded.pdus, decoded.faults), (1, 0), (one["name"], decoded.lines))
            said = {line.split()[0] for line in decoded.lines if line.startswith("  ")}
            wanted = set(one["fields"]) - {"command", "number_of_dests", "no_unsuccess", "sm_length", "tlvs"}
            missing = wanted - said - ({"message_id", "system_id"} if one["fields"]["command_status"] else set())
            self.assertEqual(missing, set(), one["name"])

    def test_bad(self) -> None:
        """Every malformed example has a fault, with the answer to it."""
        bad = [one for one in EXAMPLES if "status" in one]
        self.assertGreater(len(bad), 5)
        for one in bad:
            decoded = explain(bytes.fromhex(one["hex"]), VERSIONS[one["version"]])
            self.assertGreater(decoded.faults, 0, one["name"])


class FieldTests(DecodeTestCase):
    def test_submit_sm(self) -> None:
        """The numbers of a submit_sm are explained in words."""
        said = self.decoded(
            SubmitSm(
                5, b"CMT", 5, 0, b"DEMO", 1, 1, b"79161234567", 0x03, 0x41, 1, b"251231235959904+", b"000007000000000R",
                0x11, 0, 0x18, 0, "Да".encode("utf-16-be"), tlvs=[tlv(Tag.USER_MESSAGE_REFERENCE, 600)],
            )
        )  # fmt: skip
        self.assertEqual(said["command_id"], "0x00000004  submit_sm")
        self.assertEqual(said["command_status"], "0x00000000  ESME_ROK: no error")
        self.assertEqual(said["source_addr_ton"], "5  alphanumeric")
        self.assertEqual(said["dest_addr_npi"], "1  isdn")
        self.assertEqual(said["destination_addr"], '"79161234567"')
        self.assertEqual(said["esm_class"], "0x03  store and forward mode, a message")
        self.assertEqual(said["protocol_id"], "0x41  replace type 1 on the handset")
        self.assertEqual(said["schedule_delivery_time"], '"251231235959904+"  2025-12-31 23:59:59.900000+01:00')
        self.assertEqual(said["validity_period"], '"000007000000000R"  in 7 days')
        self.assertEqual(
            said["registered_delivery"], "0x11  a receipt for every final state, intermediate notifications"
        )
        self.assertEqual(said["data_coding"], "0x18  ucs2, message class 0 (flash)")
        self.assertEqual(said["short_message"], "04 14 04 30  4 octets")
        self.assertEqual(said["text"], '"Да"  2 characters, ucs2')
        self.assertEqual(said["TLV"], "0x0204 user_message_reference 600  2 octets")

    def test_payload(self) -> None:
        """A text in message_payload is decoded like any other."""
        said = self.decoded(SubmitSm(1, tlvs=[tlv(Tag.MESSAGE_PAYLOAD, b"Hello @\x00")]))
        self.assertEqual(said["text"], '"Hello ¡@"  8 characters, gsm')

    def test_default_alphabet(self) -> None:
        """--charset chooses the alphabet of data_coding 0."""
        pdu = SubmitSm(1, short_message=b"caf\xe9 \x05")
        self.assertIn('"café \\x05"  6 characters, latin1', self.decoded(pdu, options=("--charset", "latin1"))["text"])
        self.assertIn("é", self.decoded(pdu)["text"])

    def test_user_data_header(self) -> None:
        """The header before a text is explained and not decoded as text."""
        said = self.decoded(SubmitSm(1, esm_class=0x40, short_message=build([concatenation(0x12, 3, 2)]) + b"part"))
        self.assertEqual(said["user"], "data header        part 2 of 3, reference 18 (8 bits)")
        self.assertEqual(said["text"], '"part"  4 characters, gsm')

    def test_faulty_header(self) -> None:
        """A faulty header is named."""
        said = self.decoded(SubmitSm(1, esm_class=0x40, short_message=b"\x20part"), status=1)
        self.assertIn("user data header: the header is longer than the user data", said["WRONG:"])

    def test_half_a_character(self) -> None:
        """UCS-2 of an odd number of octets is a fault."""
        said = self.decoded(SubmitSm(1, data_coding=8, short_message=b"\x04\x14\x04"), status=1)
        self.assertIn("has 3 octets", said["WRONG:"])

    def test_receipt(self) -> None:
        """A receipt is read: message, state and error."""
        text = receipt_text(b"42", 5, b"2511202330", b"2511202331", b"011", b"Hello")
        said = self.decoded(DeliverSm(1, esm_class=4, short_message=text, tlvs=receipt_tlvs(b"42", 5, 11)))
        self.assertEqual(said["receipt"], 'message "42" is undeliverable, error "11"')
        self.assertEqual(said["esm_class"], "0x04  default mode, a delivery receipt")

    def test_query_sm_resp(self) -> None:
        """State and final date of an answer are explained, also the short date of old message centres."""
        said = self.decoded(QuerySmResp(1, 0, b"42", b"250601120130", 2, 0))
        self.assertEqual(said["message_state"], "2  delivered")
        self.assertEqual(said["final_date"], '"250601120130"  2025-06-01 12:01:30, local to the message centre')

    def test_destinations(self) -> None:
        """Each destination of a submit_multi has its line."""
        pdu = SubmitMulti(1, dest_address=[SmeAddress(1, 1, b"79161234567"), DistributionList(b"staff")])
        said = self.decoded(pdu)
        self.assertEqual(said["dest_address"], "2 entries")
        self.assertEqual(said["destination_addr"], '"79161234567"  TON 1 international, NPI 1 isdn')
        self.assertEqual(said["dl_name"], '"staff"')

    def test_failure(self) -> None:
        """The status of a refusal is named."""
        said = self.decoded(SubmitSmResp(1, 0x58))
        self.assertEqual(said["command_status"], "0x00000058  ESME_RTHROTTLED: too many requests in too short a time")
        self.assertNotIn("message_id", said)

    def test_passwords(self) -> None:
        """A password is hidden without --secrets."""
        pdu = BindTransceiver(1, b"demo", b"hushhush")
        self.assertEqual(self.decoded(pdu)["password"], "(8 octets, hidden)")
        self.assertNotIn("hush", self.run_command("decode", encode(pdu).hex()).out)
        self.assertEqual(self.decoded(pdu, options=("--secrets",))["password"], '"hushhush"')

    def test_unreadable_bind(self) -> None:
        """A password is hidden in the unread octets of a broken bind."""
        octets = bytearray(encode(BindTransceiver(1, b"demo", b"hushhush")))
        del octets[-3:]
        octets[3] = len(octets)
        ran = self.run_command("decode", octets.hex())
        self.assertEqual(ran.status, 1)
        self.assertIn("(8 octets, hidden)", ran.out)
        for endless in (octets[:25], octets[:28]):
            endless[3] = len(endless)
            for text in (endless, bytes(endless[:-2])):
                ran = self.run_command("decode", text.hex())
                self.assertEqual(ran.status, 1)
                for shown in ("hu", b"hu".hex(" ")):
                    self.assertNotIn(shown, ran.out)
                self.assertIn("hidden", ran.out)

    def test_hostile_characters(self) -> None:
        """Control characters in fields and texts are escaped."""
        said = self.decoded(SubmitSm(1, source_addr=b"\x1b[2J", short_message=b"a\nb", data_coding=3))
        self.assertEqual(said["source_addr"], "1B 5B 32 4A")
        self.assertEqual(said["text"], '"a\\nb"  3 characters, latin1')

    def test_every_number_has_an_answer(self) -> None:
        """Any value of a field or a TLV has an explanation."""
        self.assertLess(TIMES, set(FIELDS))
        for name, meaning in FIELDS.items():
            values = (b"", b"9" * 12, b"9" * 15 + b"R", b"\xff" * 16) if name in TIMES else range(256)
            for value in values:
                self.assertIsInstance(meaning(value), str, (name, value))
        for status in (0x400, 0xFFFFFFFF):
            self.assertIsInstance(FIELDS["command_status"](status), str)
        for meaning in TLVS.values():
            for given_value in (*range(256), b"", b"\x03\x00\x01", b"009", b"\xff\xff\xff"):
                self.assertIsInstance(meaning(given_value), str)


class FaultTests(DecodeTestCase):
    def test_several(self) -> None:
        """Consecutive PDUs are explained one by one, each with its offset."""
        octets = encode(EnquireLink(1)) + encode(SubmitSmResp(2, 0, b"7"))
        ran = self.run_command("decode", octets.hex())
        self.assertIn("PDU 1: 16 octets from offset 0", ran.out)
        self.assertIn("PDU 2: 18 octets from offset 16", ran.out)
        self.assertTrue(ran.out.endswith("2 PDUs, nothing wrong\n"))

    def test_unknown_command(self) -> None:
        """An unknown command is named, and the PDU after it is explained too."""
        octets = bytes.fromhex("00000012 00000022 00000000 00000005 ABCD") + encode(EnquireLink(6))
        ran = self.run_command("decode", octets.hex())
        self.assertEqual(ran.status, 1)
        self.assertIn("unknown command_id 0x00000022 at offset 4 (the answer is 0x03 ESME_RINVCMDID", ran.out)
        self.assertIn("AB CD", ran.out)
        self.assertIn("enquire_link", ran.out)
        self.assertTrue(ran.out.endswith("2 PDUs, 1 fault\n"))

    def test_cut_off(self) -> None:
        """An incomplete PDU is shown as far as it goes, with the number of missing octets."""
        octets = encode(SubmitSm(3, b"", 5, 0, b"DEMO", 1, 1, b"79161234567"))
        ran = self.run_command("decode", octets[:35].hex())
        self.assertEqual(ran.status, 1)
        self.assertIn('"DEMO"', ran.out)
        missing = len(octets) - 35
        self.assertIn(f"command_length says {len(octets)} octets, 35 are there: {missing} are missing", ran.out)
        ran = self.run_command("decode", "0000")
        self.assertIn("only 2 of the 4 octets of command_length are there", ran.out)

    def test_out_of_step(self) -> None:
        """An impossible length ends the explanation, with its offset and the protocol that the octets look like."""
        octets = encode(EnquireLink(1)) + b"GET / HTTP/1.1\r\n\r\n"
        ran = self.run_command("decode", octets.hex())
        self.assertEqual(ran.status, 1)
        self.assertIn("at offset 16: not SMPP but an HTTP request", ran.out)

    def test_field_without_end(self) -> None:
        """A string without NUL is named with its offset; the fields before it are shown."""
        frame = encode(SubmitSm(3, b"CMT", 5, 0, b"DEMO"))[:22].ljust(400, b"x")
        frame = len(frame).to_bytes(4, "big") + frame[4:]
        ran = self.run_command("decode", frame.hex())
        self.assertIn('"CMT"', ran.out)
        self.assertRegex(ran.out, r"WRONG: source_addr at offset 22 has no NUL within 256 octets")

    def test_too_long(self) -> None:
        """A readable field that is longer than SMPP allows is named."""
        said = self.decoded(BindTransceiver(1, b"demo", b"123456789"), status=1)
        self.assertIn("the length of password is out of range (the answer is 0x0E", said["WRONG:"])

    def test_stray_octets(self) -> None:
        """Octets at the end that are too few for a TLV are shown as ignored."""
        octets = encode(SubmitSm(1))
        octets = (len(octets) + 2).to_bytes(4, "big") + octets[4:] + b"\0\0"
        self.assertEqual(self.decoded(octets)["ignored"], "00 00  too short for a TLV")

    def test_i4_uncounted_nul(self) -> None:
        """A NUL between the text and the TLVs is shown as ignored."""
        octets = encode(SubmitSm(1, short_message=b"hi", tlvs=[tlv(Tag.SOURCE_PORT, 7)]))
        octets = (len(octets) + 1).to_bytes(4, "big") + octets[4:-6] + b"\0" + octets[-6:]
        said = self.decoded(octets)
        self.assertEqual(said["ignored"], "00  after the text, not counted by sm_length")

    def test_version(self) -> None:
        """For a peer of 3.3 there are no TLVs."""
        octets = encode(SubmitSm(1, tlvs=[tlv(Tag.MESSAGE_PAYLOAD, b"Hello")]))
        self.assertNotIn("TLV", self.decoded(octets, options=("--version", "3.3")))


class PropertyTests(CommandTestCase):
    @given(any_pdu)
    def test_every_field_of_any_pdu(self, pdu: Pdu) -> None:
        """Any PDU that can be encoded is explained with all its fields."""
        frame = encode(pdu)
        decoded = explain(frame)
        said = {line.split()[0] for line in decoded.lines if line.startswith("  ")}
        if len(frame) > 16 and not getattr(pdu, "command_status", 0):
            self.assertLessEqual({name for name, _ in body(type(pdu))}, said)

    @example(b"")
    @given(st.binary(max_size=300))
    def test_junk(self, octets: bytes) -> None:
        """Any octets are explained in printable lines, and have a fault if they are no PDU."""
        decoded = explain(octets)
        self.assertTrue(all(line.isprintable() for line in decoded.lines))
        self.assertTrue(decoded.faults or decoded.pdus or not octets)

    @given(any_pdu, st.data())
    def test_damaged(self, pdu: Pdu, data: st.DataObject) -> None:
        """A PDU damaged anywhere after its length is explained, too."""
        frame = bytearray(encode(pdu))
        for _ in range(data.draw(st.integers(1, 5))):
            frame[data.draw(st.integers(4, len(frame) - 1))] = data.draw(st.integers(0, 255))
        decoded = explain(bytes(frame))
        self.assertEqual(decoded.pdus, 1)
        self.assertTrue(all(line.isprintable() for line in decoded.lines))
