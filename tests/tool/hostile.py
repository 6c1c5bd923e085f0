#!/usr/bin/env python3
"""Archives that somebody has made who means harm are refused, and nothing outside of DIR is touched. One node, no launcher.

Usage: hostile.py BINARY
"""
import ctypes, gzip, os, stat, sys, tarfile

sys.dont_write_bytecode = True
from staging import WORK, add, fresh, hostile, refused, run, run_all, write


def test_hostile_archives():
    victim = fresh("victim")
    os.mkdir(victim)
    write(victim + "/file", b"precious")
    sym, lnk = dict(type=tarfile.SYMTYPE), dict(type=tarfile.LNKTYPE)

    def many(*entries):
        def build(t):
            for name, data, fields in entries:
                add(t, name, data, **fields)
        return build

    cases = {
        r'\.\.': many(("../up", b"x", {})),
        r'up.*\.\.': many(("a/../../up", b"x", {})),
        "absolute": many((victim + "/new", b"x", {})),
        "leads through a link": many(("d", b"", dict(sym, linkname="e")), ("e/x", b"", {}), ("d/new", b"x", {})),
        "leaves the tree": many(("d", b"", dict(sym, linkname="../victim"))),
        "absolute and leaves": many(("d", b"", dict(sym, linkname=victim)), ("d/new", b"x", {})),
        r"out.*absolute|out.*no file": many(("out", b"", dict(lnk, linkname=victim + "/file"))),
        r"out.*\.\.": many(("out", b"", dict(lnk, linkname="../victim/file"))),
        "no file of the archive": many(("s", b"", dict(sym, linkname="s2")), ("h", b"", dict(lnk, linkname="s"))),
        "device": many(("dev", b"", dict(type=tarfile.CHRTYPE, devmajor=1, devminor=3))),
        "FIFO": many(("fifo", b"", dict(type=tarfile.FIFOTYPE))),
        "setuid": many(("su", b"x", dict(mode=0o4755))),
        "setgid": many(("sg", b"x", dict(mode=0o2755))),
        "newline": many(("a\nb", b"x", {})),
        "twice": many(("f", b"x", {}), ("f", b"y", {})),
        "longer than 255": many(("n" * 256, b"x", {})),
        "max-bytes": None, "max-files": None,
    }
    for pattern, build in cases.items():
        if pattern == "max-bytes":
            refused(hostile(many(("bomb", bytes(2 << 20), {}))), pattern, options=("--max-bytes", "1M"))
        elif pattern == "max-files":
            refused(hostile(many(*[(f"f{i}", b"", {}) for i in range(20)])), pattern, options=("--max-files", "10"))
        else:
            refused(hostile(build), pattern)
    # links accepted on request are still never written through
    through = many(("d", b"", dict(sym, linkname=victim)), ("d/new", b"x", {}))
    refused(hostile(through), "leads through a link", options=("--external-links",))
    assert os.listdir(victim) == ["file"] and open(victim + "/file").read() == "precious"
    assert os.stat(victim + "/file").st_nlink == 1


def test_an_archive_that_is_no_file_is_not_waited_for():
    os.mkfifo(f"{WORK}/fifo.tar.gz")
    refused(f"{WORK}/fifo.tar.gz", "not a regular file")


def xxh3(data):
    function = ctypes.CDLL("libxxhash.so.0").XXH3_64bits
    function.restype, function.argtypes = ctypes.c_uint64, [ctypes.c_char_p, ctypes.c_size_t]
    return function(data, len(data))


def manifest(*lines):
    """As `pack` writes it, for any tar; a line: type, mode, size, contents, name, target."""
    text = "python-mpi-bcast-manifest 1\nkind unknown\nframing foreign\nfiles 9\nbytes 9\nentries\n"
    for kind, mode, data, *names in lines:
        text += f"{kind} {mode:04o} 1600000000.000000000 {len(data)} {xxh3(data):016x} - {' '.join(names)}\n"
    return (text + f"end {len(lines)} {xxh3(text.encode()):016x}\n").encode()


OWN = ".python-mpi-bcast"


def listed(name, *lines):
    """An archive that says itself what is in it."""
    with tarfile.open(f"{WORK}/{name}", "w", format=tarfile.PAX_FORMAT) as t:
        add(t, f"{OWN}/manifest", manifest(*lines))
        for kind, mode, data, path, *link in lines:
            types = {"f": tarfile.REGTYPE, "d": tarfile.DIRTYPE, "l": tarfile.SYMTYPE}
            add(t, path, data, type=types[kind], mode=mode, linkname=link[0] if link else "")
    return f"{WORK}/{name}"


def test_an_archive_cannot_write_what_stage_believes():
    """A later layer that brings another list of directories, whose modes are set: through a link to the user's file."""
    victim = fresh("secrets")
    write(victim + "/key", b"precious", 0o600)
    good = listed("good.tar", ("f", 0o644, b"x", "a"), ("l", 0o777, b"", "link", victim + "/key"))
    forged = manifest(("d", 0o744, b"", "link"))
    for name in (OWN + "/directories", OWN + "/state", OWN + "/partial", OWN):
        bad = listed("evil.tar", ("d", 0o755, b"", name) if name == OWN else ("f", 0o644, forged, name))
        for archives in ([good, bad], [bad]):
            place = fresh("refused")
            os.mkdir(place)
            p = run("stage", *archives, "--to", place + "/env", status=None)
            assert stat.S_IMODE(os.stat(victim + "/key").st_mode) == 0o600, (archives, p)
            assert p.returncode == 1 and b"python-mpi-bcast's own" in p.stderr, (archives, p)
            assert os.listdir(place) == []
    run("stage", good, "--to", fresh("listed"))


def test_default_limit_stops_a_bomb():
    path = f"{WORK}/bomb.tar.gz"
    block = gzip.compress(bytes(64 << 20), 9)
    info = tarfile.TarInfo("bomb")
    info.size = 9 << 30
    with open(path, "wb") as f:
        f.write(gzip.compress(info.tobuf()))
        for _ in range(4):
            f.write(block)
    refused(path, "more than the limit")


run_all(globals())
