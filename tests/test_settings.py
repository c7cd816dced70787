"""Each setting has a test that fails if the setting has no effect."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping

from twisted.trial.unittest import SynchronousTestCase

from smsgw.config import ConnectorSettings, ListenSettings, SectionSettings
from smsgw.config.fields import declared
from smsgw.plugins import connector_types

WIRING = "program.test_wiring:WiringTests"
LOOPBACK = "connectors.test_loopback_behaviour:MisbehavingTests"
HTTP = "connectors.test_http"
SMTP = "connectors.test_smtp:SmtpTests"
LISTENER = {
    "protocol": f"{WIRING}.test_protocol",
    "endpoint": f"{WIRING}.test_protocol",
    "tls": f"{WIRING}.test_tls",
    "certificate": f"{WIRING}.test_certificate_and_key",
    "key": f"{WIRING}.test_certificate_and_key",
}
"""The keys of the listeners of all protocols."""

EFFECTS: Mapping[str, Mapping[str, str]] = {
    "GatewaySettings": {
        "state": "flows.test_starting:StartTests.test_state_cannot_be_made",
        "store": f"{WIRING}.test_store",
        "node": "stores.sqlite.test_engine:SqliteTests.test_floor",
        "log": "flows.test_log:LogTests.test_json",
        "message_log": f"{WIRING}.test_u5_message_log",
        "message_log_private": f"{WIRING}.test_u5_message_log",
        "country": "services.intake.test_intake:IntakeTests.test_country",
        "timezone": "frontends.smpp.test_receipts:DeliverTests.test_timezone",
        "keep": "services.test_sweep:SweepTests.test_purge",
        "event_keep": "services.outbox.test_outbox:LaterTests.test_too_old_to_tell",
        "idempotency": "services.intake.test_options:KeyTests.test_key_life",
        "report_timeout": "services.dispatch.test_links:ConfigurationTests.test_report_timeout",
        "drain": f"{WIRING}.test_drain",
    },
    "AccountSettings": {
        "password": "services.test_accounts:EnteringTests.test_plain_password",
        "password_hash": "services.test_accounts:EnteringTests.test_hash",
        "smpp_password": "services.test_accounts:EnteringTests.test_smpp_password",
        "api_key_hash": "services.test_accounts:EnteringTests.test_api_key",
        "enabled": "services.intake.test_intake:IntakeTests.test_disabled_meanwhile",
        "protocols": "frontends.smpp.test_frontend:BindTests.test_not_allowed",
        "senders": "services.test_senders:SendersTests.test_reload",
        "default_sender": "services.test_senders:SendersTests.test_default",
        "aliases": "frontends.smtp.test_frontend:MailTests.test_senders",
        "allow_from": "services.test_accounts:EnteringTests.test_address_after_the_password",
        "rate": "services.test_accounts:ReloadTests.test_rate_goes_on",
        "connections": "frontends.smpp.test_frontend:BindTests.test_too_many_binds",
        "validity": "services.intake.test_intake:IntakeTests.test_schedule",
        "callback": "services.intake.test_options:CallbackTests.test_account_with_a_callback",
        "callback_dialect": "frontends.callbacks.test_path:TellingTests.test_forms",
        "callback_key": "frontends.callbacks.test_path:TellingTests.test_own_address",
        "callback_hosts": "services.intake.test_options:LabelTests.test_hosts",
    },
    "ConnectorSettings": {
        "type": f"{WIRING}.test_type",
        "window": "connectors.test_loopback:PlainTests.test_window",
        "rate": "connectors.test_loopback:PlainTests.test_rate",
        "on_unknown": "services.dispatch.test_links:UnknownTests.test_hold",
        "refuse_after": "services.dispatch.test_links:FailoverTests.test_sets",
        "retry_first": "services.dispatch.test_dispatch:OutcomeTests.test_busy",
        "retry_limit": "services.dispatch.test_dispatch:OutcomeTests.test_busy",
    },
    "RouteSettings": {
        "to": "services.test_routing:RouterTests.test_first_match_wins",
        "from": "services.test_routing:RouterTests.test_keys_are_anded_values_ored",
        "account": "services.test_routing:RouterTests.test_keys_are_anded_values_ored",
        "text": "services.test_routing:RouterTests.test_keys_are_anded_values_ored",
        "connectors": "program.test_reload:ReloadTests.test_taken",
    },
    "SenderSettings": {"operators": "services.test_senders:SendersTests.test_operators"},
    "OperatorSettings": {"numbers": "services.test_senders:SendersTests.test_operators"},
    "NumberSettings": {
        "account": "services.test_incoming:MessageTests.test_numbers_as_upstreams_write_them",
        "calls": "services.test_incoming:CallTests.test_refusals",
    },
    "ListSettings": {
        "numbers": "frontends.smtp.test_lists:ListTests.test_list",
        "file": "frontends.smtp.test_lists:ListTests.test_file",
        "sender": "frontends.smtp.test_lists:ListTests.test_list",
    },
    "SmppListenSettings": {
        **LISTENER,
        "dialect": f"{WIRING}.test_dialect",
        "system_id": f"{WIRING}.test_smpp",
        "connections": "frontends.smpp.test_frontend:BindTests.test_too_many_binds",
        "deliver_window": "frontends.smpp.test_frontend:BindTests.test_deliver_window",
        "session_init": f"{WIRING}.test_smpp",
        "enquire_link": f"{WIRING}.test_smpp",
        "inactivity": f"{WIRING}.test_smpp",
        "response": f"{WIRING}.test_smpp",
        "window": f"{WIRING}.test_smpp",
        "pdu_limit": f"{WIRING}.test_smpp",
        "pdu_rate": "protocols.smpp.test_flood:F5Tests.test_f5_small_slices",
    },
    "SmtpListenSettings": {
        **LISTENER,
        "dialect": "flows.test_lists:DialectTests.test_standard",
        "domains": "frontends.smtp.test_frontend:MailTests.test_recipients",
        "auth_without_tls": f"{WIRING}.test_smtp",
        "full_stop": "frontends.smtp.test_frontend:MailTests.test_full_stop",
        "text_limit": "frontends.smtp.test_frontend:MailTests.test_limit_is_handed_on",
        "auth_tries": f"{WIRING}.test_smtp",
        "recipients": f"{WIRING}.test_smtp",
        "messages": f"{WIRING}.test_smtp",
        "mail_limit": f"{WIRING}.test_smtp",
        "inactivity": f"{WIRING}.test_smtp",
        "data_time": f"{WIRING}.test_smtp",
    },
    "HttpListenSettings": {
        **LISTENER,
        "dialect": f"{WIRING}.test_dialect",
        "body_limit": f"{WIRING}.test_http",
        "header_time": f"{WIRING}.test_http",
        "body_time": f"{WIRING}.test_http",
        "inactivity": f"{WIRING}.test_http",
        "requests": f"{WIRING}.test_http",
    },
    "AdminListenSettings": {key: LISTENER[key] for key in ("protocol", "endpoint")},
    "LoopbackSettings": {
        "delay": "connectors.test_loopback:PlainTests.test_no_delay",
        "latency": "connectors.test_loopback:PlainTests.test_latency",
        "memory": "connectors.test_loopback:PlainTests.test_memory",
        "undeliverable": f"{LOOPBACK}.test_undeliverable",
        "expired": f"{LOOPBACK}.test_expired",
        "rejected": f"{LOOPBACK}.test_rejected",
        "throttled": f"{LOOPBACK}.test_throttled",
        "throttles": f"{LOOPBACK}.test_throttled",
        "unanswered": f"{LOOPBACK}.test_unanswered",
        "patience": f"{LOOPBACK}.test_unanswered",
        "early": f"{LOOPBACK}.test_early",
        "twice": f"{LOOPBACK}.test_twice",
        "never": f"{LOOPBACK}.test_never",
    },
    "HttpConnectorSettings": {
        "url": f"{HTTP}:SendingTests.test_request",
        "method": f"{HTTP}:SendingTests.test_method",
        "form": f"{HTTP}:SendingTests.test_request",
        "json": f"{HTTP}:SendingTests.test_request",
        "headers": f"{HTTP}:SendingTests.test_request",
        "login": f"{HTTP}:SendingTests.test_request",
        "password": f"{HTTP}:SendingTests.test_request",
        "token": f"{HTTP}:SendingTests.test_request",
        "charset": f"{HTTP}:SendingTests.test_charset",
        "timeout": f"{HTTP}:SendingTests.test_timeout",
        "id": f"{HTTP}:SendingTests.test_answers",
        "error": f"{HTTP}:SendingTests.test_answers",
        "no_error": f"{HTTP}:SendingTests.test_answers",
        "busy": f"{HTTP}:SendingTests.test_answers",
        "receipts": f"{HTTP}_receipts:ReceiptTests.test_webhook",
        "secret": f"{HTTP}_receipts:ReceiptTests.test_forged",
        "secret_at": f"{HTTP}_receipts:ReceiptTests.test_secret_at",
        "receipt_id": f"{HTTP}_receipts:ReceiptTests.test_webhook",
        "receipt_state": f"{HTTP}_receipts:ReceiptTests.test_webhook",
        "receipt_error": f"{HTTP}_receipts:ReceiptTests.test_webhook",
        "states": f"{HTTP}_receipts:ReceiptTests.test_webhook",
        "incoming_text": f"{HTTP}_receipts:ReceiptTests.test_incoming",
        "incoming_from": f"{HTTP}_receipts:ReceiptTests.test_incoming",
        "incoming_to": f"{HTTP}_receipts:ReceiptTests.test_incoming",
        "answer": f"{HTTP}_receipts:ReceiptTests.test_webhook",
        "poll_url": f"{HTTP}_receipts:ReceiptTests.test_polled",
        "poll_every": f"{HTTP}_receipts:ReceiptTests.test_polled",
    },
    "SmtpConnectorSettings": {
        "host": f"{SMTP}.test_no_session",
        "port": f"{SMTP}.test_mail",
        "tls": f"{SMTP}.test_open_relay",
        "login": f"{SMTP}.test_open_relay",
        "password": f"{SMTP}.test_no_session",
        "sender": f"{SMTP}.test_mail",
        "to": f"{SMTP}.test_mail",
        "subject": f"{SMTP}.test_subject",
        "timeout": f"{SMTP}.test_no_session",
        "connections": f"{SMTP}.test_connections",
    },
}
"""Class of a section -> key -> the test, below ``tests``, that changes the value and checks a difference."""


def sections(kind: type[SectionSettings] = SectionSettings) -> Iterator[type[SectionSettings]]:
    """The settings classes of all sections, except connectors of third parties."""
    below = [one for one in kind.__subclasses__() if one.__module__.startswith("smsgw.")]
    if kind is ConnectorSettings or (not below and kind is not ListenSettings):
        yield kind
    for one in below:
        yield from sections(one)


def keys(kind: type[SectionSettings]) -> Iterator[tuple[str, str]]:
    """Return key and attribute of a class's settings; the keys of all connectors belong to their base class."""
    shared = {one.key for one in declared(ConnectorSettings)} if kind is not ConnectorSettings else set()
    for one in declared(kind):
        if not (issubclass(kind, ConnectorSettings) and one.key in shared):
            yield one.key, one.attribute


def set_up(case: type) -> str:
    """Return the source of a test class without its tests."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(case))).body
    assert isinstance(tree, ast.ClassDef)
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    kept = [one for one in tree.body if not (isinstance(one, functions) and one.name.startswith("test_"))]
    return "\n".join(map(ast.unparse, kept))


class SettingsTests(SynchronousTestCase):
    def setUp(self) -> None:
        """Import the settings classes of the connectors."""
        for kind in connector_types().values():
            self.assertTrue(issubclass(kind, ConnectorSettings))
        self.kinds = {kind.__name__: kind for kind in sections()}

    def test_every_key_has_a_test(self) -> None:
        """The table has exactly the keys of all sections."""
        declared_keys = {name: {key for key, _ in keys(kind)} for name, kind in self.kinds.items()}
        self.assertEqual(declared_keys, {name: set(rows) for name, rows in EFFECTS.items()})

    def test_the_tests_are_there(self) -> None:
        """Each test in the table exists and uses the key or its attribute, in its body or its setup."""
        silent = []
        for name, kind in self.kinds.items():
            for key, attribute in keys(kind):
                module, _, test = EFFECTS[name][key].partition(":")
                case, _, method = test.partition(".")
                found = getattr(importlib.import_module(f"tests.{module}"), case)
                bases = [base for base in found.__mro__ if base.__module__.startswith("tests.")]
                source = "\n".join([inspect.getsource(getattr(found, method)), *map(set_up, bases)])
                if not re.search(rf"\b({re.escape(key)}|{attribute})\b", source):
                    silent.append(f"{name}.{key}: {EFFECTS[name][key]}")
        self.assertEqual(silent, [])

    def test_every_key_is_explained(self) -> None:
        """Each key has a documentation of one line."""
        for name, kind in self.kinds.items():
            for one in declared(kind):
                self.assertRegex(one.doc, r"\A[^\n]{3,120}[^.\s]\Z", f"{name}.{one.key}")
