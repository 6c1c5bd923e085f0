#!/usr/bin/python3
"""Random calls on random trees: once plain, once under the library, on trees built alike at the same path.

Each launch makes a batch of sequences, each on a tree of its own, and each batch has its mode: one rank, two of a
node, a child of a rank, two nodes. The first sequences that differ are shrunk to the calls that are needed, and
printed with the command that runs them again. Without --library, and in the self-test that comes first, a lying
preload takes the library's place: its lies must be found and shrunk.
"""
import argparse
import collections
import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../interpose"))
import runs  # noqa: E402

BATCH = 500       # sequences a launch
SHRINK = 3        # differing sequences to shrink
SHRINK_TIME = 60  # seconds each
LIES = ["stat-mtime", "stat-errno", "stat-stale", "open-cloexec", "readlink-nul", "readdir-type", "realpath", "dlerror",
        "chmod-lost"]


@dataclasses.dataclass(frozen=True)
class Mode:
    """Who makes the calls: the ranks of a job, each a part of the sequences, or a child of each.

    Children write nothing: what one changes by a path that its cache cannot follow ends serving on its node, and so
    would what is judged.
    """

    ranks: int = 1
    nodes: int = 1
    attached: bool = False

    @property
    def without(self):
        return ["writes"] if self.attached else []

    def __str__(self):
        return f"--ranks {self.ranks} --nodes {self.nodes}" + (" --attached" if self.attached else "")


TURNS = [Mode(), Mode(ranks=2), Mode(attached=True), Mode(ranks=2, nodes=2)]


@dataclasses.dataclass
class Count:
    """What of the calls of one mode was served: by the library's reports, and by what each rank saw of its own opens."""

    intercepted: int = 0
    served: int = 0
    opens: dict = dataclasses.field(default_factory=lambda: collections.defaultdict(lambda: [0, 0]))
    problem: str = ""  # of the last report

    def add(self, report, mode, out):
        self.problem = report.get("problem", "")
        for row in ("stat", "access", "open", "dir", "path"):
            intercepted, served = runs.calls(report, row)
            self.intercepted += intercepted
            self.served += served
        for rank in range(mode.ranks):
            with open(f"{out}.{rank}.served", encoding="ascii") as f:
                for i, n in enumerate(f.read().split()):
                    self.opens[rank][i] += int(n)

    def shares(self, mode):
        """{what: share}. Reports do not tell of children."""
        found = {} if mode.attached else {"calls": self.served / max(self.intercepted, 1)}
        for rank, (served, opened) in sorted(self.opens.items()):
            found[f"opens of rank {rank}"] = served / max(opened, 1)
        return found


def remove(folder):
    """Also where it is not root's to open what it has in it."""
    if os.geteuid() != 0:
        subprocess.run(["chmod", "-R", "u+rwX", folder], capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)


class Fuzzer:
    def __init__(self, args, work):
        self.args = args
        self.work = work
        self.tree = f"{work}/tmpfs/a/b/c/d/e/f/judge-tree"  # some levels below what others change meanwhile
        built = os.path.abspath(args.build)
        self.program = f"{built}/differential"
        self.liar = f"{built}/interpose/liar.so"
        self.leaf = f"{built}/interpose/lib/deps/libjudge_leaf.so"
        self.mode = Mode()
        self.counts = {}  # by mode
        self.user = runs.NOBODY if args.nobody else None
        self.may_switch = os.geteuid() == 0 and runs.runs_as(self.program, runs.NOBODY)
        os.chmod(work, 0o777)  # for nobody's transcripts
        runs.mount_tmpfs(f"{work}/tmpfs")

    def options(self, first, count, only):
        o = ["--seed", str(self.args.seed), "--first", str(first), "--sequences", str(count),
             "--calls", str(self.args.calls), "--tree", self.tree]
        o += ["--only", ",".join(map(str, only))] if only is not None else []
        return o + ["--no-" + x for x in self.args.without + self.mode.without]

    def rebuild(self, first, count):
        remove(self.tree)
        os.makedirs(self.tree)
        if self.user:
            os.chown(self.tree, self.user, self.user)
        runs.run_plain(self.program, ["build", "--library", self.leaf] + self.options(first, count, None),
                       user=self.user)

    def transcript(self, side, first, count, only=None):
        """{sequence: lines}, the end of a run that did not end well included."""
        self.rebuild(first, count)
        ranks = self.mode.ranks if side == "library" else 1
        out = f"{self.work}/{side}"
        for rank in range(ranks):
            for old in (f"{out}.{rank}", f"{out}.{rank}.served"):
                if os.path.exists(old):
                    os.remove(old)
        ending = b""
        try:
            self.launch(side, ["run", "--out", out] + self.options(first, count, only))
        except runs.RunFailed as e:
            ending = b"(run failed: %s)" % str(e).encode()
        found = {}
        for rank in range(ranks):
            found |= self.split(f"{out}.{rank}", ending)
        if ending and found and not any(ending in lines for lines in found.values()):
            found[max(found)].append(ending)  # it failed after the last call
        return found

    def launch(self, side, command):
        timeout = runs.TIMEOUT
        if side == "plain":
            runs.run_plain(self.program, command, timeout=timeout, user=self.user)
        elif side == "library":  # cold: a plan of the last run would bring what is to be asked for
            command += ["--attached"] if self.mode.attached else []
            report = runs.run_ranks(self.program, command, self.args.library, self.tree, f"{self.work}/report.json",
                                    ranks=self.mode.ranks, nodes=self.mode.nodes, timeout=timeout, user=self.user,
                                    plan="off")
            self.counts.setdefault(self.mode, Count()).add(report, self.mode, command[command.index("--out") + 1])
        else:
            runs.run_liar(self.program, command, self.liar, side, timeout=timeout, user=self.user)

    @staticmethod
    def split(path, ending):
        """Cuts a transcript at its "== sequence" lines; what lacks "== end" gets `ending`."""
        try:
            with open(path, "rb") as f:
                text = f.read()
        except OSError:
            text = b""
        parts = text.split(b"== sequence ")[1:]
        found = {}
        for i, part in enumerate(parts):
            number, _, rest = part.partition(b"\n")
            lines = rest.splitlines()
            if i == len(parts) - 1 and (not lines or lines[-1] != b"== end"):
                lines.append(ending or b"(the transcript ends here)")
            found[int(number)] = [line for line in lines if line != b"== end"]
        return found

    @staticmethod
    def fatal(found):
        """The sequence at which a program died, or None."""
        dead = [n for n, lines in found.items() if lines and lines[-1].startswith(b"(run failed")]
        return dead[0] if dead else None

    def differing(self, side, first, count):
        """The sequences of which the transcripts differ, in order. One that kills the program plain, too (it may
        truncate a library that it has loaded) is left out."""
        bad, plain, other = [], {}, {}
        end = first + count
        while first < end:
            part = self.transcript("plain", first, end - first)
            dead = self.fatal(part)
            stop = end if dead is None else dead
            if dead is None and len(part) != end - first:
                raise runs.RunFailed(f"plain, only {len(part)} of {end - first} sequences ended")
            plain |= part
            if stop > first:
                if dead is not None:  # as many trees stand beside each other as with the library
                    plain |= self.transcript("plain", first, stop - first)
                other |= self.transcript(side, first, stop - first)
            bad += [n for n in range(first, stop) if plain.get(n, []) != other.get(n, [])]
            if dead is not None:
                other[dead] = plain[dead]
                print(f"note: sequence {dead} dies without the library: {plain[dead][-1].decode(errors='replace')}")
            first = stop + 1
        return bad, plain, other

    def differs(self, side, sequence, only):
        return bool(self.differing_one(side, sequence, only))

    def differing_one(self, side, sequence, only):
        """(plain lines, other lines) if they differ, else None."""
        a = self.transcript("plain", sequence, 1, only).get(sequence, [])
        b = self.transcript(side, sequence, 1, only).get(sequence, [])
        return (a, b) if a != b else None

    def shrink(self, side, sequence):
        """Delta debugging: the fewest calls found in SHRINK_TIME that still differ; None if alone it does not."""
        calls = list(range(self.args.calls))
        end = time.monotonic() + SHRINK_TIME
        if not self.differs(side, sequence, calls):
            return None
        chunk = len(calls) // 2
        while chunk and time.monotonic() < end:
            at, reduced = 0, False
            while at < len(calls) and time.monotonic() < end:
                fewer = calls[:at] + calls[at + chunk:]
                if self.differs(side, sequence, fewer):
                    calls, reduced = fewer, True
                else:
                    at += chunk
            chunk = chunk if reduced and chunk == 1 else chunk // 2
        return calls

    def explain(self, side, sequence, seen):
        """`seen`: the two transcripts that differed."""
        calls = self.shrink(side, sequence)
        print(f"DIFFERS: seed {self.args.seed}, sequence {sequence}")
        if calls is None:
            print("  alone it does not differ: it depends on the sequences before it, or on time")
            self.show(seen)
            return
        again = f"{self.mode} " + ("--nobody " if self.user else "")
        again += "".join(f"--without {x} " for x in self.args.without)
        again += f"--seed {self.args.seed} --calls {self.args.calls} --sequence {sequence}"
        print(f"  again: tests/differential/fuzz.py {again} --only {','.join(map(str, calls))}")
        self.show(self.differing_one(side, sequence, calls))

    def show(self, pair):
        if not pair:
            print("  (not every time)")
            return
        for name, lines in zip(("plain", "other"), pair):
            with open(f"{self.work}/{name}.txt", "wb") as f:
                f.write(b"\n".join(lines) + b"\n")
        done = subprocess.run(["diff", "-a", "-U12", "--label", "plain", "--label", "library", f"{self.work}/plain.txt",
                               f"{self.work}/other.txt"], capture_output=True)
        for line in done.stdout.decode(errors="replace").splitlines()[:60]:
            print("  " + line[:400])
        for name, lines in zip(("plain", "library"), pair):
            if lines and lines[-1].startswith(b"(run failed"):
                print(f"  {name} ended: {lines[-1].decode(errors='replace')}")


def self_test(fuzzer):
    """Plain agrees with plain, and with a preload that tells no lie; every lie is found and shrinks to a few calls."""
    failed = 0
    for honest in ("plain", "none"):
        bad, plain, _ = fuzzer.differing(honest, 0, 300)
        if bad or len(plain) != 300:
            print(f"FAIL: honest runs ({honest}) differ in sequences {bad[:10]}; {len(plain)} of 300 ended")
            failed += 1
    for lie in LIES:
        bad = fuzzer.differing(lie, 0, 600)[0]
        if not bad:
            print(f"FAIL: the lie {lie} went unnoticed")
            failed += 1
            continue
        calls = fuzzer.shrink(lie, bad[0])
        if not calls or len(calls) > 6:
            print(f"FAIL: the lie {lie} was not shrunk: {calls}")
            failed += 1
    return 2 + len(LIES) - failed, failed


def fuzz(fuzzer, args):
    """All sequences in batches, every third as nobody where root can; stops at the first batch that differs.

    Returns (passed, failed): batches, and modes of which enough was served.
    """
    passed = failed = done = batch = 0
    turns = modes(args)
    start = time.monotonic()
    while done < args.sequences and (not args.seconds or time.monotonic() - start < args.seconds):
        count = min(BATCH, args.sequences - done)
        if fuzzer.may_switch and not args.nobody:
            fuzzer.user = runs.NOBODY if batch % 3 == 2 else None
        fuzzer.mode = turns[batch % len(turns)]
        bad, plain, other = fuzzer.differing("library", args.first + done, count)
        done += count
        batch += 1
        if bad:
            print(f"{len(bad)} of {count} sequences differ: {' '.join(map(str, bad[:20]))}")
            for sequence in bad[:SHRINK]:
                fuzzer.explain("library", sequence, (plain.get(sequence, []), other.get(sequence, [])))
            return passed, 1
        passed += 1
    print(f"{done} sequences of {args.calls} calls agree in {time.monotonic() - start:.0f} s")
    passed += len(fuzzer.counts)
    for mode, count in fuzzer.counts.items():
        shares = count.shares(mode)
        print(f"{mode}: served " + ", ".join(f"{share:.0%} of the {what}" for what, share in shares.items()))
        if min(shares.values()) < args.least_served:
            print(f"FAIL: fewer than {args.least_served:.0%} were served: this mode judged little\n{count.problem}")
            passed, failed = passed - 1, failed + 1
    return passed, failed


def modes(args):
    """The mode that the arguments ask for, or all of them in turn."""
    if args.ranks or args.nodes or args.attached:
        return [Mode(max(args.ranks or 1, args.nodes or 1), args.nodes or 1, args.attached)]
    return [m for m in TURNS if m.nodes == 1 or os.geteuid() == 0]


def one(fuzzer, args):
    fuzzer.mode = modes(args)[0]
    side = "library" if args.library else "plain"
    only = [int(i) for i in args.only.split(",")] if args.only else None
    pair = fuzzer.differing_one(side, args.sequence, only)
    if pair:
        fuzzer.show(pair)
    return (0, 1) if pair else (1, 0)


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default="build", help="build folder (default build)")
    p.add_argument("--library", help="libfastimport.so; without it only the self-test runs")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--first", type=int, default=0, help="first sequence (default 0)")
    p.add_argument("--sequences", type=int, default=3000, help="how many (default 3000)")
    p.add_argument("--calls", type=int, default=50, help="calls a sequence (default 50)")
    p.add_argument("--seconds", type=int, default=0, help="stop after the batch that passes this time (default: no)")
    p.add_argument("--ranks", type=int, help="ranks that share the sequences; without this and the next two: in turn")
    p.add_argument("--nodes", type=int, help="emulated nodes of the ranks (needs root)")
    p.add_argument("--attached", action="store_true", help="the calls are made by a child of each rank")
    p.add_argument("--without", action="append", default=[], choices=["bad-pointers", "writes"],
                   help="leave kinds of calls out")
    p.add_argument("--least-served", type=float, default=0.2, help="share of calls to be served (default 0.2)")
    p.add_argument("--sequence", type=int, help="run only this sequence and show how it differs")
    p.add_argument("--only", help="of --sequence, only these calls: I,J,...")
    p.add_argument("--nobody", action="store_true", help="all as nobody (needs root)")
    p.add_argument("--no-self-test", action="store_true")
    return p.parse_args()


def main():
    args = arguments()
    runs.own_namespace()
    work = tempfile.mkdtemp(prefix="fastimport-fuzz-")
    passed = failed = skipped = 0
    try:
        fuzzer = Fuzzer(args, work)
        if args.sequence is not None:
            passed, failed = one(fuzzer, args)
        else:
            if not args.no_self_test:
                passed, failed = self_test(fuzzer)
            if args.library:
                p, f = fuzz(fuzzer, args)
                passed, failed = passed + p, failed + f
            else:
                print("skip: no library given")
                skipped = 1
    finally:
        subprocess.run(["umount", f"{work}/tmpfs"], capture_output=True)
        remove(work)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
