# SPDX-License-Identifier: BSD-3-Clause
"""What the library answers is what the kernel answers: a program for each call family, with and without it.

Each program writes a transcript of what it saw of a tree (family.h). It runs plain, plain again (the two must agree, else the
transcript is no measure), under a shim that injects a fault (they must differ, else the transcript is blind), then under the library
as the only rank and as one of two: each rank's transcript must be the plain one, and the library's own report must say that it served
the calls, so that a library which passes everything through does not count.
"""

import pathlib
import re
import subprocess
import tempfile

import fixture_tree
import programs
import pytest
from job import LIBRARY
from support import BUILD

pytestmark = pytest.mark.needs("mpiexec.mpich")

DIFF_LINES = 24

# Family: the faults that it must notice; the report's row, and the least share of that row's calls to be served.
# The shares say what a sound cache serves of calls as odd as these: most opens of the corpus have flags, or are of directories,
# that are left to the kernel.
FAMILIES = {
    "stat": (["stat-mtime", "stat-dev", "stat-nlink", "stat-errno", "stat-leaves-errno", "fstat-ino"], "stat", 0.5),
    "stat_old": (["stat-mtime", "stat-errno"], "stat", 0.5),
    "access": (["access"], "access", 0.5),
    "open": (["open-cloexec", "open-nofollow", "open-offset"], "open", 0.08),
    "stream": (["fopen-offset"], "open", 0.3),
    "links": (["readlink-nul", "realpath"], "path", 0.5),
    "dir": (["readdir-type", "readdir-drop", "seekdir"], "dir", 0.3),
    "dl": (["dlerror"], "dl", 0.1),
    "fd": (["pread", "fstat-ino"], "open", 0.5),
    "write": (["unlink-lost", "chmod-lost"], "stat", 0.02),
    "change": (["unlink-lost", "chmod-lost"], "stat", 0.3),
}
CHANGING = {"write": fixture_tree.build_writable, "change": fixture_tree.build_folders}  # by what the tree is made anew
AS_NOBODY = ["stat", "access", "open", "links", "dir"]
NEEDS_NOBODY = {"access"}  # faults that root cannot see
FAULTS = [(family, fault) for family, (faults, _, _) in FAMILIES.items() for fault in faults]


def difference(a, b, label, work):
    """A unified diff of two transcripts, or None; diff(1), as they have up to 100,000 lines."""
    if a == b:
        return None
    for name, text in (("a", a), ("b", b)):
        (work / name).write_bytes(text)
    done = subprocess.run(["diff", "-a", "-u2", "--label", "plain", "--label", label, work / "a", work / "b"], capture_output=True, check=False)
    lines = done.stdout.decode(errors="replace").splitlines()
    if len(lines) > DIFF_LINES:
        lines = lines[:DIFF_LINES] + [f"... {len(lines) - DIFF_LINES} more lines"]
    return "\n".join(lines)


class Transcripts:
    """Runs the programs on a tree, and keeps the plain transcripts."""

    def __init__(self, work):
        self.built = BUILD / "interpose"
        self.shim = self.built / "fault_shim.so"
        self.work = work
        self.tree = f"{work}/top/mid/tree"  # a path of the corpus climbs two up
        self.changing_tree = f"{work}/tmpfs/mid/tree"
        self.plain_ones = {}
        work.chmod(0o777)  # for nobody
        programs.mount_tmpfs(f"{work}/tmpfs")
        fixture_tree.build(self.tree, str(self.built))

    def tree_of(self, family):
        return self.changing_tree if family in CHANGING else self.tree

    def prepare(self, family):
        corpus = self.work / f"{family}.corpus"
        corpus.write_bytes(fixture_tree.corpus(family))
        if family in CHANGING:
            CHANGING[family](self.changing_tree)
        return str(self.built / family), [self.tree_of(family), str(corpus)]

    def run(self, family, label, runner, rank=0, **options):
        """(what one run wrote, what the runner returned). Raises programs.RunFailed."""
        program, args = self.prepare(family)
        out = f"{self.work}/{family}.{label}"
        if rank:
            options["rank"] = rank
        result = runner(program, args + [out], **options)
        return self.read(family, label, rank), result

    def read(self, family, label, rank):
        """What one rank of a run wrote."""
        text = (self.work / f"{family}.{label}.{rank}").read_bytes()
        assert text.endswith(b"== end\n"), "the transcript has no end; its last lines:\n" + "\n".join(text.decode(errors="replace").splitlines()[-5:])
        return text

    def plain(self, family, user=None, rank=0):
        """The transcript of the plain program; it runs once."""
        key = family, user, rank
        if key not in self.plain_ones:
            self.plain_ones[key] = self.run(family, f"plain-{user}", programs.run_plain, rank=rank, user=user)[0]
        return self.plain_ones[key]

    def with_fault(self, family, fault, user=None):
        """The transcript under the shim with this fault ("none": without one)."""
        return self.run(family, fault, programs.run_with_fault, shim=str(self.shim), fault=fault, user=user)[0]

    def assert_same(self, family, label, text, rank=0, user=None):
        diff = difference(self.plain(family, user, rank if family in CHANGING else 0), text, label, self.work)  # of CHANGING, each rank has a folder
        assert diff is None, f"{family}, {label}, rank {rank}\n{diff}"

    def assert_library_agrees(self, family, ranks, user=None):
        label = f"{ranks}-ranks" + ("-nobody" if user else "")
        text, report = self.run(family, label, programs.run_ranks, library=LIBRARY, root=self.tree_of(family), ranks=ranks, user=user,
                                report=f"{self.work}/{family}.{label}.json")
        others = [self.read(family, label, rank) for rank in range(1, ranks)]  # before another run changes the tree
        for rank, seen in enumerate([text, *others]):
            self.assert_same(family, label, seen, rank, user)
        _, row, share = FAMILIES[family]
        intercepted, served = programs.calls(report, row)
        assert intercepted > 0 and served >= share * intercepted, report.get(
            "problem", f"{served} of {intercepted} '{row}' calls served, wanted {share:.0%}")


@pytest.fixture(scope="module")
def transcripts(own_mounts):
    """Transcripts of one tree. It is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="interpose-") as work:
        made = Transcripts(pathlib.Path(work))
        yield made
        fixture_tree.remove(made.tree)
        subprocess.run(["umount", f"{work}/tmpfs"], capture_output=True, check=False)


@pytest.fixture
def nobody(transcripts):
    """The user "nobody". Permissions bite only those who are not root."""
    if not programs.runs_as(str(transcripts.built / "stat"), programs.NOBODY):
        pytest.skip("the build folder is closed to others")
    return programs.NOBODY


# --- the transcripts are a measure ---------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_plain_runs_agree(transcripts, family):
    transcripts.assert_same(family, "again", transcripts.run(family, "again", programs.run_plain)[0])


@pytest.mark.parametrize("family", FAMILIES)
def test_a_shim_without_a_fault_agrees(transcripts, family):
    transcripts.assert_same(family, "no fault", transcripts.with_fault(family, "none"))


@pytest.mark.parametrize("family, fault", [(family, fault) for family, fault in FAULTS if fault not in NEEDS_NOBODY])
def test_a_fault_is_noticed(transcripts, family, fault):
    assert transcripts.with_fault(family, fault) != transcripts.plain(family), "no line differs"


@pytest.mark.needs("root")
@pytest.mark.parametrize("family, fault", [(family, fault) for family, fault in FAULTS if fault in NEEDS_NOBODY])
def test_a_fault_that_root_cannot_see_is_noticed(transcripts, nobody, family, fault):
    assert transcripts.with_fault(family, fault, nobody) != transcripts.plain(family, nobody), "no line differs"


# --- the library ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_library_agrees(transcripts, family, ranks):
    transcripts.assert_library_agrees(family, ranks)


@pytest.mark.needs("root")
@pytest.mark.parametrize("family", AS_NOBODY)
def test_the_library_agrees_for_nobody(transcripts, nobody, family):
    transcripts.assert_library_agrees(family, 1, nobody)


def test_each_step_shows_a_write_that_is_not_noted(transcripts):
    """Where its calls go straight to libc every step of change.c must differ, else it would not show a forgotten note."""
    plain = transcripts.plain("change")
    unnoted, _ = transcripts.run("change", "unnoted", programs.run_ranks, library=LIBRARY, root=transcripts.tree_of("change"),
                                 report=f"{transcripts.work}/change.unnoted.json", before=[transcripts.built / "unnoted_writes.so"])
    shown, blind, refused = [], [], []
    for step, other in zip(plain.split(b"\n-- ")[1:], unnoted.split(b"\n-- ")[1:], strict=True):
        name = step.split(b"\n")[0].decode()
        if name.startswith("("):  # changes nothing
            continue
        if re.search(rb"^\S.* = -1", step, re.M):
            refused.append(name)  # without the library, too
        else:
            (shown if step != other else blind).append(name)
    assert not blind, f"these steps see nothing of it: {blind}"
    assert len(shown) > 60, f"shown by {len(shown)} steps only, {len(refused)} are refused: {refused}"
