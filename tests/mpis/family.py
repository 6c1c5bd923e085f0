"""What holds with every MPI library of the MPICH ABI: each job runs without fastimport and with it, and does the same.

A test file names the environment; tests_of() gives the tests.
"""

import dataclasses
import os
import pathlib
import subprocess
import tempfile
import textwrap

from jobs import BUILD, LIBRARY, ROOT, Skipped, check, sharedjob

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

# Counts what a profiling library would see, and must see.
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
        """A job of ranks; text: of a Python script; program: one more rank that runs this; script: a shell's, which runs "$@"."""
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
        """The same job without and with fastimport: exit code and output agree, nothing is said. Returns the report."""
        with tempfile.TemporaryDirectory() as scratch:
            plain = self.run(text, ranks, preload=False, **kw)
            job = self.run(text, ranks, report=f"{scratch}/report", **kw)
            check(job.returncode == plain.returncode, f"exit {job.returncode}, not {plain.returncode}: {job.stdout}{job.stderr}")
            check(sorted(job.stdout.split("\n")) == sorted(plain.stdout.split("\n")), f"{job.stdout!r}, not {plain.stdout!r}: {job.stderr}")
            check("fastimport: " not in job.stderr, job.stderr)
            return job, sharedjob.read_json(f"{scratch}/report")

    def check_served(self, facts, ranks, nodes=1):
        check(facts is not None, "no report")
        check((facts["ranks_reporting"], facts["nodes"]) == (ranks, nodes), str(facts))
        opened, stats = facts["calls"]["open"], facts["calls"]["stat"]
        check(opened["served"] > 50 * ranks and stats["served"] > 200 * ranks, str(facts["calls"]))
        check(facts["mpi"].startswith(self.version), facts["mpi"])
        return f"{facts['mpi']}: {ranks} ranks on {nodes} nodes, {opened['served']} opens, {stats['served']} stats served"


def a_job_of_four_ranks(mpi):
    job, facts = mpi.both(f"""
        {IMPORTS}
        from mpi4py import MPI
        total = MPI.COMM_WORLD.allreduce(MPI.COMM_WORLD.rank)
        if MPI.COMM_WORLD.rank == 0:
            print("sum", total, MPI.COMM_WORLD.size)
        """, 4)
    check((job.returncode, job.stdout) == (0, "sum 6 4\n"), f"{job.returncode} {job.stdout!r} {job.stderr}")
    print("    " + mpi.check_served(facts, 4), flush=True)


def two_nodes(mpi):
    job, facts = mpi.both(f"{IMPORTS}\nfrom mpi4py import MPI\n{SUM_OF_ONES}", 4, nodes=2)
    check(job.stdout == "4\n" * 4, f"{job.stdout!r} {job.stderr}")
    print("    " + mpi.check_served(facts, 4, 2), flush=True)
    check(facts["bytes_broadcast"] > 1000000, f"{facts['bytes_broadcast']} bytes broadcast between the nodes")


def python_without_mpi(mpi):
    job, facts = mpi.both(f"{IMPORTS}, os\nos.write(1, b'%d\\n' % len(json.dumps([])))", 3)
    check(job.stdout == "2\n" * 3, job.stdout)
    mpi.check_served(facts, 3)


def the_state_is_the_programs(mpi):
    """Also between and after; the main thread is the one that initialised; imports go on after MPI_Finalize."""
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
    check(job.stdout == "[False, False, True, False, True, True, False, 2, True, True, [1]]\n" * 2, job.stdout)
    mpi.check_served(facts, 2)


def exit_codes(mpi):
    for text, code in (("import sys; sys.exit(3)", 3), ("import os; os._exit(5)", 5), ("import json; 1/0", 1),
                       ("from mpi4py import MPI; import sys; sys.exit(7)", 7), ("from mpi4py import MPI; MPI.COMM_WORLD.Abort(6)", 6)):
        plain, job = mpi.run(text, 2, preload=False), mpi.run(text, 2)
        check(plain.returncode == code, f"{text}: exit {plain.returncode} without fastimport")
        check(job.returncode == code or not mpi.has_codes and job.returncode != 0, f"{text}: exit {job.returncode}: {job.stderr}")


def children(mpi):
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
    check(sorted(job.stdout.split("\n")) == ["", "child", "child", "ran 2", "ran 2"], f"{job.stdout!r} {job.stderr}")


def a_rank_that_calls_exec(mpi):
    if not mpi.can_start_twice:
        raise Skipped("this launcher lets a rank's slot start MPI only once: fastimport has done so before the exec")
    job, _ = mpi.both("""
        import os, sys
        if len(sys.argv) == 1:
            os.execv(sys.executable, [sys.executable, sys.argv[0], "again"])
        from mpi4py import MPI
        os.write(1, b"ran %d\\n" % MPI.COMM_WORLD.allreduce(1))
        """)
    check(job.stdout == "ran 2\n" * 2, f"{job.stdout!r} {job.stderr}")


def programs_of_one_script(mpi):
    """A slot starts MPI once: the one of these that uses it must find it unused, and is served from then on."""
    quiet = dataclasses.replace(mpi, settings={**mpi.settings, "FASTIMPORT_LOG": "error"})
    script = f'{mpi.python()} -c "import json"; "$@"; {mpi.python()} -c "import json"; exit 4'
    job, facts = quiet.both(f"from mpi4py import MPI\n{IMPORTS}\n{SUM_OF_ONES}", script=script)
    check((job.returncode, job.stdout) == (4, "2\n" * 2), f"exit {job.returncode}: {job.stdout}{job.stderr}")
    mpi.check_served(facts, 2)


def a_rank_that_never_joins(mpi):
    """It is no program of Python or MPI: the others go on without fastimport, and end."""
    slow = dataclasses.replace(mpi, settings={**mpi.settings, "FASTIMPORT_JOIN_MS": "1500"})
    for end in ("pass", "os._exit(0)"):
        done = slow.run(f"{IMPORTS}, os\nos.write(1, b'ran\\n')\n{end}", 1, program="/bin/true")
        check((done.returncode, done.stdout) == (0, "ran\n"), f"{end}: exit {done.returncode} {done.stdout!r} {done.stderr}")
        check(done.stderr.count("fastimport: ") == 1 and "not all ranks have joined" in done.stderr, done.stderr)


def only_some_ranks_have_the_library(mpi):
    """Those leave MPI to the program, and say so once."""
    with tempfile.TemporaryDirectory() as scratch:
        app = pathlib.Path(scratch, "app.py")
        app.write_text(f"{IMPORTS}\nfrom mpi4py import MPI\n{SUM_OF_ONES}")
        plain = ["env", *(f"{k}={v}" for k, v in mpi.settings.items()), mpi.python(), app]
        ours = ["env", f"LD_PRELOAD={LIBRARY}", "FASTIMPORT_FS=all", "FASTIMPORT_PLAN=off", *plain]
        for first, second in ((plain, ours), (ours, plain)):
            words = [*mpi.launch(2), *first, ":", "-n", 2, *second]
            job = subprocess.run(list(map(str, words)), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=50)
            check((job.returncode, job.stdout) == (0, "4\n" * 4), f"exit {job.returncode}: {job.stdout}{job.stderr}")
            check(job.stderr.count("fastimport: ") == 1 and "2 of the 4 ranks of this node run without" in job.stderr, job.stderr)


def build(mpi, directory, name, text, *flags):
    source = pathlib.Path(directory, f"{name}.c")
    source.write_text(mpi.c_head + text)
    subprocess.run(["gcc", "-o", f"{directory}/{name}", str(source), *flags, mpi.library_path(), f"-Wl,-rpath,{mpi.library_path().parent}",
                    "-Wl,--allow-shlib-undefined"], check=True)
    return f"{directory}/{name}"


def a_c_program_beside_python(mpi):
    with tempfile.TemporaryDirectory() as scratch:
        program = build(mpi, scratch, "program", C_PROGRAM)
        job, facts = mpi.both(f"{IMPORTS}\nfrom mpi4py import MPI\n{SUM_OF_ONES}", 2, program=program)
        check(sorted(job.stdout.split("\n")) == ["", "3", "3", "C 0 1 3 1"], f"{job.stdout!r} {job.stderr}")
        check(facts["ranks_reporting"] == 3, str(facts))


def a_profiling_library_sees_init_and_finalize(mpi):
    with tempfile.TemporaryDirectory() as scratch:
        profiler = build(mpi, scratch, "libprofiler.so", C_PROFILER, "-shared", "-fPIC")
        program = build(mpi, scratch, "program", C_PROGRAM, profiler)
        job, _ = mpi.both(f"from mpi4py import MPI\n{SUM_OF_ONES}", 1, program=program)
        lines = sorted(job.stdout.split("\n"))
        check(lines == ["", "2", "C 0 1 2 1", "profiler: finalize 0", "profiler: init 0"], f"{lines} {job.stderr}")


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


def a_profiling_library_that_takes_mpi_by_dlsym(mpi):
    """It goes past us. Where that would initialise MPI twice, the job goes on without fastimport, and says so."""
    with tempfile.TemporaryDirectory() as scratch:
        profiler = build(mpi, scratch, "libprofiler.so", C_HIDDEN_PROFILER, "-shared", "-fPIC")
        program = build(mpi, scratch, "program", C_PROGRAM, profiler)
        launch = [*map(str, mpi.launch(2)), "env", *(f"{k}={v}" for k, v in mpi.settings.items())]
        done = {}
        for preload in ("", str(LIBRARY)):
            done[preload] = subprocess.run([*launch, f"LD_PRELOAD={preload}", "FASTIMPORT_FS=all", "FASTIMPORT_PLAN=off",
                                            f"FASTIMPORT_PATH={scratch}", program],
                                           stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        plain, job = done.values()
        check((plain.returncode, plain.stdout.count("C 0 1 2 1"), plain.stdout.count("profiler: init")) == (0, 2, 2), f"{plain}")
        check((job.returncode, sorted(job.stdout)) == (0, sorted(plain.stdout)), f"{job}")
        lines = [line for line in job.stderr.split("\n") if "fastimport" in line]
        check(all("wraps MPI_Init" in line for line in lines) and len(lines) <= 1, job.stderr)


FAMILY = (a_job_of_four_ranks, two_nodes, python_without_mpi, the_state_is_the_programs, exit_codes, children, a_rank_that_calls_exec,
          programs_of_one_script, a_rank_that_never_joins, only_some_ranks_have_the_library, a_c_program_beside_python,
          a_profiling_library_sees_init_and_finalize, a_profiling_library_that_takes_mpi_by_dlsym)


def tests_of(make, only=FAMILY):
    """{"test_NAME": function}; make() gives the Mpi, or skips."""
    return {f"test_{f.__name__}": (lambda f=f: f(make())) for f in only}
