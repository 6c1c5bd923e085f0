# SPDX-License-Identifier: BSD-3-Clause
"""The tree that the interposition tests look at, and the corpus: the paths they ask for.

Times are set so that no run changes them: every atime lies in the future, which a relatime mount
leaves alone, so even atime can be compared exactly.
"""
import os
import shutil
import socket
import stat
import time

LONG = "n" * 255

CORPUS = [
    # plain things
    "pkg", "pkg/mod.py", "pkg/__init__.py", "pkg/data.bin", "pkg/sub/deep/file.txt", "empty", "emptydir",
    "m000", "m0400", "m0755", "setuid", "sticky", "hard1", "hard2", LONG, "sp ace", "new\nline",
    "fifo", "sock", "node", "lib/module.so",
    # things that are not there
    "no-such", "no-such/at/all", "pkg/no-such.py", "pkg/sub/no-such/deeper", "emptydir/none", "pkg/MOD.py",
    "pkg/mod.p", "pkg/mod.pyc", LONG + "x", "pkg/" + LONG + "x/y", "x/" * 2100, "",
    # a file used as a directory
    "pkg/mod.py/", "pkg/mod.py/x", "pkg/mod.py/.", "pkg/mod.py/..", "empty/../empty", "m000/x",
    # spellings
    ".", "./", "..", "pkg/", "pkg//", "pkg//mod.py", "pkg/./mod.py", "./pkg/mod.py", "pkg/../pkg/mod.py",
    "pkg/sub/../mod.py", "pkg/sub/deep/../../mod.py", "no-such/../pkg/mod.py", "emptydir/", "emptydir/.",
    "pkg/.", "pkg/sub/..", "pkg/////sub///deep/.//file.txt", "no-such/", "pkg/no-such/", "fifo/",
    # symbolic links
    "link-good", "link-dir", "link-dir/", "link-dir/deep/file.txt", "link-dir/../mod.py", "link-broken",
    "link-broken/", "link-broken/x", "link-good/", "link-good/x", "link-abs", "link-parent",
    "link-parent/../", "link-self", "link-self/link-self/pkg/mod.py", "link-slash", "link-slash/mod.py",
    "link-absdir/mod.py", "link-hop", "loop-a", "loop-a/x", "loop-a/", "loop-self", "chain40", "chain41",
    "sub2/up/mod.py", "sub2/up/../pkg/mod.py", "link-missing-dir/x", "link-foreign", "link-long",
    # permissions (they bite when the tests do not run as root)
    "closed", "closed/", "closed/inner", "closed/no-such", "closed/..", "noexec", "noexec/inner",
    "noexec/no-such", "nolist", "nolist/inner", "nolist/no-such", "link-closed", "link-closed/inner",
    # many names
    "big/f0000", "big/f2999", "big/f3000",
]
SPECIAL_BYTES = [b"\xff\xfe", "\u00fcml\u00e4ut".encode(), b'quo"te\\']
BIG = ["big", "big/"]  # for the directory family only: 3000 names


def write(path, data, mode=0o644):
    with open(path, "wb") as f:
        f.write(data)
    os.chmod(path, mode)


def plain_things(tree):
    for d in ("pkg/sub/deep", "emptydir", "lib/deps", "sub2", "big", "closed", "noexec", "nolist"):
        os.makedirs(f"{tree}/{d}")
    write(f"{tree}/pkg/__init__.py", b"")
    write(f"{tree}/pkg/mod.py", b"import this\n# comment\nx = 1\n" * 3)
    write(f"{tree}/pkg/data.bin", bytes((i * i + i // 256) % 256 for i in range(100_000)))
    write(f"{tree}/pkg/sub/deep/file.txt", b"deep\n")
    write(f"{tree}/empty", b"")
    write(f"{tree}/hard1", b"two names")
    os.link(f"{tree}/hard1", f"{tree}/hard2")
    for name, mode in (("m000", 0), ("m0400", 0o400), ("m0755", 0o755), ("setuid", 0o4755)):
        write(f"{tree}/{name}", name.encode(), mode)
    os.makedirs(f"{tree}/sticky")
    os.chmod(f"{tree}/sticky", 0o3777)
    for name in (LONG, "sp ace", "new\nline"):
        write(f"{tree}/{name}", b"odd name")
    for name in SPECIAL_BYTES:
        write(os.fsencode(tree) + b"/" + name, b"odd bytes")
    for i in range(3000):
        write(f"{tree}/big/f{i:04}", b"%d" % i)


def special_files(tree):
    os.mkfifo(f"{tree}/fifo", 0o600)
    here = os.getcwd()
    os.chdir(tree)  # a socket's address is short
    with socket.socket(socket.AF_UNIX) as s:
        s.bind("sock")
    os.chdir(here)
    if os.geteuid() == 0:
        try:
            os.mknod(f"{tree}/node", stat.S_IFCHR | 0o644, os.makedev(1, 3))
        except OSError:
            pass  # no right to make devices here: the path is then one that does not exist


def symlinks(tree):
    for name, target in {
        "link-good": "pkg/mod.py", "link-dir": "pkg/sub", "link-broken": "no-such", "link-abs": f"{tree}/pkg/mod.py",
        "link-absdir": f"{tree}/pkg", "link-parent": "..", "link-self": ".", "link-slash": "pkg/", "loop-a": "loop-b",
        "loop-b": "loop-a", "loop-self": "loop-self", "link-hop": "link-abs", "sub2/up": "../pkg",
        "link-missing-dir": "no-such/dir", "link-foreign": "/etc/passwd", "link-closed": "closed",
        "link-long": "pkg/" + "./" * 1000 + "mod.py", "lib/module-link.so": "module.so", "chain0": "pkg/mod.py",
    }.items():
        os.symlink(target, f"{tree}/{name}")
    for i in range(1, 42):  # the kernel follows 40 links
        os.symlink(f"chain{i - 1}", f"{tree}/chain{i}")


def libraries(tree, built):
    shutil.copytree(f"{built}/lib", f"{tree}/lib", dirs_exist_ok=True)
    os.link(f"{tree}/lib/module.so", f"{tree}/lib/module-hard.so")
    with open(f"{tree}/lib/module.so", "rb") as f:
        elf = f.read()
    write(f"{tree}/lib/empty.so", b"")
    write(f"{tree}/lib/text.so", b"/* GNU ld script */\nINPUT(-lm)\n")
    write(f"{tree}/lib/short.so", elf[:100])
    write(f"{tree}/lib/broken.so", elf[:4] + b"\x09" * 60 + elf[64:])


def permissions(tree):
    for name, mode in (("closed", 0), ("noexec", 0o644), ("nolist", 0o311)):
        write(f"{tree}/{name}/inner", b"inner")
        write(f"{tree}/{name}/inner.so", b"inner")
        os.chmod(f"{tree}/{name}", mode)


def settle(tree):
    """Times in the past for mtime, in the future for atime, deepest names first; of the two folders above too."""
    future = (int(time.time()) + 86400) * 10**9 + 987654321
    for i, (d, dirs, files) in enumerate(os.walk(os.fsencode(tree), topdown=False)):
        for j, name in enumerate(sorted(files) + sorted(dirs)):
            past = (1_000_000_000 + i * 1000 + j) * 10**9 + 123456789 + j
            os.utime(os.path.join(d, name), ns=(future, past), follow_symlinks=False)
    for top in (tree, f"{tree}/..", f"{tree}/../.."):
        os.utime(top, ns=(future, 10**18 + 1))


def build(tree, built):
    """Makes the tree, of which nothing exists yet; `built` is the build folder's interpose/."""
    old = os.umask(0o022)
    os.makedirs(tree)
    plain_things(tree)
    special_files(tree)
    symlinks(tree)
    libraries(tree, built)
    permissions(tree)
    settle(tree)
    os.umask(old)


def build_writable(tree, ranks=2):
    """The part that the write family changes: made anew for every run."""
    shutil.rmtree(f"{tree}/rw", ignore_errors=True)
    for rank in range(ranks):
        for touch in (1, 2):
            top = f"{tree}/rw/{rank}/{touch}"
            for d in ("d", "sub", "sub2"):
                os.makedirs(f"{top}/{d}")
            files = {"file": b"0123456789", "d/inner": b"inner", "sub/mod": b"module", "keep": b"kept"}
            for name, data in files.items():
                write(f"{top}/{name}", data)
    settle(f"{tree}/rw")


def build_folders(tree, ranks=2, folders=90):
    """What the change family works in: a folder for each of its steps, made anew for every run."""
    shutil.rmtree(f"{tree}/rw", ignore_errors=True)
    for rank in range(ranks):
        for touch in (1, 2):
            for i in range(folders):
                folder = f"{tree}/rw/{rank}/{touch}/{i:02}"
                os.makedirs(f"{folder}/sub")
                write(f"{folder}/file", b"0123456789", 0o4755)
                os.symlink("file", f"{folder}/link")
    settle(f"{tree}/rw")


def corpus(family):
    paths = [os.fsencode(p) for p in CORPUS] + SPECIAL_BYTES
    if family == "dir":
        paths += [os.fsencode(p) for p in BIG]
    return b"".join(p + b"\0" for p in paths)


def remove(tree):
    for name in ("closed", "noexec", "nolist"):
        if os.path.isdir(f"{tree}/{name}"):
            os.chmod(f"{tree}/{name}", 0o700)
    shutil.rmtree(tree, ignore_errors=True)
