# SPDX-License-Identifier: BSD-3-Clause
"""File-system events of the start of a program, from the log of the emulator or from strace, as the same records."""

import dataclasses
import re

# The operations of sharedfs that its server is asked for (bench/emulator/sharedfs/ops.h).
METADATA = {"lookup", "lookup_negative", "getattr", "readlink", "open", "opendir", "readdir", "statfs", "setattr", "create",
            "mknod", "mkdir", "symlink", "link", "unlink", "rmdir", "rename", "fsync", "fallocate"}
DATA = {"read", "write"}


@dataclasses.dataclass(frozen=True)
class Event:
    """One operation."""

    at: int  # microseconds since the mount; 0: not known
    node: int  # number of the node
    op: str  # name of an operation of sharedfs
    bytes: int  # that were read or written
    missing: bool  # nothing has this name
    path: str
    seconds: float  # that the operation took
    thread: int = 0  # the thread that called; 0: not known


def cost(op, size, client):
    """The seconds that the emulator charges for an operation of `size` bytes, without waiting in a queue.

    client: a dict of settings of sharedfs: rtt and meta-us in microseconds, bandwidth in MB/s.
    """
    if op in METADATA:
        return (client["rtt"] + client["meta-us"]) / 1e6
    return client["rtt"] / 1e6 + size / (client["bandwidth"] * 1e6) if op in DATA else 0.0


def from_sharedfs(lines, client):
    """Yields the events of a log of `sharedfs mount --log`, without the operations that cost nothing and without broken lines."""
    for line in lines:
        fields = line.rstrip("\n").split("\t")
        if len(fields) != 9 or fields[2] not in METADATA | DATA:
            continue
        at, node, op, thread, _, size, error, path, _ = fields
        missing = op == "lookup_negative" or error == "ENOENT"
        yield Event(int(at), int(node), op, int(size) if op in DATA else 0, missing, path, cost(op, int(size), client), int(thread))


CALL = re.compile(r"^(?:\d+ +)?(\d+\.\d+ )?(\w+)\((.*)\) += (-?\d+)(?:<[^>]*>)?(?: (E\w+))?.*<(\d+\.\d+)>$")
QUOTED, DESCRIPTOR = re.compile(r'"((?:[^"\\]|\\.)*)"'), re.compile(r"^\d+<([^>]*)>")
# System call: the operation that stands for it.
NAMES = {"openat": "open", "open": "open", "newfstatat": "getattr", "stat": "getattr", "lstat": "getattr", "statx": "getattr",
         "fstat": "getattr", "access": "getattr", "faccessat2": "getattr", "readlink": "readlink", "readlinkat": "readlink",
         "getdents64": "readdir", "read": "read", "pread64": "read"}


def from_strace(lines, root):
    """Yields the events below the directory `root` from the output of `strace -f -y -T`.

    Each is a system call; the caches of the kernel may have answered it.
    """
    for line in lines:
        match = CALL.match(line)
        if not match or match[2] not in NAMES:
            continue
        name, arguments, result, error, seconds = match[2], match[3], int(match[4]), match[5], float(match[6])
        quoted, descriptor = QUOTED.search(arguments), DESCRIPTOR.match(arguments)
        path = descriptor[1] if name in ("read", "pread64", "getdents64", "fstat") and descriptor else quoted and quoted[1]
        if not path or not path.startswith(root):
            continue
        op = NAMES[name]
        missing = error == "ENOENT"
        yield Event(0, 0, "lookup_negative" if missing else op, max(result, 0) if op == "read" else 0, missing, path, seconds)


IMPORT = re.compile(r"^import time: +(\d+) \| +\d+ \| +(\S+)")


def import_times(text):
    """{module: seconds of its own} from the output of `python -X importtime`, summed over the ranks that wrote to `text`."""
    found = {}
    for line in text.splitlines():
        match = IMPORT.match(line)
        if match:
            found[match[2]] = found.get(match[2], 0.0) + int(match[1]) / 1e6
    return found
