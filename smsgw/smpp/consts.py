"""The numbers of SMPP 3.3, 3.4 and 5.0 by name.

The enumerations name the numbers in code. PDUs hold plain ints, which compare equal to the members and cost less. Names
are those of the 5.0 specification.
"""

from __future__ import annotations

import enum
from typing import Final

RESPONSE: Final = 0x8000_0000
"""The bit of a command_id that marks a response."""

VERSION_3_3: Final = 0x33
VERSION_3_4: Final = 0x34
VERSION_5_0: Final = 0x50
VERSIONS: Final = (VERSION_3_3, VERSION_3_4, VERSION_5_0)
"""The versions that a session can have."""


class CommandId(enum.IntEnum):
    """The operation of a PDU (5.0 section 4.7.5)."""

    BIND_RECEIVER = 0x0000_0001
    BIND_TRANSMITTER = 0x0000_0002
    QUERY_SM = 0x0000_0003
    SUBMIT_SM = 0x0000_0004
    DELIVER_SM = 0x0000_0005
    UNBIND = 0x0000_0006
    REPLACE_SM = 0x0000_0007
    CANCEL_SM = 0x0000_0008
    BIND_TRANSCEIVER = 0x0000_0009
    OUTBIND = 0x0000_000B
    ENQUIRE_LINK = 0x0000_0015
    SUBMIT_MULTI = 0x0000_0021
    ALERT_NOTIFICATION = 0x0000_0102
    DATA_SM = 0x0000_0103
    BROADCAST_SM = 0x0000_0111
    QUERY_BROADCAST_SM = 0x0000_0112
    CANCEL_BROADCAST_SM = 0x0000_0113
    GENERIC_NACK = 0x8000_0000
    BIND_RECEIVER_RESP = 0x8000_0001
    BIND_TRANSMITTER_RESP = 0x8000_0002
    QUERY_SM_RESP = 0x8000_0003
    SUBMIT_SM_RESP = 0x8000_0004
    DELIVER_SM_RESP = 0x8000_0005
    UNBIND_RESP = 0x8000_0006
    REPLACE_SM_RESP = 0x8000_0007
    CANCEL_SM_RESP = 0x8000_0008
    BIND_TRANSCEIVER_RESP = 0x8000_0009
    ENQUIRE_LINK_RESP = 0x8000_0015
    SUBMIT_MULTI_RESP = 0x8000_0021
    DATA_SM_RESP = 0x8000_0103
    BROADCAST_SM_RESP = 0x8000_0111
    QUERY_BROADCAST_SM_RESP = 0x8000_0112
    CANCEL_BROADCAST_SM_RESP = 0x8000_0113


class Status(enum.IntEnum):
    """The values of command_status (5.0 section 4.7.6); a peer may send any other 32-bit value as well."""

    ESME_ROK = 0x00
    ESME_RINVMSGLEN = 0x01
    ESME_RINVCMDLEN = 0x02
    ESME_RINVCMDID = 0x03
    ESME_RINVBNDSTS = 0x04
    ESME_RALYBND = 0x05
    ESME_RINVPRTFLG = 0x06
    ESME_RINVREGDLVFLG = 0x07
    ESME_RSYSERR = 0x08
    ESME_RINVSRCADR = 0x0A
    ESME_RINVDSTADR = 0x0B
    ESME_RINVMSGID = 0x0C
    ESME_RBINDFAIL = 0x0D
    ESME_RINVPASWD = 0x0E
    ESME_RINVSYSID = 0x0F
    ESME_RCANCELFAIL = 0x11
    ESME_RREPLACEFAIL = 0x13
    ESME_RMSGQFUL = 0x14
    ESME_RINVSERTYP = 0x15
    ESME_RINVNUMDESTS = 0x33
    ESME_RINVDLNAME = 0x34
    ESME_RINVDESTFLAG = 0x40
    ESME_RINVSUBREP = 0x42
    ESME_RINVESMCLASS = 0x43
    ESME_RCNTSUBDL = 0x44
    ESME_RSUBMITFAIL = 0x45
    ESME_RINVSRCTON = 0x48
    ESME_RINVSRCNPI = 0x49
    ESME_RINVDSTTON = 0x50
    ESME_RINVDSTNPI = 0x51
    ESME_RINVSYSTYP = 0x53
    ESME_RINVREPFLAG = 0x54
    ESME_RINVNUMMSGS = 0x55
    ESME_RTHROTTLED = 0x58
    ESME_RINVSCHED = 0x61
    ESME_RINVEXPIRY = 0x62
    ESME_RINVDFTMSGID = 0x63
    ESME_RX_T_APPN = 0x64
    ESME_RX_P_APPN = 0x65
    ESME_RX_R_APPN = 0x66
    ESME_RQUERYFAIL = 0x67
    ESME_RINVTLVSTREAM = 0xC0
    ESME_RTLVNOTALLWD = 0xC1
    ESME_RINVTLVLEN = 0xC2
    ESME_RMISSINGTLV = 0xC3
    ESME_RINVTLVVAL = 0xC4
    ESME_RDELIVERYFAILURE = 0xFE
    ESME_RUNKNOWNERR = 0xFF
    ESME_RSERTYPUNAUTH = 0x100
    ESME_RPROHIBITED = 0x101
    ESME_RSERTYPUNAVAIL = 0x102
    ESME_RSERTYPDENIED = 0x103
    ESME_RINVDCS = 0x104
    ESME_RINVSRCADDRSUBUNIT = 0x105
    ESME_RINVDSTADDRSUBUNIT = 0x106
    ESME_RINVBCASTFREQINT = 0x107
    ESME_RINVBCASTALIAS_NAME = 0x108
    ESME_RINVBCASTAREAFMT = 0x109
    ESME_RINVNUMBCAST_AREAS = 0x10A
    ESME_RINVBCASTCNTTYPE = 0x10B
    ESME_RINVBCASTMSGCLASS = 0x10C
    ESME_RBCASTFAIL = 0x10D
    ESME_RBCASTQUERYFAIL = 0x10E
    ESME_RBCASTCANCELFAIL = 0x10F
    ESME_RINVBCAST_REP = 0x110
    ESME_RINVBCASTSRVGRP = 0x111
    ESME_RINVBCASTCHANIND = 0x112


class Tag(enum.IntEnum):
    """The tags of the TLVs (5.0 section 4.8.1); 0x0606 is failed_broadcast_area_identifier in broadcast_sm_resp."""

    DEST_ADDR_SUBUNIT = 0x0005
    DEST_NETWORK_TYPE = 0x0006
    DEST_BEARER_TYPE = 0x0007
    DEST_TELEMATICS_ID = 0x0008
    SOURCE_ADDR_SUBUNIT = 0x000D
    SOURCE_NETWORK_TYPE = 0x000E
    SOURCE_BEARER_TYPE = 0x000F
    SOURCE_TELEMATICS_ID = 0x0010
    QOS_TIME_TO_LIVE = 0x0017
    PAYLOAD_TYPE = 0x0019
    ADDITIONAL_STATUS_INFO_TEXT = 0x001D
    RECEIPTED_MESSAGE_ID = 0x001E
    MS_MSG_WAIT_FACILITIES = 0x0030
    PRIVACY_INDICATOR = 0x0201
    SOURCE_SUBADDRESS = 0x0202
    DEST_SUBADDRESS = 0x0203
    USER_MESSAGE_REFERENCE = 0x0204
    USER_RESPONSE_CODE = 0x0205
    SOURCE_PORT = 0x020A
    DEST_PORT = 0x020B
    SAR_MSG_REF_NUM = 0x020C
    LANGUAGE_INDICATOR = 0x020D
    SAR_TOTAL_SEGMENTS = 0x020E
    SAR_SEGMENT_SEQNUM = 0x020F
    SC_INTERFACE_VERSION = 0x0210
    CALLBACK_NUM_PRES_IND = 0x0302
    CALLBACK_NUM_ATAG = 0x0303
    NUMBER_OF_MESSAGES = 0x0304
    CALLBACK_NUM = 0x0381
    DPF_RESULT = 0x0420
    SET_DPF = 0x0421
    MS_AVAILABILITY_STATUS = 0x0422
    NETWORK_ERROR_CODE = 0x0423
    MESSAGE_PAYLOAD = 0x0424
    DELIVERY_FAILURE_REASON = 0x0425
    MORE_MESSAGES_TO_SEND = 0x0426
    MESSAGE_STATE = 0x0427
    CONGESTION_STATE = 0x0428
    USSD_SERVICE_OP = 0x0501
    BROADCAST_CHANNEL_INDICATOR = 0x0600
    BROADCAST_CONTENT_TYPE = 0x0601
    BROADCAST_CONTENT_TYPE_INFO = 0x0602
    BROADCAST_MESSAGE_CLASS = 0x0603
    BROADCAST_REP_NUM = 0x0604
    BROADCAST_FREQUENCY_INTERVAL = 0x0605
    BROADCAST_AREA_IDENTIFIER = 0x0606
    BROADCAST_ERROR_STATUS = 0x0607
    BROADCAST_AREA_SUCCESS = 0x0608
    BROADCAST_END_TIME = 0x0609
    BROADCAST_SERVICE_GROUP = 0x060A
    BILLING_IDENTIFICATION = 0x060B
    SOURCE_NETWORK_ID = 0x060D
    DEST_NETWORK_ID = 0x060E
    SOURCE_NODE_ID = 0x060F
    DEST_NODE_ID = 0x0610
    DEST_ADDR_NP_RESOLUTION = 0x0611
    DEST_ADDR_NP_INFORMATION = 0x0612
    DEST_ADDR_NP_COUNTRY = 0x0613
    DISPLAY_TIME = 0x1201
    SMS_SIGNAL = 0x1203
    MS_VALIDITY = 0x1204
    ALERT_ON_MESSAGE_DELIVERY = 0x130C
    ITS_REPLY_TYPE = 0x1380
    ITS_SESSION_INFO = 0x1383


class Ton(enum.IntEnum):
    """Type of number: what kind of address the digits or letters are (3.4 section 5.2.5)."""

    UNKNOWN = 0
    INTERNATIONAL = 1
    NATIONAL = 2
    NETWORK_SPECIFIC = 3
    SUBSCRIBER_NUMBER = 4
    ALPHANUMERIC = 5
    ABBREVIATED = 6


class Npi(enum.IntEnum):
    """Numbering plan indicator: the plan that the number belongs to (3.4 section 5.2.6)."""

    UNKNOWN = 0
    ISDN = 1
    DATA = 3
    TELEX = 4
    LAND_MOBILE = 6
    NATIONAL = 8
    PRIVATE = 9
    ERMES = 10
    INTERNET = 14
    WAP = 18


class MessageState(enum.IntEnum):
    """The state of a message (5.0 section 4.7.15); SCHEDULED and SKIPPED exist in 5.0 only."""

    SCHEDULED = 0
    ENROUTE = 1
    DELIVERED = 2
    EXPIRED = 3
    DELETED = 4
    UNDELIVERABLE = 5
    ACCEPTED = 6
    UNKNOWN = 7
    REJECTED = 8
    SKIPPED = 9


class DataCoding(enum.IntEnum):
    """The encoding of a text (5.0 section 4.7.7); 0xC0-0xFF are the data coding scheme of GSM 03.38."""

    DEFAULT = 0x00
    ASCII = 0x01
    OCTETS = 0x02
    LATIN_1 = 0x03
    OCTETS_COMMON = 0x04
    JIS = 0x05
    CYRILLIC = 0x06
    HEBREW = 0x07
    UCS_2 = 0x08
    PICTOGRAM = 0x09
    ISO_2022_JP = 0x0A
    EXTENDED_KANJI = 0x0D
    KS_C_5601 = 0x0E


class EsmClass(enum.IntFlag):
    """Bits and masks of esm_class (5.0 section 4.7.12)."""

    DEFAULT_MODE = 0x00
    DATAGRAM = 0x01
    TRANSACTION = 0x02
    STORE_AND_FORWARD = 0x03
    MODE_MASK = 0x03
    RECEIPT = 0x04
    DELIVERY_ACK = 0x08
    USER_ACK = 0x10
    CONVERSATION_ABORT = 0x18
    INTERMEDIATE = 0x20
    TYPE_MASK = 0x3C
    UDHI = 0x40
    REPLY_PATH = 0x80


class RegisteredDelivery(enum.IntFlag):
    """Bits and masks of registered_delivery (5.0 section 4.7.21)."""

    NONE = 0x00
    FINAL = 0x01
    ON_FAILURE = 0x02
    ON_SUCCESS = 0x03
    RECEIPT_MASK = 0x03
    DELIVERY_ACK = 0x04
    USER_ACK = 0x08
    ACK_MASK = 0x0C
    INTERMEDIATE = 0x10


class DestFlag(enum.IntEnum):
    """The kind of a destination of submit_multi (3.4 section 5.2.25)."""

    SME_ADDRESS = 1
    DISTRIBUTION_LIST = 2


VENDOR_STATUS: Final = range(0x400, 0x500)
"""The command_status values that each vendor of message centres defines for itself."""

_MEANINGS: Final[dict[int, str]] = {
    Status.ESME_ROK: "no error",
    Status.ESME_RINVMSGLEN: "the message is too long or too short",
    Status.ESME_RINVCMDLEN: "command_length does not fit the PDU",
    Status.ESME_RINVCMDID: "unknown or unsupported command_id",
    Status.ESME_RINVBNDSTS: "not possible in this state of the session",
    Status.ESME_RALYBND: "already bound",
    Status.ESME_RINVPRTFLG: "priority_flag out of range",
    Status.ESME_RINVREGDLVFLG: "registered_delivery out of range or refused",
    Status.ESME_RSYSERR: "system error",
    Status.ESME_RINVSRCADR: "source address not acceptable",
    Status.ESME_RINVDSTADR: "destination address not acceptable",
    Status.ESME_RINVMSGID: "unknown or malformed message_id",
    Status.ESME_RBINDFAIL: "the bind failed",
    Status.ESME_RINVPASWD: "wrong password",
    Status.ESME_RINVSYSID: "unknown system_id",
    Status.ESME_RCANCELFAIL: "the message cannot be cancelled",
    Status.ESME_RREPLACEFAIL: "the message cannot be replaced",
    Status.ESME_RMSGQFUL: "the queue is full",
    Status.ESME_RINVSERTYP: "service_type not acceptable",
    Status.ESME_RINVNUMDESTS: "number_of_dests out of range",
    Status.ESME_RINVDLNAME: "unknown distribution list",
    Status.ESME_RINVDESTFLAG: "dest_flag is neither 1 nor 2",
    Status.ESME_RINVSUBREP: "submission with replacement is not possible",
    Status.ESME_RINVESMCLASS: "esm_class not acceptable",
    Status.ESME_RCNTSUBDL: "submission to a distribution list is not possible",
    Status.ESME_RSUBMITFAIL: "the submission failed",
    Status.ESME_RINVSRCTON: "source TON not acceptable",
    Status.ESME_RINVSRCNPI: "source NPI not acceptable",
    Status.ESME_RINVDSTTON: "destination TON not acceptable",
    Status.ESME_RINVDSTNPI: "destination NPI not acceptable",
    Status.ESME_RINVSYSTYP: "system_type not acceptable",
    Status.ESME_RINVREPFLAG: "replace_if_present_flag is neither 0 nor 1",
    Status.ESME_RINVNUMMSGS: "number of messages out of range",
    Status.ESME_RTHROTTLED: "too many requests in too short a time",
    Status.ESME_RINVSCHED: "schedule_delivery_time not acceptable",
    Status.ESME_RINVEXPIRY: "validity_period not acceptable",
    Status.ESME_RINVDFTMSGID: "no stored text with this sm_default_msg_id",
    Status.ESME_RX_T_APPN: "the receiver has a temporary fault",
    Status.ESME_RX_P_APPN: "the receiver has a permanent fault for this destination",
    Status.ESME_RX_R_APPN: "the receiver rejects this message",
    Status.ESME_RQUERYFAIL: "the query failed",
    Status.ESME_RINVTLVSTREAM: "the TLVs cannot be read",
    Status.ESME_RTLVNOTALLWD: "a TLV is not allowed here",
    Status.ESME_RINVTLVLEN: "a TLV has a wrong length",
    Status.ESME_RMISSINGTLV: "a required TLV is missing",
    Status.ESME_RINVTLVVAL: "a TLV has a wrong value",
    Status.ESME_RDELIVERYFAILURE: "the delivery failed",
    Status.ESME_RUNKNOWNERR: "unknown error",
    Status.ESME_RSERTYPUNAUTH: "service_type not authorised for this account",
    Status.ESME_RPROHIBITED: "operation prohibited for this account",
    Status.ESME_RSERTYPUNAVAIL: "service_type not available at present",
    Status.ESME_RSERTYPDENIED: "service_type denied for this content",
    Status.ESME_RINVDCS: "data_coding not acceptable",
    Status.ESME_RINVSRCADDRSUBUNIT: "source_addr_subunit not acceptable",
    Status.ESME_RINVDSTADDRSUBUNIT: "dest_addr_subunit not acceptable",
    Status.ESME_RINVBCASTFREQINT: "broadcast_frequency_interval not acceptable",
    Status.ESME_RINVBCASTALIAS_NAME: "broadcast alias name not acceptable",
    Status.ESME_RINVBCASTAREAFMT: "broadcast area format not acceptable",
    Status.ESME_RINVNUMBCAST_AREAS: "number of broadcast areas out of range",
    Status.ESME_RINVBCASTCNTTYPE: "broadcast_content_type not acceptable",
    Status.ESME_RINVBCASTMSGCLASS: "broadcast_message_class not acceptable",
    Status.ESME_RBCASTFAIL: "the broadcast failed",
    Status.ESME_RBCASTQUERYFAIL: "the broadcast query failed",
    Status.ESME_RBCASTCANCELFAIL: "the broadcast cannot be cancelled",
    Status.ESME_RINVBCAST_REP: "broadcast_rep_num not acceptable",
    Status.ESME_RINVBCASTSRVGRP: "broadcast_service_group not acceptable",
    Status.ESME_RINVBCASTCHANIND: "broadcast_channel_indicator not acceptable",
}


def describe(status: int) -> str:
    """Describe a command_status in words, e.g. ``0x0B ESME_RINVDSTADR: destination address not acceptable``."""
    meaning = _MEANINGS.get(status)
    if meaning is not None:
        return f"0x{status:02X} {Status(status).name}: {meaning}"
    if status in VENDOR_STATUS:
        return f"0x{status:04X}: an error of the vendor"
    return f"0x{status:08X}: a status outside the specification"
