# SPDX-License-Identifier: BSD-3-Clause
"""A recorded start (a trace): what one rank does, step after step. bench/model/calibrate records it."""

import collections
import json
import pathlib
import typing

ALWAYS, DATA = {"open", "opendir"}, {"d", "c"}
PAUSE = 1000  # microseconds; a thread that did nothing for so long begins a new chain


class Step(typing.NamedTuple):
    """One operation of a start.

    share    the part of the processor time of the whole start that passes before the step; all shares sum to 1
    kind     m  metadata that a client caches
             o  metadata that a client asks for each time (open, opendir)
             d  data
             c  data that continues the read before it, so that the client has read it ahead
    bytes    the bytes of data
    library  1 if the file is a shared library; the bulk of fastimport reads these one after another
    chain    0 for an operation of the program itself; otherwise the number of a chain of look-ups that a helper thread of
             fastimport makes at the same time (prefetch)
    """

    share: float
    kind: str
    bytes: int
    library: int
    chain: int = 0


def kind_of(event, before):
    """The kind of a step. before: the event before it of the same thread, or None."""
    if event.op in ("read", "write"):
        return "c" if before and before.op == event.op and before.path == event.path else "d"
    return "o" if event.op in ALWAYS else "m"


def chains(events):
    """The number of the chain of each event, a list. The thread with the most events is the program (chain 0)."""
    own = collections.Counter(event.thread for event in events).most_common(1)[0][0]
    last, numbers, n = {}, [], 0
    for event in events:
        if event.thread != own and event.at - last.get(event.thread, (-PAUSE, 0))[0] >= PAUSE:
            n += 1
            last[event.thread] = (event.at, n)
        elif event.thread != own:
            last[event.thread] = (event.at, last[event.thread][1])
        numbers.append(0 if event.thread == own else last[event.thread][1])
    return numbers


def steps(events):
    """The steps for the events (bench/trace/events.py) of a run on a file system whose operations take no time."""
    events, before, made, at = list(events), {}, [], None
    whole = sum(max(0, b.at - a.at) for a, b in zip(events, events[1:])) or 1
    for event, chain in zip(events, chains(events) if events else []):
        share = max(0, event.at - (event.at if at is None else at)) / whole
        kind = kind_of(event, before.get(event.thread))
        made.append(Step(round(share, 7), kind, event.bytes, int(".so" in event.path), chain))
        before[event.thread], at = event, event.at
    return made


def save(path, trace):
    """Writes a trace: "workload", and the steps of one plain rank ("plain") and of fastimport's root ("root")."""
    pathlib.Path(path).write_text(json.dumps(trace, separators=(",", ":")) + "\n")


def load(path):
    """Reads what save() wrote. Raises OSError, KeyError or ValueError."""
    trace = json.loads(pathlib.Path(path).read_text())
    for name in ("plain", "root"):
        if not all(len(step) == len(Step._fields) for step in trace[name]):
            raise ValueError(f"{path}: a step of '{name}' has not {len(Step._fields)} fields")
        trace[name] = [Step(*step) for step in trace[name]]
    return trace


def totals(sequence):
    """(metadata operations, bytes) of a list of steps."""
    return sum(step.kind not in DATA for step in sequence), sum(step.bytes for step in sequence if step.kind in DATA)
