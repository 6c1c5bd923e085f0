# SPDX-License-Identifier: BSD-3-Clause
"""The ways to start a job, replayed from a trace: plain, staged, and with fastimport cold and warm.

Nodes that behave alike are one group with a weight; its requests cost a shared server weight times as much. Plain runs have up
to MOST_GROUPS groups. With fastimport, each depth of the tree of leaders is a group (relay.py). Of each node RANKS_ALIKE ranks
are simulated: the others have cores of their own and do the same at the same time.

Each function of SIMULATED takes (system, trace, nodes, ranks_per_node) and returns a Result. A trace is that of trace_file.load().
"""

import bisect
import collections
import dataclasses
import math

import relay
from engine import Endless, Engine, Server, Signal
from systems import broadcast_steps, depth
from trace_file import DATA, totals

MOST_GROUPS = 100
RANKS_ALIKE = 2
STAGING_CHUNKS = 8  # that the staging tool has in flight
RECORD = 64  # bytes of the stream for an answer, beside those of the file
TICK = 2e-3  # seconds: how often the load of a service thread is simulated, of the order of its sleeps


@dataclasses.dataclass
class Result:
    """What a start costs; the servers of the file system count operations and bytes."""

    seconds: float
    metadata_ops: float = 0
    bytes: float = 0
    requests: float = 0  # of ranks to the root of fastimport


class World:
    """What all processes share: the engine, the processors, and the metadata server and data servers of the file system."""

    def __init__(self, system):
        self.system, self.engine = system, Engine()
        self.cpu = Server(system.cores, system.crowd) if system.cores else Endless()
        self.metadata, self.data = Server(), Server()
        self.result, self.last, self.finished = Result(0.0), 0.0, 0
        self.frames = []  # of fastimport's stream

    def request(self, kind, size, weight=1, link=None):
        """The process of one operation by `weight` nodes, until it is answered. link: the link of the client to the data servers."""
        s, engine = self.system, self.engine
        if s.cores:
            worked = self.cpu.reserve(engine.now, s.fs_cpu + size * s.fs_cpu_byte)
            if kind != "c":
                yield worked
        if kind in DATA:
            self.result.bytes += size * weight
            served = self.data.reserve(engine.now, weight * size / s.bandwidth)
            served = max(served, link.reserve(engine.now, size / s.node_bandwidth) if link else served)
        else:
            self.result.metadata_ops += weight
            served = self.metadata.reserve(engine.now, weight * s.meta)
        yield served + s.rtt + s.slack if kind != "c" else max(served, worked) if s.cores else served

    def compute(self, seconds):
        """The time at which a processor is done with so many seconds of work."""
        return self.cpu.reserve(self.engine.now, seconds)

    def finish(self):
        """Called by each rank when its imports end."""
        self.last, self.finished = max(self.last, self.engine.now), self.finished + 1

    def run(self):
        self.engine.run()
        self.result.seconds = self.last
        return self.result


def shares(nodes, ranks_per_node, system, most=MOST_GROUPS):
    """(the weights of the groups, how many ranks of each are simulated). With shared cores all nodes and ranks are."""
    if system.cores:
        return [1] * nodes, ranks_per_node
    n = min(nodes, most)
    return [nodes // n + (i < nodes % n) for i in range(n)], min(ranks_per_node, RANKS_ALIKE)


# --- without fastimport -------------------------------------------------------------------------------------------


class Client:
    """The cache of a node: for each step nothing, a Signal while a rank waits for the answer, or the time of the answer."""

    def __init__(self, weight):
        self.weight, self.known, self.link = weight, {}, Server()


def plain_rank(world, client, sequence):
    """The process of a rank on the node `client`, without fastimport."""
    s, engine = world.system, world.engine
    for i, (share, kind, size, *_) in enumerate(sequence):
        yield world.compute(share * (s.python + s.client))
        known = client.known.get(i)
        if kind == "o":
            yield from world.request(kind, size, client.weight, client.link)
        elif isinstance(known, Signal):
            yield known
        elif known is None or (kind == "m" and engine.now - known > s.cache_timeout):
            signal = client.known[i] = Signal()
            yield from world.request(kind, size, client.weight, client.link)
            client.known[i] = engine.now
            engine.set(signal)
    world.finish()


def plain(system, trace, nodes, ranks_per_node):
    """Without fastimport, from the shared file system."""
    world = World(system)
    weights, ranks = shares(nodes, ranks_per_node, system)
    for weight in weights:
        client = Client(weight)
        for _ in range(ranks):
            world.engine.start(plain_rank(world, client, trace["plain"]))
    return world.run()


def staged_rank(world, sequence):
    """The process of a rank that reads from local memory."""
    for step in sequence:
        yield world.compute(step.share * world.system.python)
    world.finish()


def staged(system, trace, nodes, ranks_per_node):
    """From a copy in local memory, so that only processors matter. staging() has the time of the copy."""
    world = World(system)
    weights, ranks = shares(nodes, ranks_per_node, system, 1)
    for _ in range(len(weights) * ranks):
        world.engine.start(staged_rank(world, trace["plain"]))
    return world.run()


def staging(system, trace, nodes, ranks_per_node):
    """The staging tool, then a local start. The tool reads, broadcasts and unpacks at the same time, chunk by chunk."""
    chunks = max(1, math.ceil(system.archive / system.chunk))
    busy, first, per_step, steps = broadcast_steps(system, system.chunk, nodes)
    stages = (system.chunk / min(system.bandwidth, system.node_bandwidth), max(busy, (first + per_step * steps) / STAGING_CHUNKS),
              system.unpacked / chunks * system.unpack_byte)
    local = staged(system, trace, nodes, ranks_per_node).seconds
    return Result(max(stages) * chunks + first + per_step * steps + sum(stages) + local, 0, system.archive)


# --- with fastimport ----------------------------------------------------------------------------------------------


class Group:
    """Nodes that behave alike: the signals of the steps whose answers arrive, and the steps that they sent requests for."""

    def __init__(self, weight, level, steps):
        self.weight, self.level, self.asked = weight, level, set()
        self.arrived = [Signal() for _ in range(steps)]


class Prefetch:
    """What helper threads of the root look up while the program does something else (the prefetch of preload/fill).

    A chain begins when the program reaches its first own step after the first step of the chain. The own step after that one
    needs the last step of the chain.

    begin    {own step: chains that begin there}
    due      {own step: last steps of the chains that it needs}
    """

    def __init__(self, trace):
        own = [i for i, step in enumerate(trace) if not step.chain]
        chains = collections.defaultdict(list)
        for i, step in enumerate(trace):
            chains[step.chain].append(i)
        self.begin, self.due = collections.defaultdict(list), collections.defaultdict(list)
        for number, chain in chains.items():
            begin = min(bisect.bisect(own, chain[0]), len(own) - 1)
            due = max(begin + 1, bisect.bisect(own, chain[-1]))
            if number:
                self.begin[own[begin]].append(list(chain))
            if number and due < len(own):
                self.due[own[due]].append(chain[-1])


class FastimportJob:
    """A start with fastimport: the root looks up the steps and sends the answers down the tree to the groups.

    bulk    True: with a plan (warm), helper threads look up all steps at once
    """

    def __init__(self, system, trace, nodes, ranks_per_node, bulk):
        self.world, self.trace, self.nodes, self.bulk = World(system), trace["root"], nodes, bulk
        n = len(self.trace)
        self.here = [Signal() for _ in range(n)]  # step i is in the node cache of the root
        self.pending, self.wake = [], Signal()
        self.service = Server()  # the service thread of the root
        self.left = n
        self.relay, relays = relay.tree(self.world, nodes)
        self.groups = [Group(r.weight, level, n) for r, level in zip(relays, self.levels(len(relays)))]
        for r, group in zip(relays, self.groups):
            self.world.engine.start(r.run(group.arrived))
        self.ranks = ranks_per_node if system.cores else min(ranks_per_node, RANKS_ALIKE)
        self.all_ranks = nodes * ranks_per_node

    def levels(self, n):
        """The depth of each group, a list."""
        s = self.world.system
        return [relay.depth_of(i + 1, s.fanout) if s.cores else i + 1 for i in range(n)]

    def answer(self, i):
        """Called when the root has looked up step i."""
        self.world.engine.set(self.here[i])
        self.pending.append((i, self.trace[i].bytes))
        self.world.engine.set(self.wake)

    def batch(self):
        """The next frame of the stream (relay.Frame)."""
        done, size = [], 0
        while self.pending and size < self.world.system.piece:
            i, left = self.pending[0]
            take = min(left, self.world.system.piece - size)
            size += take
            if take < left:
                self.pending[0] = (i, left - take)
            else:
                done.append(i)
                self.pending.pop(0)
        return relay.Frame(done, size + RECORD * len(done))

    def broadcaster(self):
        """The process of the root's service thread: sleeps, takes what there is, and sends it to all."""
        s, engine = self.world.system, self.world.engine
        send = self.down_the_tree if s.algorithm == "relay" else Ibcast(self).send
        while self.left:
            if not self.pending:
                self.wake = Signal()
                yield self.wake
                yield engine.now + self.relay.remaining_sleep()
            yield from send()

    def frame(self):
        """The process that makes a frame; the service thread reads the bytes from the root's own node cache."""
        s, engine = self.world.system, self.world.engine
        frame = self.batch()
        yield self.service.reserve(engine.now, s.overhead + len(frame.steps) * s.record)
        yield self.world.compute(frame.size * s.gap_byte)
        self.left -= len(frame.steps)
        return frame

    def down_the_tree(self):
        """The process that sends a frame to the children of the root."""
        k = len(self.world.frames)
        yield self.relay.buffer_free(k)
        frame = yield from self.frame()
        self.world.frames.append(frame)
        self.relay.pass_on(k, frame)
        self.relay.done_with(k)
        self.relay.last = self.world.engine.now

    def look_up(self, i):
        """The process that looks up a step on the file system and stores the answer in the root's node cache."""
        size = self.trace[i].bytes
        yield from self.world.request(self.trace[i].kind, size)
        yield self.world.compute(self.world.system.lookup_cpu + size * self.world.system.store_byte)
        self.answer(i)

    def root_rank(self):
        """The process of rank 0."""
        prefetch = Prefetch(self.trace)
        yield from self.join()
        for i, step in enumerate(self.trace):
            yield self.world.compute(step.share * self.world.system.python)
            if self.bulk:
                yield self.here[i]
            elif not step.chain:
                for chain in prefetch.begin[i]:
                    self.world.engine.start(self.helper(chain))
                for last in prefetch.due[i]:
                    yield self.here[last]
                yield from self.look_up(i)
        for signal in self.here:
            yield signal
        self.world.finish()

    def local_rank(self):
        """The process of another rank on the node of the root."""
        yield from self.join()
        for i, step in enumerate(self.trace):
            yield self.world.compute(step.share * self.world.system.python)
            yield self.here[i]
        self.world.finish()

    def helper(self, queue):
        """The process of a helper thread, which looks up the steps of the queue."""
        while queue:
            yield from self.look_up(queue.pop(0))

    def planner(self, queue):
        """The process of a helper thread that begins when fastimport has joined the job, before the program does."""
        yield from self.joined()
        yield from self.helper(queue)

    def joined(self):
        """The process that waits until all ranks of the root's node have joined."""
        s = self.world.system
        yield s.join * (self.all_ranks / s.cores if s.cores else 1.0)

    def join(self):
        """The process of a rank that joins the job: processor time, and three collective operations of all nodes."""
        s = self.world.system
        yield self.world.compute(s.join)
        yield self.world.engine.now + 3 * depth(self.nodes) * (s.latency + 2 * s.overhead)

    def rank(self, group):
        """The process of a rank on another node: it waits for the stream, and sends a request after its wait budget."""
        s, engine, budget = self.world.system, self.world.engine, self.world.system.wait_budget
        yield from self.join()
        for i, step in enumerate(self.trace):
            yield self.world.compute(step.share * s.python)
            signal = group.arrived[i]
            if signal.is_set:
                continue
            yield signal, engine.now + (s.wait_budget_bulk if self.bulk else budget)
            if not signal.is_set:
                if i not in group.asked:  # one rank of a node sends the request
                    group.asked.add(i)
                    self.world.result.requests += group.weight
                    self.service.reserve(engine.now, group.weight * s.request)
                budget = min(2 * budget, s.wait_budget_max)
                yield signal
        self.world.finish()

    def service_load(self):
        """The process that takes a service thread's part of the shared cores until all ranks have finished."""
        engine = self.world.engine
        while self.world.finished < self.all_ranks:
            yield self.world.compute(self.world.system.service_share * TICK)
            yield engine.now + TICK

    def simulate(self):
        """Starts all processes, runs to the end and returns the Result."""
        engine = self.world.engine
        engine.start(self.broadcaster())
        if self.bulk:
            libraries = [i for i, step in enumerate(self.trace) if step.library]
            others = [i for i, step in enumerate(self.trace) if not step.library]
            engine.start(self.planner(libraries))
            for _ in range(self.world.system.helpers - 1):
                engine.start(self.planner(others))
        engine.start(self.root_rank())
        for _ in range(self.ranks - 1):
            engine.start(self.local_rank())
        for group in self.groups:
            for _ in range(self.ranks):
                engine.start(self.rank(group))
        for _ in range(self.nodes if self.world.system.cores else 0):
            engine.start(self.service_load())
        return self.world.run()


class Ibcast:
    """MPI's own broadcast instead of the tree, as fastimport had it before; `system.frames` of them are in flight."""

    def __init__(self, job):
        self.job, self.world = job, job.world
        self.slots = [0.0] * self.world.system.frames

    def send(self):
        """The process that broadcasts one frame."""
        s, engine, job = self.world.system, self.world.engine, self.job
        yield self.slots[0]
        frame = yield from job.frame()
        busy, first, per_step, steps = broadcast_steps(s, frame.size, job.nodes)
        yield job.service.reserve(engine.now, busy)
        self.slots = [*self.slots[1:], engine.now + first + per_step * steps]
        for group in job.groups:
            taken = min(group.level, steps) if steps <= depth(job.nodes) else steps
            engine.start(self.deliver(group, frame, first + per_step * taken))

    def deliver(self, group, frame, delay):
        """The process of a group that receives and stores a frame `delay` seconds from now."""
        s, engine = self.world.system, self.world.engine
        yield engine.now + delay
        per_byte = s.store_byte + (s.gap_byte if s.cores else 0)
        yield self.world.cpu.reserve(engine.now, frame.size * per_byte + len(frame.steps) * s.record)
        for step in frame.steps:
            engine.set(group.arrived[step])


def cold(system, trace, nodes, ranks_per_node):
    """With fastimport, without a plan."""
    return FastimportJob(system, trace, nodes, ranks_per_node, bulk=False).simulate()


def warm(system, trace, nodes, ranks_per_node):
    """With fastimport and a plan."""
    return FastimportJob(system, trace, nodes, ranks_per_node, bulk=True).simulate()


# --- bounds -------------------------------------------------------------------------------------------------------


def bound_warm(system, trace, nodes, ranks_per_node):
    """No start that reads each byte once and runs Python on every rank is faster.

    It is the longest of three times (Python's own, the metadata server's for the operations of one rank, the time of the bytes
    on one link), and then a message down a tree.
    """
    metadata, size = totals(trace["root"])
    local = staged(system, trace, nodes, ranks_per_node).seconds
    work = max(local, metadata * system.meta, size / min(system.bandwidth, system.node_bandwidth), size * system.gap_byte)
    return Result(work + depth(nodes) * (system.latency + 2 * system.overhead), metadata, size)


def bound_cold(system, trace, nodes, ranks_per_node):
    """One rank alone makes the look-ups that nothing can prefetch, one after another; the last answer goes down a tree."""
    own = [step for step in trace["root"] if not step.chain]
    alone = plain(dataclasses.replace(system, cores=0), {"plain": own}, 1, 1)
    local = staged(system, trace, nodes, ranks_per_node).seconds
    seconds = max(alone.seconds, local) + depth(nodes) * (system.latency + 2 * system.overhead)
    return Result(seconds, alone.metadata_ops, alone.bytes)


SIMULATED = {"plain": plain, "cold": cold, "warm": warm, "staged": staged, "staging": staging, "bound cold": bound_cold,
         "bound warm": bound_warm}
