#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Random calls on random trees: once plain, once under the library, on trees built alike at the same path.

Each launch makes a batch of sequences, each on a tree of its own, and each batch has its mode: one rank, two of a
node, a child of a rank, two nodes. The first sequences that differ are shrunk to the calls that are needed, and
printed with the command that runs them again. differential_test.py shows that the faults of a shim in the library's place
are found and shrunk.
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

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import programs  # noqa: E402

BATCH = 500       # sequences a launch
SHRINK = 3        # differing sequences to shrink
SHRINK_TIME = 60  # seconds each


@dataclasses.dataclass(frozen=True)
class Mode:
    """Who makes the calls: the ranks of a job, each a part of the sequences, or a child of each.

    Children write nothing: what one changes by a path that its cache cannot follow ends serving on its node, and so would
    what is compared. On several nodes a directory in which a rank writes is left to its file system from then on, so that
    little is served there; without writes, much is.

    In a relay all ranks make the calls of each sequence, a few calls each in turns: what one changes, the others must see.
    """

    ranks: int = 1
    nodes: int = 1
    attached: bool = False
    writes: bool = True
    relay: bool = False

    @property
    def without(self):
        return [] if self.writes and not self.attached else ["writes"]

    @property
    def must_serve(self):
        return self.nodes == 1 or not self.writes or self.relay

    @property
    def shares_checked(self):
        """In a relay: of the files that each rank opens before anybody has changed anything."""
        return ("opens",) if self.relay else ("calls", "opens")

    def __str__(self):
        flags = (" --attached" if self.attached else "") + ("" if self.writes else " --without writes") + (" --relay" if self.relay else "")
        return f"--ranks {self.ranks} --nodes {self.nodes}{flags}"


TURNS = [Mode(), Mode(ranks=2), Mode(attached=True), Mode(ranks=2, nodes=2, relay=True), Mode(), Mode(ranks=2, relay=True),
         Mode(ranks=2, nodes=2, writes=False), Mode(ranks=2, nodes=2)]


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
            intercepted, served = programs.calls(report, row)
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
        self.tree = f"{work}/tmpfs/a/b/c/d/e/f/tree"  # some levels below what others change meanwhile
        built = os.path.abspath(args.build)
        self.program = f"{built}/differential"
        self.library = f"{built}/libfastimport.so"
        self.shim = f"{built}/interpose/fault_shim.so"
        self.leaf = f"{built}/interpose/lib/deps/libinterpose_leaf.so"
        self.mode = Mode()
        self.counts = {}  # by mode
        self.user = programs.NOBODY if args.nobody else None
        self.may_switch = os.geteuid() == 0 and programs.runs_as(self.program, programs.NOBODY)
        os.chmod(work, 0o777)  # for nobody's transcripts
        programs.mount_tmpfs(f"{work}/tmpfs")

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
        programs.run_plain(self.program, ["build", "--library", self.leaf] + self.options(first, count, None),
                       user=self.user)

    def transcript(self, side, first, count, only=None):
        """{sequence: lines}, the end of a run that did not end well included."""
        self.rebuild(first, count)
        ranks = self.mode.ranks if side == "library" or self.mode.relay else 1
        out = f"{self.work}/{side}"
        for rank in range(ranks):
            for old in (f"{out}.{rank}", f"{out}.{rank}.served"):
                if os.path.exists(old):
                    os.remove(old)
        ending = b""
        command = ["run", "--out", out] + self.options(first, count, only)
        if self.mode.relay:
            command += ["--relay", self.turns(out), "--processes", str(ranks)]
        try:
            self.launch(side, command)
        except programs.RunFailed as e:
            ending = b"(run failed: %s)" % str(e).encode()
        found = {}
        for rank in range(ranks):
            for number, lines in self.split(f"{out}.{rank}", ending).items():
                found.setdefault(number, []).extend([b"-- rank %d" % rank] * self.mode.relay + lines)
        if ending and found and not any(ending in lines for lines in found.values()):
            found[max(found)].append(ending)  # it failed after the last call
        return found

    @staticmethod
    def turns(out):
        """The file of a relay's turns, anew."""
        path = f"{out}.turns"
        with open(path, "wb") as f:
            f.write(bytes(4))
        os.chmod(path, 0o666)
        return path

    def launch(self, side, command):
        timeout = programs.TIMEOUT
        if side == "plain":
            programs.run_plain(self.program, command, timeout=timeout, user=self.user)
        elif side == "library":  # cold: a plan of the last run would bring what is to be asked for
            command += ["--attached"] if self.mode.attached else []
            report = programs.run_ranks(self.program, command, self.library, self.tree, f"{self.work}/report.json",
                                    ranks=self.mode.ranks, nodes=self.mode.nodes, timeout=timeout, user=self.user,
                                    plan="off")
            self.counts.setdefault(self.mode, Count()).add(report, self.mode, command[command.index("--out") + 1])
        else:
            programs.run_with_fault(self.program, command, self.shim, side, timeout=timeout, user=self.user)

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
                raise programs.RunFailed(f"plain, only {len(part)} of {end - first} sequences ended")
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
        print(f"  again: tests/conformance/differential/fuzz.py {again} --only {','.join(map(str, calls))}")
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


def fuzz(fuzzer, args):
    """All sequences in batches, every third as nobody where root can; stops at the first batch that differs.

    Prints what differs, and the modes of which too little was served; returns whether there was none.
    """
    done = batch = 0
    turns = modes(args)
    start = time.monotonic()
    while done < args.sequences and (not args.seconds or time.monotonic() - start < args.seconds):
        count = min(BATCH, args.sequences - done)
        if fuzzer.may_switch and not args.nobody:
            fuzzer.user = programs.NOBODY if batch % 3 == 2 else None
        fuzzer.mode = turns[batch % len(turns)]
        bad, plain, other = fuzzer.differing("library", args.first + done, count)
        done += count
        batch += 1
        if bad:
            print(f"{len(bad)} of {count} sequences differ: {' '.join(map(str, bad[:20]))}")
            for sequence in bad[:SHRINK]:
                fuzzer.explain("library", sequence, (plain.get(sequence, []), other.get(sequence, [])))
            return False
    print(f"{done} sequences of {args.calls} calls agree in {time.monotonic() - start:.0f} s")
    return enough_was_served(fuzzer, args.least_served)


def enough_was_served(fuzzer, least):
    """Whether at least this share of the calls was served in each mode that must serve: else too little was compared."""
    enough = True
    for mode, count in fuzzer.counts.items():
        shares = count.shares(mode)
        print(f"{mode}: served " + ", ".join(f"{share:.0%} of the {what}" for what, share in shares.items()))
        checked = [share for what, share in shares.items() if what.startswith(mode.shares_checked)]
        if mode.must_serve and min(checked) < least:
            print(f"FAIL: fewer than {least:.0%} were served: this mode compared little\n{count.problem}")
            enough = False
    return enough


def modes(args):
    """The mode that the arguments ask for, or all of them in turn."""
    if args.ranks or args.nodes or args.attached or args.relay:
        return [Mode(max(args.ranks or 1, args.nodes or 1), args.nodes or 1, args.attached, relay=args.relay)]
    return [m for m in TURNS if m.nodes == 1 or os.geteuid() == 0]


def one(fuzzer, args):
    """One sequence; prints how it differs, and returns whether it does not."""
    fuzzer.mode = modes(args)[0]
    only = [int(i) for i in args.only.split(",")] if args.only else None
    pair = fuzzer.differing_one("library", args.sequence, only)
    if pair:
        fuzzer.show(pair)
    return not pair


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", default="build", help="build folder (default build)")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--first", type=int, default=0, help="first sequence (default 0)")
    p.add_argument("--sequences", type=int, default=3500, help="how many (default 3500)")
    p.add_argument("--calls", type=int, default=50, help="calls a sequence (default 50)")
    p.add_argument("--seconds", type=int, default=0, help="stop after the batch that passes this time (default: no)")
    p.add_argument("--ranks", type=int, help="ranks that share the sequences; without this and the next two: in turn")
    p.add_argument("--nodes", type=int, help="emulated nodes of the ranks (needs root)")
    p.add_argument("--attached", action="store_true", help="the calls are made by a child of each rank")
    p.add_argument("--relay", action="store_true", help="all ranks make the calls of each sequence, in turns")
    p.add_argument("--without", action="append", default=[], choices=["bad-pointers", "writes"],
                   help="leave kinds of calls out")
    p.add_argument("--least-served", type=float, default=0.2, help="share of calls to be served (default 0.2)")
    p.add_argument("--sequence", type=int, help="run only this sequence and show how it differs")
    p.add_argument("--only", help="of --sequence, only these calls: I,J,...")
    p.add_argument("--nobody", action="store_true", help="all as nobody (needs root)")
    return p


def make_mounts_private():
    """Restarts root's script in a mount namespace of its own: what it mounts ends with it."""
    if os.geteuid() == 0 and "FUZZ_NAMESPACE" not in os.environ:
        os.environ["FUZZ_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "-m", "--propagation", "private", sys.executable, "-B", *sys.argv])


def main():
    args = arguments().parse_args()
    make_mounts_private()
    work = tempfile.mkdtemp(prefix="fuzz-")
    try:
        fuzzer = Fuzzer(args, work)
        good = one(fuzzer, args) if args.sequence is not None else fuzz(fuzzer, args)
    finally:
        subprocess.run(["umount", f"{work}/tmpfs"], capture_output=True, check=False)
        remove(work)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
