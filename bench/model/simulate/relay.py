# SPDX-License-Identifier: BSD-3-Clause
"""How fastimport's stream goes down the tree of leaders (the relay of preload/).

A Relay is one leader, or stands for all leaders of one depth, which behave alike. Then it has one child, which stands for the
last of `copies` children; the frames for the others go through the same link before.

A relay sends a frame to its children, then stores it, and does nothing else while it stores. It holds system.frames frames.
The buffer for the next frame is free when it has stored the oldest one and all children have begun to receive that.
"""

import math

from engine import Server, Signal


def depth_of(node, fanout):
    """The depth of a node in the tree; that of node 0, the root, is 0."""
    depth = 0
    while node > 0:
        node, depth = (node - 1) // fanout, depth + 1
    return depth


def levels(nodes, fanout):
    """The number of leaders at each depth below the root, a list."""
    counts, width, left = [], fanout, nodes - 1
    while left > 0:
        counts.append(min(width, left))
        left -= counts[-1]
        width *= fanout
    return counts


class Relay:
    """world      what all processes share (starts.World)
    weight     how many leaders this one stands for
    copies     how many children each element of `children` stands for
    """

    def __init__(self, world, weight=1, copies=1):
        self.world, self.weight, self.copies = world, weight, copies
        self.children, self.link = [], Server()
        self.arrivals, self.free_buffers, self.missing = {}, {}, {}
        self.last = 0.0

    def arrival(self, k):
        """The signal that is set when frame k has arrived."""
        return self.arrivals.setdefault(k, Signal())

    def buffer_free(self, k):
        """The signal that is set when a buffer for frame k is free."""
        signal = self.free_buffers.setdefault(k, Signal())
        signal.is_set |= k < self.world.system.frames
        return signal

    def remaining_sleep(self):
        """How long the service thread sleeps on after something has arrived, seconds.

        On average that is half of its sleep. Sleeps double, from system.poll to system.poll_max, while nothing arrives.
        """
        s = self.world.system
        idle = self.world.engine.now - self.last
        return min(max(s.poll, idle / 2), s.poll_max) / 2

    def done_with(self, k):
        """Called when frame k is stored and when a child has received it. After the last call its buffer is free."""
        self.missing[k] = self.missing.get(k, len(self.children) + 1) - 1
        if not self.missing[k]:
            engine = self.world.engine
            engine.set_at(engine.now + self.world.system.poll / 2, self.buffer_free(k + self.world.system.frames))

    def pass_on(self, k, frame):
        """Begins to send frame k to all children."""
        for child in self.children:
            self.world.engine.start(self.hand(child, k, frame))

    def hand(self, child, k, frame):
        """The process that sends frame k to one child."""
        s, engine = self.world.system, self.world.engine
        yield child.buffer_free(k)
        sent = self.link.reserve(engine.now, self.copies * (s.overhead + frame.size * s.gap_byte))
        yield sent + s.latency + s.overhead + (s.poll / 2 if frame.size > s.eager else 0.0)
        engine.set(child.arrival(k))
        self.done_with(k)

    def run(self, arrived):
        """The process of a leader. It sets arrived[i] when step i of the trace is in the cache of this node."""
        s, engine = self.world.system, self.world.engine
        k = 0
        while True:
            signal = self.arrival(k)
            if not signal.is_set:
                yield signal
                yield engine.now + self.remaining_sleep()
            frame = self.world.frames[k]
            self.pass_on(k, frame)
            copied = s.gap_byte if s.cores else 0  # on shared cores a processor copies the bytes
            yield self.world.cpu.reserve(engine.now, frame.size * (s.store_byte + copied) + len(frame.steps) * s.record)
            for step in frame.steps:
                engine.set(arrived[step])
            self.last = engine.now
            self.done_with(k)
            k += 1


class Frame:
    """`size` bytes of the stream, and the numbers of the steps whose answers are complete with them."""

    def __init__(self, steps, size):
        self.steps, self.size = steps, size


def tree(world, nodes):
    """(the relay of the root, the list of the others). With shared cores each node has one; otherwise each depth."""
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
