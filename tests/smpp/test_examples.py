"""The worked examples: real octets with their meaning."""

import json
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from smsgw.smpp import codec
from smsgw.smpp.consts import Tag
from smsgw.smpp.errors import Answerable
from smsgw.smpp.fields import DistributionList
from smsgw.smpp.pdus import Pdu, Response, size
from smsgw.smpp.tlvs import tlv_value

EXAMPLES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("examples.json").read_text("utf-8"))
DECODE_ONLY = {
    "bind_transmitter_resp error with empty system_id",
    "deliver_sm receipt, receipted_message_id without NUL",
    "deliver_sm with stray NUL after short_message",
}
DERIVED = {
    "command_length",
    "command_id",
    "command",
    "command_status",
    "number_of_dests",
    "no_unsuccess",
    "sm_length",
    "text",
    "tlvs",
}


def readable(example: dict[str, Any]) -> bool:
    """Whether the codec must accept an example, strictly valid or not."""
    return "status" not in example


def plain(value: Any) -> Any:
    """Return a value of a PDU in the form of the examples."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, DistributionList):
        return {"dest_flag": 2, "dl_name": plain(value.dl_name)}
    if hasattr(value, "destination_addr"):
        kind = {} if hasattr(value, "error_status_code") else {"dest_flag": 1}
        return {**kind, **{name: plain(getattr(value, name)) for name in value.__slots__ if name[0] != "_"}}
    return value


def tlv_in_words(value: Any, octets: bytes) -> Any:
    """Return the value of a TLV in the form of the examples: a number, text without NUL, or hexadecimal."""
    if isinstance(value, int):
        return value
    return octets.hex() if value == octets else value.decode("latin-1")


class ExampleTests(SynchronousTestCase):
    """Every example, octet by octet."""

    def pdus(self) -> list[tuple[dict[str, Any], Pdu]]:
        """Decode the examples that the codec must accept."""
        found = []
        for example in EXAMPLES:
            if readable(example):
                (frame,) = codec.Framer().feed(bytes.fromhex(example["hex"]))
                found.append((example, codec.decode(frame)))
        return found

    def test_all_are_here(self) -> None:
        """There are 84 examples, of which 77 are valid."""
        self.assertEqual(len(EXAMPLES), 84)
        self.assertEqual(sum(example["valid"] for example in EXAMPLES), 77)

    def test_header(self) -> None:
        """The class, the status and the sequence_number are those of the header."""
        for example, pdu in self.pdus():
            fields = example["fields"]
            self.assertEqual((pdu.command_id, pdu.name), (fields["command_id"], fields["command"]), example["name"])
            self.assertEqual(pdu.sequence_number, fields["sequence_number"], example["name"])
            if isinstance(pdu, Response):
                self.assertEqual(pdu.command_status, fields["command_status"], example["name"])

    def test_fields(self) -> None:
        """Every field of every example is read with its documented value."""
        for example, pdu in self.pdus():
            for field, wanted in example["fields"].items():
                if field not in DERIVED and field != "sequence_number":
                    value = getattr(pdu, field)
                    found = value.hex() if field == "short_message" else plain(value)
                    self.assertEqual(found, wanted, f"{example['name']}: {field}")

    def test_tlvs(self) -> None:
        """Every TLV is read in order, with its octets and their value."""
        for example, pdu in self.pdus():
            wanted = example["fields"].get("tlvs", [])
            found = [(tag, octets.hex()) for tag, octets in pdu.tlvs]
            self.assertEqual(found, [(tlv["tag"], tlv["hex"]) for tlv in wanted], example["name"])
            for tlv in wanted:
                same = [other for other in wanted if other["tag"] == tlv["tag"]]
                values = [tlv_in_words(tlv_value(tag, octets), octets) for tag, octets in pdu.tlvs if tag == tlv["tag"]]
                self.assertEqual(values, [other["value"] for other in same], f"{example['name']}: {tlv['name']}")
                self.assertEqual(tlv_in_words(pdu.tlv(tlv["tag"]), bytes.fromhex(same[0]["hex"])), values[0])

    def test_tag_names(self) -> None:
        """The tags have the names of the specification."""
        for example in EXAMPLES:
            for tlv in example["fields"].get("tlvs", []):
                if tlv["tag"] in list(Tag):
                    self.assertEqual(Tag(tlv["tag"]).name.lower(), tlv["name"])

    def test_written_back(self) -> None:
        """A decoded example is encoded to the same octets, and size predicts their number."""
        for example, pdu in self.pdus():
            if example["name"] not in DECODE_ONLY:
                self.assertEqual(codec.encode(pdu).hex(), example["hex"], example["name"])
                if pdu.tlvs or not isinstance(pdu, Response) or not pdu.command_status:
                    self.assertEqual(size(pdu), len(example["hex"]) // 2, example["name"])

    def test_user_data(self) -> None:
        """The text is found in short_message or in message_payload."""
        for example, pdu in self.pdus():
            payload = [tlv["hex"] for tlv in example["fields"].get("tlvs", []) if tlv["tag"] == Tag.MESSAGE_PAYLOAD]
            wanted = payload[0] if payload else example["fields"].get("short_message", "")
            self.assertEqual(pdu.user_data().hex(), wanted, example["name"])

    def test_malformed(self) -> None:
        """Each broken example is refused with its status; only a broken command_length breaks the stream."""
        for example in EXAMPLES:
            if readable(example):
                continue
            octets = bytes.fromhex(example["hex"])
            framer = codec.Framer()
            frames = framer.feed(octets)
            if "command_length" in example["name"]:
                assert framer.broken is not None
                self.assertEqual((frames, framer.broken.status, framer.pending), ([], example["status"], 0))
                continue
            self.assertIsNone(framer.broken)
            wrong = self.assertRaises(Answerable, codec.decode, frames[0])
            self.assertEqual(wrong.status, example["status"], example["name"])
            self.assertEqual(wrong.sequence_number, int.from_bytes(octets[12:16], "big"))
