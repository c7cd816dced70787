"""``send``: sends one message over SMPP to the gateway of a configuration and prints its final state."""

from __future__ import annotations

import argparse
import getpass
import socket
import ssl
import sys
import time
from collections.abc import Mapping
from typing import Final

from smsgw.cli.addresses import ListenerAddress, address_of, read_settings
from smsgw.cli.blocking_esme import ANSWER, BlockingEsme, SessionEnded
from smsgw.cli.console import CONFIGURATION, DONE, REFUSED, UNREACHABLE, Stop, command, printable
from smsgw.config import AccountSettings, Settings, SmppListenSettings
from smsgw.model.address import NATIONAL, normalise, sender_kind
from smsgw.smpp.consts import MessageState, Status, Tag, describe
from smsgw.smpp.pdus import DeliverSm, QuerySm, QuerySmResp, SubmitSm, SubmitSmResp
from smsgw.smpp.receipt import Receipt, is_receipt, read_receipt
from smsgw.smpp.tlvs import tlv
from smsgw.text import coding

_SHORT: Final = 254
"""Octets that fit short_message; a longer text goes into message_payload."""

_LATER: Final = int(Status.ESME_RX_T_APPN)
_HINTS: Final[Mapping[int, str]] = {
    Status.ESME_RINVPASWD: "Is --account or --password wrong?",
    Status.ESME_RBINDFAIL: "Is the account enabled, with smpp among protocols, and this address in allow_from?",
    Status.ESME_RALYBND: "The account has all its connections open.",
    Status.ESME_RINVSRCADR: "Name one of the account's senders with --from.",
    Status.ESME_RINVDSTADR: "Write the recipient like 79161234567.",
    Status.ESME_RSUBMITFAIL: "Does a [route] lead to this number?",
    Status.ESME_RTHROTTLED: "The account's rate is used up; try again later.",
    Status.ESME_RSYSERR: "The gateway is temporarily unable to accept it; its log has the reason.",
}


def send(options: argparse.Namespace) -> int:
    """Send one message; the exit status is 0 if it is delivered."""
    settings = read_settings(options.config)
    listener = _listener(settings, options.config)
    account = _account(settings, options)
    password = options.password or _password(account)
    request = _request(settings, account, options)
    address = address_of(listener, options.config)
    esme = BlockingEsme(_connect(address, listener, settings))
    try:
        try:
            return _carry_out(esme, address, account.name, password, request, options)
        finally:
            esme.unbind()
    except SessionEnded as ended:
        raise Stop(UNREACHABLE, f"the SMPP session with {address} failed: {ended}") from None


def _carry_out(
    esme: BlockingEsme,
    address: ListenerAddress,
    account: str,
    password: str,
    request: SubmitSm,
    options: argparse.Namespace,
) -> int:
    bound = esme.bind(account.encode("utf-8"), password.encode("utf-8"))
    if bound.command_status:
        raise Stop(REFUSED, f"{address} refuses the bind as {account}: {_why(bound.command_status)}")
    answer = esme.ask(request)
    if answer.command_status or not isinstance(answer, SubmitSmResp):
        raise Stop(REFUSED, f"the message is refused: {_why(answer.command_status)}")
    began = time.monotonic()
    id = answer.message_id.decode("latin-1")
    print(f"accepted as message {printable(id)}", flush=True)
    receipt = _await_receipt(esme, id, options.wait)
    if receipt is None:
        return _ask_state(esme, answer.message_id, options)
    state = _word(receipt.state)
    error = f", error {printable(receipt.error)}" if receipt.error.strip("0") else ""
    print(f"{state}{error} (the receipt came after {time.monotonic() - began:.1f} s)")
    print(f"{command()} show {printable(id)} -c {options.config} shows its timeline", file=sys.stderr)
    return DONE if receipt.state == MessageState.DELIVERED else REFUSED


def _await_receipt(esme: BlockingEsme, id: str, seconds: float) -> Receipt | None:
    """Return the final receipt of a message. Other deliveries are refused: the account's programs get them later."""
    deadline = time.monotonic() + seconds
    while (delivery := esme.delivery(deadline - time.monotonic())) is not None:
        receipt = _receipt_of(delivery, id)
        if receipt is None:
            esme.answer(delivery, _LATER)
            continue
        esme.answer(delivery)
        if not receipt.intermediate:
            return receipt
        print(_word(receipt.state), flush=True)
    return None


def _receipt_of(delivery: DeliverSm, id: str) -> Receipt | None:
    if not is_receipt(delivery):
        return None
    receipt = read_receipt(delivery)
    return receipt if receipt.message_id == id else None


def _ask_state(esme: BlockingEsme, message_id: bytes, options: argparse.Namespace) -> int:
    """Query the state of a message without a receipt."""
    answer = esme.ask(QuerySm(0, message_id))
    if not isinstance(answer, QuerySmResp) or answer.command_status:
        raise Stop(REFUSED, f"no receipt within {options.wait:g} s, and no state: {_why(answer.command_status)}")
    print(f"{_word(answer.message_state)} (no receipt within {options.wait:g} s)")
    return DONE if answer.message_state == MessageState.DELIVERED else REFUSED


def _word(state: int | None) -> str:
    """Describe a message_state in a word."""
    try:
        return MessageState(-1 if state is None else state).name.lower()
    except ValueError:
        return "in an unknown state"


def _why(status: int) -> str:
    hint = _HINTS.get(status)
    return describe(status) + (f"\n{hint}" if hint else "")


def _request(settings: Settings, account: AccountSettings, options: argparse.Namespace) -> SubmitSm:
    """Build the submit_sm, which asks for a receipt."""
    number = normalise(options.number, NATIONAL[settings.gateway.country])
    if number is None:
        raise Stop(REFUSED, f"{options.number!r} is no number; write it like 79161234567")
    source = options.sender or account.default_sender or next((one for one in account.senders if one != "*"), "SMSGW")
    kind = sender_kind(source)
    if kind is None:
        raise Stop(REFUSED, f"{source!r} is no sender: up to 15 digits, or up to 11 letters and digits")
    if not options.text:
        raise Stop(REFUSED, "the text is empty")
    try:
        data_coding, octets = coding.encode(options.text)
    except coding.NotEncodable as error:
        raise Stop(REFUSED, f"the text cannot be sent: {error}") from None
    fits = len(octets) <= _SHORT
    return SubmitSm(
        source_addr_ton=kind[0],
        source_addr_npi=kind[1],
        source_addr=source.removeprefix("+").encode("latin-1"),
        dest_addr_ton=1,
        dest_addr_npi=1,
        destination_addr=number.encode("ascii"),
        registered_delivery=1,
        data_coding=data_coding,
        short_message=octets if fits else b"",
        tlvs=() if fits else (tlv(Tag.MESSAGE_PAYLOAD, octets),),
    )


def _listener(settings: Settings, config: str) -> SmppListenSettings:
    for listener in settings.listeners.values():
        if isinstance(listener, SmppListenSettings):
            return listener
    raise Stop(CONFIGURATION, f"{config} has no listener with protocol = smpp")


def _account(settings: Settings, options: argparse.Namespace) -> AccountSettings:
    """Choose the account: the named one, or the first that can bind with the passwords of the file."""
    accounts = settings.accounts
    if options.account:
        if options.account in accounts:
            return accounts[options.account]
        known = ", ".join(accounts) or "none"
        raise Stop(CONFIGURATION, f"{options.config} has no [account {options.account}]; there are: {known}")
    for account in accounts.values():
        if account.enabled and "smpp" in account.protocols and (account.smpp_password or account.password):
            return account
    raise Stop(
        CONFIGURATION,
        f"{options.config} has no account that may use SMPP and whose password is there in clear; "
        "give --account and --password",
    )


def _password(account: AccountSettings) -> str:
    secret = account.smpp_password or account.password
    if secret is not None:
        return secret.reveal()
    if sys.stdin.isatty():
        return getpass.getpass(f"Password of {account.name}: ")
    raise Stop(REFUSED, f"the configuration has no password in clear for account {account.name}; give --password")


def _connect(address: ListenerAddress, listener: SmppListenSettings, settings: Settings) -> socket.socket:
    """Connect to the listener; over TLS trust only the certificate of the configuration."""
    connection = address.connect(ANSWER)
    if listener.tls == "none":
        return connection
    certificate = listener.certificate or settings.gateway.state / "selfsigned.crt"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # it names the public host; trusting only this certificate is enough
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(certificate)
        return context.wrap_socket(connection)
    except (OSError, ssl.SSLError) as error:
        connection.close()
        raise Stop(UNREACHABLE, f"TLS with {address}, trusting {certificate}, failed: {error}") from None
