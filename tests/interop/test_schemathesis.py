"""The native HTTP API compared with its OpenAPI document, by schemathesis."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.interop import peers


class SchemathesisTests(SynchronousTestCase):
    def test_api_keeps_its_document(self) -> None:
        """Valid and invalid requests generated from the document get responses that the document allows.

        One check is disabled, that all requests valid in the schema are accepted: a schema cannot express the allowed
        numbers, senders and times.
        """
        gateway = peers.gateway()
        done = peers.run(
            *(peers.program("schemathesis"), "run", f"http://127.0.0.1:{gateway.http}/v1/openapi.json"),
            *("--max-examples", "25", "--seed", "1", "--auth", "web:web", "--phases", "coverage,fuzzing"),
            *("--exclude-checks", "positive_data_acceptance", "--generation-database", "none", "--no-color"),
        )
        self.assertEqual(done.returncode, 0, done.stdout[done.stdout.find("FAILURES") :][:9000] + done.stderr[-1000:])
        self.assertIn("8 selected", done.stdout)
