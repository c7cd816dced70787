"""The native HTTP API against its own OpenAPI document, by a tool that reads the one and tries the other."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.interop import peers


class SchemathesisTests(SynchronousTestCase):
    def test_api_keeps_its_document(self) -> None:
        """Whatever is generated from the document, right or wrong, is answered as the document says.

        Left out is the check that everything the schema allows is accepted: which numbers and senders can be used, and
        what time it is, no schema says.
        """
        gateway = peers.gateway()
        done = peers.run(
            *(peers.program("schemathesis"), "run", f"http://127.0.0.1:{gateway.http}/v1/openapi.json"),
            *("--max-examples", "25", "--seed", "1", "--auth", "web:web", "--phases", "coverage,fuzzing"),
            *("--exclude-checks", "positive_data_acceptance", "--generation-database", "none", "--no-color"),
        )
        self.assertEqual(done.returncode, 0, done.stdout[done.stdout.find("FAILURES") :][:9000] + done.stderr[-1000:])
        self.assertIn("8 selected", done.stdout)
