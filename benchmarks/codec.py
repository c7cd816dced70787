"""Encodes and decodes the three commonest PDUs with smsgw and with the installed SMPP libraries.

    python benchmarks/codec.py [--rounds 7] [--seconds 0.1]

submit_sm: 40 GSM characters, alphanumeric source, international destination, receipt wanted, 93 octets;
submit_sm_resp with an id of 10 characters; deliver_sm with the text and the three TLVs of a receipt.
"New object" includes the construction of the PDU object. "smsgw, 100" is the use in a session: a hundred PDUs of one
read or write, with the maxima of all fields applied. Every codec must give the reference octets (TLVs in any order).
Rounds of all codecs are interleaved; the table shows medians in PDUs per second of processor time. The ratio compares
smsgw, one PDU at a time, with the best other library.
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, TypeAlias

from smsgw.smpp import codec
from smsgw.smpp.pdus import DeliverSm, SubmitSm, SubmitSmResp
from smsgw.smpp.receipt import read_receipt, receipt_tlvs

Work: TypeAlias = Callable[[], object]

TEXT = b"Your code is 123456. Keep it to yourself."
RECEIPT = (
    b"id:1234567890 sub:001 dlvrd:000 submit date:2506011200 done date:2506011201 stat:UNDELIV err:011 "
    b"text:Your code is 123456."
)
ID = b"1234567890"
SOURCE = b"MyCompany"
PHONE = b"79161234567"
BATCH = 100


def new_submit() -> SubmitSm:
    return SubmitSm(7, b"", 5, 0, SOURCE, 1, 1, PHONE, 0, 0, 0, b"", b"", 1, 0, 0, 0, TEXT + b".")


def new_receipt() -> DeliverSm:
    return DeliverSm(
        9, b"", 1, 1, PHONE, 5, 0, SOURCE, 4, 0, 0, b"", b"", 0, 0, 0, 0, RECEIPT, tlvs=receipt_tlvs(ID, 5, 11)
    )


SUBMIT = codec.encode(new_submit())
RESP = codec.encode(SubmitSmResp(7, 0, ID))
DELIVER = codec.encode(new_receipt())

OPERATIONS = {
    "submit_sm decode": BATCH,
    "submit_sm encode, new object": SUBMIT,
    "submit_sm encode, ready object": SUBMIT,
    "submit_sm_resp decode": BATCH,
    "submit_sm_resp encode, new object": RESP,
    "receipt decode": BATCH,
    "receipt decode and read": BATCH,
    "receipt encode, ready object": DELIVER,
}
"""The operations; for an encode the expected octets."""


def ours() -> dict[str, Work]:
    submit, deliver = new_submit(), new_receipt()
    (read,) = codec.reader()([DELIVER])
    assert isinstance(read, DeliverSm) and read_receipt(read).message_id == "1234567890"
    encode, decode = codec.encode, codec.decode

    def decode_and_read() -> object:
        pdu = decode(DELIVER)
        assert isinstance(pdu, DeliverSm)
        return read_receipt(pdu)

    return {
        "submit_sm decode": lambda: decode(SUBMIT),
        "submit_sm encode, new object": lambda: encode(new_submit()),
        "submit_sm encode, ready object": lambda: encode(submit),
        "submit_sm_resp decode": lambda: decode(RESP),
        "submit_sm_resp encode, new object": lambda: encode(SubmitSmResp(7, 0, ID)),
        "receipt decode": lambda: decode(DELIVER),
        "receipt decode and read": decode_and_read,
        "receipt encode, ready object": lambda: encode(deliver),
    }


class Batched:
    """The codec of smsgw as in a session: the PDUs of one read, with the maxima applied, and those of one write."""

    def __init__(self) -> None:
        read = codec.reader()
        submits, resps, delivers = [SUBMIT] * BATCH, [RESP] * BATCH, [DELIVER] * BATCH
        submit, deliver = [new_submit()] * BATCH, [new_receipt()] * BATCH
        many = codec.encode_many
        self.operations: dict[str, Work] = {
            "submit_sm decode": lambda: read(submits),
            "submit_sm encode, new object": lambda: many([new_submit() for _ in range(BATCH)]),
            "submit_sm encode, ready object": lambda: many(submit),
            "submit_sm_resp decode": lambda: read(resps),
            "submit_sm_resp encode, new object": lambda: many([SubmitSmResp(7, 0, ID) for _ in range(BATCH)]),
            "receipt decode": lambda: read(delivers),
            "receipt decode and read": lambda: [read_receipt(pdu) for pdu in read(delivers)],  # type: ignore[arg-type]
            "receipt encode, ready object": lambda: many(deliver),
        }


def smpplib() -> dict[str, Work]:
    from smpplib import smpp

    class Client:
        """The sequence numbers that the library gets from a client."""

        sequence = 7

        def next_sequence(self) -> int:
            return 7

    client = Client()

    def submit() -> Any:
        return smpp.make_pdu(
            "submit_sm",
            client=client,
            sequence=7,
            source_addr_ton=5,
            source_addr_npi=0,
            source_addr=SOURCE.decode(),
            dest_addr_ton=1,
            dest_addr_npi=1,
            destination_addr=PHONE.decode(),
            registered_delivery=1,
            short_message=TEXT + b".",
        )

    def resp() -> object:
        return smpp.make_pdu("submit_sm_resp", client=client, sequence=7, message_id=ID.decode()).generate()

    ready = submit()
    receipt = smpp.parse_pdu(DELIVER, client=client, allow_unknown_opt_params=True)
    return {
        "submit_sm decode": lambda: smpp.parse_pdu(SUBMIT, client=client),
        "submit_sm encode, new object": lambda: submit().generate(),
        "submit_sm encode, ready object": ready.generate,
        "submit_sm_resp decode": lambda: smpp.parse_pdu(RESP, client=client),
        "submit_sm_resp encode, new object": resp,
        "receipt decode": lambda: smpp.parse_pdu(DELIVER, client=client),
        "receipt encode, ready object": receipt.generate,
    }


def aiosmpplib() -> dict[str, Work]:
    from aiosmpplib import protocol, state

    source = state.PhoneNumber(SOURCE.decode(), state.TON(5), state.NPI(0))
    phone = state.PhoneNumber(PHONE.decode(), state.TON(1), state.NPI(1))
    text = (TEXT + b".").decode()

    def read(cls: Any, frame: bytes) -> Any:
        return cls.from_pdu(frame, cls.parse_header(frame), "gsm0338")

    def submit() -> Any:
        return protocol.SubmitSm(sequence_num=7, short_message=text, source=source, destination=phone)

    ready, receipt = submit(), read(protocol.DeliverSm, DELIVER)
    return {
        "submit_sm decode": lambda: read(protocol.SubmitSm, SUBMIT),
        "submit_sm encode, new object": lambda: submit().pdu(),
        "submit_sm encode, ready object": ready.pdu,
        "submit_sm_resp decode": lambda: read(protocol.SubmitSmResp, RESP),
        "submit_sm_resp encode, new object": lambda: protocol.SubmitSmResp(7, message_id=ID.decode()).pdu(),
        "receipt decode": lambda: read(protocol.DeliverSm, DELIVER),
        "receipt decode and read": lambda: read(protocol.DeliverSm, DELIVER).parse_receipt(),
        "receipt encode, ready object": receipt.pdu,
    }


def smpp_pdu3() -> dict[str, Work]:
    from smpp.pdu.operations import SubmitSM, SubmitSMResp
    from smpp.pdu.pdu_encoding import PDUEncoder

    encoder = PDUEncoder()

    def read(frame: bytes) -> Any:
        return encoder.decode(io.BytesIO(frame))

    ready, receipt = read(SUBMIT), read(DELIVER)
    values = dict(ready.params)
    return {
        "submit_sm decode": lambda: read(SUBMIT),
        "submit_sm encode, new object": lambda: encoder.encode(SubmitSM(7, **values)),
        "submit_sm encode, ready object": lambda: encoder.encode(ready),
        "submit_sm_resp decode": lambda: read(RESP),
        "submit_sm_resp encode, new object": lambda: encoder.encode(SubmitSMResp(7, message_id=ID)),
        "receipt decode": lambda: read(DELIVER),
        "receipt encode, ready object": lambda: encoder.encode(receipt),
    }


PEERS: dict[str, Callable[[], dict[str, Work]]] = {
    "smpplib": smpplib,
    "aiosmpplib": aiosmpplib,
    "smpp.pdu3": smpp_pdu3,
}


def rate(work: Work, times: int) -> float:
    """Return how often a function runs in one second of processor time."""
    start = time.process_time()
    for _ in range(times):
        work()
    return times / (time.process_time() - start)


def trouble(operation: str, work: Work, batch: int) -> str:
    """Run a function once and return its error, or None."""
    wanted = OPERATIONS[operation]
    try:
        result = work()
    except Exception as fault:  # noqa: BLE001  (the exception of a decoder is its result)
        return f"fails: {type(fault).__name__}: {fault}"
    if isinstance(wanted, bytes) and (not isinstance(result, bytes) or sorted(result) != sorted(wanted * batch)):
        return "gives other octets"
    return ""


def measure(rounds: int, seconds: float) -> None:
    codecs: dict[str, tuple[dict[str, Work], int]] = {"smsgw": (ours(), 1), "smsgw, 100": (Batched().operations, BATCH)}
    notes = []
    for name, make in PEERS.items():
        try:
            codecs[name] = make(), 1
        except ImportError:
            notes.append(f"{name} is not installed")
    print(f"Python {sys.version.split()[0]}, medians of {rounds} rounds of {seconds} s, PDUs a second")
    print(f"{len(SUBMIT)}, {len(RESP)} and {len(DELIVER)} octets\n")
    print(f"{'':34}" + "".join(f"{name:>12}" for name in [*codecs, "ratio"]))
    for operation in OPERATIONS:
        able: dict[str, tuple[Work, int]] = {}
        for name, (operations, batch) in codecs.items():
            work = operations.get(operation)
            if work is not None:
                wrong = trouble(operation, work, batch)
                if wrong:
                    notes.append(f"{name}, {operation}: {wrong}")
                else:
                    able[name] = work, batch
        times = {name: max(1, int(seconds * rate(work, 20))) for name, (work, _) in able.items()}
        found: dict[str, list[float]] = {name: [] for name in able}
        for _ in range(rounds):
            for name, (work, batch) in able.items():
                found[name].append(batch * rate(work, times[name]))
        medians = {name: statistics.median(rates) for name, rates in found.items()}
        best = max((medians[name] for name in PEERS if name in medians), default=0.0)
        cells = [f"{medians[name]:12,.0f}" if name in medians else f"{'-':>12}" for name in codecs]
        ratio = f"{medians['smsgw'] / best:11.1f}x" if best else f"{'-':>12}"
        print(f"{operation:34}" + "".join(cells) + ratio, flush=True)
    if notes:
        print("\n" + "\n".join(notes))


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare SMPP codecs.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.1)
    arguments = parser.parse_args()
    measure(arguments.rounds, arguments.seconds)


if __name__ == "__main__":
    main()
