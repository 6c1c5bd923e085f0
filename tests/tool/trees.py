# SPDX-License-Identifier: BSD-3-Clause
"""Trees and archives for the tests of python-mpi-bcast, and comparing trees."""

import io
import os
import random
import stat
import tarfile

SECOND = 10**9  # in nanoseconds


def write(path, data=b"", mode=0o644, mtime=None):
    """Writes a file, and the directories above it. mtime: in nanoseconds."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)
    os.chmod(path, mode)
    if mtime:
        os.utime(path, ns=(mtime, mtime))


def read(path):
    with open(path, "rb") as f:
        return f.read()


def make_odd_tree(top):
    """All that an archive must keep: odd names, modes, times, links."""
    b = os.fsencode(top)
    rnd = random.Random(1)
    for i in range(60):
        size = rnd.choice([0, 1, 511, 512, 513, 4096, 70000])
        write(f"{top}/pkg{i % 7}/m{i}.py", rnd.randbytes(size), mtime=1_600_000_000_123456789 + i)
    write(f"{top}/big.bin", rnd.randbytes(3 << 20) + bytes(2 << 20))
    write(f"{top}/bin/tool", b"#!/bin/sh\n", 0o755)
    write(f"{top}/secret", b"x", 0o600)
    write(f"{top}/readonly", b"x", 0o444)
    os.symlink("tool", f"{top}/bin/alias")
    os.symlink("../bin", f"{top}/pkg0/up")
    os.symlink("nowhere", f"{top}/dangling")
    os.link(f"{top}/big.bin", f"{top}/pkg1/big-too")
    os.link(f"{top}/bin/tool", f"{top}/bin/tool2")
    os.mkdir(f"{top}/empty")
    write(b + b"/" + b"n" * 255, b"long name")
    deep = top + "".join("/" + "d" * 100 for _ in range(12))
    write(f"{deep}/leaf", b"deep")
    write(b + "/gr\u00fc\u00dfe \u65e5\u672c.txt".encode(), b"utf8")
    write(b + b"/latin\xe9\xff", b"bytes")
    write(b + b"/sp ace%41\ttab\"quote'", b"x")
    write(f"{top}/locked/inner/file", b"x")
    os.chmod(f"{top}/locked/inner", 0o555)
    os.chmod(f"{top}/locked", 0o555)
    for where, _, _ in os.walk(b, topdown=False):
        os.utime(where, ns=(1_500_000_000_000000007, 1_500_000_000_000000007))
    return top


def snapshot(top):
    """All that an archive must keep of a tree: relative path -> (type, mode, mtime, content, first name of its inode)."""
    seen, out = {}, {}
    for where, dirs, files in os.walk(os.fsencode(top)):
        for name in dirs + files:
            path = os.path.join(where, name)
            rel = os.path.relpath(path, os.fsencode(top))
            if rel.split(b"/")[0] == b".python-mpi-bcast":
                continue
            st = os.lstat(path)
            kind = stat.S_IFMT(st.st_mode)
            content = None
            if stat.S_ISLNK(st.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(st.st_mode):
                content = read(path) if st.st_size < 1 << 26 else st.st_size
            first = seen.setdefault((st.st_dev, st.st_ino), rel) if st.st_nlink > 1 and kind == stat.S_IFREG else None
            mode = None if kind == stat.S_IFLNK else stat.S_IMODE(st.st_mode)
            out[rel] = (kind, mode, st.st_mtime_ns, content, first)
    return out


def hardlink_groups(seen):
    groups = {facts[4] for facts in seen.values() if facts[4]}
    return sorted(sorted(path for path in seen if seen[path][4] == group) for group in groups)


def assert_same_tree(a, b):
    x, y = snapshot(a), snapshot(b)
    assert x.keys() == y.keys(), x.keys() ^ y.keys()
    for path, facts in x.items():
        assert facts[:4] == y[path][:4], (path, facts[:3], y[path][:3])
    assert hardlink_groups(x) == hardlink_groups(y)


def add(tar, name, data=b"", **fields):
    """Adds an entry to an open TarFile. fields: of its TarInfo."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.mtime = 1_600_000_000
    for key, value in fields.items():
        setattr(info, key, value)
    tar.addfile(info, io.BytesIO(data))


def make_tar(path, *entries):
    """Makes a tar of entries: (name, data, fields of the TarInfo)."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, data, fields in entries:
            add(tar, name, data, **fields)
    return path
