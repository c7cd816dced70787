"""Error codes: the numbers that say why a message was not delivered, what each means, and who gives which.

The numbers are those of provider document 001 (001.11). Every way back to a sender tells them as they are: ``err`` of a
receipt in three digits, network_error_code, ``err`` of a callback, ``error_code`` of the Rostelecom API, ``error`` of
/v1. An upstream may report other numbers, which are told just so and have no meaning here.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final, Self

from smsgw.model.errors import Refusal
from smsgw.model.lifecycle import State


class ErrorCode(IntEnum):
    """One number.

    :ivar meaning: what it says, as words for people.
    """

    meaning: str

    def __new__(cls, number: int, meaning: str) -> Self:
        """Make a member of its number and its meaning."""
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
"""The code of a message that was accepted and then refused by the rule; a refusal that is not here has NO_ROUTE."""

ASSUMED: Final[Mapping[State, ErrorCode]] = {
    State.REJECTED: ErrorCode.UNEXPLAINED,
    State.UNKNOWN: ErrorCode.NO_RECEIPT,
}
"""The code that callbacks tell with a final state which came without one."""

_KNOWN: Final = {int(code): code.meaning for code in ErrorCode}


def meaning(error: int) -> str:
    """What an error code says, empty for 0 and for the numbers of an upstream that are not in the table."""
    return _KNOWN.get(error, "")
