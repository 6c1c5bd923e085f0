# SPDX-License-Identifier: BSD-3-Clause
"""LD_LIBRARY_PATH has directories on a network file system: the launcher lists them once, so that no rank searches them for MPI's
libraries. The libraries that are loaded are those that ld.so finds without the library.
"""

import os
import pathlib
import re
import shutil
import subprocess

import pytest
from job import LIBRARY, MPIEXEC, PYTHON

pytestmark = pytest.mark.needs("root", "mpiexec.mpich", "environment")

# Objects in the order of the link map, but for the stubs.
LINK_MAP = """
import ctypes, os
class Info(ctypes.Structure):
    _fields_ = [("addr", ctypes.c_void_p), ("name", ctypes.c_char_p)]
names = []
@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Info), ctypes.c_size_t, ctypes.c_void_p)
def note(info, size, data):
    names.append(info.contents.name.decode())
    return 0
ctypes.CDLL(None).dl_iterate_phdr(note, None)
line = " ".join([os.environ["PMI_RANK"], *[n for n in names if n and n != "fastimport"]]) + "\\n"
os.write(1, line.encode())  # at once: the ranks share the output
"""


def job(search, launcher=True, program=LINK_MAP, prefix=(), env=None):
    """Runs two ranks with LD_LIBRARY_PATH. launcher: whether the library is preloaded into the launcher, too."""
    settings = {"LD_LIBRARY_PATH": ":".join(map(str, search)), "FASTIMPORT_FS": "all", "FASTIMPORT_PLAN": "off", "FASTIMPORT_LOG": "debug", **(env or {})}
    inner, outer = ([], {"LD_PRELOAD": str(LIBRARY)}) if launcher else (["env", f"LD_PRELOAD={LIBRARY}"], {})
    done = subprocess.run([MPIEXEC, "-n", "2", *prefix, *inner, PYTHON, "-c", program], env={**os.environ, **settings, **outer},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"exit {done.returncode}: {done.stdout}{done.stderr}"
    return done


def used_the_list(done, name="libmpi"):
    return all(re.search(rf"rank {rank}: debug: \S*{name}\S* is opened without a search", done.stderr) for rank in range(2))


def link_maps(done):
    """The libraries of MPI in the order of the link map, for each rank."""
    maps = [line.split()[1:] for line in sorted(done.stdout.splitlines())]
    assert len(maps) == 2 and all(any("libmpi" in n for n in m) for m in maps), f"no MPI library in {maps}"
    return maps


def system_library(name):
    lines = subprocess.check_output(["/sbin/ldconfig", "-p"], text=True).splitlines()
    return next(line.split()[-1] for line in lines if line.strip().startswith(name + " "))


def places(scratch):
    """An empty directory, one with a library of MPI, a missing one, and one with a subdirectory for the hardware."""
    names = [pathlib.Path(scratch, n) for n in ("empty", "own", "missing", "hwcaps")]
    names[0].mkdir()
    names[1].mkdir()
    (names[3] / "glibc-hwcaps/x86-64-v2").mkdir(parents=True)
    shutil.copy(system_library("libhwloc.so.15"), names[1] / "libhwloc.so.15")
    shutil.copy(system_library("libucs.so.0"), names[3] / "glibc-hwcaps/x86-64-v2/libucs.so.0")
    return names


def test_the_same_libraries_in_the_same_order(network):
    mount, _ = network
    search = places(mount)
    with_list, without_list = job(search), job(search, launcher=False)
    assert used_the_list(with_list) and not used_the_list(without_list), with_list.stderr + without_list.stderr
    with_list, without_list = link_maps(with_list), link_maps(without_list)
    assert with_list == without_list, f"{with_list}\n{without_list}"
    for name in (f"{search[1]}/libhwloc.so.15", f"{search[3]}/glibc-hwcaps/x86-64-v2/libucs.so.0"):
        assert all(name in m for m in with_list), f"{name} not in {with_list}"


@pytest.mark.needs("strace")
def test_listed_directories_are_not_searched(network):
    mount, local = network
    search = places(mount)
    prefix = ["sh", "-c", f'exec strace -f -qq -e trace=openat -o {local}/$PMI_RANK "$@"', "sh"]
    for launcher in (True, False):
        done = job(search, launcher, "pass", prefix)
        assert used_the_list(done) == launcher, done.stderr
        for rank in range(2):
            text = (local / str(rank)).read_text(errors="replace")
            after = text[text.index("/proc/self/mountinfo" if launcher else "libmpi.so"):]
            assert "libmpi" in after, "MPI was not loaded"
            asked = re.findall(rf'"{search[0]}/([^"]*)"', after)
            assert len(asked) == 0 if launcher else len(asked) >= 10, f"launcher {launcher}, rank {rank}: {asked}"


def test_local_directories_are_searched(network):
    _, local = network
    done = job(places(local))
    assert not used_the_list(done) and "FASTIMPORT_LIBRARY_NAMES" not in done.stderr, done.stderr
    assert all(f"{local}/own/libhwloc.so.15" in m for m in link_maps(done)), f"{link_maps(done)}"


def test_another_list_than_the_launchers(network):
    """A script between launcher and program puts a directory in front: that one is searched."""
    mount, local = network
    search = places(mount)
    shutil.copy(system_library("libucp.so.0"), local / "libucp.so.0")
    done = job(search, prefix=["env", f"LD_LIBRARY_PATH={local}:{':'.join(map(str, search))}"])
    assert used_the_list(done), done.stderr
    assert all(f"{local}/libucp.so.0" in m and f"{search[1]}/libhwloc.so.15" in m for m in link_maps(done)), (
        f"{link_maps(done)}")


def test_the_working_directory_on_the_list(network):
    mount, local = network
    search = places(mount)
    shutil.copy(system_library("libucm.so.0"), local / "libucm.so.0")
    for odd in ("", "."):
        done = job([*search, odd], prefix=["sh", "-c", f'cd {local} && exec "$@"', "sh"])
        assert all("libucm.so.0" in m or "./libucm.so.0" in m for m in link_maps(done)), f"{odd!r}: {link_maps(done)}"


def test_nonsense_from_the_launcher(network):
    mount, _ = network
    search = places(mount)
    plain = link_maps(job(search, launcher=False))
    for text in ("", "1:", "1::.", "1:0123456789abcdef:.", "9:x", "1:" + "f" * 5000):
        assert link_maps(job(search, launcher=False, env={"FASTIMPORT_LIBRARY_NAMES": text})) == plain, f"with {text[:40]!r}"


def test_an_old_list_is_forgotten(network):
    """A launcher with nothing to list removes the variable, and so do ranks, whose children may be launchers."""
    show = "import os; os.write(1, b'%d\\n' % ('FASTIMPORT_LIBRARY_NAMES' in os.environ)); os.system('env | grep -c FASTIMPORT_LIBRARY_NAMES')"
    done = job(["/usr/lib"], program=show, env={"FASTIMPORT_LIBRARY_NAMES": "1::."}, prefix=["sh", "-c", 'env | grep -c LIBRARY_NAMES; exec "$@"', "sh"])
    assert done.stdout.split() == ["0"] * 6, done.stdout
    mount, _ = network
    done = job(places(mount), program=show, prefix=["sh", "-c", 'env | grep -c LIBRARY_NAMES; exec "$@"', "sh"])
    assert sorted(done.stdout.split()) == ["0"] * 4 + ["1"] * 2, done.stdout


def compile_library(directory, name, text, *options):
    target = pathlib.Path(directory, f"lib{name}.so")
    subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-o", target, "-", "-x", "none", f"-L{directory}", f"-Wl,-soname,lib{name}.so", "-Wl,--no-as-needed",
                    *options], input=text, text=True, check=True, timeout=60)


# Takes the place of an MPI library. Its constructor opens and closes libraries, as MPI's plugins do.
ACTS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
void *mid_open(const char *name);
static void say(const char *format, ...)
{
    char line[512];
    va_list words;
    int n, fd;
    va_start(words, format);
    n = vsnprintf(line, sizeof line, format, words);
    va_end(words);
    fd = open(getenv("ACTS"), O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (write(fd, line, n) != n)
        abort();
    close(fd);
}
static int call(void *library, const char *function)
{
    int (*f)(void) = NULL;
    if (library != NULL)
        *(void **)&f = dlsym(library, function);
    return f == NULL ? -1 : f();
}
static void *load(const char *name, int flags)
{
    void *library = dlopen(name, flags);
    if (library == NULL)
        say("%s\n", dlerror());
    return library;
}
static void scope(void)
{
    load("libfirst.so", RTLD_NOW);
    say("scope %d\n", call(load("libplugin.so", RTLD_LAZY), "ask"));
}
static void unloading(void)
{
    void *a = load("libleaf.so", RTLD_LAZY), *b = load("libleaf.so", RTLD_LAZY);
    say("the same %d\n", a == b);
    dlclose(a);
    say("still %d\n", call(b, "leaf"));
    dlclose(b);
    say("gone %d\n", dlopen("libleaf.so", RTLD_LAZY | RTLD_NOLOAD) == NULL);
}
static void few_descriptors(void)
{
    struct rlimit before, few;
    int fd = open("/dev/null", O_RDONLY);
    getrlimit(RLIMIT_NOFILE, &before);
    few = before;
    few.rlim_cur = fd + 1;
    close(fd);
    setrlimit(RLIMIT_NOFILE, &few);
    say("one descriptor %d\n", call(load("libleaf.so", RTLD_NOW), "leaf"));
    setrlimit(RLIMIT_NOFILE, &before);
}
static void by_descriptor(void)
{
    char name[64];
    void *kept = load("libkept.so", RTLD_LAZY);
    int fd = open(getenv("OWN"), O_RDONLY);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    say("kept %d, own %d\n", call(kept, "kept"), call(load(name, RTLD_LAZY), "own"));
    close(fd);
}
__attribute__((constructor)) static void act(void)
{
    scope();
    unloading();
    few_descriptors();
    by_descriptor();
    load("libbad.so", RTLD_LAZY);
    load("libnowhere.so", RTLD_LAZY);
    say("inherited %d\n", call(mid_open("liby.so"), "y"));
}
"""


def acting_library(mount, local):
    """Returns the settings that make it the MPI library. LD_LIBRARY_PATH: mount; its DT_RPATH: local/r."""
    (local / "r").mkdir()
    for name, text, needs in (("first", "int who(void) { return 1; }", ()), ("second", "int who(void) { return 2; }", ()),
                              ("plugin", "int who(void); int ask(void) { return who(); }", ("-lfirst", "-lsecond")),
                              ("below", "int below(void) { return 7; }", ()), ("leaf", "int below(void); int leaf(void) { return below(); }", ("-lbelow",)),
                              ("kept", "int below(void); int kept(void) { return below(); }", ("-lbelow",)),
                              ("bad", "extern int nowhere; int *bad(void) { return &nowhere; }", ("-lbelow",)), ("y", "int y(void) { return 1; }", ()),
                              ("mid", "#include <dlfcn.h>\nvoid *mid_open(const char *n) { return dlopen(n, RTLD_NOW); }", ())):
        compile_library(mount, name, text, *needs)
    compile_library(local / "r", "y", "int y(void) { return 2; }")
    compile_library(local, "own", "int own(void) { return 5; }")
    compile_library(local, "acts", ACTS, f"-L{mount}", "-lmid", "-Wl,--disable-new-dtags", f"-Wl,-rpath,{local}/r")
    return {"FASTIMPORT_MPI": f"{local}/libacts.so", "OWN": f"{local}/libown.so"}


def needs_tail_calls():
    if "COVERAGE" in os.environ:
        pytest.skip("a wrapper whose lines are counted is no tail call")


def test_what_mpi_opens_and_closes(network):
    needs_tail_calls()
    mount, local = network
    settings = acting_library(mount, local)
    said = {}
    for how in ("plain", "without_list", "with_list"):
        env = {**settings, "ACTS": f"{local}/{how}"}
        if how == "plain":
            subprocess.run([PYTHON, "-c", f"import ctypes; ctypes.CDLL('{local}/libacts.so')"], check=True, timeout=60,
                           env={**os.environ, **env, "LD_LIBRARY_PATH": str(mount)})
        else:
            done = job([mount], how == "with_list", "pass", ["sh", "-c", 'ACTS=$ACTS.$PMI_RANK; export ACTS; exec "$@"', "sh"], env=env)
            assert used_the_list(done, "libleaf") == (how == "with_list"), done.stderr
            shutil.copy(f"{local}/{how}.1", f"{local}/{how}")
            assert (local / f"{how}.0").read_text() == (local / f"{how}.1").read_text(), "ranks differ"
        said[how] = (local / how).read_text()
    assert said["plain"] == said["without_list"] == said["with_list"], "\n".join(f"{how}:\n{text}" for how, text in said.items())
    for line in ("scope 1\n", "gone 1\n", "one descriptor 7\n", "kept 7, own 5\n", "inherited 2\n", "undefined symbol: nowhere"):
        assert line in said["plain"], f"{line!r} is not in {said['plain']}"


def test_the_callers_runpath_in_a_passive_process(scratch):
    """The wrapper must be a tail call: ld.so takes the return address for the caller's."""
    needs_tail_calls()
    pathlib.Path(scratch, "run").mkdir()
    compile_library(f"{scratch}/run", "below", "int below(void) { return 7; }")
    compile_library(scratch, "caller", "#include <dlfcn.h>\nint works(void) { return dlopen(\"libbelow.so\", RTLD_NOW) != 0; }",
                    "-Wl,--enable-new-dtags,-rpath,$ORIGIN/run")
    done = subprocess.run([PYTHON, "-c", f"import ctypes; print(ctypes.CDLL('{scratch}/libcaller.so').works())"], capture_output=True, text=True,
                          env={**os.environ, "LD_PRELOAD": str(LIBRARY)}, stdin=subprocess.DEVNULL, timeout=60)
    assert done.stdout == "1\n", f"{done}"
