"""An SMS gateway on Twisted: SMPP, SMTP and HTTP in, HTTP, mail and plugins out, nothing accepted is lost."""

__version__ = "0.1.0"
