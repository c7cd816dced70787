"""Tells twistd about `twistd smsgw`; the service itself is loaded only when it is chosen."""

from twisted.application.service import ServiceMaker

smsgw = ServiceMaker("smsgw", "smsgw.tap", "An SMS gateway: SMPP, SMTP and HTTP in, SMPP and others out.", "smsgw")
