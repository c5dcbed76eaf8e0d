# SPDX-License-Identifier: Apache-2.0
"""A boot event log in the TCG crypto-agile format (PC Client Platform Firmware Profile, 10)."""
import hashlib
import struct

SHA256 = 0x000B
EV_NO_ACTION, EV_SEPARATOR, EV_IPL = 3, 4, 13


class BootLog:
    def __init__(self):
        data = b"Spec ID Event03\0" + struct.pack("<IBBBBI", 0, 0, 2, 0, 2, 1)
        data += struct.pack("<HH", SHA256, 32) + b"\0"
        self.bytes = struct.pack("<II20sI", 0, EV_NO_ACTION, bytes(20), len(data)) + data
        self.extends = []  # (pcr, sha256) in order, to be done by whoever has the TPM

    def measure(self, pcr, content, event=b"", kind=EV_IPL):
        """Adds a record whose digest is that of content."""
        digest = hashlib.sha256(content).digest()
        self.bytes += struct.pack("<III", pcr, kind, 1) + struct.pack("<H", SHA256) + digest
        self.bytes += struct.pack("<I", len(event)) + event
        self.extends.append((pcr, digest))

    def separators(self):
        for pcr in range(8):
            self.measure(pcr, bytes(4), bytes(4), EV_SEPARATOR)

    def values(self):
        """What each PCR holds after the log: {index: hex}."""
        pcrs = {}
        for pcr, digest in self.extends:
            pcrs[pcr] = hashlib.sha256(pcrs.get(pcr, bytes(32)) + digest).digest()
        return {pcr: value.hex() for pcr, value in pcrs.items()}
