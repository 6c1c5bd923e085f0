# SPDX-License-Identifier: BSD-3-Clause
"""A small discrete-event engine: a clock, processes, first-come first-served servers, and signals to wait for.

A process is a generator. It yields a time and sleeps until then, or a Signal and sleeps until the signal is set, or
(signal, time) and sleeps until the first of both. Times are seconds.
"""

import heapq
import itertools


class Server:
    """`n` identical servers with one queue. Requests must come in the order of their times, as the engine sends them.

    crowd    the factor by which a service is longer when a request has to wait: processes that share a processor also
             share its caches
    """

    def __init__(self, n=1, crowd=1.0):
        self.free, self.crowd = [0.0] * n, crowd

    def reserve(self, now, service):
        """Takes the first free server from `now` on for `service` seconds; returns the time at which it is done."""
        start = max(now, self.free[0])
        done = start + service * (self.crowd if start > now else 1.0)
        heapq.heapreplace(self.free, done)
        return done


class Endless:
    """A Server for each request: the cores of nodes that have one for each rank."""

    @staticmethod
    def reserve(now, service):
        return now + service


class Signal:
    """Is set once; processes wait for it."""

    __slots__ = ("is_set", "waiting")

    def __init__(self):
        self.is_set, self.waiting = False, []


class Engine:
    """The clock (`now`) and the queue of events. A process in the queue is a list [generator, turn]."""

    def __init__(self):
        self.now, self.events, self.order = 0.0, [], itertools.count()

    def at(self, time, process):
        """Resumes the process at that time, whatever its turn."""
        heapq.heappush(self.events, (time, next(self.order), process, None))

    def start(self, generator):
        """Starts a process now."""
        self.at(self.now, [generator, 0])

    def set(self, signal):
        """Sets the signal and wakes the processes that wait for it."""
        if not signal.is_set:
            signal.is_set = True
            for process, turn in signal.waiting:
                heapq.heappush(self.events, (self.now, next(self.order), process, turn))
            signal.waiting.clear()

    def set_at(self, time, signal):
        def later():
            yield time
            self.set(signal)
        self.start(later())

    def run(self):
        """Runs until no event is left; returns the time.

        A process that waited for two events has a newer turn after the first one, so that the second is ignored.
        """
        while self.events:
            self.now, _, process, turn = heapq.heappop(self.events)
            if turn is not None and turn != process[1]:
                continue
            process[1] += 1
            self.step(process)
        return self.now

    def step(self, process):
        """Runs the process until it waits again."""
        try:
            wish = next(process[0])
        except StopIteration:
            return
        signal, time = wish if isinstance(wish, tuple) else (None, wish) if isinstance(wish, float) else (wish, None)
        if signal is not None:
            if signal.is_set:
                time = self.now
            else:
                signal.waiting.append((process, process[1]))
        if time is not None:
            heapq.heappush(self.events, (max(time, self.now), next(self.order), process, process[1]))
