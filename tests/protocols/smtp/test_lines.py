"""Cutting a stream into commands and messages: the same for any segments, and in bounded memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.config import SubmissionSettings
from smsgw.protocols.smtp.lines import BadLine, BadMessage, CommandLines, MessageReader
from tests.protocols.smtp.support import quicktel

LIMIT = 12
SMALL = quicktel(mail_limit=40, data_line=16, header=30, header_fields=3, header_lines=5, hops=1)
TOKENS = [b"\r\n", b"\r", b"\n", b".", b"\0", b"a", b"bc:d", b" ", b"\r\n.\r\n", b"x" * 9]


def streams(limit: int = 40) -> st.SearchStrategy[bytes]:
    """Octets with many line ends, message ends and fragments of them."""
    return st.lists(st.sampled_from(TOKENS), max_size=limit).map(b"".join)


def cut(stream: bytes, step: int) -> list[bytes]:
    """The stream in pieces of `step` octets."""
    return [stream[at : at + step] for at in range(0, len(stream), step)]


def lines_of(pieces: list[bytes], limit: int = LIMIT) -> list[bytes | BadLine]:
    """Return the lines in these pieces."""
    reader, seen = CommandLines(), list[bytes | BadLine]()
    for piece in pieces:
        reader.octets += piece
        while reader.octets and reader.at_start():
            line = reader.next(limit)
            if line is None:
                break
            seen.append(line)
    return seen


def simple_lines(stream: bytes, limit: int = LIMIT) -> list[bytes | BadLine]:
    """Return the lines by a simple implementation that reads octet by octet."""
    seen: list[bytes | BadLine] = []
    line, refused = b"", False
    for at in range(len(stream)):
        octet = stream[at : at + 1]
        line += octet
        if line.endswith(b"\r\n"):
            if not refused and len(line) > limit:
                seen.append(BadLine.TOO_LONG)
            elif not refused:
                text = line[:-2]
                seen.append(BadLine.BARE if set(text) & {0, 10, 13} else text)
            line, refused = b"", False
        elif not refused and octet == b"\n" and len(line) <= limit:
            seen.append(BadLine.BARE)
            refused = True
        elif not refused and len(line) >= limit:
            seen.append(BadLine.TOO_LONG)
            refused = True
    return seen


def message_of(pieces: list[bytes], settings: SubmissionSettings) -> tuple[bytes | BadMessage, bytes] | None:
    """Return the first message in these pieces, and the octets after it."""
    reader, buffer, ended = MessageReader(settings), bytearray(), False
    for piece in pieces:
        buffer += piece
        ended = ended or reader.take(buffer)
    return (reader.message(), bytes(buffer)) if ended else None


class CommandLinesTests(SynchronousTestCase):
    @given(streams(), st.integers(1, 9))
    def test_as_octet_by_octet(self, stream: bytes, step: int) -> None:
        """For any cut, lines and faults are those of the simple implementation."""
        self.assertEqual(lines_of(cut(stream, step)), simple_lines(stream))

    def test_limit(self) -> None:
        """A line may be as long as the limit, its end included, and no longer."""
        self.assertEqual(lines_of([b"x" * 10 + b"\r\n"]), [b"x" * 10])
        self.assertEqual(lines_of([b"x" * 11 + b"\r\n", b"ok\r\n"]), [BadLine.TOO_LONG, b"ok"])

    def test_swallowing_is_bounded(self) -> None:
        """The rest of a line that is too long is not kept."""
        reader = CommandLines()
        reader.octets += b"x" * LIMIT
        self.assertIs(reader.next(LIMIT), BadLine.TOO_LONG)
        for _ in range(100):
            reader.octets += b"y" * 1000 + b"\r"
            self.assertFalse(reader.at_start())
            self.assertLessEqual(len(reader.octets), 1)
        reader.octets += b"\nok\r\n"
        self.assertTrue(reader.at_start())
        self.assertEqual(reader.next(LIMIT), b"ok")


class MessageReaderTests(SynchronousTestCase):
    @given(streams(), st.integers(1, 9))
    def test_true_end(self, stream: bytes, step: int) -> None:
        """A message ends at the first CR LF . CR LF (the CR LF of DATA counts) and nowhere else."""
        end = (b"\r\n" + stream).find(b"\r\n.\r\n")
        found = message_of(cut(stream, step), quicktel())
        if end < 0:
            self.assertIsNone(found)
            return
        assert found is not None
        message, rest = found
        sent = stream[:end]
        self.assertEqual(rest, stream[end + 3 :])
        if b"\0" in sent or set(sent.replace(b"\r\n", b"")) & {10, 13}:
            self.assertIs(message, BadMessage.BARE)
        else:
            lines = sent.split(b"\r\n")
            self.assertEqual(message, b"\r\n".join(line.removeprefix(b".") for line in lines))

    @given(streams(60), st.integers(1, 9))
    def test_cuts_of_what_is_too_big(self, stream: bytes, step: int) -> None:
        """With small limits too, the result is the same for any cut, and a bare CR or LF is found."""
        whole, roomy = message_of([stream], SMALL), message_of([stream], quicktel())
        self.assertEqual(message_of(cut(stream, step), SMALL), whole)
        if whole is None or roomy is None:
            self.assertEqual(whole, roomy)
        else:
            self.assertEqual(whole[0] is BadMessage.BARE, roomy[0] is BadMessage.BARE)
            self.assertEqual(whole[1], roomy[1])

    def test_line_ends_at_the_edge(self) -> None:
        """A line end at the offset where a big message is dropped is recognised."""
        for length in range(60):
            text = b"x" * length + b"\r\n" * 20 + b"y" * 30
            for step in (1, 2, 7, 100):
                found = message_of(cut(text + b"\r\n.\r\n", step), SMALL)
                self.assertEqual(found, (BadMessage.TOO_BIG, b""), (length, step))

    def verdict(self, text: bytes, **limits: int) -> bytes | BadMessage:
        """Return the result for a message without its final dot."""
        found = message_of([text + b".\r\n"], quicktel(**limits))  # type: ignore[arg-type]
        assert found is not None
        return found[0]

    def test_line_length(self) -> None:
        """Lines of a body up to the limit are accepted, a longer one is refused, wherever it is."""
        for lines in ([b"x" * 50], [b"x"] * 90 + [b"y" * 50], [b"", b"z" * 50, b""]):
            text = b"\r\n" + b"\r\n".join(lines) + b"\r\n"
            self.assertEqual(self.verdict(text, data_line=50), text)
            self.assertIs(self.verdict(text, data_line=49), BadMessage.LONG_LINE)

    def test_header_block(self) -> None:
        """A header above its limits is refused: octets, fields, lines, and the length of a folded field."""
        fields = b"".join(b"X-%d: y\r\n" % number for number in range(30))
        self.assertEqual(self.verdict(fields + b"\r\nhi\r\n", header_fields=30), fields + b"\r\nhi\r\n")
        self.assertIs(self.verdict(fields + b"\r\nhi\r\n", header_fields=29), BadMessage.BIG_HEADER)
        self.assertIs(self.verdict(fields + b"\r\nhi\r\n", header=len(fields) - 3), BadMessage.BIG_HEADER)
        folded = b"To: a\r\n" + b" b\r\n" * 29 + b"\r\nhi\r\n"
        self.assertEqual(self.verdict(folded, header_lines=30), folded)
        self.assertIs(self.verdict(folded, header_lines=29), BadMessage.BIG_HEADER)
        self.assertIs(self.verdict(folded, data_line=100), BadMessage.BIG_HEADER)

    def test_header_without_body(self) -> None:
        """A message without a blank line is a header only."""
        self.assertIs(self.verdict(b"X: y\r\n" * 300), BadMessage.BIG_HEADER)

    def test_body_is_no_header(self) -> None:
        """Fields after the blank line do not count."""
        text = b"\r\n" + b"Received: x\r\n" * 300
        self.assertEqual(self.verdict(text), text)

    def test_loop(self) -> None:
        """More than twenty Received fields are a mail loop."""
        fine = b"received: x\r\n" * 20 + b"To: x\r\n\r\nhi\r\n"
        self.assertEqual(self.verdict(fine), fine)
        self.assertIs(self.verdict(b"Received: x\r\n" + fine), BadMessage.LOOP)

    def test_size(self) -> None:
        """A message may be as long as the limit, without its final dot, and no longer."""
        text = b"\r\n" + b"x" * 96 + b"\r\n"
        self.assertEqual(self.verdict(text, mail_limit=100), text)
        self.assertIs(self.verdict(text, mail_limit=99), BadMessage.TOO_BIG)
