#!/usr/bin/python3
"""The kernel as the judge of the preloaded library, one program a call family.

Each program writes a transcript of what it saw of a tree (family.h). It runs plain, plain again (the two must
agree, else the transcript is no measure), under a liar (they must differ, else the transcript is blind), then under
the library as the only rank and as one of two: each rank's transcript must be the plain one, and the library's own
report must say that it served the calls, so that a library which passes everything through does not count.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fixture  # noqa: E402
import runs  # noqa: E402

DIFF_LINES = 24

# Family: the lies it must catch; the report's row and the least share of that row's calls to be served.
# The shares say what an honest cache serves of calls as odd as these: most opens of the corpus have flags, or are of directories,
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
CHANGING = {"write": fixture.build_writable, "change": fixture.build_folders}  # by what the tree is made anew
AS_NOBODY = ["stat", "access", "open", "links", "dir"]
NEEDS_NOBODY = {"access"}  # lies that root cannot be told


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def check(self, ok, what, detail=""):
        if ok:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAIL {what}\n{detail}")

    def skip(self, what, why):
        self.skipped += 1
        print(f"skip {what}: {why}")


def difference(a, b, label, work):
    """A unified diff of two transcripts, or None; diff(1), as they have up to 100,000 lines."""
    if a == b:
        return None
    for name, text in (("a", a), ("b", b)):
        with open(f"{work}/{name}", "wb") as f:
            f.write(text)
    done = subprocess.run(["diff", "-a", "-u2", "--label", "plain", "--label", label, f"{work}/a", f"{work}/b"],
                          capture_output=True)
    lines = done.stdout.decode(errors="replace").splitlines()
    if len(lines) > DIFF_LINES:
        lines = lines[:DIFF_LINES] + [f"... {len(lines) - DIFF_LINES} more lines"]
    return "\n".join(lines)


class Judge:
    def __init__(self, build, library, work):
        self.built = os.path.abspath(f"{build}/interpose")
        self.liar = f"{self.built}/liar.so"
        self.library = library
        self.work = work
        self.tree = f"{work}/top/mid/judge-tree"  # a path of the corpus climbs two up
        self.tally = Tally()
        self.changing_tree = f"{work}/tmpfs/mid/judge-tree"
        os.chmod(work, 0o777)  # for nobody
        runs.mount_tmpfs(f"{work}/tmpfs")
        fixture.build(self.tree, self.built)

    def tree_of(self, family):
        return self.changing_tree if family in CHANGING else self.tree

    def prepare(self, family):
        corpus = f"{self.work}/{family}.corpus"
        with open(corpus, "wb") as f:
            f.write(fixture.corpus(family))
        if family in CHANGING:
            CHANGING[family](self.changing_tree)
        return f"{self.built}/{family}", [self.tree_of(family), corpus]

    def transcript(self, family, label, runner, rank=0, **options):
        """What one run wrote; raises RunFailed."""
        program, args = self.prepare(family)
        out = f"{self.work}/{family}.{label}"
        if rank:
            options["rank"] = rank
        result = runner(program, args + [out], **options)
        return self.read(out, rank), result

    @staticmethod
    def read(out, rank):
        try:
            with open(f"{out}.{rank}", "rb") as f:
                text = f.read()
        except OSError as e:
            raise runs.RunFailed(f"rank {rank} wrote no transcript: {e}") from e
        if not text.endswith(b"== end\n"):
            raise runs.RunFailed("the transcript has no end; its last lines:\n"
                                 + "\n".join(text.decode(errors="replace").splitlines()[-5:]))
        return text

    def compare(self, what, plain, run):
        try:
            text = run()
        except runs.RunFailed as e:
            self.tally.check(False, what, str(e))
            return
        diff = difference(plain, text, what, self.work)
        self.tally.check(diff is None, what, diff)

    def self_test(self, family, plain):
        again = lambda: self.transcript(family, "again", runs.run_plain)[0]
        self.compare(f"{family}: plain, twice", plain, again)
        honest = lambda: self.transcript(family, "honest", runs.run_liar, liar=self.liar, lie="none")[0]
        self.compare(f"{family}: under a preload that passes all through", plain, honest)
        for lie in FAMILIES[family][0]:
            if lie not in NEEDS_NOBODY or os.geteuid() != 0:
                self.notices(family, lie, plain)

    def notices(self, family, lie, plain, user=None):
        text = self.transcript(family, lie, runs.run_liar, liar=self.liar, lie=lie, user=user)[0]
        self.tally.check(text != plain, f"{family}: the lie {lie} is noticed", "no line differs")

    def judge(self, family, plain, ranks, user=None):
        label = f"{ranks}-ranks" + ("-nobody" if user else "")
        what = f"{family}, {label}"
        try:
            text, report = self.transcript(
                family, label, runs.run_ranks, library=self.library, root=self.tree_of(family), ranks=ranks, user=user,
                report=f"{self.work}/{family}.{label}.json")
        except runs.RunFailed as e:
            self.tally.check(False, what, str(e))
            return
        self.compare(f"{what}, rank 0", plain, lambda: text)
        for rank in range(1, ranks):
            if family in CHANGING:  # each rank has a folder of its own
                plain = self.transcript(family, f"plain-{rank}", runs.run_plain, rank=rank)[0]
            self.compare(f"{what}, rank {rank}", plain, lambda: self.read(f"{self.work}/{family}.{label}", rank))
        _, row, share = FAMILIES[family]
        intercepted, served = runs.calls(report, row)
        self.tally.check(intercepted > 0 and served >= share * intercepted, f"{what}: served from the cache",
                         report.get("problem", f"{served} of {intercepted} '{row}' calls served, wanted {share:.0%}"))

    def judge_steps(self, family, plain):
        """Where its calls go around the library every step must differ, else it would not show a forgotten note."""
        around = self.transcript(family, "around", runs.run_ranks, library=self.library, root=self.tree_of(family),
                                 report=f"{self.work}/{family}.around.json", before=[f"{self.built}/around.so"])[0]
        seen = plain.split(b"\n-- ")[1:]
        for step, other in zip(seen, around.split(b"\n-- ")[1:], strict=True):
            name = step.split(b"\n")[0].decode()
            if name.startswith("("):  # changes nothing
                continue
            if re.search(rb"^\S.* = -1", step, re.M):
                self.tally.skip(f"{family}: {name}", "refused without the library, too")
            else:
                self.tally.check(step != other, f"{family}: {name} that goes around the library is noticed", step.decode())

    def family(self, family):
        try:
            self.family_or_fail(family)
        except runs.RunFailed as e:
            self.tally.check(False, family, str(e))

    def family_or_fail(self, family):
        plain, _ = self.transcript(family, "plain", runs.run_plain)
        self.self_test(family, plain)
        for ranks in (1, 2) if self.library else ():
            self.judge(family, plain, ranks)
        if self.library and family == "change":
            self.judge_steps(family, plain)
        if os.geteuid() == 0 and family in AS_NOBODY:
            self.family_as_nobody(family)
        if not self.library:
            self.tally.skip(family, "no library given")

    def family_as_nobody(self, family):
        """Permissions bite only those who are not root."""
        if not runs.runs_as(f"{self.built}/{family}", runs.NOBODY):
            self.tally.skip(f"{family} as nobody", "the build folder is closed to others")
            return
        plain, _ = self.transcript(family, "nobody", runs.run_plain, user=runs.NOBODY)
        for lie in NEEDS_NOBODY.intersection(FAMILIES[family][0]):
            self.notices(family, lie, plain, user=runs.NOBODY)
        if self.library:
            self.judge(family, plain, 1, user=runs.NOBODY)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default="build", help="build folder (default build)")
    p.add_argument("--library", help="libfastimport.so; without it the judge tests only itself")
    p.add_argument("--family", action="append", choices=FAMILIES, help="only this family; may be repeated")
    p.add_argument("--keep", action="store_true", help="keep the tree and the transcripts, and say where")
    args = p.parse_args()

    runs.own_namespace()
    work = tempfile.mkdtemp(prefix="fastimport-judge-")
    try:
        judge = Judge(args.build, args.library, work)
        for family in args.family or FAMILIES:
            judge.family(family)
    finally:
        if args.keep:
            print(f"kept: {work}")
        else:
            fixture.remove(f"{work}/top/mid/judge-tree")
            subprocess.run(["umount", f"{work}/tmpfs"], capture_output=True)
            shutil.rmtree(work, ignore_errors=True)
    t = judge.tally
    print(f"{t.passed} passed, {t.failed} failed, {t.skipped} skipped")
    return 1 if t.failed else 0


if __name__ == "__main__":
    sys.exit(main())
