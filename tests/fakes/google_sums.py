"""CRC-32C of the tests' own, independent of holdfast's, and MD5, both as Google writes them."""

import base64
import hashlib

_POLYNOMIAL = 0x82F63B78


def _table():
    rows = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
        rows.append(byte)
    return rows


_TABLE = _table()
try:
    from awscrt.checksums import crc32c as _fast
except ImportError:
    _fast = None


def crc32c(data):
    if _fast is not None:
        return _fast(data)
    sum = 0xFFFFFFFF
    for byte in data:
        sum = sum >> 8 ^ _TABLE[(sum ^ byte) & 0xFF]
    return sum ^ 0xFFFFFFFF


def encoded(data):
    return base64.b64encode(crc32c(data).to_bytes(4, "big")).decode()


def md5(data):
    return base64.b64encode(hashlib.md5(data).digest()).decode()
