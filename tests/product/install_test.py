# SPDX-License-Identifier: BSD-3-Clause
"""make install: a tree that may be moved, that runs for a user who has nothing but its bin in PATH, and that goes away again."""

import fcntl
import os
import pathlib
import re
import shutil
import subprocess

import pytest
from job import PYTHON, run
from support import BUILD, ROOT, call

VERSION = (BUILD / "version").read_text().strip()
EPILOG = ROOT / "preload/packaging/epilog"


def make(target, **variables):
    done = call("make", "-s", "-C", ROOT, f"B={BUILD}", target, *(f"{k}={v}" for k, v in variables.items()), timeout=300)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The tree, installed as /opt/x into a root of its own, and then moved."""
    top = tmp_path_factory.mktemp("install")
    for directory in (top, *top.parents[:2]):
        directory.chmod(0o755)
    make("install", PREFIX="/opt/x", DESTDIR=top / "root")
    shutil.move(top / "root/opt/x", top / "moved")
    assert [p for p in (top / "root").rglob("*") if not p.is_dir()] == []
    return top / "moved"


def as_user(installed, *words, env=()):
    """As a user without rights, with nothing but the installation's bin in PATH."""
    return run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", "-i", f"PATH={installed}/bin", "HOME=/nonexistent", *env, *words],
               120, cwd="/")


def test_all_is_there(installed):
    files = {str(p.relative_to(installed)) for p in installed.rglob("*") if p.is_file()}
    assert {"bin/fastimport", "bin/python-mpi-bcast", "lib/fastimport/libfastimport.so", "lib/fastimport/libfastimport-elf.so",
            "share/bash-completion/completions/fastimport", "share/bash-completion/completions/python-mpi-bcast",
            f"share/lmod/modulefiles/fastimport/{VERSION}.lua", f"share/modulefiles/fastimport/{VERSION}",
            "share/fastimport/epilog", "share/fastimport/report-schema.json", "share/doc/fastimport/COPYING"} <= files
    assert {m for m in files if m.startswith("share/man")} == {f"share/man/man{p.suffix[1:]}/{p.name}" for p in (ROOT / "preload/doc/man").iterdir()}


@pytest.mark.needs("root")
def test_a_user_runs_its_programs(installed):
    assert as_user(installed, "fastimport", "--version").stdout == f"fastimport {VERSION}\n"
    assert as_user(installed, "python-mpi-bcast", "--version").stdout.startswith(f"python-mpi-bcast {VERSION}")
    done = as_user(installed, "fastimport", "check", "-p", "/usr/bin/python3")
    assert f"ok     library      {installed}/lib/fastimport/libfastimport.so, version {VERSION}" in done.stdout, done
    assert as_user(installed, "fastimport", "plan", "show").stdout == "no plans in /nonexistent/.cache/fastimport\n"


@pytest.mark.needs("root", "mpiexec.mpich")
def test_a_user_runs_a_job(installed):
    done = as_user(installed, "fastimport", "run", "--fs=all", "--report=stderr", "--plan=off", "--", "/usr/bin/mpiexec.mpich", "-n", "2",
                   "/usr/bin/python3", "-c", "import decimal, xml.dom.minidom")
    assert done.returncode == 0 and "was active: 2 ranks on 1 node" in done.stderr, done
    left = re.search(r"left to ld\.so.*", done.stderr)
    assert not left, left  # the companion was found beside the library


@pytest.mark.needs("root")
def test_a_user_packs_and_stages(installed, scratch):
    (scratch / "env/bin").mkdir(parents=True)
    (scratch / "env/bin/tool").write_text("#!/bin/sh\n")
    scratch.chmod(0o1777)
    done = as_user(installed, "python-mpi-bcast", "pack", scratch / "env", "-o", scratch / "env.tar.zst")
    assert done.returncode == 0, done
    done = as_user(installed, "python-mpi-bcast", "stage", scratch / "env.tar.zst", "--to", scratch / "copy")
    assert done.returncode == 0 and (scratch / "copy/bin/tool").exists(), done


def test_it_is_taken_away_again(scratch):
    (scratch / "usr/share/doc").mkdir(parents=True)
    make("install", PREFIX="/usr", DESTDIR=scratch)
    make("uninstall", PREFIX="/usr", DESTDIR=scratch)
    assert [p for p in scratch.rglob("*") if p.is_file() or p.name == "fastimport"] == []
    assert (scratch / "usr/share/doc").exists()


def test_the_library_is_installed_alone(scratch):
    """Without a compiler wrapper of MPI, and without the libraries of the command and the tool."""
    done = call("make", "-s", "-C", ROOT, f"B={scratch}/build", "MPICC=false", "install-library",
                f"PREFIX={scratch}/x", timeout=300)
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (scratch / "x").rglob("*") if p.is_file()) == ["libfastimport-elf.so", "libfastimport.so"]


# --- modules, completion --------------------------------------------------------------------------------------------


@pytest.mark.needs("tclsh")
def test_the_tcl_module_finds_its_installation(installed, scratch):
    """By the four commands that it uses, in the place of Environment Modules'."""
    (scratch / "run.tcl").write_text("proc module-whatis {text} {}\nproc prepend-path {name value} {puts \"$name=$value\"}\n"
                                     f"set ModulesCurrentModulefile {installed}/share/modulefiles/fastimport/{VERSION}\nsource $ModulesCurrentModulefile\n")
    assert call("tclsh", scratch / "run.tcl").stdout == f"PATH={installed}/bin\nMANPATH={installed}/share/man\n"


@pytest.mark.skipif(not pathlib.Path("/usr/share/modules/init/sh").exists(), reason="needs Environment Modules")
def test_environment_modules_loads_it(installed):
    done = call("bash", "-c", f". /usr/share/modules/init/bash; module use {installed}/share/modulefiles; module load fastimport; command -v fastimport; "
                "module unload fastimport; command -v fastimport")
    assert done.stdout == f"{installed}/bin/fastimport\n", done


@pytest.mark.needs("lua5.3")
def test_the_lua_module_finds_its_installation(installed, scratch):
    (scratch / "run.lua").write_text(f"""
function myFileName() return "{installed}/share/lmod/modulefiles/fastimport/{VERSION}.lua" end
function myModuleVersion() return "{VERSION}" end
function help() end
function whatis() end
function pathJoin(a, b) return a .. "/" .. b end
function prepend_path(name, value) print(name .. "=" .. value) end
dofile(myFileName())
""")
    assert call("lua5.3", scratch / "run.lua").stdout == f"PATH={installed}/bin\nMANPATH={installed}/share/man\n"


def completions(installed, *words):
    text = f"""
. {installed}/share/bash-completion/completions/fastimport
COMP_WORDS=({' '.join(words)} '') COMP_CWORD={len(words)}
[ "${{COMP_WORDS[COMP_CWORD-1]}}" = -- ] && unset 'COMP_WORDS[COMP_CWORD]' && COMP_CWORD=$((COMP_CWORD - 1))
compopt() {{ :; }}
_fastimport
echo "${{COMPREPLY[*]}}"
"""
    return call("bash", "-c", text, env={**os.environ, "PATH": f"{installed}/bin:/usr/bin:/bin"}).stdout.split()


def test_bash_completes_commands_and_options(installed):
    assert completions(installed, "fastimport") == ["run", "check", "report", "plan"]
    assert {"--report=", "--log=", "--print", "--help"} <= set(completions(installed, "fastimport", "run", "--"))
    assert completions(installed, "fastimport", "plan") == ["show", "merge", "drop"]


# --- the epilog -----------------------------------------------------------------------------------------------------


@pytest.mark.needs("root", "flock", "setpriv")
def test_the_epilog_removes_what_nobody_uses(scratch):
    scratch.chmod(0o1777)
    hour_ago = 0
    caches = {name: scratch / f"fastimport-65534-{name}" for name in ("dead", "used", "young", "nolock")}
    for name, cache in caches.items():
        (cache / "files").mkdir(parents=True)
        if name != "nolock":
            (cache / "lock").touch()
        subprocess.run(["chown", "-R", "65534:65534", cache], check=True)
        if name != "young":
            os.utime(cache, (hour_ago, hour_ago))
    (scratch / "other").mkdir()
    (scratch / "victim").mkdir()
    (scratch / "fastimport-65534-link").symlink_to(scratch / "victim")
    with open(caches["used"] / "lock", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        done = call(EPILOG, scratch)
    assert done.returncode == 0 and not done.stderr, done
    assert sorted(os.listdir(scratch)) == ["fastimport-65534-link", "fastimport-65534-used", "fastimport-65534-young", "other", "victim"]
