"""File-system events of a program's start, from the emulator's log or from strace, both as the same records."""

import dataclasses
import re

METADATA = {"lookup", "lookup_negative", "getattr", "readlink", "open", "opendir", "readdir", "statfs", "setattr", "create",
            "mknod", "mkdir", "symlink", "link", "unlink", "rmdir", "rename", "fsync", "fallocate"}
DATA = {"read", "write"}


@dataclasses.dataclass(frozen=True)
class Event:
    """One operation. `at` in microseconds since the mount (0: unknown), `seconds` what it took, `thread` whose it was."""

    at: int
    node: int
    op: str
    bytes: int
    missing: bool
    path: str
    seconds: float
    thread: int = 0


def cost(op, size, client):
    """What the emulator charges, without queueing (bench/emulator/sharedfs/README.md)."""
    if op in METADATA:
        return (client["rtt"] + client["meta-us"]) / 1e6
    return client["rtt"] / 1e6 + size / (client["bandwidth"] * 1e6) if op in DATA else 0.0


def from_sharedfs(lines, client):
    """Events from `sharedfs mount --log`; operations that cost nothing are left out."""
    for line in lines:
        fields = line.rstrip("\n").split("\t")
        if len(fields) != 8 or fields[2] not in METADATA | DATA:
            continue
        at, node, op, thread, _, size, error, path = fields
        yield Event(int(at), int(node), op, int(size) if op in DATA else 0, op == "lookup_negative" or error == "ENOENT", path,
                    cost(op, int(size), client), int(thread))


CALL = re.compile(r"^(?:\d+ +)?(\d+\.\d+ )?(\w+)\((.*)\) += (-?\d+)(?:<[^>]*>)?(?: (E\w+))?.*<(\d+\.\d+)>$")
QUOTED, DESCRIPTOR = re.compile(r'"((?:[^"\\]|\\.)*)"'), re.compile(r"^\d+<([^>]*)>")
NAMES = {"openat": "open", "open": "open", "newfstatat": "getattr", "stat": "getattr", "lstat": "getattr", "statx": "getattr",
         "fstat": "getattr", "access": "getattr", "faccessat2": "getattr", "readlink": "readlink", "readlinkat": "readlink",
         "getdents64": "readdir", "read": "read", "pread64": "read"}


def from_strace(lines, root):
    """Events under `root` from `strace -f -y -T`: system calls, whether or not a cache answered them."""
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
        yield Event(0, 0, "lookup_negative" if error == "ENOENT" else op, max(result, 0) if op == "read" else 0,
                    error == "ENOENT", path, seconds)


IMPORT = re.compile(r"^import time: +(\d+) \| +\d+ \| +(\S+)")


def import_times(text):
    """Module name: seconds of its own, from `python -X importtime`; summed over the ranks that wrote to `text`."""
    found = {}
    for line in text.splitlines():
        match = IMPORT.match(line)
        if match:
            found[match[2]] = found.get(match[2], 0.0) + int(match[1]) / 1e6
    return found
