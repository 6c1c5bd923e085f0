# SPDX-License-Identifier: BSD-3-Clause
"""Large libraries, of which the node cache has only a part: every byte that a process can reach is that of the file.

The libraries have random sections (bench/largelib). A program does something with them, as two ranks without fastimport and
as two ranks with it, and must print the same. It also writes what it has mapped into files, by write(2) from the mapping
itself; these are compared with the library's file, byte for byte.
"""

import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import zlib

import pytest
from job import LIBRARY, MPIEXEC, ROOT

sys.path.insert(0, str(ROOT / "bench/largelib"))
from large_library import PAGE, Section, make  # noqa: E402

pytestmark = pytest.mark.needs("mpiexec.mpich")

MB = 1 << 20
NAMES = [".nv_fatbin", "__nv_relfatbin", ".cask_resource", ".lrodata", ".some_data"]
SEGMENT = "<IIQQQQQQ"  # Elf64_Phdr
PT_LOAD, PF_W = 1, 2

BEGIN = """
import ctypes, mmap, os, struct, subprocess, sys, threading, time, zlib
RANK, LIBS, OUT = int(os.environ.get("PMI_RANK", "0")), os.environ["LIBS"], os.environ["OUT"]
libc = ctypes.CDLL(None)
libc.write.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]

def say(*words):
    with open(f"{OUT}.{RANK}", "a") as out:
        print(*words, file=out)

def wait_for_all(point):
    open(f"{OUT}.{point}.{RANK}", "w").close()
    while not all(os.path.exists(f"{OUT}.{point}.{rank}") for rank in range(2)):
        time.sleep(0.01)

def in_turn(point, rank):
    if RANK != rank:
        wait_for_all(point)

def outside(*words):
    "A command that is no part of the job."
    subprocess.run(words, env={"PATH": os.environ["PATH"]}, check=True)

def load(path, mode=0):
    library = ctypes.CDLL(path, mode)
    for name in ("large_base", "large_sum", "large_at_start", "large_at_resolve"):
        getattr(library, name).restype = ctypes.c_uint64
    return library

def sums(library):
    return library.large_sum(ctypes.c_size_t(1)), library.large_at_start(), library.large_at_resolve(), library.large_pointers()

def segments(path):
    with open(path, "rb") as file:
        head = file.read(64)
        place, count = struct.unpack_from("<Q", head, 32)[0], struct.unpack_from("<H", head, 56)[0]
        file.seek(place)
        return [s for s in struct.iter_unpack("<IIQQQQQQ", file.read(56 * count)) if s[0] == 1]

def dump(library, path, name):
    "Writes each segment as it is mapped into a file, page by page as ld.so maps it."
    base, size = library.large_base(), os.stat(path).st_size
    with open(f"{OUT}.dump.{name}.{RANK}", "wb") as out:
        for number, (_, flags, offset, address, _, length, _, _) in enumerate(segments(path)):
            first, last = offset & ~4095, min((offset + length + 4095) & ~4095, size)
            start, left = base + address - offset + first, last - first
            while left > 0:
                os.lseek(out.fileno(), number * (1 << 32) + last - left, os.SEEK_SET)
                done = libc.write(out.fileno(), start, left)
                assert done > 0, (start, left)
                start, left = start + done, left - done
"""

PROGRAMS = {
    "load": """
library = load(LIBS + "/libone.so")
say(sums(library), library.user_value())
dump(library, LIBS + "/libone.so", "libone.so")
dump(load(LIBS + "/libtwo.so", os.RTLD_GLOBAL | os.RTLD_NOW), LIBS + "/libtwo.so", "libtwo.so")
dump(load(LIBS + "/libplain.so"), LIBS + "/libplain.so", "libplain.so")
""",
    "read and map the file": """
library = load(LIBS + "/libone.so")
with open(LIBS + "/libone.so", "rb") as file:
    say(zlib.crc32(file.read()), os.fstat(file.fileno()).st_size)
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        say(zlib.crc32(mapped))
say(sums(library), subprocess.run(["readelf", "-SlnW", LIBS + "/libone.so"], capture_output=True).stdout)
say(zlib.crc32(open(LIBS + "/libtwo.so", "rb").read()), sums(load(LIBS + "/libtwo.so")))
""",
    "flags": """
for name, mode in (("one", os.RTLD_LAZY), ("two", os.RTLD_NOW), ("plain", os.RTLD_LAZY | os.RTLD_DEEPBIND | os.RTLD_GLOBAL)):
    say(sums(load(f"{LIBS}/lib{name}.so", mode)))
""",
    "first initialisers of the program's own": """
first = ctypes.CDLL(LIBS + "/libfirst.so")
first.first_sum.restype = ctypes.c_uint64
library = load(LIBS + "/libone.so")
say(first.first_sum(), sums(library), ctypes.CDLL(LIBS + "/libone.so")._handle == library._handle)
""",
    "other names": """
library = load(LIBS + "/libone.so")
same = [ctypes.CDLL(LIBS + name)._handle == library._handle for name in ("/libtwin.so", "/liblink.so", "/../libs/libone.so")]
os.chdir(LIBS)
say(sums(library), same, ctypes.CDLL("./libone.so")._handle == library._handle, ctypes.CDLL("libone.so")._handle == library._handle)
class Info(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("base", ctypes.c_void_p), ("symbol", ctypes.c_char_p), ("at", ctypes.c_void_p)]
info = Info()
libc.dladdr(ctypes.cast(library.large_sum, ctypes.c_void_p), ctypes.byref(info))
say(info.name, info.base == library.large_base())
""",
    "by name, from a library in the same directory": """
library = ctypes.CDLL(LIBS + "/libopener.so")
library.open_other.restype = ctypes.c_uint64
say(library.open_other(b"libtwo.so"), library.open_other(b"libplain.so"), sums(load(LIBS + "/libtwo.so")))
""",
    "closed and opened again": """
for turn in range(3):
    library = load(LIBS + "/libone.so")
    say(sums(library))
    dlclose = libc.dlclose
    dlclose.argtypes = [ctypes.c_void_p]
    say(dlclose(library._handle), any("libone" in line for line in open("/proc/self/maps")))
""",
    "children": """
library = load(LIBS + "/libone.so")
pid = os.fork()
if pid == 0:
    os._exit(0 if sums(library)[0] == library.large_at_start() else 1)
say(os.waitpid(pid, 0)[1])
child = "import ctypes, sys; l = ctypes.CDLL(sys.argv[1]); l.large_sum.restype = l.large_at_start.restype = ctypes.c_uint64; print(l.large_sum(1), l.large_at_start())"
say(subprocess.run([sys.executable, "-c", child, LIBS + "/libone.so"], capture_output=True, text=True))
say(subprocess.run([sys.executable, "-c", child, LIBS + "/libtwo.so"], capture_output=True, text=True))
""",
    "threads": """
results = []
def one(name):
    results.append(sums(load(f"{LIBS}/lib{name}.so")))
threads = [threading.Thread(target=one, args=(name,)) for name in ("one", "two", "one", "plain", "two")]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
say(sorted(results))
""",
    "removed and replaced while it is mapped": """
libraries = [load(f"{LIBS}/lib{name}.so") for name in ("one", "two")]
wait_for_all("loaded")
if RANK == 0:
    os.unlink(LIBS + "/libone.so")
    outside("mv", LIBS + "/libplain.so", LIBS + "/libtwo.so")
wait_for_all("changed")
say([sums(library) for library in libraries])
""",
    "changed by others between the ranks": """
in_turn("first", 0)
say(sums(load(LIBS + "/libone.so"))[0] != 0)
if RANK == 0:
    outside("cp", LIBS + "/libplain.so", LIBS + "/libnew.so")
    outside("mv", LIBS + "/libnew.so", LIBS + "/libone.so")
    wait_for_all("first")
wait_for_all("end")
other = load(LIBS + "/libone.so")
say(sums(other)[0] == sums(other)[1] if RANK == 0 else sums(other))
""",
    "rewritten by others between the ranks, with its time": """
in_turn("first", 0)
library = load(LIBS + "/libone.so") if RANK == 0 else None
if RANK == 0:
    outside("sh", "-c", 'cp -p "$1" "$1.time"; cp "$2" "$1.copy"; mv "$1.copy" "$1"; touch -r "$1.time" "$1"', "sh", LIBS + "/libone.so", LIBS + "/libsame.so")
    wait_for_all("first")
say(sums(library or load(LIBS + "/libone.so")))
""",
    "removed by others between the ranks": """
in_turn("first", 0)
try:
    say(sums(load(LIBS + "/libone.so")))
except OSError as error:
    say(error)
if RANK == 0:
    outside("rm", LIBS + "/libone.so")
    wait_for_all("first")
wait_for_all("end")
""",
    "touched by the job": """
library = load(LIBS + "/libone.so")
wait_for_all("loaded")
if RANK == 0:
    os.utime(LIBS + "/libone.so")
wait_for_all("touched")
say(sums(library), ctypes.CDLL(LIBS + "/libone.so")._handle == library._handle, ctypes.CDLL(LIBS + "/libtwin.so")._handle == library._handle)
""",
}

OPENER = """
#include <dlfcn.h>
#include <stdint.h>
#include <stddef.h>
uint64_t open_other(const char *name);
uint64_t open_other(const char *name)
{
    void *handle = dlopen(name, RTLD_NOW);
    uint64_t (*sum)(size_t) = handle ? (uint64_t (*)(size_t))dlsym(handle, "large_sum") : NULL;
    return sum ? sum(1) : 0;
}
"""

# An initialiser that glibc runs before all others, and that reads another library's data.
FIRST = """
#include <stdint.h>
#include <stddef.h>
uint64_t large_sum(size_t step);
static uint64_t result;
__attribute__((constructor)) static void begin(void) { result = large_sum(1); }
uint64_t first_sum(void);
uint64_t first_sum(void) { return result; }
"""


def random_sections(chance):
    """One section that is left out, some of which some are too small for that, and some that are always copied."""
    names = chance.sample(NAMES, chance.randint(1, 3))
    cold = [Section(name, chance.randint((3 if number else 5) * MB, 7 * MB)) for number, name in enumerate(names)]
    writable = [Section(".ldata", chance.randint(3 * MB, 7 * MB), "aw")] if chance.random() < 0.7 else []
    return [*cold, *writable, Section(".rodata", chance.randint(1, 3 * MB)), Section(".text.large", chance.randint(1, 5 * MB), "ax")]


def build(folder, seed):
    folder.mkdir()
    chance = random.Random(seed)
    page = chance.choice([4096, 65536, 2 * MB])
    one = random_sections(chance)
    make(folder / "libone.so", one, seed, page=page, more="int user_value(void) { return 42; }", flags=["-Wl,-rpath,$ORIGIN"])
    make(folder / "libsame.so", one, seed + 1, page=page, more="int user_value(void) { return 42; }", flags=["-Wl,-soname,libone.so"])
    make(folder / "libtwo.so", random_sections(chance), seed + 2, page=chance.choice([4096, 2 * MB]))
    make(folder / "libplain.so", [Section(".rodata", MB)], seed + 3, page=4096)
    for name, source, *words in (("opener", OPENER, "-Wl,-rpath,$ORIGIN"), ("first", FIRST, "-Wl,-z,initfirst", folder / "libone.so", "-Wl,-rpath,$ORIGIN")):
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wl,--no-as-needed", "-o", folder / f"lib{name}.so", "-x", "c", "-", "-x", "none", *words],
                       input=source, text=True, check=True)
    os.link(folder / "libone.so", folder / "libtwin.so")
    os.symlink("libone.so", folder / "liblink.so")


def job(scratch, text, preload=None, plan="off"):
    """Runs the text as two ranks. Returns what each has said, how many pages of each dump were compared, and the report."""
    out, libs, script, report = (pathlib.Path(scratch, name) for name in ("out", "libs", "app.py", "report"))
    script.write_text(BEGIN + text)
    for old in out.parent.glob("out.*"):
        old.unlink()
    words = [f"OUT={out}", f"LIBS={libs}", f"LD_LIBRARY_PATH={libs}"]
    if preload:
        words += [f"FASTIMPORT_PATH={libs}", f"FASTIMPORT_PLAN={plan}", f"FASTIMPORT_REPORT={report}", "FASTIMPORT_FS=all", f"LD_PRELOAD={preload}"]
    done = subprocess.run([MPIEXEC, "-n", "2", "env", *words, sys.executable, script], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stderr[-3000:]}"
    assert "fastimport" not in done.stderr, done.stderr[-2000:]
    compared = [compare(dump, libs / dump.name[len("out.dump."):].rsplit(".", 1)[0]) for dump in sorted(out.parent.glob("out.dump.*"))]
    texts = [pathlib.Path(f"{out}.{rank}").read_text().replace(str(scratch), "") for rank in range(2)]
    return texts, compared, json.loads(report.read_text()) if preload else None


def loads(library):
    """(flags, offset, address, size) of each PT_LOAD, and of the sections (name, address, offset, size)."""
    data = library.read_bytes()
    place, sections = struct.unpack_from("<QQ", data, 32)
    count, n_sections, names = struct.unpack_from("<H", data, 56)[0], *struct.unpack_from("<HH", data, 60)
    parts = [struct.unpack_from(SEGMENT, data, place + 56 * i) for i in range(count)]
    tables = [struct.unpack_from("<IIQQQQIIQQ", data, sections + 64 * i) for i in range(n_sections)]
    text = lambda at: data[tables[names][4] + at:].split(b"\0", 1)[0].decode()  # noqa: E731
    return data, [p for p in parts if p[0] == PT_LOAD], [(text(t[0]), t[4], t[5]) for t in tables]


def compare(dump, library):
    """Compares what was mapped with the file. Of a writable segment, which ld.so changes, the pages inside .ldata.

    Returns how many pages were compared."""
    data, parts, sections = loads(library)
    compared = 0
    with open(dump, "rb") as file:
        for number, (_, flags, offset, _, _, length, _, _) in enumerate(parts):
            first, last = offset & ~(PAGE - 1), min((offset + length + PAGE - 1) & ~(PAGE - 1), len(data))
            if flags & PF_W:
                inside = [(o, s) for name, o, s in sections if name == ".ldata" and offset <= o < offset + length]
                if not inside:
                    continue
                first, last = (inside[0][0] + PAGE - 1) & ~(PAGE - 1), (inside[0][0] + inside[0][1]) & ~(PAGE - 1)
            file.seek(number * (1 << 32) + first)
            mapped = file.read(last - first)
            assert len(mapped) == last - first, f"{library.name}, segment {number}: {len(mapped)} bytes of {last - first}"
            for at in range(0, last - first, PAGE):
                assert mapped[at:at + PAGE] == data[first + at:first + at + PAGE], f"{library.name}: page at {first + at:#x} in the file is another one"
                compared += 1
    return compared


SEEDS = [int(word) for word in os.environ.get("LARGE_SEEDS", "1").split()]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name, seed):
    results = []
    for preload in (None, LIBRARY):
        with tempfile.TemporaryDirectory() as scratch:
            build(pathlib.Path(scratch, "libs"), 10 * seed + zlib.crc32(name.encode()) % 1000)
            results.append(job(scratch, PROGRAMS[name], preload))
    (plain, plain_compared, _), (texts, compared, report) = results
    assert all(plain) and texts == plain, f"plain {plain}, with fastimport {texts}"
    assert compared == plain_compared and (name != "load" or (len(compared) == 6 and min(compared) > 100)), f"pages {compared}, plain {plain_compared}"
    assert report["calls"]["dl"]["served"] >= 2, str(report["calls"]["dl"])
    left = {pathlib.Path(l["path"]).name: l["why"] for l in report["left_to_ld_so"]}
    assert not left or "between the ranks" in name, str(left)


# --- what was learnt of an earlier start ---

SOME = """
library = load(LIBS + "/libtwo.so")
say(library.large_pointers(), load(LIBS + "/libone.so").user_value())
"""


def learnt(plan):
    """What the plan has learnt: (inode, size): number of parts of 64 KiB."""
    lines = [line.split() for line in plan.read_text().splitlines() if line.startswith("touched ")]
    return {(int(words[1]), int(words[2])): sum(int(part.split("+")[1], 16) for part in words[6:]) for words in lines}


def key(library):
    return library.stat().st_ino, library.stat().st_size


@pytest.fixture
def learning(scratch):
    """A folder with libraries, and the plan of a start in which little of them was touched."""
    build(scratch / "libs", 7)
    for number, name in enumerate(("one", "two")):  # every 700th page is read at the start
        make(scratch / f"libs/lib{name}.so", [Section(".nv_fatbin", 5 * MB), Section(".ldata", 4 * MB, "aw"), Section(".rodata", 20 * MB)], 70 + number,
             page=[4096, 2 * MB][number], more="int user_value(void) { return 42; }", at_start=700)
    plain = job(scratch, SOME)[0]
    assert job(scratch, SOME, LIBRARY, scratch / "plan")[0] == plain
    return scratch


def test_a_warm_start_reads_what_was_touched(learning):
    """Few bytes are read, and all others are right, too, when they are touched after all."""
    plan, one, two = learning / "plan", learning / "libs/libone.so", learning / "libs/libtwo.so"
    parts = learnt(plan)
    assert 10 < parts[key(one)] < 250 and 10 < parts[key(two)] < 250, str(parts)
    cold = job(learning, SOME, LIBRARY)[2]["node_cache_bytes"]
    warm = job(learning, SOME, LIBRARY, plan)[2]["node_cache_bytes"]
    assert warm < cold - 20 * MB, f"warm {warm}, cold {cold}"
    keep = plan.read_text()
    for text in (PROGRAMS["load"], PROGRAMS["children"], PROGRAMS["closed and opened again"]):
        plan.write_text(keep)
        plain = job(learning, text)
        texts, compared, report = job(learning, text, LIBRARY, plan)
        assert (texts, compared) == plain[:2], f"plain {plain}, with fastimport {texts} {compared}"
        assert report["left_to_ld_so"] == [] and report["plan"]["entries"] > 0, str(report)


def checksum(text):
    """The hash of preload/base/hash.h, of which Python has no module."""
    program = '#include "base/hash.h"\n#include <stdio.h>\n' \
              'int main(void) { static char b[1 << 20]; size_t n = fread(b, 1, sizeof b, stdin); printf("%016lx", (unsigned long)fi_hash(b, n, 0)); }'
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(["gcc", "-I", ROOT / "preload", "-o", f"{scratch}/sum", "-x", "c", "-"], input=program, text=True, check=True)
        return subprocess.run([f"{scratch}/sum"], input=text, text=True, capture_output=True, check=True).stdout


@pytest.mark.parametrize("parts", ["0+1", "0+fffff", " ".join(f"{2 * n:x}+1" for n in range(300)), "ffff+ff"])
def test_a_wrong_list_costs_page_faults_only(learning, parts):
    """What the plan says of the libraries is replaced; its checksum is made right."""
    plan = learning / "plan"
    lines = [" ".join([*line.split()[:6], parts]) if line.startswith("touched ") else line for line in plan.read_text().splitlines()[:-1]]
    text = "".join(f"{line}\n" for line in lines)
    plan.write_text(f"{text}end {checksum(text)}\n")
    plain = job(learning, PROGRAMS["load"])
    texts, compared, report = job(learning, PROGRAMS["load"], LIBRARY, plan)
    assert (texts, compared) == plain[:2], f"plain {plain}, with fastimport {texts} {compared}"
    assert report["left_to_ld_so"] == [] and report["plan"]["entries"] > 0, str(report)


def test_an_edited_library_is_learnt_anew(learning):
    one, plan = learning / "libs/libone.so", learning / "plan"
    before = key(one)
    make(one, [Section(".nv_fatbin", 12 * MB), Section(".rodata", 5 * MB)], 99, page=4096, more="int user_value(void) { return 43; }")
    plain = job(learning, PROGRAMS["load"])
    texts, compared, _ = job(learning, PROGRAMS["load"], LIBRARY, plan)
    assert (texts, compared) == plain[:2], f"plain {plain}, with fastimport {texts} {compared}"
    assert key(one) in learnt(plan) and before != key(one), str(learnt(plan))
