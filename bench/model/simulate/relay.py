"""The stream's way down the tree of leaders, as preload/service/relay.c has it.

A Relay is one leader, or stands for all leaders of a depth, which are alike; its one child then is the last of `copies`, and
the frames for the others go before it through the same link. A relay passes a frame on, then stores it; while it stores it does nothing
else. It holds system.frames of them: there is room for a frame when an older one is stored and all children have begun to receive it.
"""

import math

from engine import Server, Signal


def depth_of(node, fanout):
    depth = 0
    while node > 0:
        node, depth = (node - 1) // fanout, depth + 1
    return depth


def levels(nodes, fanout):
    """How many leaders there are at each depth but the root's."""
    counts, width, left = [], fanout, nodes - 1
    while left > 0:
        counts.append(min(width, left))
        left -= counts[-1]
        width *= fanout
    return counts


class Relay:
    """weight: how many leaders this one stands for. copies: children for each of `children`."""

    def __init__(self, world, weight=1, copies=1):
        self.world, self.weight, self.copies = world, weight, copies
        self.children, self.link = [], Server()
        self.arrivals, self.rooms, self.missing = {}, {}, {}
        self.last = 0.0

    def arrival(self, k):
        return self.arrivals.setdefault(k, Signal())

    def room(self, k):
        """Set when frame k may come."""
        signal = self.rooms.setdefault(k, Signal())
        signal.is_set |= k < self.world.system.frames
        return signal

    def nap(self):
        """How long the service sleeps on when something comes: half of a nap, and naps have doubled since it last worked."""
        s = self.world.system
        idle = self.world.engine.now - self.last
        return min(max(s.poll, idle / 2), s.poll_max) / 2

    def done_with(self, k):
        """The frame is stored, or one more child has it: is that all?"""
        self.missing[k] = self.missing.get(k, len(self.children) + 1) - 1
        if not self.missing[k]:
            engine = self.world.engine
            engine.set_at(engine.now + self.world.system.poll / 2, self.room(k + self.world.system.frames))

    def pass_on(self, k, frame):
        for child in self.children:
            self.world.engine.start(self.hand(child, k, frame))

    def hand(self, child, k, frame):
        s, engine = self.world.system, self.world.engine
        yield child.room(k)
        sent = self.link.reserve(engine.now, self.copies * (s.overhead + frame.size * s.gap_byte))
        yield sent + s.latency + s.overhead + (s.poll / 2 if frame.size > s.eager else 0.0)
        engine.set(child.arrival(k))
        self.done_with(k)

    def run(self, arrived):
        """A leader's loop; arrived: the signals of the steps, set when they are in this node's cache."""
        s, engine = self.world.system, self.world.engine
        k = 0
        while True:
            signal = self.arrival(k)
            if not signal.is_set:
                yield signal
                yield engine.now + self.nap()
            frame = self.world.frames[k]
            self.pass_on(k, frame)
            copied = s.gap_byte if s.cores else 0  # out of shared memory: the processors do it
            yield self.world.cpu.reserve(engine.now, frame.size * (s.store_byte + copied) + len(frame.steps) * s.record)
            for step in frame.steps:
                engine.set(arrived[step])
            self.last = engine.now
            self.done_with(k)
            k += 1


class Frame:
    """Bytes of the stream, and the steps of the trace that are complete with them."""

    def __init__(self, steps, size):
        self.steps, self.size = steps, size


def tree(world, nodes):
    """The root's relay, and the others. With shared cores each node is one; else each depth."""
    s = world.system
    if s.cores:
        relays = [Relay(world) for _ in range(nodes)]
        for i in range(1, nodes):
            relays[(i - 1) // s.fanout].children.append(relays[i])
        return relays[0], relays[1:]
    relays = [Relay(world)]
    for count in levels(nodes, s.fanout):
        above = relays[-1]
        above.copies = min(s.fanout, math.ceil(count / above.weight))
        relays.append(Relay(world, count))
        above.children.append(relays[-1])
    return relays[0], relays[1:]
