# SPDX-License-Identifier: BSD-3-Clause
"""dlopen does the same under libfastimport.so as ld.so does alone: one program, plain and as each of two ranks.

A case is a folder with libraries and the commands that subject.c obeys there. What it prints (handles, dlerror's
texts, what is loaded and mapped in which order, constructors, which function a name is bound to) must be the same. The
report must say that libraries came from the node cache, or that they were left to ld.so where a case says so: which, and why.

The rules of tests/elf are cases, too, with the order of constructors from LD_DEBUG.
"""

import difflib
import json
import os
import pathlib
import re
import subprocess
import tempfile

import pytest
from job import LIBRARY
from support import BUILD, ROOT

pytestmark = pytest.mark.needs("mpiexec.mpich")

RULES = ROOT / "tests/elf"
MIRROR = re.compile(r"/\S*/fastimport-\d+-[0-9a-f]+/files(?=/)")

# A stub of fastimport stays loaded as long as a library that was opened with RTLD_LAZY. Nothing else of fastimport may be seen.
STUB = re.compile(r"  loaded /\S*/fastimport-\S*/tmp/\d+\.\d+(\.names)?\.so\n")

# A library says when it is begun and ended, under which name, and who defines `who` for it.
SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
extern void subject_constructor(const char *, const char *) __attribute__((weak));
static void say(const char *what)
{
    Dl_info info = {0};
    dladdr((void *)say, &info);
    if (subject_constructor) subject_constructor(what, info.dli_fname);
}
__attribute__((constructor)) static void begin(void) { say("constructor"); }
__attribute__((destructor)) static void end(void) { say("destructor"); }
__attribute__((weak)) extern int who(void);
int bound_NAME(void) { return who ? who() : -1; }
void *open_from_here(const char *name, int flags);
void *open_from_here(const char *name, int flags) { void *handle = dlopen(name, flags); __asm__ volatile("" ::: "memory"); return handle; }
"""


class Case:
    """A folder with libraries, and the commands that the program obeys there."""

    def __init__(self, folder, elsewhere):
        self.elsewhere = elsewhere  # a directory that is never served, and in which nothing is a change
        self.folder, self.env, self.exe_flags, self.commands = folder, {}, [], []
        self.wants_fallback = self.debug = False
        self.left = {}  # what the report must name as left to ld.so: a path in the folder, and what its reason must match

    def lib(self, name, *needed, path=None, soname=True, who=None, flags=(), extra=""):
        """Builds a library and returns its path. needed: paths of the libraries that it needs; soname: a name, or False for none."""
        file = self.folder / (path or f"lib{name}.so")
        file.parent.mkdir(parents=True, exist_ok=True)
        text = SOURCE.replace("NAME", name) + extra + (f"int who(void) {{ return {who}; }}\n" if who is not None else "")
        if who is not None:
            text = text.replace("__attribute__((weak)) extern int who(void);", "int who(void);")
        names = [] if soname is False else [f"-Wl,-soname,{soname if soname is not True else file.name}"]
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wl,--no-as-needed", "-Wl,--enable-new-dtags", "-Wl,-z,lazy", "-x", "c", "-",
                        "-x", "none", "-o", file, *names, *[str(n) for n in needed], "-Wl,-rpath,$ORIGIN", *flags],
                       input=text, text=True, check=True, cwd=self.folder)
        return file

    def build(self):
        subprocess.run(["gcc", "-rdynamic", "-o", self.folder / "subject", BUILD / "obj/tests/jobs/dlopen/subject.o", *self.exe_flags], check=True)

    def settings(self, label):
        log = {"LD_DEBUG": "files", "LD_DEBUG_OUTPUT": str(self.folder / f"debug.{label}")} if self.debug else {}
        return {**self.env, **log}

    def run(self, label, before):
        """Runs the program behind the words of `before`. Returns what each rank wrote, and the messages."""
        for old in self.elsewhere.glob(f"out.{label}.*"):
            old.unlink()
        words = [f"{k}={v}" for k, v in self.settings(label).items()]
        done = subprocess.run([*before, *words, self.folder / "subject", self.folder, self.elsewhere / f"out.{label}", *self.commands],
                              cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{label}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        texts = [STUB.sub("", p.read_text()) for p in sorted(self.elsewhere.glob(f"out.{label}.*"))]
        return texts, done.stderr

    def plain(self):
        return self.run("plain", ["env"])[0][0]

    def job(self):
        report = self.folder / "report.json"
        texts, errors = self.run("job", ["mpiexec.mpich", "-n", "2", "env", f"FASTIMPORT_PATH={self.folder}", "FASTIMPORT_FS=all",
                                         "FASTIMPORT_PLAN=off", f"FASTIMPORT_REPORT={report}", f"LD_PRELOAD={LIBRARY}"])
        return texts, errors, json.loads(report.read_text())


def difference(plain, job, label):
    lines = difflib.unified_diff(plain.splitlines(), job.splitlines(), "plain", label, lineterm="", n=2)
    return "\n".join(list(lines)[:40])


def constructors(folder, label):
    """Names in the order in which ld.so called their constructors, of each process that has loaded something of the folder."""
    found = []
    for log in sorted(folder.glob(f"debug.{label}.*")):
        called = re.findall(r"calling init: (\S+)", log.read_text(errors="replace"))
        called = [MIRROR.sub("", name) for name in called if str(folder) in name]
        if called:
            found.append(called)
        log.unlink()
    return found


def check(case):
    """Runs the case without the library and as a job of two ranks, and compares."""
    case.build()
    plain = case.plain()
    texts, errors, report = case.job()
    assert "\nend\n" in plain and len(texts) == 2, f"no end: {plain!r}, {len(texts)} ranks"
    assert "fastimport" not in errors, f"unexpected message: {errors}"
    for rank, text in enumerate(texts):
        assert text == plain, difference(plain, text, f"rank {rank}")
    if case.debug:
        wanted = constructors(case.folder, "plain")[:1] * 2
        got = constructors(case.folder, "job")
        assert got == wanted or not (wanted or got), f"constructors: {wanted[:1]}, under fastimport {got}"
    fallbacks, served = report["fallbacks"], report["calls"]["dl"]["served"]
    left = fallbacks["library"] + fallbacks["unavailable"]
    assert case.wants_fallback == (left > 0) and (served > 0 or left), f"served {served}, fallbacks {fallbacks}"
    named = {pathlib.Path(l["path"]).relative_to(case.folder).as_posix(): l["why"] for l in report["left_to_ld_so"]}
    assert named.keys() == case.left.keys() and all(re.search(why, named[name]) for name, why in case.left.items()), f"named: {named}"


@pytest.fixture
def case(scratch):
    """A Case. A test says what is done in it, and calls check()."""
    with tempfile.TemporaryDirectory(prefix="dl-", dir="/dev/shm") as elsewhere:
        yield Case(scratch.resolve(), pathlib.Path(elsewhere).resolve())


# --- scope, order, names ---------------------------------------------------------------------------------------------


def diamond(case, flags=()):
    """L needs D1 and D2, D2 needs D3; D1 and D3 both define who()."""
    d3 = case.lib("D3", who=3, flags=flags)
    d1 = case.lib("D1", who=1, flags=flags)
    d2 = case.lib("D2", d3, flags=flags)
    return case.lib("L", d1, d2, flags=flags)


def seen(handle):
    return [f"call:{handle}:bound_{name}" for name in ("L", "D2", "D1")] + ["list", "maps"]


SEEN = seen(0)


@pytest.mark.parametrize("letters", ["N", "NG", "ND", "NP", "L", "LG", "LD", "LP", "NGD"])
def test_flags(case, letters):
    name = diamond(case)
    case.commands = [f"open:{letters}:{name}", *SEEN, f"open:N:{name}", f"open:NO:{name}", "close:0", "close:1", "list", "close:2", "list",
                     f"open:NO:{name}", f"open:{letters}:{name}", *seen(4)]
    check(case)


def test_dependency_first(case):
    name = diamond(case)
    case.commands = [f"open:N:{case.folder}/libD2.so", "call:0:bound_D2", "list", f"open:N:{name}", "call:1:bound_L", "call:1:bound_D2", "list",
                     "close:1", "list", "close:0", "list"]
    check(case)


def test_loaded_dependency_before_its_rival(case):
    """L needs D1 and D3, which both define who(): D1's counts, loaded before or not."""
    for letters in ("N", "L"):
        name = case.lib("L", case.lib("D1", who=1), case.lib("D3", who=3))
        case.commands += [f"open:{letters}:{case.folder}/libD1.so", f"open:{letters}:{name}"]
    case.commands += ["call:1:bound_L", "call:3:bound_L", "list", "close:3", "close:2", "close:1", "close:0", "list"]
    check(case)


def test_dependency_after(case):
    name = diamond(case)
    case.commands = [f"open:N:{name}", f"open:N:{case.folder}/libD2.so", "close:0", "list", "call:1:bound_D2", "close:1", "list"]
    check(case)


def test_promotion_to_global(case):
    name = diamond(case)
    case.lib("U", who=None)
    case.commands = [f"open:N:{name}", f"open:NGO:{name}", f"open:N:{case.folder}/libU.so", "call:2:bound_U", "list"]
    check(case)


def test_cycle(case):
    """The libraries are not closed: the order of destructors in a cycle depends on what else is loaded, with ld.so alone, too."""
    case.lib("D2")
    d1 = case.lib("D1", case.folder / "libD2.so", who=1)
    case.lib("D2", d1, who=2)
    name = case.lib("L", d1)
    case.commands = [f"open:N:{name}", *SEEN, "exit"]
    check(case)


def test_cycle_through_the_library(case):
    case.lib("L")
    d1 = case.lib("D1", case.folder / "libL.so", who=1)
    name = case.lib("L", d1)
    case.wants_fallback = True
    case.left = {"libL.so": "^is needed by a library that it needs$"}
    case.commands = [f"open:N:{name}", *SEEN, "exit"]
    check(case)


def test_without_soname(case):
    case.lib("D", soname=False, who=4)
    name = case.lib("L", "-L.", "-l:libD.so")
    other = case.lib("M", "-L.", "-l:libD.so")
    case.commands = [f"open:N:{name}", *SEEN, f"open:N:{other}", "list", "close:0", "list", "close:1", "list"]
    check(case)


def test_needed_by_path(case):
    d = case.lib("D", soname=False, who=4)
    name = case.lib("L", d)
    case.wants_fallback = True
    case.left = {"libL.so": "^ld.so would search for /.*/libD.so under another name$"}
    case.commands = [f"open:N:{name}", *SEEN, "close:0", "list"]
    check(case)


def test_needed_from_origin(case):
    (case.folder / "sub").mkdir()
    case.lib("D", path="sub/libD.so", soname="$ORIGIN/sub/libD.so", who=4)
    name = case.lib("L", "sub/libD.so")
    case.lib("D", path="sub/libD.so", soname=False, who=4)
    case.commands = [f"open:N:{name}", *SEEN, "close:0", "list"]
    check(case)


def test_other_names(case):
    name = diamond(case)
    (case.folder / "link.so").symlink_to("libL.so")
    os.link(name, case.folder / "hard.so")
    (case.folder / "sub").mkdir()
    names = ["link.so", "hard.so", "sub/../libL.so", ".//libL.so"]
    closed = [f"close:{i}" for i in range(6)]
    case.commands = [f"open:N:{name}", *[f"open:N:{case.folder}/{n}" for n in names], "open:N:./libL.so", "list",
                     *closed, "list", f"open:N:{case.folder}/link.so", "list", "close:6", "list"]
    check(case)


OTHER_NAMES = [(child, order) for child in ("exec", "fork", "") for order in ("lsor", "sl", "ol", "hls", "ls", "olh")]


@pytest.mark.parametrize("child, order", OTHER_NAMES, ids=[f"{child or 'rank'}-{order}" for child, order in OTHER_NAMES])
def test_other_names_in_a_child(case, child, order):
    """The library has no SONAME, by which ld.so would know it. (Where it is opened by a relative name first, the names of what it needs
    have no "./" in them, which ld.so's have.)"""
    base = case.lib("D", who=4)
    name = case.lib("L", base, soname=False)
    (case.folder / "link.so").symlink_to("libL.so")
    os.link(name, case.folder / "hard.so")
    outside = case.elsewhere / "outside.so"
    outside.symlink_to(name)
    places = {"l": name, "s": f"{case.folder}/link.so", "h": f"{case.folder}/hard.so", "o": outside, "r": "./link.so"}
    opened = [f"open:{'N' if i % 2 else 'L'}:{places[letter]}" for i, letter in enumerate(order)]
    first = [f"open:N:{name}"]
    if child == "exec":  # handles begin anew
        case.commands = [*first, "exec", *opened, "list", "maps", f"open:NO:{outside}", *[f"close:{i}" for i in range(len(order) + 1)], "list"]
    else:
        case.commands = [*first, "close:0", "list", *([child] if child else []), *opened, "maps", *[f"close:{i}" for i in range(1, len(order) + 1)], "list"]
    check(case)


def test_same_soname_elsewhere(case):
    case.lib("D", path="a/libD.so", who=1)
    case.lib("D", path="b/libD.so", who=2)
    case.lib("L", "-La", "-l:libD.so", flags=["-Wl,-rpath,$ORIGIN/a"])
    case.lib("M", "-Lb", "-l:libD.so", flags=["-Wl,-rpath,$ORIGIN/b"])
    case.commands = [f"open:N:{case.folder}/libL.so", f"open:N:{case.folder}/libM.so", "call:1:bound_M", "list", f"open:N:{case.folder}/b/libD.so",
                     "call:2:bound_D", "list"]
    check(case)


def test_errors(case):
    (case.folder / "text.so").write_text("not a library")
    case.lib("D", who=1)
    missing = case.lib("missing", case.folder / "libD.so")
    (case.folder / "libD.so").unlink()
    undefined = case.lib("undefined", extra="int nowhere(void); int f(void); int f(void) { return nowhere(); }")
    case.wants_fallback = True
    case.left = {"text.so": "^/.*/text.so is not a valid library for this machine$", "libmissing.so": "^needs libD.so, which was not found$",
                 "libundefined.so": "^/.*/libundefined.so: undefined symbol: nowhere$",
                 ".": "^/.* is not a valid library for this machine$"}
    case.commands = [f"open:N:{p}" for p in (case.folder / "none.so", case.folder / "text.so", missing, undefined, case.folder)]
    case.commands += [f"open:L:{undefined}", f"open:NO:{missing}", "list", "open:N:libnone.so", "open:N:none/none.so"]
    check(case)


def test_symbols_of_the_caller(case):
    """A plugin that is not linked with what it needs finds that in the global scope of the program that loads it."""
    case.lib("D", who=7)
    case.lib("plugin", extra="int who(void); int f(void); int f(void) { return who(); }")
    case.commands = [f"open:NG:{case.folder}/libD.so", f"open:N:{case.folder}/libplugin.so", "call:1:f", "call:1:bound_plugin", "close:0", "list"]
    check(case)


def test_static_tls(case):
    """A library needs more thread-local storage of the initial-exec model than ld.so keeps in reserve; then one needs less."""
    for name, size in (("large", 1 << 20), ("small", 64)):
        case.lib(name, flags=["-ftls-model=initial-exec"],
                 extra=f"static __thread char storage[{size}]; char *of(int i); char *of(int i) {{ return storage + i; }}")
    case.wants_fallback = True
    case.left = {"liblarge.so": "^/.*/liblarge.so: cannot allocate memory in static TLS block$"}
    case.commands = [f"open:N:{case.folder}/liblarge.so", f"open:N:{case.folder}/libsmall.so", "call:1:bound_small", "list"]
    check(case)


def test_constructor_opens(case):
    inner = diamond(case)
    case.lib("outer", extra=f"""
        __attribute__((constructor)) static void open_inner(void) {{ dlopen("{inner}", RTLD_NOW); }}""")
    case.commands = [f"open:N:{case.folder}/libouter.so", "list", f"open:N:{inner}", "call:1:bound_D2", "list"]
    check(case)


def test_caller_with_runpath(case):
    case.lib("plugin", path="plugins/libplugin.so", who=9)
    case.lib("caller", flags=["-Wl,-rpath,$ORIGIN/plugins"])
    case.commands = [f"open:N:{case.folder}/libcaller.so", "from:0:libplugin.so", "call:1:bound_plugin", "list", "from:0:libnowhere.so",
                     "open:N:libplugin.so", "close:1", "close:3", "list", "from:0:libplugin.so", "list"]
    case.wants_fallback = True  # libnowhere.so
    check(case)


def test_caller_with_rpath(case):
    case.lib("plugin", path="plugins/libplugin.so", who=9)
    case.lib("caller", flags=["-Wl,--disable-new-dtags,-rpath,$ORIGIN/plugins"])
    case.commands = [f"open:N:{case.folder}/libcaller.so", "from:0:libplugin.so", "call:1:bound_plugin", "list"]
    check(case)


def test_name_on_ld_library_path(case):
    diamond(case)
    case.env = {"LD_LIBRARY_PATH": f"{case.folder}/none:{case.folder}"}
    case.commands = ["open:N:libL.so", *SEEN, f"open:N:{case.folder}/libL.so", "open:N:libD2.so", "close:0", "close:1", "close:2", "list"]
    check(case)


def test_system_library(case):
    name = case.lib("L", "-lgomp", flags=["-Wl,-rpath,$ORIGIN/none"])
    case.env = {"LD_LIBRARY_PATH": f"{case.folder}/none:{case.folder}"}
    case.commands = [f"open:N:{name}", "call:0:omp_get_thread_num", "list"]
    check(case)


def test_relative(case):
    case.lib("L")
    case.commands = ["open:N:./libL.so", "call:0:bound_L", "list", "maps", f"open:N:{case.folder}/libL.so", "close:0", "close:1", "list"]
    check(case)


# --- the rules of tests/elf --------------------------------------------------------------------------------------------

BASH = """
. {rules}/lib.sh && . {rules}/{rule}/rule.sh || exit 1
printf '%s\\0' "$target" "${{caller:-}}" "${{#run_env[@]}}" ${{run_env[@]+"${{run_env[@]}}"}} ${{exe_flags[@]+"${{exe_flags[@]}}"}}
"""
# ld.so opens what these name itself: a path, a library that cannot be loaded; or the file system is not ours to serve.
LEFT_TO_LD_SO = {
    "04": ("liba.so", "^needs libc3.so, which was not found$"),
    "05": ("liba.so", "^needs libc3.so, which was not found$"),
    "09": ("liba.so", "^/.*/libdep.so has a dollar sign in its name$"),
    "19": ("liba.so", "^/.*/a/libdep.so is not a valid library for this machine$"),
    "24": ("liba.so", "^needs libgone.so, which was not found$"),
    "27": ("liba.so", "^/.*/a/libdep.so is not a valid library for this machine$"),
    "28": ("liba.so", "^/.*/a/libdep.so is not a valid library for this machine$"),
    "30": ("sub/liba.so", "^needs libdep.so, which was not found$"),
    "31": ("program", "^/.*/program is not a valid library for this machine$"),
    "32": ("liba.so", "^is needed by a library that it needs$"),
}
# A rank has libm already: its MPI library needs it.
DIFFERENT = {"22"}


@pytest.mark.parametrize("rule", [d.name for d in sorted(RULES.glob("[0-9]*/")) if d.name[:2] not in DIFFERENT])
def test_rule(case, rule):
    done = subprocess.run(["bash", "-c", "run_env=() exe_flags=()" + BASH.format(rules=RULES, rule=rule)], cwd=case.folder,
                          capture_output=True, text=True, check=True)
    target, caller, n, *words = done.stdout.split("\0")[:-1]
    case.env = dict(w.split("=", 1) for w in words[: int(n)])
    case.exe_flags = words[int(n):]
    case.debug = True
    first = [f"open:N:{caller}", f"from:0:{target}"] if caller else [f"open:N:{target}"]
    case.commands = [*first, "list", "maps", f"call:{len(first) - 1}:library_function", f"close:{len(first) - 1}", "list"]
    case.wants_fallback = rule[:2] in LEFT_TO_LD_SO
    case.left = dict([LEFT_TO_LD_SO[rule[:2]]] if case.wants_fallback else [])
    check(case)
