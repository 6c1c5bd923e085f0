# SPDX-License-Identifier: BSD-3-Clause
"""The recipes of distributions, as far as they can be tried here. They take minutes: in check-long."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
from support import ROOT, call

RECIPES = ROOT / "preload/packaging"


def version():
    return call(RECIPES / "version").stdout.strip()


@pytest.mark.needs("dpkg-buildpackage", "dh", "lintian", "root")
def test_debian(scratch):
    done = call(RECIPES / "build-deb", scratch, timeout=400)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    package, = scratch.glob("fastimport_*.deb")
    lint = call("lintian", "--allow-root", "--fail-on", "error,warning", "--suppress-tags", "initial-upload-closes-no-bugs", package, timeout=200)
    assert lint.returncode == 0, lint.stdout
    subprocess.run(["dpkg-deb", "-x", package, scratch / "x"], check=True)
    assert call(scratch / "x/usr/bin/fastimport", "run", "-n", "--", "true").stdout.startswith(f"LD_PRELOAD={scratch}/x/usr/lib/x86_64-linux-gnu/fastimport/")


@pytest.mark.needs("rpmbuild")
def test_rpm(scratch):
    archive = call("make", "-s", "-C", ROOT, f"B={scratch}/build", "dist").stdout.strip()
    (scratch / "SOURCES").mkdir()
    shutil.move(archive, scratch / "SOURCES")
    name = os.path.basename(archive).removesuffix(".tar.gz")
    done = call("rpmbuild", "-bb", "--nodeps", "--define", f"_topdir {scratch}", "--define", f"version_of_release {version()}", "--define", f"archive {name}",
                "--define", "_libdir /usr/lib64", RECIPES / "fastimport.spec", timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    package, = scratch.glob("RPMS/*/*.rpm")
    assert "/usr/lib64/fastimport/libfastimport.so" in call("rpm", "-qlp", package).stdout


def test_wheel(scratch):
    """Installed into an environment, it brings the commands and the libraries."""
    subprocess.run([sys.executable, "-m", "venv", scratch / "v"], check=True)
    pip = scratch / "v/bin/pip"
    assert call(pip, "install", "-q", "setuptools", "wheel", timeout=200).returncode == 0
    done = call(pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", scratch, RECIPES / "wheel", timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    wheel, = scratch.glob("fastimport_mpi-*-py3-none-linux_*.whl")
    assert call(pip, "install", "-q", "--no-index", wheel).returncode == 0
    for directory in ("build", "fastimport_mpi.egg-info"):
        shutil.rmtree(RECIPES / "wheel" / directory, ignore_errors=True)
    assert call(scratch / "v/bin/fastimport", "--version").stdout == f"fastimport {version()}\n"
    assert "libfastimport.so, version" in call(scratch / "v/bin/fastimport", "check").stdout


def release(scratch):
    """The archive of the version that the recipes of Spack and EasyBuild name, of what is committed."""
    archive = call("make", "-s", "-C", ROOT, f"B={scratch}/build", "dist").stdout.strip()
    named = re.search(r"^version = '(.*)'", next(RECIPES.glob("easybuild/*.eb")).read_text(), re.M)[1]
    tree = scratch / f"fastimport-{named}"
    subprocess.run(["tar", "-xf", archive, "-C", scratch], check=True)
    (scratch / os.path.basename(archive).removesuffix(".tar.gz")).rename(tree)
    subprocess.run(["tar", "-czf", f"{tree}.tar.gz", "-C", scratch, tree.name], check=True)
    return tree


def runs(prefix):
    for program in ("fastimport", "python-mpi-bcast"):
        assert call(prefix / "bin" / program, "--version").stdout.startswith(program), program
    assert "libfastimport.so, version" in call(prefix / "bin/fastimport", "check").stdout


def test_easybuild(scratch):
    """EasyBuild of PyPI builds it and checks what it has built, with the system's compiler and libraries in the place of modules."""
    modules = next(pathlib.Path("/usr/lib").rglob("modulecmd.tcl"), None)
    if modules is None:
        pytest.skip("needs Environment Modules")
    release(scratch)
    subprocess.run([sys.executable, "-m", "venv", scratch / "v"], check=True)
    assert call(scratch / "v/bin/pip", "install", "-q", "easybuild-framework", "easybuild-easyblocks", timeout=300).returncode == 0
    recipe, = RECIPES.glob("easybuild/*.eb")
    text = recipe.read_text()
    (scratch / "recipe.eb").write_text(re.sub(r"^toolchain = .*", "toolchain = SYSTEM", text, flags=re.M))
    libraries = re.findall(r"\('(\w+)', '[\d.]+'\)", text)
    done = call(scratch / "v/bin/python", "-m", "easybuild.main", scratch / "recipe.eb", f"--prefix={scratch}/eb", f"--sourcepath={scratch}",
                f"--filter-deps={','.join(libraries)}", "--modules-tool=EnvironmentModules", "--module-syntax=Tcl", "--allow-use-as-root-and-accept-consequences",
                env={"PATH": f"{scratch}/v/bin:/usr/bin:/bin", "HOME": str(scratch), "MODULES_CMD": str(modules)}, timeout=500)
    assert done.returncode == 0 and "Build succeeded for 1 out of 1" in done.stdout, done.stdout[-3000:] + done.stderr[-3000:]
    prefix, = (scratch / "eb/software/fastimport").iterdir()
    runs(prefix)


# What the recipe uses of Spack, which is on no package registry.
SPACK = """
import subprocess, sys, types
made, names = [], []
def make(*words): subprocess.run(["make", "-s", "-C", sys.argv[2], *words], check=True)
package = types.ModuleType("spack.package")
package.license = lambda text: None
package.version = lambda number, sha256: names.append(number)
package.depends_on = lambda what, type=None: names.append(what)
package.make = make
makefile = types.ModuleType("makefile")
makefile.MakefilePackage = object
sys.modules.update({"spack": types.ModuleType("spack"), "spack.package": package, "spack_repo.builtin.build_systems.makefile": makefile})
for name in ("spack_repo", "spack_repo.builtin", "spack_repo.builtin.build_systems"):
    sys.modules[name] = types.ModuleType(name)
recipe = {}
exec(open(sys.argv[1]).read(), recipe)
it = recipe["Fastimport"]()
it.build(None, sys.argv[3])
it.install(None, sys.argv[3])
print(*names)
"""


def test_spack(scratch):
    """The recipe's steps, in the place of Spack, build and install; it names what the other recipes name."""
    tree = release(scratch)
    done = call(sys.executable, "-c", SPACK, RECIPES / "spack/package.py", tree, scratch / "prefix", timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert done.stdout.split()[-7:] == [tree.name.split("-")[1], "c", "elf@1", "jansson", "libarchive", "xxhash", "zlib-api", "zstd"][-7:], done.stdout
    runs(scratch / "prefix")
