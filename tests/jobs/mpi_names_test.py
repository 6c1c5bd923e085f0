# SPDX-License-Identifier: BSD-3-Clause
"""A program may have its MPI under any name, linked, opened or wrapped: each job does the same with fastimport and without it."""

import os
import pathlib
import subprocess
import tempfile

import pytest
from job import LIBRARY, MPIEXEC, PYTHON, local_job

pytestmark = pytest.mark.needs("mpiexec.mpich", "environment")

FLAGS = subprocess.check_output(["mpicc.mpich", "-compile_info"], text=True).split()[1:]
INCLUDES = sorted({f for f in FLAGS if f.startswith("-I")})
PYTHON_INCLUDE = subprocess.check_output(["/usr/bin/python3", "-c", "import sysconfig; print(sysconfig.get_paths()['include'])"], text=True).strip()

# The program is served; has nothing to serve; has switched the library off.
STATES = {"active": {"FASTIMPORT_FS": "all"}, "idle": {"FASTIMPORT_FS": "net"}, "off": {"FASTIMPORT": "0"}}

# MPI as a library uses it. With a session open MPICH puts off the delete functions of MPI_COMM_SELF until the session is closed,
# so their output tells whether fastimport has seen MPI_Finalize.
LIFE = r"""
    #include <mpi.h>
    #include <stdio.h>
    int life(void);
    static int deleted(MPI_Comm c, int k, void *v, void *x) { (void)c, (void)k, (void)v, (void)x; puts("deleted"); return MPI_SUCCESS; }
    int life(void)
    {
        int key, before, after, ended, main_thread, size;
        MPI_Initialized(&before);
        MPI_Init(0, 0);
        MPI_Initialized(&after);
        MPI_Is_thread_main(&main_thread);
        MPI_Comm_size(MPI_COMM_WORLD, &size);
        MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, deleted, &key, 0);
        MPI_Comm_set_attr(MPI_COMM_SELF, key, 0);
        MPI_Finalize();
        MPI_Finalized(&ended);
        printf("%d %d %d %d of %d\n", before, after, main_thread, ended, size);
        return size;
    }
    """
EXPECTED = "deleted\n0 1 1 1 of 2\n"

MODULE = r"""
    #include <Python.h>
    int life(void);
    static PyObject *go(PyObject *s, PyObject *a) { (void)s, (void)a; return PyLong_FromLong(life()); }
    static PyMethodDef methods[] = {{"go", go, METH_NOARGS, ""}, {0}};
    static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "extension", 0, -1, methods};
    PyMODINIT_FUNC PyInit_extension(void) { return PyModule_Create(&module); }
    """


def compile_c(directory, name, text, *flags):
    source = pathlib.Path(directory, f"{name}.source.c")
    source.write_text(text)
    subprocess.run(["gcc", *INCLUDES, source, "-o", f"{directory}/{name}", *flags], check=True, timeout=60)
    return f"{directory}/{name}"


def shared(directory, name, text, *flags):
    return compile_c(directory, name, text, "-shared", "-fPIC", *flags)


def outcome(command, env, ranks=2):
    """Runs a job. Returns what each rank printed, in the order of the ranks, the exit code, and the messages."""
    with tempfile.TemporaryDirectory() as scratch:
        words = [f"{k}={v}" for k, v in env.items()]
        done = subprocess.run([MPIEXEC, "-n", str(ranks), "-outfile-pattern", f"{scratch}/%r", "env", *words, *map(str, command)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        said = [pathlib.Path(scratch, str(r)).read_text() if pathlib.Path(scratch, str(r)).exists() else "" for r in range(ranks)]
        return said, done.returncode, done.stderr


def compare(command, expected=None, env=None, ranks=2, states=STATES, told=()):
    """told: the words of the one message, in a job that is served."""
    plain = outcome(command, env or {}, ranks)
    if expected is not None:
        assert plain == ([expected] * ranks, 0, ""), f"the plain job: {plain}"
    for state, settings in states.items():
        with_it = outcome(command, {"LD_PRELOAD": LIBRARY, "FASTIMPORT_PLAN": "off", **settings, **(env or {})}, ranks)
        if told and with_it[2]:
            assert state == "active" and with_it[2].count("\n") == 1 and told in with_it[2], f"{state}: {with_it}"
            with_it = (*with_it[:2], "")
        assert with_it == plain, f"{state}: {with_it}, plain: {plain}"


def mpich_called(directory, soname):
    """Copies Debian's MPICH to another name. Returns the flags that link it."""
    stem = soname.split(".so")[0]
    subprocess.run(["cp", "-L", "/usr/lib/x86_64-linux-gnu/libmpich.so.12", f"{directory}/{soname}"], check=True)
    subprocess.run(["patchelf", "--set-soname", soname, f"{directory}/{soname}"], check=True)
    os.symlink(soname, f"{directory}/{stem}.so")
    return [f"-L{directory}", f"-l{stem[3:]}", f"-Wl,-rpath,{directory}"]


@pytest.mark.needs("patchelf")
def test_mpi_under_a_vendors_name(scratch):
    """HPE's libraries have the compiler's name in theirs. A program is linked to such a one, and an extension module brings it in."""
    link = mpich_called(scratch, "libmpi_gnu_91.so.12")
    compare([compile_c(scratch, "program", LIFE + "int main(void) { return life() != 2; }", *link)], EXPECTED)
    shared(scratch, "extension.so", MODULE + LIFE, f"-I{PYTHON_INCLUDE}", *link)
    compare([PYTHON, "-c", "import extension; extension.go()"], EXPECTED, {"PYTHONPATH": scratch})


@pytest.mark.parametrize("flags", [["-Wl,-z,lazy"], ["-Wl,-z,now"], ["-no-pie", "-Wl,-z,lazy"], ["-no-pie", "-Wl,-z,now"], ["-rdynamic"]],
                         ids=" ".join)
def test_programs_of_every_binding(scratch, flags):
    """MPI is bound lazily or at once, in programs with a fixed address or without."""
    compare([compile_c(scratch, "program", LIFE + "int main(void) { return life() != 2; }", *flags, "-lmpich")], EXPECTED,
            states={"active": {**STATES["active"], "FASTIMPORT_PATH": scratch}})


def test_libraries_that_are_opened(scratch):
    """A library is opened by a path, by a name that LD_LIBRARY_PATH or a RUNPATH leads to; one initialises MPI in its constructor."""
    opened = "import ctypes; ctypes.CDLL('{}').life()"
    path = shared(scratch, "liblife.so", LIFE, "-lmpich")
    for binding in ("lazy", "now"):
        shared(scratch, "liblife.so", LIFE, "-lmpich", f"-Wl,-z,{binding}")
        compare([PYTHON, "-c", opened.format(path)], EXPECTED)
        compare([PYTHON, "-c", opened.format("liblife.so")], EXPECTED, {"LD_LIBRARY_PATH": scratch})
    eager = LIFE + "static __attribute__((constructor)) void start(void) { life(); }"
    shared(scratch, "libeager.so", eager, "-lmpich")
    compare([PYTHON, "-c", f"import ctypes; ctypes.CDLL('{scratch}/libeager.so')"], EXPECTED,
            states={"active": {**STATES["active"], "FASTIMPORT_PATH": scratch}})


QUESTION = r"""
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <stdio.h>
    extern int MPI_Initialized(int *) __attribute__((weak));
    int ask(void);
    int ask(void)
    {
        printf("%d %d\n", MPI_Initialized != 0, dlsym(RTLD_DEFAULT, "MPI_Init") != 0);
        return 0;
    }
    """


def test_no_function_of_mpi_where_there_is_none(scratch):
    """A program asks whether there is an MPI, as NEURON and others do: by a weak symbol, and by dlsym in the global scope."""
    weak = ["-pie", "-fPIC", "-Wl,-z,dynamic-undefined-weak"]
    compare([compile_c(scratch, "program", QUESTION + "int main(void) { return ask(); }", *weak)], "0 0\n")
    library = shared(scratch, "libask.so", QUESTION)
    compare([PYTHON, "-c", f"import ctypes; ctypes.CDLL('{library}').ask()"], "0 0\n")


def test_functions_of_mpi_where_the_program_has_opened_it(scratch):
    """MPI's functions are in the global scope, or not, as the program has opened the library."""
    library = shared(scratch, "libask.so", QUESTION)
    for mode, expected in (("RTLD_GLOBAL", "1 1\n"), ("RTLD_LOCAL", "0 0\n")):
        program = f"import ctypes; ctypes.CDLL('libmpich.so.12', ctypes.{mode}); ctypes.CDLL('{library}').ask()"
        compare([PYTHON, "-c", program], expected)


def test_a_program_of_another_mpi_than_the_launchers():
    """Open MPI's mpi4py runs under MPICH's mpiexec. Each rank is alone, whether it starts MPI at once or later."""
    if subprocess.run(["/usr/bin/python3", "-c", "import mpi4py.MPI"], capture_output=True, timeout=60).returncode != 0:
        pytest.skip("python3-mpi4py (Open MPI) is not installed")
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    ask = "from mpi4py import MPI; print(MPI.COMM_WORLD.size, MPI.Get_library_version().split()[0])"
    for first in ("", "import json, decimal, time; time.sleep(0.3); "):
        for ranks in (1, 2):
            compare(["/usr/bin/python3", "-c", first + ask], "1 Open\n", root, ranks, told="another MPI library" if ranks > 1 else "")


def test_a_library_that_anybody_may_have_planted():
    """The prefix of /tmp/job/python would be /tmp, where another user makes lib/libmpi.so.12."""
    evil = """
        #include <fcntl.h>
        #include <stdlib.h>
        __attribute__((constructor)) static void run(void) { open(getenv("EVIL"), O_CREAT | O_WRONLY, 0600); }
        """
    for mode in (0o1777, 0o755):
        with tempfile.TemporaryDirectory() as scratch:
            place, seen = pathlib.Path(scratch, "tmp"), pathlib.Path(scratch, "seen")
            (place / "job").mkdir(parents=True)
            (place / "lib").mkdir()
            place.chmod(mode)
            (place / "job/python").symlink_to(PYTHON)
            shared(place / "lib", "libmpi.so.12", evil)
            done = local_job([place / "job/python", "-c", "print('went on')"], 1, {"EVIL": str(seen)})
            assert done.stdout == "went on\n" and done.returncode == 0, f"{done}"
            assert seen.exists() == (mode == 0o755), f"mode {mode:o}: loaded: {seen.exists()}"


def test_a_profiling_library(scratch):
    """The profiler is called first, and calls PMPI_Init. It is linked before MPI, or preloaded before or behind fastimport."""
    profiler = r"""
        #include <mpi.h>
        #include <stdio.h>
        int MPI_Init(int *c, char ***v) { puts("profiler"); return PMPI_Init(c, v); }
        int MPI_Finalize(void) { puts("profiler"); return PMPI_Finalize(); }
        """
    seen = "profiler\nprofiler\n" + EXPECTED
    shared(scratch, "libprofiler.so", profiler, "-lmpich")
    program = LIFE + "int main(void) { return life() != 2; }"
    linked = compile_c(scratch, "linked", program, f"-L{scratch}", "-lprofiler", f"-Wl,-rpath,{scratch}", "-lmpich")
    compare([linked], seen)
    bare = compile_c(scratch, "bare", program, "-lmpich")
    plain = outcome([bare], {"LD_PRELOAD": f"{scratch}/libprofiler.so"})
    assert plain == ([seen] * 2, 0, ""), f"the plain job: {plain}"
    for order in (f"{LIBRARY}:{scratch}/libprofiler.so", f"{scratch}/libprofiler.so:{LIBRARY}"):
        done = outcome([bare], {"LD_PRELOAD": order, "FASTIMPORT_PLAN": "off", **STATES["active"], "FASTIMPORT_PATH": scratch})
        assert done == plain, f"{order}: {done}, plain: {plain}"
