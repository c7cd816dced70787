"""The native HTTP API compared with its OpenAPI document, by schemathesis."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.interop import peers


class SchemathesisTests(SynchronousTestCase):
    def test_api_keeps_its_document(self) -> None:
        """Valid and invalid requests generated from the document get responses that the document allows.

        One check is disabled, that all requests valid in the schema are accepted: a schema cannot express the allowed
        numbers, senders and times. For sending another is, that all other requests are refused: a bad item of a batch
        is refused by itself, in a response with 200.
        """
        gateway = peers.gateway()
        for operations, unchecked, selected in (
            (("--exclude-operation-id", "send"), "positive_data_acceptance", "7 selected"),
            (("--include-operation-id", "send"), "positive_data_acceptance,negative_data_rejection", "1 selected"),
        ):
            done = peers.run(
                *(peers.program("schemathesis"), "run", f"http://127.0.0.1:{gateway.http}/v1/openapi.json"),
                *("--max-examples", "25", "--seed", "1", "--auth", "web:web", "--phases", "coverage,fuzzing"),
                *("--exclude-checks", unchecked, "--generation-database", "none", "--no-color", *operations),
            )
            failures = done.stdout[done.stdout.find("FAILURES") :]
            self.assertEqual(done.returncode, 0, failures[:9000] + done.stderr[-1000:])
            self.assertIn(selected, done.stdout)
