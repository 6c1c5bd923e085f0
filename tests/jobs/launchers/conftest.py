# SPDX-License-Identifier: BSD-3-Clause
"""A Slurm of one's own: munged, slurmctld and two slurmd, one for each emulated node, in a temporary directory. It is gone afterwards."""

import contextlib
import os
import pathlib
import secrets
import socket
import subprocess
import tempfile
import time

import pytest
from support import BUILD, ROOT

CONFIG = """
ClusterName=fastimport-test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={place}/munge.socket
SlurmctldPort={port}
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd-%n.pid
SlurmdSpoolDir={place}/spool-%n
TmpFS={place}/tmp-%n
StateSaveLocation={place}/state
SlurmctldLogFile={place}/slurmctld.log
SlurmdLogFile={place}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
PlugStackConfig={place}/plugstack.conf
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:16
"""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def configure(place, nodes):
    host = socket.gethostname().split(".")[0]
    port, *ports = free_ports(nodes + 1)
    lines = [f"NodeName=n{i} NodeHostname={host} NodeAddr=127.0.0.1 Port={p} CPUs={os.cpu_count()} State=UNKNOWN" for i, p in enumerate(ports)]
    (place / "slurm.conf").write_text(CONFIG.format(host=host, place=place, port=port, nodes="\n".join(lines)))
    for name in ("state", *(f"tmp-n{i}" for i in range(nodes))):  # PMIx keeps files there, and the nodes are one machine
        (place / name).mkdir()
    install_plugin(place)
    (place / "munge.key").write_bytes(secrets.token_bytes(1024))
    (place / "munge.key").chmod(0o600)


def install_plugin(place):
    """The plugin of `srun --fastimport`, where Slurm's headers are, and the library beside it."""
    plugin = place / "opt/lib/fastimport/fastimport-spank.so"
    if pathlib.Path("/usr/include/slurm/spank.h").exists():
        subprocess.run(["make", "-s", "-C", ROOT, f"B={BUILD}", "install-library", "install-spank", f"PREFIX={place}/opt"], check=True, timeout=120)
    (place / "plugstack.conf").write_text(f"optional {plugin}\n" if plugin.exists() else "")


def wait_until_idle(place, nodes):
    deadline = time.monotonic() + 30
    while True:
        done = subprocess.run(["sinfo", "-h", "-N", "-o", "%N %t"], capture_output=True, text=True, env=environment_of(place), timeout=30)
        if done.stdout.split() == [w for i in range(nodes) for w in (f"n{i}", "idle")]:
            return
        if time.monotonic() > deadline:
            logs = "\n".join(f"{p.name}: {p.read_text()[-800:]}" for p in sorted(place.glob("*.log")))
            raise AssertionError(f"Slurm did not come up: {done.stdout}{done.stderr}\n{logs}")
        time.sleep(0.2)


def environment_of(place):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "PMI", "FASTIMPORT_"))}
    return {**kept, "SLURM_CONF": f"{place}/slurm.conf"}


@pytest.fixture(scope="module")
def cluster():
    """The environment in which srun and sbatch speak to a Slurm of two nodes."""
    nodes = 2
    with tempfile.TemporaryDirectory(prefix="fastimport-slurm-") as name, contextlib.ExitStack() as daemons:
        place = pathlib.Path(name)
        place.chmod(0o755)  # munge insists
        configure(place, nodes)

        def start(*command):
            log = daemons.enter_context(open(place / f"{command[0]}.out", "a"))
            daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment_of(place))
            daemons.callback(stop, daemon)

        start("munged", "--foreground", "--force", f"--socket={place}/munge.socket", f"--key-file={place}/munge.key", "--num-threads=1",
              f"--pid-file={place}/munged.pid", f"--log-file={place}/munged.log", f"--seed-file={place}/munged.seed")
        while not (place / "munge.socket").exists():
            time.sleep(0.1)
        start("slurmctld", "-D")
        for i in range(nodes):
            start("slurmd", "-D", "-N", f"n{i}")
        wait_until_idle(place, nodes)
        yield environment_of(place)


def stop(daemon):
    daemon.terminate()
    try:
        daemon.wait(10)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
