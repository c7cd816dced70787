"""Replies of an ESMTP server as its client reads them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smsgw.protocols.smtp.serverreply import LONGEST_LINE, MOST_LINES, MalformedReply, ReplyReader, ServerReply


class ReplyTests(SynchronousTestCase):
    """Replies out of a stream."""

    def read(self, *pieces: bytes) -> list[ServerReply]:
        """All replies."""
        reader = ReplyReader()
        replies = []
        for piece in pieces:
            reader.octets += piece
            while (reply := reader.next()) is not None:
                replies.append(reply)
        self.assertTrue(reader.empty)
        return replies

    @given(st.data())
    def test_pieces(self, data: st.DataObject) -> None:
        """However the stream is cut, the replies are the same."""
        text = st.text(st.characters(min_codepoint=32, max_codepoint=0x4FF, exclude_categories=("Cc",)), max_size=20)
        replies = data.draw(
            st.lists(
                st.builds(
                    ServerReply, st.integers(200, 599), st.lists(text, min_size=1, max_size=4).map(tuple)
                ),
                max_size=5,
            )
        )
        stream = b""
        for reply in replies:
            marks = "-" * (len(reply.lines) - 1) + " "
            end = data.draw(st.sampled_from((b"\r\n", b"\n")))
            for mark, line in zip(marks, reply.lines, strict=True):
                stream += f"{reply.code}{mark}{line}".encode() + end
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
        pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
        self.assertEqual(self.read(*pieces), replies)

    def test_lenient(self) -> None:
        """A code alone is a reply; control characters and other octets become harmless."""
        self.assertEqual(self.read(b"250\r\n"), [ServerReply(250, ("",))])
        self.assertEqual(self.read(b"250 a\x1b[31m\xff\tb\r\n"), [ServerReply(250, ("a [31m\ufffd b",))])
        self.assertEqual(str(self.read(b"550-no\r\n550 way\r\n")[0]), "550 no way")

    def test_malformed(self) -> None:
        """What is no reply, or has no bounds, is refused with bounded memory."""
        for octets in (
            b"hello\r\n", b"99 x\r\n", b"150 x\r\n", b"600 x\r\n", b"250x\r\n", b"\r\n", b"25\xb2 x\r\n",
            b"250-a\r\n550 b\r\n", b"2" * (LONGEST_LINE + 2), b"250-a\r\n" * (MOST_LINES + 1),
            b"250 " + b"x" * LONGEST_LINE + b"\r\n",
        ):  # fmt: skip
            reader = ReplyReader()
            reader.octets += octets
            self.assertRaises(MalformedReply, reader.next)
        self.assertEqual(len(self.read(b"250 " + b"x" * (LONGEST_LINE - 4) + b"\r\n")), 1)
        self.assertEqual(len(self.read(b"250-a\r\n" * (MOST_LINES - 1) + b"250 a\r\n")), 1)

    @given(st.binary(max_size=300))
    def test_anything(self, octets: bytes) -> None:
        """No octets make it fail in another way."""
        reader = ReplyReader()
        reader.octets += octets
        try:
            while reader.next() is not None:
                pass
        except MalformedReply:
            return
        self.assertLess(len(reader.octets), 300)
