"""A small discrete-event engine: a clock, processes, first-come first-served servers, and things to wait for.

A process is a generator. It yields a time (sleep until then) or a Signal (sleep until it is set); both at once, as
(signal, time), whichever comes first. Times are seconds.
"""

import heapq
import itertools


class Server:
    """`n` identical servers with one queue. Requests must come in the order of time, as the engine's do. With a queue,
    each service takes `crowd` times as long (processors whose caches are fought for)."""

    def __init__(self, n=1, crowd=1.0):
        self.free, self.crowd = [0.0] * n, crowd

    def reserve(self, now, service):
        """The time at which the service is done."""
        start = max(now, self.free[0])
        done = start + service * (self.crowd if start > now else 1.0)
        heapq.heapreplace(self.free, done)
        return done


class Endless:
    """As many servers as there are requests: cores of nodes that have enough of them."""

    @staticmethod
    def reserve(now, service):
        return now + service


class Signal:
    """Set once; processes wait for it."""

    __slots__ = ("is_set", "waiting")

    def __init__(self):
        self.is_set, self.waiting = False, []


class Engine:
    def __init__(self):
        self.now, self.events, self.order = 0.0, [], itertools.count()

    def at(self, time, process):
        heapq.heappush(self.events, (time, next(self.order), process, None))

    def start(self, generator):
        self.at(self.now, [generator, 0])

    def set(self, signal):
        """Wakes all that wait."""
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
        """Until nothing is left to do. A process is [generator, turn]; an event of an earlier turn is stale."""
        while self.events:
            self.now, _, process, turn = heapq.heappop(self.events)
            if turn is not None and turn != process[1]:
                continue
            process[1] += 1
            self.step(process)
        return self.now

    def step(self, process):
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
