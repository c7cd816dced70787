"""The ports between the layers: small, documented, batch-shaped.

Every list keeps its order; a single message is a list of one. Interfaces are checked twice: by
``verifyObject`` in the tests of their implementers, and by mypy-zope.
"""

from smsgw.interfaces.connectors import (
    IAdjustable,
    IConnector,
    IConnectorFactory,
    IConnectorSink,
    IRetrying,
    ISimulator,
    IWebhookReceiver,
    WebhookRequest,
    WebhookResponse,
)
from smsgw.interfaces.dialects import IDialectPlugin
from smsgw.interfaces.intake import IIntake, IPolicy
from smsgw.interfaces.returnpaths import IReturnPath, IReturnSink
from smsgw.interfaces.rostelecom import ApiError, IJsonDelegate, MessageStatus
from smsgw.interfaces.smpp import BindAccepted, ISmppDelegate, ISmppSession
from smsgw.interfaces.smtp import IMailDelegate, Reply
from smsgw.interfaces.store import (
    Awaited,
    BatchCount,
    IMessageStore,
    MessageDetails,
    MessageFilter,
    Parked,
    StoreCondition,
)

__all__ = [
    "ApiError",
    "Awaited",
    "BatchCount",
    "BindAccepted",
    "IAdjustable",
    "IConnector",
    "IConnectorFactory",
    "IConnectorSink",
    "IDialectPlugin",
    "IIntake",
    "IJsonDelegate",
    "IMailDelegate",
    "IMessageStore",
    "IPolicy",
    "IRetrying",
    "IReturnPath",
    "IReturnSink",
    "ISimulator",
    "ISmppDelegate",
    "ISmppSession",
    "IWebhookReceiver",
    "MessageDetails",
    "MessageFilter",
    "MessageStatus",
    "Parked",
    "Reply",
    "StoreCondition",
    "WebhookRequest",
    "WebhookResponse",
]
