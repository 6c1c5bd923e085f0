#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""compare_tree.py PROBE DSO DIR...: closure against ld.so for every shared library below the directories.

Each library is dlopened in a process of its own, forked from this one; the closure, computed just before, must name
the same files, in the order in which ld.so calls their constructors (from LD_DEBUG=files). ELF files that ld.so cannot load here (unresolved symbols, plugins of other programs) are counted apart,
except that the closure must not be wrong about files that are missing. Symbols are bound lazily.
"""
import ctypes
import os
import subprocess
import sys
import tempfile


def shared_libraries(folders):
    for folder in folders:
        for root, _, names in os.walk(os.path.abspath(folder)):
            for name in sorted(names):
                path = os.path.join(root, name)
                if ".so" in name and os.path.isfile(path):
                    with open(path, "rb") as f:
                        if f.read(4) == b"\x7fELF":
                            yield path


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


def rerun_with_debug():
    """Starts this script again under LD_DEBUG; its exit status, and no log left behind."""
    with tempfile.TemporaryDirectory() as folder:
        env = dict(os.environ, LD_DEBUG="files", LD_DEBUG_OUTPUT=folder + "/log")
        return subprocess.run([sys.executable, *sys.argv], env=env, check=False).returncode


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    if "LD_DEBUG" not in os.environ:
        sys.exit(rerun_with_debug())
    log = f"{os.environ['LD_DEBUG_OUTPUT']}.{os.getpid()}"
    probe = ctypes.CDLL(sys.argv[1])
    if probe.probe_open(os.fsencode(os.path.abspath(sys.argv[2]))) != 0:
        sys.exit(2)
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for path in shared_libraries(sys.argv[3:]):
        result = in_child(probe, path, log)
        kind = "passed" if not result else "skipped" if result.startswith("UNLOADABLE") else "failed"
        counts[kind] += 1
        if result:
            print(f"{path}: {result}", flush=True)
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**counts))
    sys.exit(1 if counts["failed"] else 0)


main()
