# SPDX-License-Identifier: BSD-3-Clause
"""Interpreters: each CPython that is installed here, its options, virtual environments, a conda layout, embedded in a C program.

FASTIMPORT_TEST_PYTHONS names further interpreters, separated by colons. A version that this machine lacks is skipped.
"""

import glob
import os
import pathlib
import shutil
import subprocess

import pytest
from job import ENVIRONMENT, PYTHON, same
from venvs import venv

pytestmark = pytest.mark.needs("mpiexec.mpich", "environment")

HOME = pathlib.Path.home()
PLACES = ["/usr/bin/python3.{minor}", "/usr/local/bin/python3.{minor}", "/opt/python*3.{minor}*/bin/python3.{minor}",
          *(f"{HOME}/.{manager}/{where}3.{{minor}}*/bin/python3.{{minor}}" for manager, where in
            (("py" "env", "versions/"), ("asdf", "installs/python/"), ("local", "share/uv/python/cpython-")))]
# What a start of any Python does, and what only extension modules can.
IMPORTS = "import asyncio, ctypes, decimal, email.message, json, logging, sqlite3, sys"
SHOW = "sys.stdout.write('%s %d %d\\n' % (sys.version.split()[0], len(sys.modules), decimal.Decimal(6) * 7))"


def find(minor):
    """An interpreter of this version that can import what the test does."""
    candidates = [p for p in os.environ.get("FASTIMPORT_TEST_PYTHONS", "").split(":") if p]
    for pattern in PLACES:
        candidates += sorted(glob.glob(pattern.format(minor=minor)))
    for python in candidates:
        done = subprocess.run([python, "-c", f"{IMPORTS}; print(sys.version_info[1])"], capture_output=True, text=True)
        if done.returncode == 0 and done.stdout.strip() == str(minor):
            return python
    return pytest.skip(f"no CPython 3.{minor} here (FASTIMPORT_TEST_PYTHONS names one)")


@pytest.mark.parametrize("minor", range(8, 15))
def test_cpython(minor):
    output, _ = same([find(minor), "-c", f"{IMPORTS}; {SHOW}"], opens=80, stats=200, libraries=5)
    assert output.startswith(f"3.{minor}.") and output.count(" 42\n") == 2, output


@pytest.mark.parametrize("minor", range(8, 15))
def test_venv(minor, scratch):
    """A venv of that version: its base is served as well."""
    python = find(minor)
    subprocess.run([python, "-m", "venv", "--without-pip", f"{scratch}/venv"], check=True)
    base = subprocess.check_output([python, "-c", "import sys; print(sys.base_prefix)"], text=True).strip()
    under = [f"{scratch}/venv"] + ([base] if base != "/usr" else [f"/usr/lib/python3.{minor}"])
    output, _ = same([f"{scratch}/venv/bin/python", "-c", f"{IMPORTS}; {SHOW}; sys.stdout.write(sys.prefix + '\\n')"],
                     opens=80, stats=200, libraries=5, under=under)
    assert output.count(f"{scratch}/venv\n") == 2, output


# --- options ---------------------------------------------------------------------------------------------------------


def test_isolated():
    same([PYTHON, "-I", "-c", f"{IMPORTS}; {SHOW}"], opens=80, stats=200, libraries=5)


def test_without_site():
    output, _ = same([PYTHON, "-S", "-c", f"{IMPORTS}; {SHOW}; sys.stdout.write('%s\\n' % ('site' in sys.modules))"], opens=80, libraries=5)
    assert output.count("False") == 2, output


def test_ignoring_the_environment(scratch):
    """-E: PYTHONPATH does not count for Python, whatever is served."""
    pathlib.Path(scratch, "json.py").write_text("raise SystemExit('PYTHONPATH was obeyed')")
    same([PYTHON, "-E", "-c", f"{IMPORTS}; {SHOW}"], opens=80, env={"PYTHONPATH": scratch})


def test_all_at_once():
    same([PYTHON, "-ISEB", "-X", "importtime", "-c", f"{IMPORTS}; {SHOW}"], opens=80)


def test_importtime():
    """Its lines name the same modules, in the same order."""
    program = "import subprocess, sys; from subprocess import PIPE; " \
        "lines = subprocess.run([sys.executable, '-X', 'importtime', '-c', 'import json, decimal'], stderr=PIPE, text=True).stderr; " \
        "print(*[line.split('|')[-1].strip() for line in lines.splitlines()], sep=' ')"
    output, _ = same([PYTHON, "-c", program])
    assert "_decimal" in output and "json.decoder" in output, output


def test_optimised_and_other_bytecode(scratch):
    for options in (["-OO"], ["-B"], ["-X", "frozen_modules=off"]):
        same([PYTHON, *options, "-c", f"{IMPORTS}; {SHOW}"], opens=80)
    # The bytecode lies outside the roots.
    same([PYTHON, "-X", f"pycache_prefix={scratch}/elsewhere", "-c", f"{IMPORTS}; {SHOW}"], opens=5, stats=200)


def test_module_and_directory_as_program(scratch):
    same([PYTHON, "-m", "json.tool", "--help"])
    pathlib.Path(scratch, "__main__.py").write_text(f"{IMPORTS}; {SHOW}; import helper")
    pathlib.Path(scratch, "helper.py").write_text("print(__file__)")
    output, _ = same([PYTHON, scratch], under=[scratch])
    assert output.count(f"{scratch}/helper.py") == 2, output


# --- prefixes --------------------------------------------------------------------------------------------------------


def conda_layout(scratch):
    """What conda makes of an installation: bin/, lib/python3.X/ with lib-dynload in it, conda-meta/; no pyvenv.cfg."""
    share = pathlib.Path(ENVIRONMENT)
    prefix = pathlib.Path(scratch, "envs/work")
    shutil.copytree(share / "python", prefix, symlinks=True)
    (prefix / "conda-meta").mkdir()
    (prefix / "conda-meta/history").write_text("")
    site = prefix / "lib/python3.11/site-packages"
    site.mkdir()
    (site / "inside.py").write_text("where = __file__")
    return prefix


def test_conda_layout(scratch):
    """By its path, and by PATH as after `conda activate`."""
    prefix = conda_layout(scratch)
    program = f"{IMPORTS}; sys.path.append(sys.prefix + '/lib/python3.11/site-packages'); import inside; {SHOW}; print(sys.prefix, inside.where)"
    output, _ = same([prefix / "bin/python3.11", "-c", program], opens=80, stats=200, libraries=5, under=[prefix])
    assert output.count(f"{prefix} {prefix}/lib/python3.11/site-packages/inside.py") == 2, output
    activated = {"CONDA_PREFIX": prefix, "PATH": f"{prefix}/bin:{os.environ['PATH']}"}
    same(["python3.11", "-c", program], opens=80, stats=200, libraries=5, under=[prefix], env=activated)


def test_venv_with_system_site_packages():
    place = venv(options=("--system-site-packages", "--without-pip"))
    same([place / "bin/python", "-c", f"{IMPORTS}; {SHOW}"], opens=80, stats=200, under=[place, "/usr/lib/python3.11"])


def test_prefix_reached_through_a_symlink(scratch):
    os.symlink(ENVIRONMENT, f"{scratch}/link")
    output, _ = same([f"{scratch}/link/python/bin/python3", "-c", f"{IMPORTS}; {SHOW}; print(json.__file__)"], opens=80)
    print("   ", output.split("\n")[1], flush=True)


# --- embedded --------------------------------------------------------------------------------------------------------

EMBEDDING = r"""
    #include <Python.h>
    int main(int argc, char **argv)
    {
        int code;
        Py_Initialize();
        code = PyRun_SimpleString("import asyncio, decimal, json, logging, sqlite3, sys\n"
                                  "sys.stdout.write('embedded %d\\n' % (decimal.Decimal(6) * 7))\n");
        return Py_FinalizeEx() < 0 || code != 0 || argc > 1;
    }
    """


def test_embedded_python(scratch):
    """A C program that is linked with libpython is a rank, and its standard library is served."""
    config = shutil.which("python3.11-config", path="/usr/bin")
    if config is None:
        pytest.skip("python3.11-config is missing: make deps")
    pathlib.Path(scratch, "program.c").write_text(EMBEDDING)
    flags = subprocess.check_output([config, "--includes", "--ldflags", "--embed"], text=True).split()
    subprocess.run(["gcc", "-O1", f"{scratch}/program.c", "-o", f"{scratch}/program", *flags], check=True)
    output, _ = same([f"{scratch}/program"], opens=40, stats=100, libraries=2, under=["/usr/lib/python3.11"])
    assert output.count("embedded 42") == 2, output
