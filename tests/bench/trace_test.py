# SPDX-License-Identifier: BSD-3-Clause
"""bench/trace/run: parsing, the tree by package, and the figures of a known log."""

import events
import pytest
import tree
from support import ROOT

CLIENT = {"rtt": 200, "meta-us": 50, "bandwidth": 500}
LIB = "/sw/env/lib/python3.11"
LOG = [f"10\t0\tlookup\t7\tpython\t0\t0\t{LIB}/site-packages/numpy\t0",
       f"20\t0\tlookup_negative\t7\tpython\t0\tENOENT\t{LIB}/site-packages/numpy/x.so\t0",
       f"30\t1\tread\t0\t-\t1000000\t0\t{LIB}/site-packages/numpy/core/a.cpython-311-x86_64-linux-gnu.so\t0",
       f"40\t1\trelease\t0\t-\t0\t0\t{LIB}/json/decoder.py\t0", f"50\t1\topen\t7\tpython\t0\t0\t{LIB}/json/decoder.py\t0", "rubbish"]


# --- events ------------------------------------------------------------------------------------------------------


def test_sharedfs_log():
    found = list(events.from_sharedfs(LOG, CLIENT))
    assert [e.op for e in found] == ["lookup", "lookup_negative", "read", "open"]
    assert [e.missing for e in found] == [False, True, False, False]
    assert found[0].seconds == pytest.approx(250e-6, abs=5e-8)
    assert found[2].seconds == pytest.approx(200e-6 + 0.002, abs=5e-8)


def test_strace():
    lines = [f'12 openat(AT_FDCWD<{LIB}>, "{LIB}/os.py", O_RDONLY|O_CLOEXEC) = 3<{LIB}/os.py> <0.000100>',
             f'12 newfstatat(AT_FDCWD<{LIB}>, "{LIB}/no.py", 0x7ffd, 0) = -1 ENOENT (No such file or directory) <0.000020>',
             f'12 read(3<{LIB}/os.py>, "x"..., 4096) = 42 <0.000010>', '12 openat(AT_FDCWD</>, "/etc/hosts", O_RDONLY) = 4 <0.1>',
             "12 +++ exited with 0 +++"]
    found = list(events.from_strace(lines, "/sw"))
    assert [(e.op, e.bytes, e.missing) for e in found] == [("open", 0, False), ("lookup_negative", 0, True), ("read", 42, False)]
    assert sum(e.seconds for e in found) == pytest.approx(130e-6, abs=5e-8)


def test_import_times():
    text = ("import time: self [us] | cumulative | imported package\n"
            "import time:   120 |   300 |   numpy.core\nimport time: 5 | 5 | numpy.core\n")
    assert events.import_times(text) == {"numpy.core": 125e-6}


# --- the tree ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path, names", [
    (f"{LIB}/site-packages/numpy/__pycache__/x.cpython-311.pyc", ["numpy", "x"]),
    (f"{LIB}/site-packages/numpy/__init__.py", ["numpy"]),
    (f"{LIB}/site-packages/numpy.libs/libblas-1a.so", ["numpy", "libs", "libblas-1a"]),
    (f"{LIB}/site-packages/numpy-2.4.dist-info/METADATA", ["numpy", "dist-info", "METADATA"]),
    (f"{LIB}/json/decoder.py", [tree.STDLIB, "json", "decoder"]),
    (f"{LIB}/lib-dynload/_json.cpython-311-x86_64-linux-gnu.so", [tree.STDLIB, "_json"]),
    (f"{LIB}/numpy", ["numpy"]), (f"{LIB}/site-packages", [tree.INTERPRETER, "site-packages"]),
    ("/sw/env/bin/python", [tree.INTERPRETER, "python"])])
def test_names(path, names):
    assert tree.names_of(path) == names


def test_sums():
    root = tree.build(events.from_sharedfs(LOG, CLIENT), {"numpy.core": 0.5, "json": 0.25})
    numpy = root.children["numpy"]
    assert [numpy.total(f) for f in ("ops", "misses", "bytes")] == [3, 1, 1000000]
    assert (root.total("ops"), root.total("python")) == (4, 0.75)
    assert [child.name for child in root.worst()] == ["numpy", tree.STDLIB]
    assert "numpy" in tree.text(root, None)


@pytest.mark.needs("root")
@pytest.mark.parametrize("words, message", [
    (["--strace"], "go together"), (["--ranks", "1", "--nodes", "2"], "do not fill"),
    (["--share", "/tmp", "--", "nosuchprogram"], "no program 'nosuchprogram'")])
def test_wrong_options(assert_refused, words, message):
    assert_refused([ROOT / "bench/trace/run", *words], message)
