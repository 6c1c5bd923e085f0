# SPDX-License-Identifier: BSD-3-Clause
"""ctypes loads libraries by name, by a relative path and in a child as it does without the library.

Each program prints the same without the library and as two ranks, and the report says that libraries came from the node cache.
"""

import json
import os
import pathlib
import subprocess
import sys

import pytest
from job import LIBRARY

pytestmark = pytest.mark.needs("mpiexec.mpich")

# It needs libbase.so, which is found on LD_LIBRARY_PATH only.
SOURCES = {"base": "int base(void) { return 40; }", "top": "int base(void); int top(void) { return base() + 2; }",
           "other": "int base(void); int other(void) { return base() + 3; }"}

BEGIN = """
import ctypes, os, re, subprocess, sys, time
RANK = int(os.environ.get("PMI_RANK", "0"))
def say(*words):
    with open(os.environ["OUT"] + str(RANK), "a") as out:
        print(*words, file=out)
def wait_for_all(point):
    open(os.environ["OUT"] + f".{point}{RANK}", "w").close()
    while "JOB" in os.environ and not all(os.path.exists(os.environ["OUT"] + f".{point}{rank}") for rank in range(2)):
        time.sleep(0.01)
def failure(name, **options):
    try:
        ctypes.CDLL(name, **options)
    except OSError as error:
        say(name, error)
def mapped():
    names = {line.split(maxsplit=5)[5].strip() for line in open("/proc/self/maps") if line.count("/") and "/libs/" in line}
    with open(os.environ["OUT"] + str(RANK) + ".direct", "w") as out:  # not from a node cache
        out.write(" ".join(name for name in names if "/fastimport-" not in name))
    return sorted(re.sub(r"^/\\S*/fastimport-[^/]*/files", "", name) for name in names)
"""

PROGRAMS = {
    "bare names": """
top = ctypes.CDLL("libtop.so")
say(top.top(), ctypes.CDLL("libtop.so")._handle == top._handle, ctypes.CDLL(os.environ["LIBS"] + "/libtop.so")._handle == top._handle)
say(ctypes.PyDLL("libother.so").other(), ctypes.CDLL("libbase.so", mode=ctypes.RTLD_GLOBAL).base(), ctypes.CDLL(None).base())
say(mapped())
""",
    "relative paths": """
os.chdir(os.environ["LIBS"])
top = ctypes.CDLL("./libtop.so")
say(top.top(), ctypes.CDLL("./" * 2043 + "libtop.so")._handle == top._handle, ctypes.CDLL("../libs/libother.so").other(), mapped())
""",
    "cdll attributes": """
say(ctypes.cdll.LoadLibrary("libtop.so").top(), hasattr(ctypes.CDLL("libtop.so"), "nothing"), ctypes.CDLL("libm.so.6").abs(-3), mapped())
""",
    "another name of a library that was touched": """
top = ctypes.CDLL(os.environ["LIBS"] + "/libtop.so")
wait_for_all("loaded")
os.utime(os.environ["LIBS"] + "/libtop.so")
say(top.top(), ctypes.CDLL(os.environ["LIBS"] + "/libtwin.so")._handle == top._handle, mapped())
""",
    "a library that was touched, named from another directory": """
os.chdir(os.environ["LIBS"])
top = ctypes.CDLL("./libtop.so")
wait_for_all("loaded")
os.utime("libtop.so")
os.chdir("/")
say(top.top(), ctypes.CDLL(os.environ["LIBS"] + "/libtop.so")._handle == top._handle, mapped())
""",
    "libraries that were renamed": """
os.chdir(os.environ["LIBS"])
top, other = (ctypes.CDLL(f"{os.environ['LIBS']}/lib{name}.so") for name in ("top", "other"))
wait_for_all("loaded")
if RANK == 0:
    os.rename("libtop.so", "libnew.so")
    os.rename("libother.so", "libold.so")
    os.link("libbase.so", "libother.so")
wait_for_all("renamed")
say(top.top(), ctypes.CDLL(os.environ["LIBS"] + "/libnew.so")._handle == top._handle)
say(other.other(), ctypes.CDLL(os.environ["LIBS"] + "/libold.so")._handle == other._handle)
say(ctypes.CDLL("./libnew.so", mode=os.RTLD_NOLOAD)._handle == top._handle, len(mapped()))
wait_for_all("said")
if RANK == 0:
    os.rename("libnew.so", "libtop.so")
    os.rename("libold.so", "libother.so")
""",
    "another name of a library that was read": """
top = ctypes.CDLL(os.environ["LIBS"] + "/libtop.so")
say(len(open(os.environ["LIBS"] + "/libtop.so", "rb").read()) > 0)
os.chdir(os.environ["LIBS"])
say(ctypes.CDLL("./libtop.so")._handle == top._handle, top.top(), mapped())
""",
    "errors": """
failure("libnowhere.so"); failure("./none.so"); failure(os.environ["LIBS"] + "/none.so"); failure("")
say(ctypes.CDLL("libtop.so").top(), mapped())
""",
    "a rank that has loaded less than the root": """
if RANK == 0 and "JOB" in os.environ:
    ctypes.CDLL("libother.so").other()  # brings libbase.so
    ctypes.CDLL("libtop.so").top()
    os.close(os.open(os.environ["OUT"] + "loaded", os.O_CREAT | os.O_WRONLY))
while "JOB" in os.environ and not os.path.exists(os.environ["OUT"] + "loaded"):
    pass
say(ctypes.CDLL("libtop.so").top(), ctypes.CDLL("libother.so").other(), mapped())
""",
    "a child of a rank": """
say(ctypes.CDLL("libtop.so").top())
child = "import ctypes; print(ctypes.CDLL('libtop.so').top(), ctypes.CDLL('libother.so').other())"
say(subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True).stdout, mapped())
""",
}


def build(folder):
    folder.mkdir()
    for name, text in SOURCES.items():
        needs = [] if name == "base" else [folder / "libbase.so"]
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wl,-soname,lib" + name + ".so", "-o", folder / f"lib{name}.so", "-x", "c", "-", "-x", "none", *needs],
                       input=text, text=True, check=True)
    os.link(folder / "libtop.so", folder / "libtwin.so")


def run(before, folder, out, text):
    words = [f"OUT={out}", f"LIBS={folder}", f"LD_LIBRARY_PATH={folder}"]
    done = subprocess.run([*before, *words, sys.executable, "-c", BEGIN + text], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stderr[-2000:]}"
    assert "fastimport" not in done.stderr, done.stderr[-2000:]
    return [pathlib.Path(f"{out}{rank}").read_text() for rank in range(2 if "mpiexec.mpich" in before else 1)]


@pytest.mark.parametrize("text", PROGRAMS.values(), ids=PROGRAMS)
def test_program(scratch, text):
    folder, report = scratch / "libs", scratch / "report"
    build(folder)
    plain = run(["env"], folder, scratch / "plain", text)
    job = run(["mpiexec.mpich", "-n", "2", "env", "JOB=1", f"FASTIMPORT_PATH={folder}", "FASTIMPORT_PLAN=off", f"FASTIMPORT_REPORT={report}",
               "FASTIMPORT_FS=all", f"LD_PRELOAD={LIBRARY}"], folder, scratch / "job", text)
    assert plain[0] and job == plain * 2, f"plain {plain}, ranks {job}"
    direct = [(scratch / f"job{rank}.direct").read_text() for rank in range(2)]
    assert direct == ["", ""], f"mapped from where they are: {direct}"
    facts = json.loads(report.read_text())
    assert facts["left_to_ld_so"] == [] and facts["fallbacks"]["library"] == 0, str(facts["left_to_ld_so"])
    assert facts["calls"]["dl"]["served"] >= 2, str(facts["calls"])
