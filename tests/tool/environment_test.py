# SPDX-License-Identifier: BSD-3-Clause
"""A real virtual environment, packed with its interpreter, staged to four nodes, and run there while the original is watched.

TOOL_ENV names a virtual environment with packages, instead of the small one that the tests make.
"""

import json
import os
import pathlib
import re
import subprocess

import pytest
from support import call

PROBE = """import importlib, importlib.util, json, os, struct, sys
for name in ("pkg", "numpy", "scipy", "scipy.linalg", "pandas", "matplotlib.pyplot", "decimal", "ssl", "ctypes"):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as e:
        if e.name.split(".")[0] != name.split(".")[0]:
            raise
stale = seen = 0
missing = []
for m in list(sys.modules.values()):
    source, cached = getattr(m, "__file__", None), getattr(m, "__cached__", None)
    if not source or not source.endswith(".py"):
        continue
    if not cached or not os.path.exists(cached):
        if getattr(m.__spec__, "origin", "frozen") != "frozen":
            missing.append(source)
        continue
    with open(cached, "rb") as f:
        head = f.read(16)
    st = os.stat(source)
    seen += 1
    stale += head[:4] != importlib.util.MAGIC_NUMBER or struct.unpack("<III", head[4:]) != (0, int(st.st_mtime), st.st_size)
print(json.dumps({"prefix": sys.prefix, "base": sys.base_prefix, "seen": seen, "stale": stale, "missing": missing}))
"""


@pytest.fixture(scope="module")
def original(area):
    """A virtual environment with a package `pkg` and a command `tool`."""
    if "TOOL_ENV" in os.environ:
        return pathlib.Path(os.environ["TOOL_ENV"])
    env = area / "original"
    if call("/usr/bin/python3", "-m", "venv", "--without-pip", env).returncode:
        pytest.skip("needs the module venv (python3-venv)")
    [site] = env.glob("lib/python3*/site-packages")
    (site / "pkg").mkdir()
    (site / "pkg/__init__.py").write_text("VALUE = 42\n")
    (env / "bin/tool").write_text(f"#!{env}/bin/python\nimport pkg, sys\nprint(pkg.VALUE, sys.prefix)\n")
    (env / "bin/tool").chmod(0o755)
    subprocess.run([env / "bin/python", "-m", "compileall", "-q", site], check=True)
    return env


@pytest.fixture(scope="module")
def archive(area, original, program):
    """The packed environment with its interpreter."""
    done = call(program, "pack", "-q", original, "-o", area / "env.tar.zst", "--with-python", timeout=250)
    assert done.returncode == 0, done.stderr
    return area / "env.tar.zst"


@pytest.fixture
def staged(nodes, archive):
    """Nodes with the environment staged. In the end verify must agree with it, and clean must remove it."""
    done = nodes.run(4, "stage", archive, "--to", nodes.dir)
    assert done.returncode == 0, done.stderr
    yield nodes
    done = nodes.run(4, "verify", nodes.dir)
    assert done.returncode == 0, done.stderr
    nodes.run(4, "clean", nodes.dir)
    assert nodes.left() == []


@pytest.fixture(params=[0, 3])
def here(staged, request):
    """DIR of one node, as a rank of the node sees it."""
    staged.mount("--bind", staged.node(request.param), staged.local)
    yield staged.dir
    assert call("umount", staged.local).returncode == 0


@pytest.mark.needs("strace")
def test_it_runs_without_the_original(here, original, area, program):
    (area / "probe.py").write_text(PROBE)
    done = call("strace", "-f", "-e", "trace=file", "-o", area / "strace", program, "run", here, "--", "python",
                area / "probe.py", cwd="/", env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["prefix"], said["base"]) == (str(here), f"{here}/.base")
    assert (said["stale"], said["missing"]) == (0, [])
    assert said["seen"] > 0
    touched = re.compile(f'"({re.escape(str(original))}|/usr/lib/python3|/usr/bin/python3)')
    assert [line for line in (area / "strace").read_text(errors="replace").splitlines() if touched.search(line)] == []


def test_scripts_and_activate(here, program):
    if not (here / "bin/tool").exists():
        pytest.skip("the environment of TOOL_ENV has no command `tool`")
    assert call(here / "bin/tool", cwd="/").stdout.strip() == f"42 {here}"
    lines = call(program, "activate", here, "--shell", "bash").stdout
    assert call("bash", "-c", 'eval "$1"; tool', "bash", lines, cwd="/").stdout.strip() == f"42 {here}"
