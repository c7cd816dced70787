"""Tells twistd about `twistd smsgw`; the service itself is loaded only when it is chosen."""

from twisted.application.service import ServiceMaker


class _GatewayMaker(ServiceMaker):
    """Handles signals before the gateway is imported, which takes most of the time of a start."""

    @property
    def options(self):  # type: ignore[no-untyped-def]
        """Return the class of the options; twistd asks for it when the service is chosen."""
        from smsgw.program.signals import Early

        Early().install()
        return super().options


smsgw = _GatewayMaker("smsgw", "smsgw.tap", "An SMS gateway: SMPP, SMTP and HTTP in, SMPP and others out.", "smsgw")
