# SPDX-License-Identifier: BSD-3-Clause
"""What users do instead: images that the nodes mount, and copies of an environment in the memory of the nodes.

A rival packs the environment once (`pack`, on a login node, into a directory on the shared file system). Then it may prepare
the nodes by a job of one rank on each (`prepare`), and each node opens what it has before its ranks start (`open`). The commands
are for sh, with these names:

    $IMAGES         the directory on the shared file system with what was packed
    $SHARE          where the program expects the environment
    $HERE           a directory in the memory of the node
    $EMULATED_NODE  the number of the node
"""

import dataclasses
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "emulator/nodes"))
import sharedjob  # noqa: E402
from sharedjob import BUILD  # noqa: E402

SQUASHFS = 'mksquashfs "$SHARE" "$IMAGES/env.sqsh" -comp zstd -quiet -no-progress -noappend'
ZST = 'tar -C "$SHARE" -c . | zstd -q -f -T0 -3 -o "$IMAGES/env.tar.zst"'
SHOW = 'mount --bind "$HERE/tree" "$SHARE"'
FUSE = "squashfuse_ll -o allow_other"


@dataclasses.dataclass(frozen=True)
class Rival:
    """One way: its shell commands, what must be redone after one file was edited, and the programs that it needs."""

    pack: str
    prepare: str
    open: str
    redo: str
    needs: tuple = ()


RIVALS = {
    "squashfs": Rival(SQUASHFS, "", f'{FUSE} "$IMAGES/env.sqsh" "$SHARE"', "pack, mount", ("mksquashfs", "squashfuse_ll")),
    "loop": Rival(SQUASHFS, "", 'mount -t squashfs -o loop,ro "$IMAGES/env.sqsh" "$SHARE"', "pack, mount (needs root)", ("mksquashfs",)),
    "image": Rival(SQUASHFS, f'{BUILD}/filecast "$IMAGES/env.sqsh" "$HERE/env.sqsh"', f'{FUSE} "$HERE/env.sqsh" "$SHARE"',
                   "pack, broadcast, mount", ("mksquashfs", "squashfuse_ll")),
    "tar": Rival(ZST, f'{BUILD}/filecast "$IMAGES/env.tar.zst" "$HERE/env.tar.zst" && mkdir "$HERE/tree" && '
                 'tar -C "$HERE/tree" -I zstd -xf "$HERE/env.tar.zst" && rm "$HERE/env.tar.zst"', SHOW, "pack, broadcast, unpack",
                 ("zstd",)),
    "stage": Rival(f'{BUILD}/python-mpi-bcast pack -q "$SHARE" -o "$IMAGES/stage.tar.zst"',
                   f'{BUILD}/python-mpi-bcast stage -q "$IMAGES/stage.tar.zst" --to "$HERE/tree"', SHOW, "pack, broadcast, unpack"),
    "unpack": Rival('tar -C "$SHARE" -czf "$IMAGES/env.tar.gz" .',
                    'mkdir "$HERE/tree" && tar -C "$HERE/tree" -xzf "$IMAGES/env.tar.gz"', SHOW, "pack, unpack"),
}


def missing(name):
    """The programs that the rival needs and this machine lacks."""
    return [program for program in RIVALS[name].needs if not shutil.which(program)]


class Rivals:
    """The rivals of one call of bench/startup/run, with what they packed. close() removes it.

    packed    {rival: seconds of packing}
    """

    def __init__(self, share):
        self.share, self.packed = str(share), {}
        self.home = pathlib.Path(f"/dev/shm/startup-rivals-{os.getpid()}")

    def names(self):
        """The first words of each command: the variables."""
        here = f"{self.home}/node"
        return f"IMAGES={shlex.quote(str(self.home / 'images'))} SHARE={shlex.quote(self.share)} HERE={shlex.quote(here)}; "

    def pack(self, name):
        """Packs what the rival needs, once for all that pack the same. Raises RuntimeError."""
        command = RIVALS[name].pack
        done = next((s for other, s in self.packed.items() if RIVALS[other].pack == command), None)
        if done is None:
            (self.home / "images").mkdir(parents=True, exist_ok=True)
            (self.home / "node").mkdir(exist_ok=True)
            start = time.monotonic()
            sh = subprocess.run(["sh", "-c", self.names() + command], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            if sh.returncode:
                raise RuntimeError(f"{name}: cannot pack: {sh.stderr.strip()[-300:]}")
            done = time.monotonic() - start
        self.packed[name] = done

    def memory(self, nodes):
        """The scripts' first command: the node's own directory in memory at $HERE."""
        for node in range(nodes):
            (self.home / f"nodes/{node}").mkdir(parents=True, exist_ok=True)
        return self.names() + f'mount --bind "{self.home}/nodes/$EMULATED_NODE" "$HERE" || exit; '

    def prepare(self, rival, nodes, client, timeout, memory):
        """The job that prepares the nodes; None where there is none. Raises RuntimeError if it fails."""
        if not rival.prepare:
            return None
        done = sharedjob.run(["sh", "-c", self.names() + rival.prepare], str(self.home / "images"), nodes, nodes, client,
                             timeout=timeout, scripts={"prolog": memory})
        if done.code:
            raise RuntimeError(f"cannot prepare the nodes: {done.errors.strip()[-300:]}")
        return done

    def run(self, name, command, ranks, nodes, client, timeout):
        """Prepares the nodes and runs the command. Returns (Job, seconds of preparing, bytes in the memory of a node).

        The job's counts have those of preparing. The environment stays packed for the next run; the nodes' copies do not.
        """
        rival, memory, opened = RIVALS[name], self.memory(nodes), self.home / "opened"
        opened.mkdir(exist_ok=True)
        try:
            prepared = self.prepare(rival, nodes, client, timeout, memory)
            size = sum(f.lstat().st_blocks * 512 for f in (self.home / "nodes/0").rglob("*"))
            prolog = f'{memory}begin=$(date +%s%N); {rival.open} || exit; echo $begin $(date +%s%N) >"{opened}/$EMULATED_NODE"'
            job = sharedjob.run(command, str(self.home / "images"), ranks, nodes, client, timeout=timeout,
                                scripts={"prolog": prolog, "epilog": self.names() + 'umount "$SHARE"'})
            times = [[int(word) for word in path.read_text().split()] for path in opened.iterdir()]
            seconds = max((end - begin for begin, end in times), default=0) / 1e9
            if prepared:
                seconds += prepared.seconds
                job.metadata_ops += prepared.metadata_ops
                job.read_bytes += prepared.read_bytes
                job.ops = {op: n + prepared.ops.get(op, 0) for op, n in job.ops.items()}
        finally:
            shutil.rmtree(self.home / "nodes", ignore_errors=True)
            shutil.rmtree(opened, ignore_errors=True)
        return job, seconds, size

    def close(self):
        shutil.rmtree(self.home, ignore_errors=True)
