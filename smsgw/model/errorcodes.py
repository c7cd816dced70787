"""Error codes: the reasons why a message was not delivered, with their meanings.

The numbers are those of provider document 001 (001.11). Every report to an account carries them unchanged: ``err`` of a
receipt in three digits, network_error_code, ``err`` of a callback, ``error_code`` of the Rostelecom API, ``error`` of
/v1. An upstream may report other numbers; the gateway passes these on and knows no meaning for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final, Self

from smsgw.model.errors import Refusal
from smsgw.model.lifecycle import State


class ErrorCode(IntEnum):
    """One error code.

    :ivar meaning: the reason, as words for people.
    """

    meaning: str

    def __new__(cls, number: int, meaning: str) -> Self:
        """Make a member from its number and its meaning."""
        code = int.__new__(cls, number)
        code._value_ = number
        code.meaning = meaning
        return code

    NO_SUBSCRIBER = 1, "the number does not exist"
    OFFLINE = 6, "the phone is off or out of reach"
    NO_SERVICE = 11, "the number cannot take short messages"
    PHONE_FAULT = 12, "the phone or its SIM card is faulty"
    BLOCKED = 13, "the subscriber is blocked"
    NOT_SUPPORTED = 21, "the phone does not know this kind of message"
    TEST_MODE = 200, "the account is in test mode, nothing was sent"
    SIM_REPLACED = 219, "the SIM card was replaced within the last day, which bars named senders"
    OPERATOR_BUSY = 220, "the queue at the operator is full"
    NOT_ANSWERED = 237, "the call was not answered"
    NO_TEMPLATE = 238, "the text matches no agreed template"
    FORBIDDEN_ADDRESS = 239, "the client's IP address is not allowed"
    LINE_BUSY = 240, "the line is busy or the call was rejected"
    NOT_CONVERTED = 241, "the text cannot be converted, or a part of it is missing"
    ANSWERING_MACHINE = 242, "an answering machine took the call"
    NO_CONTRACT = 243, "advertising without a contract"
    NO_BULK = 244, "bulk messages or this link are not allowed to the client"
    NO_RECEIPT = 245, "the operator reported nothing in time"
    FORBIDDEN_TIME = 246, "outside the hours in which the client may send"
    DAILY_LIMIT = 247, "the client's limit for a day is reached"
    NO_ROUTE = 248, "no route leads to the number"
    BAD_NUMBER = 249, "the number is malformed"
    BARRED = 250, "the client's own settings bar the number"
    NUMBER_LIMIT = 251, "too many messages to this number"
    FORBIDDEN_NUMBER = 252, "nothing may be sent to this number"
    SPAM = 253, "forbidden words or a forbidden sender"
    SENDER_NOT_AGREED = 254, "the sender is not agreed for the recipient's operator"
    UNEXPLAINED = 255, "the operator gave no reason"


REFUSED: Final[Mapping[Refusal, ErrorCode]] = {
    Refusal.NO_ROUTE: ErrorCode.NO_ROUTE,
    Refusal.BAD_RECIPIENT: ErrorCode.BAD_NUMBER,
    Refusal.SENDER_NOT_AGREED_FOR_OPERATOR: ErrorCode.SENDER_NOT_AGREED,
}
"""The code of a message that was accepted in a final state because of this refusal; other refusals have NO_ROUTE."""

ASSUMED: Final[Mapping[State, ErrorCode]] = {
    State.REJECTED: ErrorCode.UNEXPLAINED,
    State.UNKNOWN: ErrorCode.NO_RECEIPT,
}
"""The code that callbacks report with a final state that has none."""

_KNOWN: Final = {int(code): code.meaning for code in ErrorCode}


def meaning(error: int) -> str:
    """The meaning of an error code, empty for 0 and for numbers of an upstream that are not in the table."""
    return _KNOWN.get(error, "")
