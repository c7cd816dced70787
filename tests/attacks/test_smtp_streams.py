"""Ten thousand hostile streams: the accepted messages are exactly those with a true end of data.

The streams are sessions as a client would send them, with lines doubled, dropped and swapped, and sprinkled with octets
that have fooled other servers. The judge reads the stream octet by octet beside the replies: each line takes one reply,
and only a 354 begins a text, which only CR LF . CR LF ends. It knows nothing of how the server cuts its input.
"""

from __future__ import annotations

import os
import random
import time

import attrs
from twisted.trial.unittest import SynchronousTestCase

from tests.protocols.smtp.support import Client, codes, connect, encoded, quicktel

STREAMS = int(os.environ.get("SMSGW_STREAMS", "10000"))
SEED = 20_240_607 if STREAMS == 10_000 else time.time_ns()
SETTINGS = quicktel(
    command_line=64,
    auth_line=100,
    data_line=100,
    mail_limit=400,
    header=200,
    header_fields=8,
    header_lines=12,
    hops=2,
    recipients=4,
    auth_tries=50,
    junk_before_login=50,
    junk_after_login=50,
    backlog=200,
)

LOGIN = [b"EHLO x\r\n", b"AUTH PLAIN ADMAZnJlZXRlc3Q=\r\n"]
LETTERS = [
    [b"\r\n", b"hello\r\n"],
    [b"To: x\r\n", b"Subject: y\r\n", b" folded\r\n", b"\r\n", b"..\r\n", b"text\r\n", b".x\r\n"],
    [b"Received: a\r\n", b"Received: b\r\n", b"Received: c\r\n", b"\r\n", b"x\r\n"],
    [b"\r\n", b"x" * 99 + b"\r\n", b"x" * 101 + b"\r\n"],
    [b"\r\n", *[b"y" * 60 + b"\r\n"] * 8],
    [b"X: y\r\n"] * 9,
    [],
]
STRAY = [
    b"NOOP\r\n",
    b"RSET\r\n",
    b"EHLO y\r\n",
    b"HELO y\r\n",
    b"STATUS 4418\r\n",
    b"STATUS 7\r\n",
    b"VRFY x\r\n",
    b"STARTTLS\r\n",
    b"QUIT\r\n",
    b"BDAT 4\r\n",
    b"DATA\r\n",
    b"data \r\n",
    b"AUTH LOGIN\r\n",
    b"AUTH PLAIN " + encoded(b"\0a\0b") + b"\r\n",
    b"AUTH PLAIN " + b"A" * 120 + b"\r\n",
    b"*\r\n",
    encoded(b"3") + b"\r\n",
    b"MAIL FROM:<a@b>\r\n",
    b"MAIL FROM:<unknown@b> BODY=7BIT\r\n",
    b"RCPT TO:<7@s.ru>\r\n",
    b"RCPT TO:<unknown@s.ru>\r\n",
    b"NOOP " + b"x" * 70 + b"\r\n",
    b".\r\n",
    b"\r\n.\r\n",
    b"\xff\xd0\r\n",
    b"GARBAGE\r\n",
]
OCTETS = [
    b"\r",
    b"\n",
    b"\0",
    b".",
    b"\r\n",
    b"\n.\n",
    b"\r.\r",
    b"\n.\r\n",
    b"\r\n.\r",
    b"\r\n.\n",
    b".\r\n",
    b"\xff",
    b" ",
]


def session(dice: random.Random) -> list[bytes]:
    """Return the lines of a valid session."""
    lines = list(LOGIN) if dice.random() < 0.9 else []
    for _ in range(dice.randint(1, 3)):
        lines += [b"MAIL FROM:<a@b>\r\n", b"RCPT TO:<7@s.ru>\r\n", b"DATA\r\n", *dice.choice(LETTERS), b".\r\n"]
        if dice.random() < 0.3:
            lines.append(dice.choice(STRAY))
    return [*lines, b"NOOP\r\n"]


def spoil(lines: list[bytes], dice: random.Random) -> bytes:
    """Return the session after some mutations of lines and octets."""
    for _ in range(dice.randint(0, 3)):
        at = dice.randrange(len(lines))
        kind = dice.randrange(4)
        if kind == 0:
            lines.insert(at, dice.choice(STRAY))
        elif kind == 1:
            lines.insert(at, lines[dice.randrange(len(lines))])
        elif kind == 2 and len(lines) > 1:
            del lines[at]
        else:
            other = dice.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
    stream = b"".join(lines)
    for _ in range(dice.choice((0, 0, 1, 1, 2, 5))):
        at = dice.randrange(len(stream))
        kind = dice.randrange(3)
        if kind == 0:
            stream = stream[:at] + dice.choice(OCTETS) + stream[at:]
        elif kind == 1:
            stream = stream[:at] + stream[at + 1 :]
        else:
            stream = stream[:at] + bytes([dice.randrange(256)]) + stream[at + 1 :]
    return stream


def pieces(stream: bytes, dice: random.Random) -> list[bytes]:
    """Cut the stream at random offsets."""
    places = sorted(dice.randrange(len(stream) + 1) for _ in range(dice.randint(0, 6)))
    return [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]


@attrs.define
class Verdict:
    """The result of the judge.

    :ivar taken: the texts with a positive reply.
    :ivar refused: how many texts were refused.
    """

    taken: list[bytes] = attrs.field(factory=list)
    refused: int = 0


class Judge:
    """Reads a stream with its replies and checks that they match."""

    def __init__(self, stream: bytes, replies: list[int]) -> None:
        self.stream = stream
        self.replies = replies
        self.at = 0
        self.transaction = False
        self.recipients = 0
        self.verdict = Verdict()

    def judge(self) -> Verdict:
        """Read the whole stream; raises AssertionError for a reply that does not match."""
        in_text = False
        while self.replies:
            reply = self.replies.pop(0)
            if in_text:
                self.text(reply)
                in_text = False
            else:
                in_text = self.line(reply)
        assert in_text or not self.whole_line_left(), "a line was not answered"
        assert not in_text or self.end_of_text() is None, "a text was not answered"
        return self.verdict

    def line(self, reply: int) -> bool:
        """Check one line with its reply; return whether a text begins."""
        start = self.at
        while self.at < len(self.stream) and self.stream[start : self.at][-2:] != b"\r\n":
            self.at += 1
        line = self.stream[start : self.at]
        sound = line[-2:] == b"\r\n" and not set(line[:-2]) & {0, 10, 13} and len(line) <= 100
        word = line.upper()
        if not sound:
            assert reply in (500, 421), (line, reply)
        if reply in (221, 421) or (reply == 502 and word.startswith(b"BDAT")):
            self.closed()
        elif word.startswith((b"EHLO", b"HELO", b"RSET")) and reply == 250:
            self.transaction, self.recipients = False, 0
        elif word.startswith(b"MAIL FROM:") and reply == 250:
            assert not self.transaction, "a transaction inside a transaction"
            self.transaction, self.recipients = True, 0
        elif word.startswith(b"RCPT TO:") and reply == 250:
            assert self.transaction, "a recipient without a transaction"
            self.recipients += 1
        if reply == 354:
            assert word[:-2].strip(b" ") == b"DATA", line
            assert sound, line
            assert self.transaction, "a text without a transaction"
            assert self.recipients, "a text without a recipient"
        return reply == 354

    def text(self, reply: int) -> None:
        """Check one text with its reply."""
        end = self.end_of_text()
        assert end is not None, "a text was answered before its end"
        text = self.stream[self.at : end]
        self.at = end + 3
        self.transaction, self.recipients = False, 0
        if set(text.replace(b"\r\n", b"")) & {0, 10, 13}:
            assert reply == 550, (text, reply)
            self.verdict.refused += 1
            self.closed()
        elif reply == 250:
            unstuffed = [line[1:] if line[:1] == b"." else line for line in text.split(b"\r\n")]
            self.verdict.taken.append(b"\r\n".join(unstuffed))
            assert len(text) <= 400
            assert max(map(len, unstuffed)) <= 100
        else:
            assert reply in (552, 554), (text, reply)
            assert len(text) > 90, "refused without need"
            self.verdict.refused += 1

    def end_of_text(self) -> int | None:
        """Return the offset of the dot that ends the text which begins here."""
        for place in range(self.at, len(self.stream)):
            if self.stream[place : place + 3] == b".\r\n" and self.stream[place - 2 : place] == b"\r\n":
                return place
        return None

    def closed(self) -> None:
        """Check that there are no replies after the end."""
        assert not self.replies, "answers after the end"
        self.at = len(self.stream)

    def whole_line_left(self) -> bool:
        """Whether a complete line without a reply is left."""
        return b"\r\n" in self.stream[self.at :]


class StreamTests(SynchronousTestCase):
    def test_true_ends(self) -> None:
        """In ten thousand mutated sessions, with any cuts, the texts with a true end are accepted octet for octet."""
        dice = random.Random(SEED)
        taken = refused = closed = 0
        for number in range(STREAMS):
            stream = spoil(session(dice), dice)
            whole, parts = connect(SETTINGS, tls=None), connect(SETTINGS, tls=None)
            answer = whole.send(stream)
            self.assertEqual(parts.send(*pieces(stream, dice)), answer, (number, stream))
            verdict = self.judged(whole, stream, codes(answer), number)
            self.assertEqual(parts.delegate.messages, whole.delegate.messages, (number, stream))
            taken += len(verdict.taken)
            refused += verdict.refused
            closed += whole.wire.disconnecting
        self.assertGreater(taken, STREAMS // 2)
        self.assertGreater(refused, STREAMS // 10)
        self.assertGreater(closed, STREAMS // 20)

    def judged(self, client: Client, stream: bytes, replies: list[int], number: int) -> Verdict:
        """Return the verdict after comparing it with the messages of the delegate."""
        try:
            verdict = Judge(stream, replies).judge()
        except AssertionError as why:
            self.fail(f"stream {number}: {why}\n{stream!r}\n{client.wire.value()!r}")
        self.assertEqual(verdict.taken, client.delegate.bodies(), (number, stream))
        return verdict
