# SPDX-License-Identifier: BSD-3-Clause
"""Packages in zip files, namespace packages, editable installations and .pth files work as without the library; so does code that was
built for an old glibc."""

import pathlib
import subprocess
import tempfile
import zipfile

import pytest
from job import PYTHON, same, script
from venvs import run, venv

pytestmark = pytest.mark.needs("mpiexec.mpich", "environment")


def write(directory, **files):
    """Writes Python files. `__` in a name stands for a slash."""
    for name, text in files.items():
        path = pathlib.Path(directory, name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def test_zip_on_the_path(scratch):
    """zipimport opens the archive for each of its modules. The library serves these opens."""
    parts = {f"inside/part{i}.py": f"value = {i}" for i in range(30)}
    archive = zipped(f"{scratch}/packages.zip", {"inside/__init__.py": "", **parts})
    program = "import importlib; parts = [importlib.import_module(f'inside.part{i}') for i in range(30)]; " \
        "print(sum(p.value for p in parts), parts[3].__file__, type(parts[3].__loader__).__name__)"
    output, _ = same([PYTHON, "-c", program], opens=30 + 10, stats=40, env={"PYTHONPATH": archive}, under=[archive])
    assert output.count(f"435 {archive}/inside/part3.py zipimporter") == 2, output


def test_zip_as_program(scratch):
    """The archive is sys.path[0] itself."""
    parts = {f"part{i}.py": f"value = {i}" for i in range(30)}
    main = "import importlib; print(sum(importlib.import_module(f'part{i}').value for i in range(30)), __file__)"
    archive = zipped(f"{scratch}/app.pyz", {"__main__.py": main, **parts})
    output, _ = same([PYTHON, archive], opens=30 + 10, stats=40)
    assert output.count(f"435 {archive}/__main__.py") == 2, output


def test_namespace_package(scratch):
    """Two portions in two directories of PYTHONPATH, without __init__.py; a third comes later, by sys.path."""
    for number in 1, 2, 3:
        write(f"{scratch}/{number}", **{f"space__part{number}": f"value = {number}"})
    program = f"""
        import space.part1, space.part2, sys
        try:
            import space.part3
        except ModuleNotFoundError:
            sys.path.append({str(scratch / '3')!r})
            import space.part3
        print(space.part1.value + space.part2.value + space.part3.value, len(list(space.__path__)), space.__spec__.origin)
        """
    output, _ = same([PYTHON, script(scratch, program)], opens=15, env={"PYTHONPATH": f"{scratch}/1:{scratch}/2"}, under=[f"{scratch}/1", f"{scratch}/2"])
    assert output == "6 3 None\n" * 2, output


def venv_with(scratch, **pth):
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", f"{scratch}/venv"], check=True)
    site = pathlib.Path(scratch, "venv/lib/python3.11/site-packages")
    for name, text in pth.items():
        (site / f"{name}.pth").write_text(text)
    return f"{scratch}/venv/bin/python"


def test_pth_files(scratch):
    """A path, one that is missing, a comment, and a line of code."""
    write(f"{scratch}/extra", added="value = 5")
    python = venv_with(scratch, extra=f"# comment\n{scratch}/extra\n/nonexistent\nimport sys; sys.by_pth = 3\n")
    output, _ = same([python, "-c", "import added, json, sys; print(added.value + sys.by_pth, added.__file__)"], under=[f"{scratch}/venv"])
    assert output == f"8 {scratch}/extra/added.py\n" * 2, output


def test_editable_package():
    """pip install -e, by setuptools: as a .pth file or as a finder of its own; an edit between two runs is seen."""
    place = venv("setuptools", "wheel")
    for mode in "lenient", "strict":
        with tempfile.TemporaryDirectory() as scratch:
            write(f"{scratch}/project", src__editable__core="value = 1")
            pathlib.Path(scratch, "project/src/editable/__init__.py").touch()
            pathlib.Path(scratch, "project/pyproject.toml").write_text(
                '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n[project]\nname = "editable"\nversion = "1"\n')
            python = venv_with(scratch, build_tools=f"{place}/lib/python3.11/site-packages\n")
            run([f"{place}/bin/pip", "--python", python, "install", "-q", "--no-build-isolation", "--no-index", "--disable-pip-version-check",
                 "--config-settings", f"editable_mode={'strict' if mode == 'strict' else 'compat'}", "-e", f"{scratch}/project"])
            program = "import editable.core, importlib.metadata; print(editable.core.value, importlib.metadata.version('editable'))"
            output, _ = same([python, "-c", program], under=[f"{scratch}/venv"])
            assert output == "1 1\n" * 2, output
            write(f"{scratch}/project", src__editable__core="value = 1 + 1")
            output, _ = same([python, "-c", program])
            assert output == "2 1\n" * 2, output


# --- the names of glibc 2.17 -----------------------------------------------------------------------------------------

OLD_NAMES = r"""
    #define _GNU_SOURCE
    #include <Python.h>
    #include <fcntl.h>
    #include <sys/stat.h>
    /* What a compiler with the headers of glibc 2.17 makes of stat() and its like. */
    int __xstat(int, const char *, struct stat *);
    int __lxstat(int, const char *, struct stat *);
    int __fxstat(int, int, struct stat *);
    int __fxstatat(int, int, const char *, struct stat *, int);
    int __xstat64(int, const char *, struct stat64 *);
    FILE *fopen64(const char *, const char *);
    int open64(const char *, int, ...);
    __asm__(".symver __xstat,__xstat@GLIBC_2.2.5");
    __asm__(".symver __lxstat,__lxstat@GLIBC_2.2.5");
    __asm__(".symver __fxstat,__fxstat@GLIBC_2.2.5");
    __asm__(".symver __fxstatat,__fxstatat@GLIBC_2.4");
    __asm__(".symver __xstat64,__xstat64@GLIBC_2.2.5");

    static PyObject *look(PyObject *self, PyObject *argument)
    {
        const char *path = PyUnicode_AsUTF8(argument);
        struct stat a = {0}, b = {0}, c = {0}, d = {0};
        struct stat64 e = {0};
        FILE *f = fopen64(path, "r");
        int fd = open64(path, O_RDONLY);
        int codes = __xstat(1, path, &a) + __lxstat(1, path, &b) + __fxstat(1, fd, &c) + __fxstatat(1, AT_FDCWD, path, &d, 0) + __xstat64(1, path, &e);
        int first = f == NULL ? -1 : fgetc(f);

        if (f != NULL)
            fclose(f);
        close(fd);
        return Py_BuildValue("(iiKKKKKi)", codes, __xstat(1, "/nonexistent", &a), (unsigned long long)a.st_ino, (unsigned long long)b.st_size,
                             (unsigned long long)c.st_ino, (unsigned long long)d.st_mtime, (unsigned long long)e.st_dev, first);
    }

    static PyMethodDef methods[] = {{"look", look, METH_O, NULL}, {NULL, NULL, 0, NULL}};
    static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "old", NULL, -1, methods, NULL, NULL, NULL, NULL};
    PyMODINIT_FUNC PyInit_old(void) { return PyModule_Create(&module); }
    """


def test_extension_with_the_names_of_glibc_2_17(scratch):
    """Its answers are those of os.stat, and each of its calls with a path is served. (fstat is not counted.)"""
    python = venv_with(scratch)
    site = f"{scratch}/venv/lib/python3.11/site-packages"
    pathlib.Path(scratch, "old.c").write_text(OLD_NAMES)
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-I/usr/include/python3.11", f"{scratch}/old.c", "-o", f"{site}/old.so"], check=True)
    needed = subprocess.check_output(["nm", "-D", f"{site}/old.so"], text=True)
    assert all(f" {name}@GLIBC_2.2.5" in needed for name in ("__xstat", "__lxstat", "__fxstat", "__xstat64")), needed
    pathlib.Path(site, "data.py").write_text("x")
    program = """
        import old, os, sys
        path = sys.prefix + "/lib/python3.11/site-packages/data.py"
        st = os.stat(path)
        for i in range(%d):
            seen = old.look(path)
        print(seen == (0, -1, st.st_ino, st.st_size, st.st_ino, int(st.st_mtime), st.st_dev, ord("x")), seen[0])
        """
    served = {}
    for rounds in 1, 101:
        output, facts = same([python, script(scratch, program % rounds)], stats=20, opens=3)
        assert output == "True 0\n" * 2, output
        served[rounds] = {kind: facts["calls"][kind]["served"] for kind in ("open", "stat")}
    more = {kind: (served[101][kind] - served[1][kind]) / 200 for kind in ("open", "stat")}
    print(f"    served a round: {more['open']:g} opens of 2, {more['stat']:g} stats of 4", flush=True)
    assert more == {"open": 2, "stat": 4}, str(served)


def test_manylinux2014_wheel():
    """The extension modules of markupsafe and pyyaml, which are built on CentOS 7."""
    place = venv("markupsafe", "pyyaml")
    tags = [line for p in place.glob("lib/python3.11/site-packages/*.dist-info/WHEEL") for line in p.read_text().split("\n") if "manylinux" in line]
    if not any("manylinux2014" in tag or "manylinux_2_17" in tag for tag in tags):
        pytest.skip(f"no wheel of these is for manylinux2014 any more: {tags}")
    program = "import markupsafe, yaml; print(markupsafe.escape('<'), yaml.load('[1]', yaml.CSafeLoader), markupsafe._speedups.__file__)"
    output, _ = same([place / "bin/python", "-c", program], libraries=2, under=[place])
    assert output.count("&lt; [1]") == 2, output
