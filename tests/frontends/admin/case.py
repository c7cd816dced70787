"""What tests of the administrator's resources share."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.frontends.admin.support import Admin


class AdminTests(SynchronousTestCase):
    """A test with an admin listener."""

    def setUp(self) -> None:
        """An empty store behind a listener."""
        self.admin = Admin(self.mktemp())
        self.addCleanup(self.admin.store.close)

    def shown(self, path: str) -> Any:
        """Return the value of a positive response."""
        answer = self.admin.get(path)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json

    def refused(self, path: str) -> tuple[int, str]:
        """Return status and reason of an error response."""
        answer = self.admin.get(path)
        return answer.status, answer.json["reason"]
