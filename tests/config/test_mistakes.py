"""All mistakes of a file, reported together, and its warnings."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.config import AccountSettings, ConfigErrors, Problem, parse
from smsgw.config.fields import declared
from tests.config.pigeon import ACCOUNT, CONNECTOR, DIALECTS, ROUTE, SMPP, TYPES


def errors(text: str) -> list[str]:
    """Return the mistakes of a file."""
    try:
        parse(text, "gw.ini", TYPES, DIALECTS)
    except ConfigErrors as why:
        return str(why).split("\n")
    return []


def warnings(text: str) -> list[str]:
    """Return the warnings of a file."""
    return [str(warning) for warning in parse(text, "gw.ini", TYPES, DIALECTS).warnings]


BY_KEY = f"allow_from = any\napi_key_hash = {'0a' * 32}\n"
GATEWAY_KEYS = (
    "state, store, node, log, message_log, message_log_private, country, timezone, keep, event_keep, idempotency, "
    "report_timeout, drain"
)
ACCOUNT_KEYS = ", ".join(one.key for one in declared(AccountSettings))
SECTIONS = (
    "[gateway], [listen NAME], [account NAME], [connector NAME], [route NAME], [sender NAME], [operator NAME], "
    "[number DIGITS], [list ACCOUNT NAME]"
)
MAIL = "[listen m]\nprotocol = smtp\nendpoint = tcp:1:interface=127.0.0.1\ndialect = quicktel\ndomains = a.example\n"

# Text after a valid SMPP listener of three lines -> the lines that are reported.
MISTAKES: Mapping[str, list[str]] = {
    "[gatway]": [f"4: [gatway]: unknown section; allowed: {SECTIONS}"],
    "[tariff 7*]\nprice = 1": [f"4: [tariff 7*]: unknown section; allowed: {SECTIONS}"],
    "[gateway main]": ["4: [gateway main]: this section has no name; allowed: [gateway]"],
    "[sender]": ["4: [sender]: a name is needed, as in [sender NAME]"],
    "[operator a b]": ['4: [operator a b]: "a b" is not a name of Latin letters, digits, points, dashes and '
                       "underscores"],
    "[gateway]\nkeeep = 1d": [f'5: [gateway] keeep: unknown key (did you mean "keep"?); allowed: {GATEWAY_KEYS}'],
    "[gateway]\ncallback = x": [f"5: [gateway] callback: unknown key; allowed: {GATEWAY_KEYS}"],
    "[gateway]\nstore = postgresql://us:hunter2@db/sms": [
        "5: [gateway] store: postgresql: is not a store that is available; allowed: sqlite:"],
    f"[account a]\n{BY_KEY}callback = http://h/\ncallback = http://g/": [
        "8: [account a] callback: the key is already written at line 7"],
    f"[account a]\n{BY_KEY}callback = http://user@h/": [
        "7: [account a] callback: an address is http:// or https://, a host without user or password, perhaps port "
        "and path; no fragment"],
    f"[account a]\n{BY_KEY}callback_dialect = smsc\ncallback = http://h/?md5=a.b": [
        "8: [account a] callback: md5: a secret has Latin letters, digits, minus and underscore"],
    f"[account a]\n{BY_KEY}callback_dialect = quicktel": [
        '7: [account a] callback_dialect: "quicktel" has no callbacks; allowed: rostelecom, smsc, native'],
    f"[account a]\n{BY_KEY}callback_dialect = klingon\ncallback = http://user@h/": [
        '7: [account a] callback_dialect: "klingon" is not a dialect; allowed: rostelecom, smsc, native'],
    "[gateway]\nlog = xml": ['5: [gateway] log: "xml" is not one of text, json'],
    "[gateway]\nkeep = 0": ['5: [gateway] keep: "0" is not a duration such as 10, 30s, 10m, 24h or 7d, of 1s or more'],
    "[gateway]\ntimezone = Moscow": [
        '5: [gateway] timezone: "Moscow" is not a time zone such as Europe/Moscow or UTC'],
    "[listen x]\nendpoint = tcp:1": ["4: [listen x] protocol: a value is needed; allowed: smpp, smtp, http, admin"],
    "[listen x]\nprotocol = pop3\nendpoint = tcp:1": [
        '5: [listen x] protocol: "pop3" is not available; allowed: smpp, smtp, http, admin'],
    "[listen x]\nprotocol = smpp\nendpoint = tcp:1\ndialect = quicktel": [
        '7: [listen x] dialect: "quicktel" is not available for smpp; allowed: standard'],
    "[listen x]\nprotocol = smpp\nendpoint = tcp:1\ndialect = smsc": [
        '7: [listen x] dialect: "smsc" is not available for smpp; allowed: standard'],
    "[listen x]\nprotocol = http\nendpoint = tcp:1\ndialect = quicktel": [
        '7: [listen x] dialect: "quicktel" is not available for http; allowed: standard, rostelecom'],
    "[listen x]\nprotocol = http\nendpoint = tcp:1\ndialect = klingon": [
        '7: [listen x] dialect: "klingon" is not a dialect; allowed: standard, rostelecom'],
    "[listen x]\nprotocol = http\nendpoint = tcp:1": [  # U7
        "4: [listen x] dialect: a value is needed; allowed: standard, rostelecom"],
    "[listen x]\nprotocol = smpp\nendpoint = tcp:2775": [
        '6: [listen x] endpoint: "tcp:2775" is taken by [listen smpp]'],
    "[listen x]\nprotocol = admin\nendpoint = tcp:1": [
        "6: [listen x] endpoint: the admin listener has no password, so it must be on loopback; allowed: "
        "interface=127.0.0.1 or unix:PATH"],
    "[listen x]\nprotocol = admin\nendpoint = unix:/x\ntls = none": [
        "7: [listen x] tls: unknown key; allowed: protocol, endpoint"],
    "[listen x]\nprotocol = smpp\nendpoint = tcp:1\ntls = implicit\ncertificate = a.pem": [
        "4: [listen x] key: certificate is given, so its key is needed"],
    "[listen x]\nprotocol = smpp\nendpoint = tcp:1\ntls = implicit\nkey = a.pem": [
        "4: [listen x] certificate: key is given, so its certificate is needed"],
    "[listen x]\nprotocol = smpp\nendpoint = tcp:1\ntls = optional": [
        '7: [listen x] tls: "optional" is not one of none, implicit'],
    "[listen x]\nprotocol = smpp\nendpoint = tcp:1\nenquire_link = 3m": [
        "7: [listen x] enquire_link: must be shorter than inactivity, or 0"],
    "[listen x]\nprotocol = smpp\nendpoint = tcp:1\nsystem_id = наш центр": [
        '7: [listen x] system_id: "наш центр" is not at most 15 visible ASCII characters'],
    MAIL + "auth_without_tls = no": [
        "9: [listen m] auth_without_tls: no client can log in: with tls = none it must be yes"],
    MAIL.replace("a.example", "A.example"): ['8: [listen m] domains: "A.example" is not a domain in small Latin '
                                             "letters"],
    MAIL.replace("domains = a.example\n", ""): [
        "4: [listen m] domains: a value is needed: a list of a domain in small Latin letters"],
    "[account a]\nallow_from = any": [
        "4: [account a] password: no credentials; one of password, password_hash and api_key_hash is needed"],
    "[account a]\nallow_from = any\nsmpp_password = x": [
        "4: [account a] password: no credentials; one of password, password_hash and api_key_hash is needed"],
    "[account a]\nallow_from = any\nsmpp_password = x\nprotocols = smpp": [],
    "[account a]\nallow_from = any\npassword = x\npassword_hash = scrypt$16384$8$1$c2FsdA$a2V5": [
        "7: [account a] password_hash: password is given too; only one of them is allowed"],
    "[account a]\nallow_from = any\npassword_hash = hunter2": [
        "6: [account a] password_hash: the value is not a hash as printed by smsgw hash-password"],
    "[account a]\nallow_from = any\napi_key_hash = hunter2": [
        "6: [account a] api_key_hash: the value is not 64 hexadecimal digits as printed by smsgw make-key"],
    "[account a]\npassword = x\nallow_from = any\nsenders = A\ndefault_sender = B": [
        '8: [account a] default_sender: "B" is not among senders; allowed: A'],
    "[account a]\npassword = x\nallow_from = any\ndefault_sender = B": [
        '7: [account a] default_sender: "B" is not among senders; allowed: none, as senders is empty'],
    "[account a]\npassword = x\nallow_from = any\nsenders = *\ndefault_sender = B": [],
    "[account a]\npassword = x\nallow_from = any\nsenders = A\naliases = b@c.example:B": [
        '8: [account a] aliases: "B" is not among senders; allowed: A'],
    "[account a]\npassword = x\nallow_from = any\nprotocols =": [
        "7: [account a] protocols: the list is empty; it needs one of smpp, smtp, http"],
    "[account a]\npassword = x\nallow_from = any\nlogin_of = b": [
        f"7: [account a] login_of: unknown key; allowed: {ACCOUNT_KEYS}"],
    f"[account a]\n{BY_KEY}[account b]\n{BY_KEY}": [
        "9: [account b] api_key_hash: [account a] has the same; a key identifies one account"],
    "[account b c]\npassword = x": ['4: [account b c]: "b c" is not a login of visible ASCII characters without a '
                                    "colon"],
    "[connector c]\nloft = roof": ["4: [connector c] type: a value is needed; allowed: pigeon"],
    "[connector c]\ntype = smpp\nsystem_id = us\nwindow = 0": [
        '5: [connector c] type: "smpp" is not available; allowed: pigeon',
        '7: [connector c] window: "0" is not a whole number from 1 to 100000'],
    "[connector c]\ntype = pigeon": ["4: [connector c] loft: a value is needed: text of at most 1024 characters"],
    "[connector c]\ntype = pigeon\nloft = a\nwindow = 10": [
        '7: [connector c] window: "10" is not a whole number from 1 to 9'],
    "[connector c]\ntype = pigeon\nloft = a\nrest = 24h": ["7: [connector c] rest: longer than retry_limit"],
    "[connector c]\ntype = pigeon\nloft = a\nretry_first = 1h\n": [
        "4: [connector c] retry_limit: the longest pause is shorter than retry_first"],
    "[connector c]\ntype = pigeon\nloft = a\non_unknown = retry": [
        '7: [connector c] on_unknown: "retry" is not one of resend, hold, fail'],
    "[route r]\nto = 7*": ["4: [route r] connectors: a value is needed: a list of connectors, each alone or with "
                           ":weight"],
    "[route r]\nconnectors = mts": ['5: [route r] connectors: there is no connector "mts"; allowed: none, as there is '
                                    "no such section"],
    CONNECTOR + "[route r]\nconnectors = sim, mts:2": [
        '8: [route r] connectors: there is no connector "mts"; allowed: sim'],
    ACCOUNT + CONNECTOR + "[route r]\nconnectors = sim\naccount = demi": [
        '12: [route r] account: there is no account "demi"; allowed: demo'],
    ACCOUNT + CONNECTOR + "[route r]\nconnectors = sim\naccount = x*": [],
    "[sender A]\noperators = mts\n[operator beeline]": [
        '5: [sender A] operators: there is no operator "mts"; allowed: beeline'],
    "[number +79031112233]\ncalls = yes": [
        '4: [number +79031112233]: "+79031112233" is not 3 to 15 digits in international form, without a plus'],
    "[number 79031112233]": [
        "4: [number 79031112233] account: a value is needed if calls = no: no account gets messages to this number"],
    ACCOUNT + "[number 79031112233]\naccount = demi": [
        '8: [number 79031112233] account: there is no account "demi"; allowed: demo'],
}

MANY = """\
[gateway]
store = postgresql://a:b@c/d
log = text
log = json
[listen smpp]
protocol = smpp
endpoint = tcp:smpp
dialect = smsc
what
[account demo]
rate = fast
allow_from = here
[connector sim]
type = smpp
rate = fast
[route default]
connectors = sim, mts
"""


class MistakeTests(SynchronousTestCase):
    def test_every_mistake(self) -> None:
        """Each mistake is reported as file, line, section, key, what is wrong and what is allowed, and only once."""
        for text, expected in MISTAKES.items():
            self.assertEqual(errors(SMPP + text), [f"gw.ini:{line}" for line in expected], text)

    def test_one_callback(self) -> None:
        """An account has one callback address (002-104)."""
        self.assertIn(f"[account a]\n{BY_KEY}callback = http://h/\ncallback = http://g/", MISTAKES)

    def test_nothing_listens(self) -> None:
        """A file without a listener is a mistake, also an empty one."""
        for text in ("", ACCOUNT + CONNECTOR + ROUTE):
            self.assertEqual(errors(text), ["gw.ini:1: nothing listens; at least one [listen NAME] section is needed"])

    def test_all_at_once(self) -> None:
        """All mistakes of a file are reported together, in the order of its lines, several of one section included."""
        self.assertEqual([(line.split(":")[1], line.split(": ")[1].split("] ")[-1]) for line in errors(MANY)], [
            ("2", "store"), ("4", "log"), ("7", "endpoint"), ("8", "dialect"), ("9", "[listen smpp]"),
            ("10", "password"), ("11", "rate"), ("12", "allow_from"), ("14", "type"), ("15", "rate"),
            ("17", "connectors"),
        ])

    def test_no_mistake_follows_from_another(self) -> None:
        """A wrong value is reported once; keys that depend on it are not reported."""
        text = ('[listen smpp]\nprotocol = smpp\nendpoint = "tcp:1\ninactivity = soon\n'
                '[account demo]\npassword = "demo\nallow_from = any\nsenders = ,\ndefault_sender = DEMO\n'
                "[connector sim]\ntype = dove\n[route default]\nconnectors = sim\n")
        self.assertEqual([line.split(":")[1] for line in errors(text)], ["3", "4", "6", "8", "11"])

    def test_secrets_are_not_in_errors(self) -> None:
        """No report contains a possible secret: values of secret keys, misspelt keys, lines outside the grammar."""
        text = SMPP + (
            "[gateway]\nstore = postgresql://us:hunter2@db/sms\n[account a]\npasword = hunter2\nhunter2\n"
            "password_hash = hunter2\napi_key_hash = hunter2\npassword = \"hunter2\npassword = hunter2\n"
        )
        report = "\n".join(errors(text))
        self.assertIn("pasword", report)
        self.assertNotIn("hunter2", report)

    def test_findings_are_values(self) -> None:
        """A program can read the parts of each mistake."""
        why = self.assertRaises(ConfigErrors, parse, "[gateway]\nlog = xml\n", "x.ini", TYPES, DIALECTS)
        (nothing, wrong) = why.problems
        self.assertEqual((wrong.filename, wrong.line, wrong.section, wrong.key), ("x.ini", 2, "gateway", "log"))
        self.assertEqual((nothing.line, nothing.section, nothing.key), (1, "", ""))
        self.assertEqual(str(Problem("x.ini", 0, "", "", "cannot be read")), "x.ini: cannot be read")

    @given(st.lists(st.sampled_from([
        "[gateway]", "[listen a]", "[listen b]", "[account a]", "[account]", "[connector c]", "[route r]", "[sender S]",
        "[operator o]", "[x]", "[", "protocol = smpp", "protocol = smtp", "protocol = admin", "endpoint = tcp:1",
        "endpoint = x", "type = pigeon", "type = x", "loft = a", "connectors = c", "connectors = c:x", "password = x",
        "senders = *", "senders = ,", "dialect = standard", "dialect = quicktel", "rate = 1", "rate = x", "tls = none",
        "domains = a", "to = 7*", "numbers = 7*", "operators = o", "key =", 'key = "', "allow_from = any", "= =",
    ]), max_size=25))
    def test_any_file(self, lines: list[str]) -> None:
        """Any combination of sections and keys gives settings or a list of mistakes in line order."""
        try:
            parse("\n".join(lines), "gw.ini", TYPES, DIALECTS)
        except ConfigErrors as why:
            numbers = [problem.line for problem in why.problems]
            self.assertTrue(numbers)
            self.assertEqual(numbers, sorted(numbers))
            self.assertEqual(len(set(why.problems)), len(why.problems))


class WarningTests(SynchronousTestCase):
    def test_nothing_to_say(self) -> None:
        """A sound file has no warnings."""
        self.assertEqual(warnings(SMPP + ACCOUNT + CONNECTOR + ROUTE), [])

    def test_every_warning(self) -> None:
        """A valid but hardly intended setting gives a warning and does not prevent the start."""
        rest = ACCOUNT + CONNECTOR + ROUTE
        vectors = {
            MAIL.replace(":interface=127.0.0.1", "") + rest: [
                "1: [listen m] auth_without_tls: passwords may cross the network in clear text"],
            MAIL.replace(":interface=127.0.0.1", "") + "auth_without_tls = yes\ntls = optional\n" + rest: [
                "6: [listen m] auth_without_tls: passwords may cross the network in clear text"],
            MAIL.replace(":interface=127.0.0.1", "") + "tls = implicit\n" + rest: [],
            MAIL + rest: [],
            SMPP + "[account a]\npassword = x\n" + CONNECTOR + ROUTE: [
                "4: [account a] allow_from: empty, so every login of this account is refused"],
            SMPP + "[account a]\npassword = x\nenabled = no\n" + CONNECTOR + ROUTE: [],
            SMPP: ["1: no [account NAME] section, so no client can log in"],
            SMPP + ACCOUNT + CONNECTOR: ["1: no [route NAME] section, so every message is refused",
                                         "7: [connector sim]: no route leads to this connector"],
        }
        for text, expected in vectors.items():
            self.assertEqual(warnings(text), [f"gw.ini:{line}" for line in expected], text)
