# SPDX-License-Identifier: BSD-3-Clause
"""Hostile archives are refused, and nothing outside of DIR is touched. One node, no launcher."""

import ctypes
import gzip
import os
import stat
import tarfile

import pytest
from trees import add, make_tar, read, write

SYMLINK, HARDLINK = {"type": tarfile.SYMTYPE}, {"type": tarfile.LNKTYPE}


@pytest.fixture
def victim(tool):
    """A directory with one file, which must stay as they are."""
    path = tool.fresh("victim")
    write(path + "/file", b"precious")
    yield path
    assert os.listdir(path) == ["file"]
    assert read(path + "/file") == b"precious"
    assert os.stat(path + "/file").st_nlink == 1


@pytest.mark.parametrize("pattern, entries", [
    (r"\.\.", [("../up", b"x", {})]),
    (r"up.*\.\.", [("a/../../up", b"x", {})]),
    ("absolute", [("VICTIM/new", b"x", {})]),
    ("leads through a link", [("d", b"", {**SYMLINK, "linkname": "e"}), ("e/x", b"", {}), ("d/new", b"x", {})]),
    ("leaves the tree", [("d", b"", {**SYMLINK, "linkname": "../victim"})]),
    ("absolute and leaves", [("d", b"", {**SYMLINK, "linkname": "VICTIM"}), ("d/new", b"x", {})]),
    (r"out.*absolute|out.*no file", [("out", b"", {**HARDLINK, "linkname": "VICTIM/file"})]),
    (r"out.*\.\.", [("out", b"", {**HARDLINK, "linkname": "../victim/file"})]),
    ("no file of the archive", [("s", b"", {**SYMLINK, "linkname": "s2"}), ("h", b"", {**HARDLINK, "linkname": "s"})]),
    ("device", [("dev", b"", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3})]),
    ("FIFO", [("fifo", b"", {"type": tarfile.FIFOTYPE})]),
    ("setuid", [("su", b"x", {"mode": 0o4755})]),
    ("setgid", [("sg", b"x", {"mode": 0o2755})]),
    ("newline", [("a\nb", b"x", {})]),
    ("twice", [("f", b"x", {}), ("f", b"y", {})]),
    ("longer than 255", [("n" * 256, b"x", {})])])
def test_hostile_archives(tool, victim, pattern, entries):
    def of_victim(value):
        return value.replace("VICTIM", victim) if isinstance(value, str) else value

    named = [(of_victim(name), data, {key: of_victim(value) for key, value in fields.items()})
             for name, data, fields in entries]
    tool.refuses(make_tar(f"{tool.work}/hostile.tar", *named), pattern)


def test_links_accepted_on_request_are_never_written_through(tool, victim):
    archive = make_tar(f"{tool.work}/hostile.tar", ("d", b"", {**SYMLINK, "linkname": victim}), ("d/new", b"x", {}))
    tool.refuses(archive, "leads through a link", options=("--external-links",))


def test_limits(tool):
    tool.refuses(make_tar(f"{tool.work}/bomb.tar", ("bomb", bytes(2 << 20), {})), "max-bytes", options=("--max-bytes", "1M"))
    many = make_tar(f"{tool.work}/many.tar", *((f"f{i}", b"", {}) for i in range(20)))
    tool.refuses(many, "max-files", options=("--max-files", "10"))


def test_default_limit_stops_a_bomb(tool):
    block = gzip.compress(bytes(64 << 20), 9)
    info = tarfile.TarInfo("bomb")
    info.size = 9 << 30
    write(f"{tool.work}/bomb.tar.gz", gzip.compress(info.tobuf()) + 4 * block)
    tool.refuses(f"{tool.work}/bomb.tar.gz", "more than the limit")


def test_a_fifo_is_not_waited_for(tool):
    os.mkfifo(f"{tool.work}/fifo.tar.gz")
    tool.refuses(f"{tool.work}/fifo.tar.gz", "not a regular file")


# --- archives that forge what `stage` keeps in its own directory ---

OWN = ".python-mpi-bcast"


def xxh3(data):
    function = ctypes.CDLL("libxxhash.so.0").XXH3_64bits
    function.restype, function.argtypes = ctypes.c_uint64, [ctypes.c_char_p, ctypes.c_size_t]
    return function(data, len(data))


def make_manifest(*entries):
    """A manifest as `pack` writes it. entries: (type, mode, data, name, and a symlink's target)."""
    text = "python-mpi-bcast-manifest 1\nkind unknown\nframing foreign\nfiles 9\nbytes 9\nentries\n"
    for kind, mode, data, *names in entries:
        text += f"{kind} {mode:04o} 1600000000.000000000 {len(data)} {xxh3(data):016x} - {' '.join(names)}\n"
    return (text + f"end {len(entries)} {xxh3(text.encode()):016x}\n").encode()


def make_listed_tar(path, *entries):
    """A tar that begins with a manifest of these entries."""
    types = {"f": tarfile.REGTYPE, "d": tarfile.DIRTYPE, "l": tarfile.SYMTYPE}
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        add(tar, f"{OWN}/manifest", make_manifest(*entries))
        for kind, mode, data, name, *link in entries:
            add(tar, name, data, type=types[kind], mode=mode, linkname=link[0] if link else "")
    return path


@pytest.mark.parametrize("name", [f"{OWN}/directories", f"{OWN}/state", f"{OWN}/partial", OWN])
@pytest.mark.parametrize("is_second", [True, False])
def test_an_archive_cannot_write_what_stage_trusts(tool, name, is_second):
    """A second archive with a list of directories of its own: `stage` would set their modes, through a symlink to the user's file."""
    key = tool.fresh("secrets") + "/key"
    write(key, b"precious", 0o600)
    good = make_listed_tar(f"{tool.work}/good.tar", ("f", 0o644, b"x", "a"), ("l", 0o777, b"", "link", key))
    forged = make_manifest(("d", 0o744, b"", "link"))
    bad = make_listed_tar(f"{tool.work}/bad.tar", ("d", 0o755, b"", name) if name == OWN else ("f", 0o644, forged, name))
    place = tool.fresh_directory("refused")
    done = tool.run("stage", *([good] if is_second else []), bad, "--to", place + "/env", status=None)
    assert stat.S_IMODE(os.stat(key).st_mode) == 0o600
    assert done.returncode == 1
    assert b"python-mpi-bcast's own" in done.stderr
    assert os.listdir(place) == []
    tool.run("stage", good, "--to", tool.fresh("listed"))
