"""``send``, against a simulated message centre."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

from smsgw.cli.addresses import ListenerAddress, address_of
from smsgw.cli.console import Stop
from smsgw.config import SmppListenSettings
from smsgw.program import certificates
from smsgw.smpp.codec import Framer, decode, encode
from smsgw.smpp.consts import EsmClass, MessageState, Status, Tag
from smsgw.smpp.pdus import (
    BindTransceiver,
    BindTransceiverResp,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Pdu,
    QuerySm,
    QuerySmResp,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
)
from smsgw.text import coding
from tests.cli.support import CONFIG, CommandTestCase, Ran
from tests.dialects.support import receipt_text

SMPP = "127.0.0.1:2775"


def receipt(id: bytes, state: int, sequence_number: int = 100, intermediate: bool = False, err: bytes = b"000") -> Pdu:
    """A receipt in the form that the gateway writes."""
    kind = EsmClass.INTERMEDIATE if intermediate else EsmClass.RECEIPT
    text = receipt_text(id, state, b"2511202330", b"2511202331", err, b"Hello")
    return DeliverSm(sequence_number, esm_class=int(kind), short_message=text)


class Centre:
    """A message centre at the other end of a blocking socket: it accepts every message and delivers it at once.

    :ivar seen: the received PDUs. :ivar replies: for each class of PDU the replies to one, in order; octets are sent
    unchanged, None closes the connection.
    """

    def __init__(self) -> None:
        self.seen: list[Pdu] = []
        self.closed = False
        self.replies: dict[type[Pdu], list[Pdu | bytes | None]] = {
            BindTransceiver: [BindTransceiverResp(0, 0, b"smsgw")],
            SubmitSm: [SubmitSmResp(0, 0, b"7"), receipt(b"7", MessageState.DELIVERED)],
            Unbind: [UnbindResp()],
        }
        self._framer = Framer()
        self._out: list[bytes | None] = []

    def sendall(self, octets: bytes) -> None:
        """Receive octets of the command."""
        for frame in self._framer.feed(octets):
            pdu = decode(frame)
            self.seen.append(pdu)
            for reply in self.replies.get(type(pdu), []):
                if isinstance(reply, Pdu):
                    if reply.is_response:
                        reply.sequence_number = pdu.sequence_number
                    self._out.append(encode(reply))
                else:
                    self._out.append(reply)

    def recv(self, most: int) -> bytes:
        """Return one reply; without one the command's timeout expires."""
        if not self._out:
            raise TimeoutError
        return self._out.pop(0) or b""

    def settimeout(self, seconds: float) -> None:
        """Ignore the timeout: waiting takes no time here."""

    def close(self) -> None:
        """Close the connection."""
        self.closed = True

    def only(self, kind: type[Pdu]) -> list[Pdu]:
        """Return the received PDUs of one class."""
        return [pdu for pdu in self.seen if isinstance(pdu, kind)]


class SendTestCase(CommandTestCase):
    def setUp(self) -> None:
        """Let a message centre listen at the configured address."""
        super().setUp()
        self.centre = Centre()
        self.at(SMPP, lambda: self.centre)

    def send(self, *options: str, number: str = "79161234567", text: str = "Hello") -> Ran:
        """Run ``send``; check that the session ends in any case."""
        ran = self.run_command("send", number, text, "-c", self.config, *options)
        self.assertTrue(self.centre.closed or not self.centre.seen)
        return ran

    @property
    def submitted(self) -> SubmitSm:
        """Return the one submit_sm."""
        (pdu,) = self.centre.only(SubmitSm)
        assert isinstance(pdu, SubmitSm)
        return pdu


class DeliveredTests(SendTestCase):
    def test_first_contact(self) -> None:
        """A message is accepted with an id and delivered: status 0, and a hint at ``show``."""
        ran = self.send()
        self.assertEqual(ran.status, 0)
        self.assertRegex(ran.out, r"\Aaccepted as message 7\ndelivered \(the receipt came after [0-9.]+ s\)\n\Z")
        self.assertEqual(ran.err, f"smsgw show 7 -c {self.config} shows its timeline\n")
        self.assertEqual(
            [type(pdu) for pdu in self.centre.seen], [BindTransceiver, SubmitSm, DeliverSmResp, Unbind]
        )

    def test_account_of_the_file(self) -> None:
        """It binds as the first account whose password is in the file."""
        self.send()
        (bind,) = self.centre.only(BindTransceiver)
        assert isinstance(bind, BindTransceiver)
        self.assertEqual((bind.system_id, bind.password, bind.interface_version), (b"demo", b"demopass", 0x34))

    def test_chosen_account(self) -> None:
        """Account, password and sender can be chosen; the default sender is the account's own."""
        self.send("--account", "hashed", "--password", "other")
        (bind,) = self.centre.only(BindTransceiver)
        assert isinstance(bind, BindTransceiver)
        self.assertEqual((bind.system_id, bind.password), (b"hashed", b"other"))
        self.assertEqual(self.submitted.source_addr, b"SHOP")

    def test_smpp_password(self) -> None:
        """An account with a password of its own for SMPP binds with that."""
        own = "password = demopass\nsmpp_password = smpppass"
        self.config = self.written(CONFIG.replace("password = demopass", own))
        self.send()
        (bind,) = self.centre.only(BindTransceiver)
        assert isinstance(bind, BindTransceiver)
        self.assertEqual(bind.password, b"smpppass")

    def test_message(self) -> None:
        """The message asks for a receipt and goes from the default sender to the number in international form."""
        self.send(number="8 (916) 123-45-67")
        pdu = self.submitted
        self.assertEqual((pdu.source_addr_ton, pdu.source_addr_npi, pdu.source_addr), (5, 0, b"DEMO"))
        self.assertEqual((pdu.dest_addr_ton, pdu.dest_addr_npi, pdu.destination_addr), (1, 1, b"79161234567"))
        self.assertEqual((pdu.registered_delivery, pdu.data_coding, pdu.short_message), (1, 0, b"Hello"))

    def test_number_as_sender(self) -> None:
        """A sender may be a number."""
        self.send("--from", "+79031112233")
        pdu = self.submitted
        self.assertEqual((pdu.source_addr_ton, pdu.source_addr_npi, pdu.source_addr), (1, 1, b"79031112233"))

    def test_any_letters(self) -> None:
        """A text with letters outside the default alphabet is sent in UCS-2."""
        self.send(text="Привет, 🙂")
        self.assertEqual(coding.decode(self.submitted.short_message, self.submitted.data_coding), "Привет, 🙂")
        self.assertEqual(self.submitted.data_coding, 8)

    def test_long_text(self) -> None:
        """A long text is sent uncut as message_payload; the gateway cuts it into parts."""
        self.send(text="x" * 254)
        self.assertEqual(len(self.submitted.short_message), 254)
        self.centre = Centre()
        self.send(text="x" * 255)
        self.assertEqual((self.submitted.short_message, self.submitted.tlv(Tag.MESSAGE_PAYLOAD)), (b"", b"x" * 255))

    def test_intermediate(self) -> None:
        """An intermediate notification is printed and acknowledged; the command waits on."""
        first = receipt(b"7", MessageState.ENROUTE, 100, intermediate=True)
        self.centre.replies[SubmitSm].insert(1, first)
        ran = self.send()
        self.assertEqual(ran.status, 0)
        self.assertRegex(ran.out, r"\Aaccepted as message 7\nenroute\ndelivered ")

    def test_receipt_before_the_answer(self) -> None:
        """A receipt that overtakes the answer is not lost."""
        self.centre.replies[SubmitSm].reverse()
        self.assertEqual(self.send().status, 0)

    def test_keep_alive(self) -> None:
        """enquire_link of the other side is answered."""
        self.centre.replies[SubmitSm].insert(1, EnquireLink(55))
        self.assertEqual(self.send().status, 0)
        (answer,) = self.centre.only(EnquireLinkResp)
        self.assertEqual(answer.sequence_number, 55)

    def test_deliveries_of_others(self) -> None:
        """Other deliveries to the account are refused as temporary, so that its programs get them later."""
        others = [receipt(b"6", MessageState.DELIVERED, 98), DeliverSm(99, short_message=b"an incoming message")]
        self.centre.replies[SubmitSm][1:1] = others
        self.assertEqual(self.send().status, 0)
        answers = {
            pdu.sequence_number: pdu.command_status for pdu in self.centre.seen if isinstance(pdu, DeliverSmResp)
        }
        self.assertEqual(answers, {98: Status.ESME_RX_T_APPN, 99: Status.ESME_RX_T_APPN, 100: 0})


class NotDeliveredTests(SendTestCase):
    def refused(self, *options: str, status: int = 1, number: str = "79161234567", text: str = "Hello") -> str:
        """Return the error text of a ``send`` that fails."""
        ran = self.send(*options, number=number, text=text)
        self.assertEqual(ran.status, status, ran.err)
        self.assertNotIn("demopass", ran.out + ran.err)
        return ran.out + ran.err

    def test_undeliverable(self) -> None:
        """An undeliverable message is reported with its state and error; the status is 1."""
        self.centre.replies[SubmitSm][1] = receipt(b"7", MessageState.UNDELIVERABLE, err=b"011")
        self.assertRegex(self.refused(), r"accepted as message 7\nundeliverable, error 011 \(the receipt came")

    def test_no_receipt(self) -> None:
        """Without a receipt in time the state is queried; only delivered gives status 0."""
        del self.centre.replies[SubmitSm][1]
        self.centre.replies[QuerySm] = [QuerySmResp(0, 0, b"7", b"", MessageState.ENROUTE)]
        self.assertIn("enroute (no receipt within 2 s)", self.refused("--wait", "2"))
        self.centre.replies[QuerySm] = [QuerySmResp(0, 0, b"7", b"", MessageState.DELIVERED)]
        ran = self.send("--wait", "2")
        self.assertEqual((ran.status, ran.out.splitlines()[1]), (0, "delivered (no receipt within 2 s)"))
        self.centre.replies[QuerySm] = [QuerySmResp(0, Status.ESME_RINVMSGID)]
        self.assertIn("no state: 0x0C ESME_RINVMSGID", self.refused("--wait", "2"))

    def test_wrong_password(self) -> None:
        """A refused bind is reported with its reason and a hint; no message is submitted."""
        self.centre.replies[BindTransceiver] = [BindTransceiverResp(0, Status.ESME_RINVPASWD)]
        words = self.refused()
        self.assertIn("127.0.0.1:2775 refuses the bind as demo: 0x0E ESME_RINVPASWD: wrong password", words)
        self.assertIn("--password", words)
        self.assertEqual(self.centre.only(SubmitSm), [])

    def test_refused_message(self) -> None:
        """A refused message is reported with its reason and a hint."""
        self.centre.replies[SubmitSm] = [SubmitSmResp(0, Status.ESME_RINVSRCADR)]
        words = self.refused()
        self.assertIn("the message is refused: 0x0A ESME_RINVSRCADR", words)
        self.assertIn("--from", words)

    def test_what_cannot_be_sent(self) -> None:
        """A bad number, sender or text is refused before connecting."""
        self.assertIn("'hello' is no number", self.refused(number="hello"))
        self.assertIn("the text is empty", self.refused(text=""))
        self.assertIn("the text cannot be sent", self.refused(text="\ud800"))
        self.assertIn("is no sender", self.refused("--from", "much too long a name"))
        self.assertEqual(self.centre.seen, [])

    def test_sessions_that_break(self) -> None:
        """A broken session is reported with its cause; the status is 69."""
        cases: tuple[tuple[list[Pdu | bytes | None], str], ...] = (
            ([None], "closed by the other side"),
            ([], "no answer to submit_sm within 10 s"),
            ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], "does not speak SMPP: not SMPP but an HTTP reply"),
            ([b"\0\0\0\x12\0\0\0\x05\0\0\0\0\0\0\0\x01ab"], "cannot be read"),
            ([Unbind(9)], "the other side ended the session"),
            ([b"\0\0\0\x10\x80\0\0\0\0\0\0\x02\0\0\0\0"], "could not read a request (0x02)"),
        )
        for replies, words in cases:
            self.centre = Centre()
            self.centre.replies[SubmitSm] = replies
            said = self.refused(status=69)
            self.assertIn("the SMPP session with 127.0.0.1:2775 failed: ", said)
            self.assertIn(words, said)

    def test_nack(self) -> None:
        """A generic_nack for the submit_sm counts as a refusal."""
        self.centre.replies[SubmitSm] = [GenericNack(0, Status.ESME_RINVCMDID)]
        self.assertIn("the message is refused: 0x03 ESME_RINVCMDID", self.refused())

    def test_not_running(self) -> None:
        """If the connection is refused, the error names the address and how to start the gateway."""
        self.at("nowhere", lambda: None)
        words = self.refused(status=69)
        self.assertIn(f"nothing answers at 127.0.0.1:2775 (Connection refused), where {self.config} has", words)
        self.assertIn(f"twistd -n --pidfile= smsgw -c {self.config}", words)

    def test_no_account(self) -> None:
        """Without a usable account the error names the missing options."""
        self.assertIn("there are: hashed, demo", self.refused("--account", "unknown", status=78))
        self.assertIn("give --password", self.refused("--account", "hashed"))
        self.config = self.written(CONFIG.replace("password = demopass", "password = demopass\nprotocols = http"))
        self.assertIn("give --account and --password", self.refused(status=78))

    def test_no_listener(self) -> None:
        """Without an SMPP listener the command is refused."""
        self.config = self.written(CONFIG.replace("protocol = smpp", "protocol = http\ndialect = rostelecom"))
        self.assertIn("no listener with protocol = smpp", self.refused(status=78))


class PlaceTests(CommandTestCase):
    def test_addresses(self) -> None:
        """A listener on all addresses is reached over the loopback, one on a single address there."""
        for endpoint, address in (
            ("tcp:2775", "127.0.0.1:2775"),
            ("tcp:2775:interface=0.0.0.0", "127.0.0.1:2775"),
            ("tcp:2775:interface=localhost", "127.0.0.1:2775"),
            ("tcp:2775:interface=192.0.2.1", "192.0.2.1:2775"),
            ("tcp6:2775", "[::1]:2775"),
            ("tcp6:2775:interface=\\:\\:", "[::1]:2775"),
            ("tcp:2775:interface=\\:\\:1", "[::1]:2775"),
            ("unix:/run/smsgw/smpp", "/run/smsgw/smpp"),
        ):
            listener = SmppListenSettings(name="smpp", endpoint=endpoint)
            self.assertEqual(str(address_of(listener, "gw.ini")), address, endpoint)

    def test_unknown_addresses(self) -> None:
        """A port that the system chooses is refused."""
        for endpoint in ("tcp:0", "systemd:domain=INET:index=0"):
            listener = SmppListenSettings(name="smpp", endpoint=endpoint)
            with self.assertRaises(Stop) as caught:
                address_of(listener, "gw.ini")
            self.assertEqual(caught.exception.status, 78)
            self.assertIn("[listen smpp]", str(caught.exception))

    def test_connecting(self) -> None:
        """TCP and UNIX sockets are connected to; a refused connection is reported."""
        path = str(Path(self.mktemp()))
        for family, address in ((socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_UNIX, path)):
            with socket.socket(family) as listening:
                listening.bind(address)
                port = listening.getsockname()[1] if family is socket.AF_INET else 0
                address = ListenerAddress("127.0.0.1" if port else path, port, "smpp", "gw.ini")
                with self.assertRaises(Stop) as caught:
                    address.connect(1.0)
                self.assertEqual(caught.exception.status, 69)
                listening.listen()
                address.connect(1.0).close()


class TlsTests(CommandTestCase):
    """A listener with TLS, which is a real socket here."""

    def serve(self, certificate: Path, key: Path) -> int:
        """Accept one TLS connection in a thread; return the port."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)
        centre = Centre()

        def answer() -> None:
            connection, _ = listening.accept()
            connection.settimeout(10)
            try:
                with context.wrap_socket(connection, server_side=True) as secure:
                    while data := secure.recv(65536):
                        centre.sendall(data)
                        while centre._out:
                            secure.sendall(centre.recv(0))
            except OSError:
                connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        self.addCleanup(thread.join)
        return int(listening.getsockname()[1])

    def configured(self, port: int, certificate: Path, key: Path) -> str:
        """Write a configuration with a TLS listener."""
        tls = f"tls = implicit\ncertificate = {certificate}\nkey = {key}\n"
        return self.written(CONFIG.replace("tcp:2775:interface=127.0.0.1\n", f"tcp:{port}:interface=127.0.0.1\n{tls}"))

    def test_its_own_certificate(self) -> None:
        """The self-signed certificate of the configuration is trusted."""
        certificate, key, _ = certificates.self_signed(Path(self.mktemp()))
        self.config = self.configured(self.serve(certificate, key), certificate, key)
        ran = self.run_command("send", "79161234567", "Hello", "-c", self.config)
        self.assertEqual((ran.status, ran.out.splitlines()[0]), (0, "accepted as message 7"), ran.err)

    def test_another_certificate(self) -> None:
        """A server with another certificate does not get the password."""
        certificate, key, _ = certificates.self_signed(Path(self.mktemp()))
        other, other_key, _ = certificates.self_signed(Path(self.mktemp()))
        self.config = self.configured(self.serve(other, other_key), certificate, key)
        ran = self.run_command("send", "79161234567", "Hello", "-c", self.config)
        self.assertEqual(ran.status, 69)
        self.assertRegex(ran.err, r"TLS with 127.0.0.1:[0-9]+, trusting .*, failed: ")
