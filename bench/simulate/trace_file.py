"""A recorded start: what one rank does, step after step. A step is [share, kind, bytes, library].

share    of the processor time of the whole start that passes before the step (they sum to 1)
kind     m: metadata that a client caches; o: metadata that it asks for each time (open, opendir); d: data; c: data that
         continues the read before it, for which the client has read ahead
library  1: a shared library's; fastimport's bulk reads these one after another
"""

import json
import pathlib

ALWAYS, DATA = {"open", "opendir"}, {"d", "c"}


def kind_of(event, before):
    if event.op in ("read", "write"):
        return "c" if before and before.op == event.op and before.path == event.path else "d"
    return "o" if event.op in ALWAYS else "m"


def steps(events):
    """Steps from the events (tracing/events.py) of a run on a file system that costs nothing."""
    events = list(events)
    gaps = [max(0, b.at - a.at) for a, b in zip(events, events[1:])] + [0]
    whole = sum(gaps) or 1
    before = [0, *gaps[:-1]]
    return [[round(gap / whole, 7), kind_of(event, last), event.bytes, int(".so" in event.path)] for gap, event, last in
            zip(before, events, [None, *events])]


def save(path, trace):
    pathlib.Path(path).write_text(json.dumps(trace, separators=(",", ":")) + "\n")


def load(path):
    trace = json.loads(pathlib.Path(path).read_text())
    for name in ("plain", "root"):
        if not all(len(step) == 4 for step in trace[name]):
            raise ValueError(f"{path}: a step of '{name}' has not four fields")
    return trace


def totals(sequence):
    """Metadata operations and bytes."""
    return sum(kind not in DATA for _, kind, _, _ in sequence), sum(size for _, kind, size, _ in sequence if kind in DATA)
