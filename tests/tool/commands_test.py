# SPDX-License-Identifier: BSD-3-Clause
"""Relocation, layers, and the commands on one node, without a launcher."""

import glob
import json
import os
import re
import shutil
import stat
import subprocess
import sysconfig
import tarfile

import pytest
from trees import SECOND, read, write

# --- relocation ---


def make_elf(path, text, room):
    """A real ELF file with `text` in a string of `room` bytes, and in its RPATH."""
    source = f'const char s[{room}] = "{text}"; const char after[] = "after"; const char *f(int i) {{ return i ? s : after; }}'
    subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", path, f"-Wl,-rpath,{text}/lib"], input=source.encode(),
                   check=True)


def make_conda_layout(top):
    for folder in "bin", "lib", "conda-meta", "etc":
        os.makedirs(f"{top}/{folder}")
    write(f"{top}/bin/tool", f"#!{top}/bin/python\nprint('{top}/share')\n".encode(), 0o755)
    write(f"{top}/bin/other", f"x {top}2/not-ours {top}/ours\n".encode())
    write(f"{top}/lib/mod.py", f"PREFIX = '{top}'\n".encode(), mtime=1_600_000_000 * SECOND)
    write(f"{top}/lib/__pycache__/mod.cpython-311.pyc", f"bytecode {top}\0".encode())
    write(f"{top}/lib/data.bin", b"\0" + top.encode() + b"/x\0" + b"tail")
    write(f"{top}/lib/unrecorded.bin", b"\0" + top.encode() + b"/x\0" + b"tail")
    make_elf(f"{top}/lib/libx.so", top, 600)
    os.symlink(f"{top}/lib/libx.so", f"{top}/lib/link.so")
    records = {"name": "x", "paths_data": {"paths": [
        {"_path": "bin/tool", "prefix_placeholder": "/opt/placehold", "file_mode": "text"},
        {"_path": "lib/data.bin", "prefix_placeholder": "/opt/placehold", "file_mode": "binary"},
        {"_path": "lib/libx.so", "prefix_placeholder": "/opt/placehold", "file_mode": "binary"}]}}
    write(f"{top}/conda-meta/x-1.json", json.dumps(records).encode())


@pytest.fixture
def conda(tool):
    """A conda environment and its archive: (prefix, archive)."""
    top = tool.fresh("a-prefix-that-is-long-enough-for-all-that-follows", "conda")
    make_conda_layout(top)
    archive = f"{tool.work}/conda.tar.zst"
    tool.run("pack", "-q", top, "-o", archive)
    return top, archive


def test_relocation_conda(tool, conda):
    top, archive = conda
    place = tool.fresh_directory("r") + "/new"
    tool.run("stage", archive, "--to", place)
    assert read(f"{place}/bin/tool").decode() == f"#!{place}/bin/python\nprint('{place}/share')\n"
    assert read(f"{place}/bin/other").decode() == f"x {top}2/not-ours {place}/ours\n"
    assert os.stat(f"{place}/lib/mod.py").st_mtime == 1_600_000_000
    assert not os.path.exists(f"{place}/lib/__pycache__/mod.cpython-311.pyc")
    assert read(f"{place}/lib/data.bin") == b"\0" + place.encode() + b"/x" + bytes(len(top) - len(place)) + b"\0tail"
    assert top.encode() in read(f"{place}/lib/unrecorded.bin")
    library = read(f"{place}/lib/libx.so")
    assert top.encode() not in library and place.encode() in library
    assert len(library) == os.path.getsize(f"{top}/lib/libx.so")
    dynamic = subprocess.run(["readelf", "-d", f"{place}/lib/libx.so"], capture_output=True, text=True, check=True).stdout
    assert f"[{place}/lib]" in dynamic
    assert os.readlink(f"{place}/lib/link.so") == f"{place}/lib/libx.so"
    tool.run("verify", place)


def test_a_binary_cannot_grow(tool, conda):
    top, archive = conda
    longer = tool.fresh_directory("r", ("x" * (len(top) + 5))[:200])
    done = tool.run("stage", archive, "--to", f"{longer}/env", status=1)
    assert re.search(rb"lib/(data.bin|libx.so).*longer than", done.stderr), done.stderr
    assert os.listdir(longer) == []


def test_long_shebang(tool):
    top = tool.fresh("sh")
    write(f"{top}/bin/tool", f"#!{top}/bin/python3.11 -u\nprint('runs', __file__)\n".encode(), 0o755)
    write(f"{top}/bin/perl-tool", f"#!{top}/bin/perl -w\n1;\n".encode(), 0o755)
    tool.run("pack", "-q", top, "-o", f"{tool.work}/sh.tar.gz")
    place = tool.fresh_directory("s", "p" * 120)
    tool.run("stage", f"{tool.work}/sh.tar.gz", "--to", place + "/env")
    shown = f"#!/bin/sh\n'''exec' \"{place}/env/bin/python3.11\" -u \"$0\" \"$@\"\n' '''\nprint('runs', __file__)\n"
    assert read(place + "/env/bin/tool").decode() == shown
    os.symlink("/usr/bin/python3", place + "/env/bin/python3.11")
    assert subprocess.run([place + "/env/bin/tool"], capture_output=True, text=True, check=True).stdout == f"runs {place}/env/bin/tool\n"
    assert read(place + "/env/bin/perl-tool") == b"#!/usr/bin/env perl -w\n1;\n"


def test_archives_of_conda_pack(tool):
    """An archive as conda-pack writes it: placeholders, and their list in bin/conda-unpack."""
    top, old = tool.fresh("packed"), "/opt/anaconda1anaconda2anaconda3"
    write(f"{top}/bin/tool", f"#!{old}/bin/python\n".encode(), 0o755)
    write(f"{top}/lib/lib.bin", b"\0" + old.encode() + b"/lib\0z")
    write(f"{top}/bin/conda-unpack", (f"#!/usr/bin/env python\n_prefix_records = [\n('bin/tool', '{old}', 'text'),\n"
                                      f"('lib/lib.bin', '{old}', 'binary')\n]\n").encode(), 0o755)
    subprocess.run(["tar", "-C", top, "-czf", f"{tool.work}/packed.tar.gz", "."], check=True)
    place = tool.fresh("q")
    tool.run("stage", f"{tool.work}/packed.tar.gz", "--to", place)
    assert read(f"{place}/bin/tool").decode() == f"#!{place}/bin/python\n"
    assert place.encode() + b"/lib\0" in read(f"{place}/lib/lib.bin")
    assert stat.S_IMODE(os.stat(f"{place}/bin/tool").st_mode) == 0o755
    tool.run("verify", place)


def test_old_prefix_of_plain_tarballs(tool):
    top = tool.fresh("tarred")
    write(f"{top}/bin/tool", f"#!{top}/bin/python\n".encode(), 0o755)
    subprocess.run(["tar", "-C", top, "-cf", f"{tool.work}/tarred.tar", "."], check=True)
    place = tool.fresh("t")
    tool.run("stage", f"{tool.work}/tarred.tar", "--to", place, "--old-prefix", top)
    assert read(f"{place}/bin/tool").decode() == f"#!{place}/bin/python\n"
    tool.run("verify", place)


# --- layers ---


def test_layers(tool):
    one, two = tool.fresh("one"), tool.fresh("two")
    for path, data in (f"{one}/a", b"1"), (f"{one}/d/b", b"1"), (f"{two}/d/b", b"22"), (f"{two}/c", b"2"):
        write(path, data)
    archives = f"{tool.work}/one.tar.gz", f"{tool.work}/two.tar.zst"
    for top, archive in zip((one, two), archives):
        tool.run("pack", "-q", top, "-o", archive)
    place = tool.fresh("layered")
    tool.run("stage", *archives, "--to", place)
    assert [read(f"{place}/{path}") for path in ("a", "d/b", "c")] == [b"1", b"22", b"2"]
    tool.run("verify", place)
    assert b"nothing to do" in tool.run("stage", *archives, "--to", place).stdout
    tool.run("clean", place)
    assert not os.path.exists(place)


# --- pack ---


def test_pack_refuses(tool):
    top = tool.fresh("bad")
    write(f"{top}/f", b"x", 0o4755)
    assert b"setuid" in tool.run("pack", top, "-o", f"{tool.work}/bad.tar.gz", status=1).stderr
    os.unlink(f"{top}/f")
    assert b"must end with" in tool.run("pack", top, "-o", f"{tool.work}/bad.zip", status=1).stderr
    assert not glob.glob(f"{tool.work}/bad.*")


def test_excludes(tool):
    top = tool.fresh("ex")
    for path in (".git/x", "pkg/a.py", "pkg/__pycache__/a.cpython-311.pyc", "doc/y", "a/.mypy_cache/z", "cache/k.py"):
        write(f"{top}/{path}", b"x")
    tool.run("pack", "-q", top, "-o", f"{tool.work}/ex.tar", "--exclude", "doc")
    with tarfile.open(f"{tool.work}/ex.tar") as tar:
        names = set(tar.getnames())
    assert {"pkg/a.py", "pkg/__pycache__/a.cpython-311.pyc", "cache/k.py"} <= names
    assert not any(name.startswith((".git", "doc", "a/.mypy")) for name in names), names


# --- activate, run, wrong use ---


@pytest.fixture
def greeter(tool):
    """An environment whose command `hello` says where it is. Its name needs quotes."""
    top = tool.fresh("it's an env")
    write(f"{top}/bin/hello", b"#!/bin/sh\necho hello $VIRTUAL_ENV\n", 0o755)
    return top


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh"])
def test_activate(tool, greeter, shell):
    if not shutil.which(shell):
        pytest.skip(f"needs the program {shell}")
    lines = tool.run("activate", greeter, "--shell", shell).stdout.decode()
    done = subprocess.run([shell, "-c", lines + "\nhello"], capture_output=True, text=True, check=False,
                          env={"PATH": "/usr/bin:/bin", "HOME": tool.work})
    assert done.stdout.strip() == f"hello {greeter}", (lines, done)


def test_run(tool, greeter):
    assert tool.run("run", greeter, "--", "hello").stdout.decode().strip() == f"hello {greeter}"
    tool.run("run", greeter, "--", "sh", "-c", "exit 7", status=7)
    tool.run("run", greeter, "--", "no-such-command", status=127)


@pytest.mark.parametrize("words", [
    [], ["nonsense"], ["stage", "x"], ["stage", "--to", "/x"], ["pack", "x"], ["stage", "a", "--to", "b", "--max-bytes", "z"],
    ["stage", "a", "--to", "b", "--frobnicate"], ["pack", "x", "-o", "y.tar", "--force"],
    ["stage", "a", "--to", "b", "--decompress", "x"]])
def test_wrong_use(tool, words):
    done = tool.run(*words, status=2)
    assert done.stderr.count(b"\n") == 1, done.stderr


def test_help(tool):
    assert b"Usage" in tool.run("--help").stdout

# --- links that lead out of the tree, and names of DIR ---


def environment_with_links(tool):
    """A venv whose package is a farm of links into a cache, as uv, Spack and stow make them."""
    top, cache = tool.fresh("farm"), tool.fresh("cache")
    write(f"{top}/pyvenv.cfg", b"home = /usr/bin\n")
    os.makedirs(f"{top}/lib/python3.11/site-packages")
    os.makedirs(f"{top}/bin")
    os.symlink("/usr/bin/python3", f"{top}/bin/python3")
    write(f"{cache}/tool/__init__.py", b"x = 1\n")
    write(f"{cache}/tool/sub/data", b"data")
    os.symlink(f"{cache}/tool/sub/data", f"{cache}/tool/absolute")
    os.symlink("sub/data", f"{cache}/tool/relative")
    os.symlink(f"{cache}/tool", f"{top}/lib/python3.11/site-packages/tool")
    os.symlink(f"{cache}/tool/__init__.py", f"{top}/lib/python3.11/site-packages/one.py")
    os.symlink("/usr/lib", f"{top}/lib/system")
    os.symlink("/nosuch", f"{top}/lib/dangling")
    return top, cache


def test_links_that_lead_out_are_left_if_told(tool):
    top, cache = environment_with_links(tool)
    os.symlink("../../lost", f"{top}/relative")
    tool.run("pack", "-q", "--keep-outside", top, "-o", f"{tool.work}/farm.tar")
    with tarfile.open(f"{tool.work}/farm.tar") as archive:
        assert archive.getmember("lib/python3.11/site-packages/tool").linkname == f"{cache}/tool"
        assert archive.getmember("relative").linkname == f"{os.path.dirname(os.path.dirname(top))}/lost"


def test_what_the_environment_needs_is_packed(tool):
    """Links below lib/ and the like, but those to the operating system, are packed as what they point to. Others stay."""
    top, cache = environment_with_links(tool)
    os.symlink(f"{cache}/tool", f"{top}/data")
    os.symlink("/usr/bin/env", f"{top}/bin/env")
    os.symlink("one.py", f"{top}/lib/python3.11/site-packages/alias.py")
    os.symlink(f"{top}/bin", f"{cache}/tool/back")
    done = tool.run("pack", top, "-o", f"{tool.work}/farm.tar.zst")
    assert done.stderr.decode().splitlines()[0] == (
        f"python-mpi-bcast: note: 3 symlinks lead out of {top}, such as lib/python3.11/site-packages/one.py -> {cache}/tool/__init__.py; "
        "what they point to is packed in their place (--keep-outside leaves the links)")
    os.rename(cache, f"{cache}.gone")
    place = tool.fresh("farm-copy")
    tool.run("stage", f"{tool.work}/farm.tar.zst", "--to", place)
    packages = f"{place}/lib/python3.11/site-packages"
    assert read(f"{packages}/tool/__init__.py") == read(f"{packages}/one.py") == read(f"{packages}/alias.py") == b"x = 1\n"
    links = {name: os.readlink(f"{place}/{name}") for name in ("bin/python3", "bin/env", "lib/system", "lib/dangling", "data")}
    assert links == {"bin/python3": "/usr/bin/python3", "bin/env": "/usr/bin/env", "lib/system": "/usr/lib", "lib/dangling": "/nosuch", "data": f"{cache}/tool"}
    assert os.readlink(f"{packages}/alias.py") == "one.py" and os.readlink(f"{packages}/tool/back") == f"{place}/bin"
    shutil.rmtree(f"{cache}.gone")
    tool.run("verify", place)


def test_a_base_interpreter_by_another_name(tool):
    """uv installs Python 3.11.2 and names it cpython-3.11 by a link, in pyvenv.cfg and in bin/python."""
    base, top = tool.fresh("uv-python"), tool.fresh("uv-env")
    stdlib = sysconfig.get_path("stdlib", vars={"installed_base": "/usr"})
    os.makedirs(f"{base}/cpython-3.11.2/bin")
    shutil.copy(os.path.realpath("/usr/bin/python3"), f"{base}/cpython-3.11.2/bin/python3")
    shutil.copytree(stdlib, f"{base}/cpython-3.11.2/lib/{os.path.basename(stdlib)}", ignore=shutil.ignore_patterns("test", "config-*", "dist-packages"))
    os.symlink("cpython-3.11.2", f"{base}/cpython-3.11")
    os.makedirs(f"{top}/bin")
    os.makedirs(f"{top}/lib/{os.path.basename(stdlib)}/site-packages")
    os.symlink(f"{base}/cpython-3.11/bin/python3", f"{top}/bin/python")
    os.symlink("python", f"{top}/bin/python3")
    write(f"{top}/pyvenv.cfg", f"home = {base}/cpython-3.11/bin\n".encode())
    tool.run("pack", "-q", "--with-python", top, "-o", f"{tool.work}/uv.tar.zst")
    shutil.rmtree(base)
    place = tool.fresh("uv-copy")
    tool.run("stage", f"{tool.work}/uv.tar.zst", "--to", place)
    done = tool.run("run", place, "--", "python3", "-c", "import json, sys; print(sys.prefix, sys.base_prefix)")
    assert done.stdout.decode() == f"{place} {place}/.base\n", done


def test_what_links_out_point_to_is_packed(tool):
    top, cache = environment_with_links(tool)
    tool.run("pack", "-q", "--dereference-outside", "--exclude", "system", top, "-o", f"{tool.work}/farm.tar.zst")
    shutil.rmtree(cache)
    place = tool.fresh("farm-copy")
    tool.run("stage", f"{tool.work}/farm.tar.zst", "--to", place)
    packages = f"{place}/lib/python3.11/site-packages"
    assert read(f"{packages}/tool/__init__.py") == read(f"{packages}/one.py") == b"x = 1\n"
    assert read(f"{packages}/tool/absolute") == read(f"{packages}/tool/relative") == b"data"
    assert os.readlink(f"{packages}/tool/relative") == "sub/data" and not os.path.islink(f"{packages}/tool/absolute")
    assert os.readlink(f"{place}/bin/python3") == "/usr/bin/python3" and os.readlink(f"{place}/lib/dangling") == "/nosuch"
    tool.run("verify", place)


def test_links_out_that_lead_in_a_circle(tool):
    top, one, other = tool.fresh("circle"), tool.fresh("circle-1"), tool.fresh("circle-2")
    for here, there in ((top, one), (one, other), (other, one)):
        os.makedirs(f"{here}/lib", exist_ok=True)
        os.symlink(f"{there}/lib", f"{here}/lib/link")
    done = tool.run("pack", top, "-o", f"{tool.work}/circle.tar", status=1)
    assert b"lead in a circle" in done.stderr and done.stderr.count(b"\n") == 1, done
    shutil.rmtree(other)
    os.makedirs(f"{other}/lib")
    tool.run("pack", "-q", top, "-o", f"{tool.work}/circle.tar")


def test_an_environment_goes_nowhere_with_white_space(tool):
    """Its bin/activate would not work there. A directory that is no environment may."""
    top = tool.fresh("env-for-spaces")
    write(f"{top}/pyvenv.cfg", b"home = /usr/bin\n")
    tool.run("pack", "-q", top, "-o", f"{tool.work}/env.tar")
    place = tool.fresh_directory("with space")
    done = tool.run("stage", f"{tool.work}/env.tar", "--to", f"{place}/env", status=1)
    assert b"choose another DIR" in done.stderr and os.listdir(place) == [], done
    os.rename(f"{top}/pyvenv.cfg", f"{top}/data")
    tool.run("pack", "-q", top, "-o", f"{tool.work}/env.tar")
    tool.run("stage", f"{tool.work}/env.tar", "--to", f"{place}/data")


# --- help, wrong usage, MPI ---

COMMANDS = ["pack", "stage", "activate", "run", "verify", "list", "clean"]


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS)])
def test_each_command_has_a_help_of_80_columns(tool, words):
    text = tool.run(*words, "--help").stdout.decode()
    assert text.startswith(" ".join(["Usage: python-mpi-bcast", *words]) + " ") and max(map(len, text.splitlines())) <= 80
    assert not [line for line in text.splitlines() if line.endswith(" ")]
    assert ("--with-python" in text) == (words == ["pack"]) and ("--max-bytes" in text) == (words == ["stage"])


@pytest.mark.parametrize("words, told", [
    (["stage", "--max-bytes", "lots", "a", "--to", "d"], "--max-bytes=lots is not a size such as 512M or 20G"),
    (["stage", "--max-bytes=-1", "a", "--to", "d"], "--max-bytes=-1 is not a size"),
    (["stage", "--allow-failed=some", "a", "--to", "d"], "--allow-failed=some is not a number"),
    (["pack", "--to=x"], "--to does not belong to this command"),
    (["bogus"], "bogus is not a command"),
])
def test_wrong_usage_is_named(tool, words, told):
    done = tool.run(*words, status=2)
    assert told in done.stderr.decode() and done.stderr.count(b"\n") == 1 and not done.stdout, done


def test_no_mpi_library_is_needed_without_a_launcher(tool):
    """None is opened, and none is looked for."""
    needed = subprocess.run(["readelf", "-d", tool.program], capture_output=True, text=True, check=True).stdout
    assert "libmpi" not in needed, needed
    top, place = tool.fresh("alone"), tool.fresh("alone-copy")
    write(f"{top}/bin/tool", b"x", 0o755)
    nowhere = {**os.environ, "FASTIMPORT_MPI": "/nosuch/libmpi.so", "LC_ALL": "C"}
    for words in (["pack", "-q", top, "-o", f"{tool.work}/alone.tar"], ["stage", f"{tool.work}/alone.tar", "--to", place], ["verify", place],
                  ["list", tool.work], ["activate", place], ["clean", place]):
        tool.run(*words, env=nowhere)
    assert not os.path.exists(place)


def test_under_a_launcher_a_library_that_is_not_there_is_named(tool):
    done = tool.run("verify", tool.work, status=1, env={**os.environ, "PMI_RANK": "0", "PMI_SIZE": "2", "FASTIMPORT_MPI": "/nosuch/libmpi.so"})
    assert re.fullmatch(rb"python-mpi-bcast: a launcher has started this job, but cannot load .*/nosuch/libmpi.so.*\n", done.stderr), done
    assert tool.run("verify", tool.work, status=1, env={**os.environ, "PMI_RANK": "1", "PMI_SIZE": "2", "FASTIMPORT_MPI": "/nosuch/x"}).stderr == b""


@pytest.mark.needs("mpiexec.mpich", "mpiexec.openmpi")
def test_the_launcher_of_another_mpi_is_noticed(tool):
    """Else each rank would stage into the same directory."""
    place = tool.fresh("foreign")
    done = subprocess.run(["mpiexec.openmpi", "--allow-run-as-root", "--oversubscribe", "-n", "2", "-x", "FASTIMPORT_MPI=libmpich.so.12", tool.program, "stage",
                           "nothing.tar", "--to", place], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
    lines = [line for line in done.stderr.splitlines() if line.startswith("python-mpi-bcast: ")]
    assert done.returncode != 0 and len(lines) == 1 and "has started 2 ranks, but MPICH Version: 4" in lines[0] and "another MPI library" in lines[0], done
