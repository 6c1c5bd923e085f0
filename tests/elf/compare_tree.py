#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""compare_tree.py PROBE DSO LIBRARY...: the closure of each library against ld.so. For tree_test.py.

Each library is dlopened in a process of its own, forked from this one; the closure, computed just before, must name
the same files, in the order in which ld.so calls their constructors (from LD_DEBUG=files, which the caller sets with
LD_DEBUG_OUTPUT). Symbols are bound lazily. Prints [library, what differs] as JSON, a line each; what differs is empty if
nothing does, and begins with UNLOADABLE where ld.so cannot load the library.
"""

import ctypes
import json
import os
import sys
import tempfile


def text_of(write):
    """What write(fd) prints, as lines."""
    with tempfile.TemporaryFile() as f:
        write(f.fileno())
        f.seek(0)
        return f.read().decode(errors="surrogateescape").splitlines()


def constructors(log, start):
    """The libraries whose constructors ld.so called after `start` bytes of its log."""
    with open(log, errors="surrogateescape") as f:
        f.seek(start)
        return [line.split("calling init: ")[1].strip() for line in f if "calling init: " in line]


def compare(probe, path, log):
    """None if closure and ld.so agree, else why not."""
    closure = text_of(lambda fd: probe.probe_closure(os.fsencode(path), None, fd))
    before, start = probe.probe_link_map(1 << 30, 1), os.path.getsize(log)
    try:
        ctypes.CDLL(path, mode=os.RTLD_LAZY)
    except OSError as error:
        missing = "cannot open shared object file" in str(error)
        if missing != closure[0].startswith("NOT_FOUND"):
            return f"closure says {closure[0]}, ld.so {error}"
        return f"UNLOADABLE {error}"
    loaded = text_of(lambda fd: probe.probe_link_map(before, fd))
    named = [line.removesuffix(" (cycle)") for line in closure[1:]]
    if closure[0] != "OK" or sorted(named) != sorted(loaded):
        return f"closure {closure[0]}: only there {set(named) - set(loaded)}, only in ld.so {set(loaded) - set(named)}"
    called = [name for name in constructors(log, start) if name in loaded]
    if [name for name in named if name in called] != called:
        return f"order: closure {named}, ld.so {called}"
    return None


def in_child(probe, path, log):
    """compare() in a fork; "" if they agree."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            result = compare(probe, path, log) or ""
        except Exception as error:  # the report must reach the parent
            result = f"{type(error).__name__}: {error}"
        os.write(write_end, result.encode(errors="replace")[:4000])
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as f:
        result = f.read().decode()
    _, status = os.waitpid(pid, 0)
    return result if status == 0 else f"the child died with status {status}"


def main():
    probe = ctypes.CDLL(sys.argv[1])
    if probe.probe_open(os.fsencode(os.path.abspath(sys.argv[2]))) != 0:
        sys.exit(2)
    log = f"{os.environ['LD_DEBUG_OUTPUT']}.{os.getpid()}"
    for path in sys.argv[3:]:
        print(json.dumps([path, in_child(probe, path, log)]), flush=True)


if __name__ == "__main__":
    main()
