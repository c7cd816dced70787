"""The settings of whole files."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from smsgw.config import (
    AccountSettings,
    AdminListenSettings,
    GatewaySettings,
    Globs,
    HttpListenSettings,
    NumberSettings,
    RouteSettings,
    Secret,
    Settings,
    SmppListenSettings,
    SmtpListenSettings,
    Way,
    parse,
)
from tests.config.pigeon import ACCOUNT, CONNECTOR, DIALECTS, ROUTE, SMPP, TYPES, PigeonSettings


def settings(text: str) -> Settings:
    """Read a file without mistakes."""
    return parse(text, "gw.ini", TYPES, DIALECTS)


class MeaningTests(SynchronousTestCase):
    def test_smallest_file(self) -> None:
        """A listener, an account, a connector and a route are enough; everything else has a default."""
        self.assertEqual(settings(SMPP + ACCOUNT + CONNECTOR + ROUTE), Settings(
            gateway=GatewaySettings(),
            listeners={"smpp": SmppListenSettings(name="smpp", endpoint="tcp:2775:interface=127.0.0.1")},
            accounts={"demo": AccountSettings(name="demo", password=Secret("demo"),
                                              allow_from=settings(SMPP + ACCOUNT).accounts["demo"].allow_from)},
            connectors={"sim": PigeonSettings(name="sim", type="pigeon", loft="roof")},
            routes=(RouteSettings(name="default", connectors=(Way("sim"),)),),
        ))

    def test_gateway_defaults(self) -> None:
        """Without a gateway section the documented defaults hold."""
        gateway = settings(SMPP).gateway
        self.assertEqual(
            (str(gateway.state), gateway.store, gateway.node, gateway.log, gateway.country, gateway.timezone.key,
             gateway.keep, gateway.event_keep, gateway.report_timeout),
            ("var", "sqlite:", "gw1", "text", "ru", "Europe/Moscow", 30 * 86400, 7 * 86400, 86400),
        )

    def test_listener_defaults(self) -> None:
        """The limits and timers of each protocol are those of the design."""
        smpp = SmppListenSettings(endpoint="tcp:1")
        self.assertEqual((smpp.session_init, smpp.inactivity, smpp.enquire_link, smpp.response, smpp.window,
                          smpp.pdu_limit, smpp.connections, smpp.dialect, smpp.tls),
                         (10, 120, 45, 30, 2000, 128 * 1024, 10, "standard", "none"))
        smtp = SmtpListenSettings(endpoint="tcp:1", dialect="quicktel", domains=("a.example",))
        self.assertEqual((smtp.messages, smtp.recipients, smtp.mail_limit, smtp.auth_tries), (10_000, 100, 1 << 17, 3))
        http = HttpListenSettings(endpoint="tcp:1", dialect="rostelecom")
        self.assertEqual((http.requests, http.body_limit, http.header_time, http.body_time), (10_000, 65536, 10, 30))

    def test_account_defaults(self) -> None:
        """An account may use every protocol, has no senders, and cannot log in without `allow_from`."""
        account = AccountSettings(name="demo")
        self.assertEqual((account.enabled, account.protocols, account.senders, account.rate, account.connections),
                         (True, ("smpp", "smtp", "http"), (), 0, None))
        self.assertFalse(account.allow_from.allows("127.0.0.1"))
        self.assertEqual(account.validity, 86400)

    def test_empty_value_means_default(self) -> None:
        """A key without a value counts as missing."""
        text = SMPP + "system_id =\nwindow =\ncertificate =\n[gateway]\nkeep = ; a month\n"
        self.assertEqual(settings(text), settings(SMPP))

    def test_listener_classes(self) -> None:
        """The protocol selects the settings of a listener; a key of another protocol is a mistake."""
        text = (SMPP + "[listen mail]\nprotocol = smtp\nendpoint = tcp:1:interface=127.0.0.1\ndialect = quicktel\n"
                "domains = a.example\n[listen api]\nprotocol = http\nendpoint = unix:/x\ndialect = rostelecom\n"
                "[listen admin]\nprotocol = admin\nendpoint = tcp6:1:interface=\\:\\:1\n")
        self.assertEqual([type(one) for one in settings(text).listeners.values()],
                         [SmppListenSettings, SmtpListenSettings, HttpListenSettings, AdminListenSettings])

    def test_dialect_presets(self) -> None:
        """A value in the file replaces the dialect's: quicktel accepts passwords in clear text (000-14)."""
        mail = ("[listen mail]\nprotocol = smtp\nendpoint = tcp:1:interface=127.0.0.1\ndialect = quicktel\n"
                "domains = a.example\ntls = optional\n")
        for line, expected in (("", True), ("auth_without_tls =\n", True), ("auth_without_tls = no\n", False)):
            listener = settings(mail + line).listeners["mail"]
            assert isinstance(listener, SmtpListenSettings)
            self.assertEqual(listener.auth_without_tls, expected)
            self.assertEqual(listener.text_limit, 480)

    def test_connector_of_a_third_party(self) -> None:
        """A connector's own class reads its own keys beside the common ones, and may change their defaults."""
        pigeon = settings(SMPP + CONNECTOR + "rest = 30s\nhawks = 7910*\nrate = 5\n" + ROUTE).connectors["sim"]
        self.assertEqual(pigeon, PigeonSettings(name="sim", type="pigeon", loft="roof", rest=30.0, rate=5.0, window=3,
                                                hawks=Globs(("7910*",))))

    def test_connector_types_are_looked_up_by_need(self) -> None:
        """Only the types that a file names are looked up, so that plugins load lazily."""
        asked: list[str] = []

        class Types(dict[str, type]):
            def __getitem__(self, key: str) -> type:
                asked.append(key)
                return TYPES[key]

        parse(SMPP + CONNECTOR + ROUTE, "gw.ini", Types(pigeon=object, other=object), DIALECTS)
        self.assertEqual(asked, ["pigeon"])

    def test_routes_keep_their_order(self) -> None:
        """Routes are tried in file order, also with other sections between them."""
        text = SMPP + CONNECTOR + "[route b]\nconnectors = sim\nto = 7*\n[sender X]\n[route a]\nconnectors = sim\n"
        self.assertEqual([route.name for route in settings(text).routes], ["b", "a"])

    def test_route_keys(self) -> None:
        """A route has patterns for recipient, sender, account and text, and connectors by weight or in order."""
        route = settings(SMPP + ACCOUNT + CONNECTOR + "[route x]\nto = 7*, 8*\nfrom = avaria\naccount = d*\n"
                         "text = *code*\nconnectors = sim:3\n").routes[0]
        self.assertEqual(route, RouteSettings(
            name="x", to=Globs(("7*", "8*")), sender=Globs(("avaria",)), account=Globs(("d*",)),
            text=Globs(("*code*",)), connectors=(Way("sim", 3),)))

    def test_senders_and_operators(self) -> None:
        """A sender can be limited to operators; an operator is defined by its numbers."""
        whole = settings(SMPP + "[sender MY SHOP]\noperators = mts\n[operator mts]\nnumbers = 7910*, 7911*\n")
        self.assertEqual(whole.senders["MY SHOP"].operators, ("mts",))
        self.assertTrue(whole.operators["mts"].numbers.matches("79101112233"))

    def test_numbers(self) -> None:
        """A number belongs to an account, or is shared by the accounts that wait for calls."""
        whole = settings(SMPP + ACCOUNT + "[number 79031112233]\naccount = demo\n[number 4647]\ncalls = yes\n")
        self.assertEqual(whole.numbers, {
            "79031112233": NumberSettings(name="79031112233", account="demo"),
            "4647": NumberSettings(name="4647", calls=True),
        })

    def test_equality(self) -> None:
        """Two files with the same values are equal, also on other lines; a changed value makes them differ."""
        one = SMPP + ACCOUNT + CONNECTOR + ROUTE
        other = "; a comment\n" + ROUTE + CONNECTOR + "window = 3\n\n" + ACCOUNT + SMPP
        self.assertEqual(settings(one), settings(other))
        for change in ("[gateway]\nkeep = 1d\n", "[operator x]\n"):
            self.assertNotEqual(settings(one), settings(one + change))
        self.assertNotEqual(settings(one), settings(one.replace("password = demo", "password = other")))

    def test_exposed(self) -> None:
        """`exposed` has the listeners that other machines can reach."""
        text = SMPP + "[listen open]\nprotocol = smpp\nendpoint = tcp:2776\n"
        self.assertEqual([listener.name for listener in settings(text).exposed], ["open"])

    def test_secrets_are_blind(self) -> None:
        """No secret of a file is in the representation of its settings, as a whole or in parts."""
        account = ("[account demo]\npassword = hunter2\nsmpp_password = hunter3\nallow_from = any\n"
                   f"api_key_hash = {'5a' * 32}\n")
        whole = settings(SMPP + account + CONNECTOR + "whistle = hunter4\n" + ROUTE)
        pigeon = whole.connectors["sim"]
        assert isinstance(pigeon, PigeonSettings)
        assert pigeon.whistle is not None
        self.assertEqual(pigeon.whistle.reveal(), "hunter4")
        for part in (whole, whole.accounts, whole.accounts["demo"], whole.connectors, pigeon):
            for shown in (repr(part), str(part)):
                self.assertNotIn("hunter", shown)
                self.assertNotIn("5a5a", shown)

    def test_place_of_a_later_fault(self) -> None:
        """A mistake found after reading is reported with its line."""
        listener = settings("\n" + SMPP).listeners["smpp"]
        self.assertEqual(str(listener.problem("endpoint", "is taken")), "gw.ini:4: [listen smpp] endpoint: is taken")
        self.assertEqual(str(listener.problem("key", "is bad")), "gw.ini:2: [listen smpp] key: is bad")
