# SPDX-License-Identifier: Apache-2.0
"""A kernel with IMA in the place of one that has none: its list in a file, and PCR 10 of a TPM."""
import hashlib
import re
import struct


def files_of(manifest):
    """{path: sha256 hex} of a manifest's regular files."""
    with open(manifest) as f:
        found = {}
        for line in f:
            digest = re.search(r"sha256digest=(\w+)", line)
            if digest:
                name = re.sub(r"\\(\d{3})", lambda m: chr(int(m.group(1), 8)), line.split()[0])
                found[name[1:]] = digest.group(1)
        return found


class ImaList:
    """Appends to the list and then extends, as the kernel does."""

    def __init__(self, path, tpm):
        self.path, self.tpm = path, tpm
        open(path, "wb").close()

    @staticmethod
    def _entry(path, digest):
        """An entry of the template ima-ng, and what its template hash is of."""
        data = b"sha256:\0" + digest
        data = struct.pack("<I", len(data)) + data
        name = path.encode() + b"\0"
        data += struct.pack("<I", len(name)) + name
        head = struct.pack("<I20sI6sI", 10, hashlib.sha1(data).digest(), 6, b"ima-ng", len(data))
        return head + data, data

    def add(self, path, digest, listed=True, extended=True):
        entry, data = self._entry(path, bytes.fromhex(digest))
        if listed:
            with open(self.path, "ab") as f:
                f.write(entry)
        if extended:
            self.tpm.extend(10, hashlib.sha256(data).hexdigest())

    def boot(self, boot_log, **how):
        """The first entry: the digest of what the firmware measured."""
        values = boot_log.values()
        pcrs = b"".join(bytes.fromhex(values.get(i, "00" * 32)) for i in range(10))
        self.add("boot_aggregate", hashlib.sha256(pcrs).hexdigest(), **how)
