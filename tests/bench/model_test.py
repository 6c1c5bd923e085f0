#!/usr/bin/python3
"""bench/model/run: its queue against closed forms, its starts against sums by hand, its bounds as bounds."""

import dataclasses
import json
import random
import sys
import tempfile
import unittest

import harness

sys.dont_write_bytecode = True
sys.path[:0] = [str(harness.ROOT / "bench" / folder) for folder in ("model/simulate", "trace")]
import engine  # noqa: E402
import relay  # noqa: E402
import starts  # noqa: E402
import systems  # noqa: E402
from events import Event  # noqa: E402
from trace_file import Step, steps  # noqa: E402

SYSTEM = systems.System(join=0.0, lookup_cpu=0.0, rtt=1e-3, meta=1e-4, bandwidth=1e9, python=0.1)
STEPS = [Step(0.01, "m", 0, 0)] * 60 + [Step(0.01, "o", 0, 0)] * 30 + [Step(0.01, "d", 10**6, 1)] * 10
TRACE = {"plain": STEPS, "root": STEPS}
ALONE = 0.1 + 90 * 1.1e-3 + 10 * (1e-3 + 1e-3)  # Python, metadata, data


class Queue(unittest.TestCase):
    def mean_wait(self, load, n=60000):
        """Poisson arrivals at one server of service time 1."""
        random.seed(1)
        e, server, waits = engine.Engine(), engine.Server(), []

        def source():
            for _ in range(n):
                yield e.now + random.expovariate(load)
                waits.append(server.reserve(e.now, 1.0) - e.now - 1.0)

        e.start(source())
        e.run()
        return sum(waits) / n

    def test_m_d_1(self):
        for load in 0.3, 0.6, 0.8:
            self.assertAlmostEqual(self.mean_wait(load) / (load / (2 * (1 - load))), 1.0, delta=0.06)

    def test_several_servers(self):
        server = engine.Server(2)
        self.assertEqual([server.reserve(0.0, 1.0) for _ in range(4)], [1.0, 1.0, 2.0, 2.0])

    def test_signal_or_time_whichever_is_first(self):
        e, signal, seen = engine.Engine(), engine.Signal(), []

        def waiter(until):
            yield signal, until
            seen.append(e.now)

        e.start(waiter(1.0))
        e.start(waiter(9.0))
        e.set_at(3.0, signal)
        e.run()
        self.assertEqual(seen, [1.0, 3.0])


class Starts(unittest.TestCase):
    def test_one_plain_rank_is_a_sum(self):
        got = starts.plain(SYSTEM, TRACE, 1, 1)
        self.assertAlmostEqual(got.seconds, ALONE, places=6)
        self.assertEqual((got.metadata_ops, got.bytes), (90, 10**7))

    def test_a_nodes_ranks_share_its_cache_but_not_opens(self):
        self.assertEqual(starts.plain(SYSTEM, TRACE, 1, 2).metadata_ops, 60 + 2 * 30)

    def test_many_plain_nodes_are_bound_by_the_server(self):
        got = starts.plain(SYSTEM, TRACE, 400, 1)
        self.assertEqual(got.metadata_ops, 400 * 90)
        self.assertGreaterEqual(got.seconds, 400 * 90 * SYSTEM.meta)
        self.assertLess(got.seconds, 400 * 90 * SYSTEM.meta + 400 * 10**7 / 1e9 + ALONE)

    def test_groups_stand_for_their_nodes(self):
        every = dataclasses.replace(SYSTEM)
        fine = starts.plain(every, TRACE, 100, 1).seconds
        most, starts.MOST_GROUPS = starts.MOST_GROUPS, 25
        try:
            original = starts.shares.__defaults__
            starts.shares.__defaults__ = (25,)
            self.assertAlmostEqual(starts.plain(every, TRACE, 100, 1).seconds / fine, 1.0, delta=0.03)
        finally:
            starts.MOST_GROUPS, starts.shares.__defaults__ = most, original

    def test_caches_that_time_out_ask_again(self):
        def ops(timeout):
            """Of a rank that comes when another has long been through."""
            world = starts.World(dataclasses.replace(SYSTEM, cache_timeout=timeout))
            client = starts.Client(1)

            def late():
                yield 10.0
                yield from starts.plain_rank(world, client, TRACE["plain"])

            world.engine.start(starts.plain_rank(world, client, TRACE["plain"]))
            world.engine.start(late())
            return world.run().metadata_ops

        self.assertEqual((ops(3.0), ops(30.0)), (180, 120))

    def test_fastimport_asks_once_whatever_the_size(self):
        for mode in starts.cold, starts.warm:
            for nodes in 1, 2, 33:
                got = mode(SYSTEM, TRACE, nodes, 2)
                self.assertEqual((got.metadata_ops, got.bytes), (90, 10**7))

    def test_nothing_is_faster_than_the_bounds(self):
        for system in [SYSTEM, *systems.NAMED.values()]:
            for nodes in 1, 8, 100:
                at = {mode: starts.MODES[mode](system, TRACE, nodes, 2).seconds for mode in starts.MODES}
                self.assertGreaterEqual(at["cold"], at["bound cold"])
                self.assertGreaterEqual(at["warm"], at["bound warm"])
                self.assertGreaterEqual(at["plain"], at["bound warm"])

    def test_a_slow_broadcast_makes_ranks_ask(self):
        slow = dataclasses.replace(SYSTEM, latency=0.05)
        self.assertGreater(starts.cold(slow, TRACE, 16, 1).requests, starts.cold(SYSTEM, TRACE, 16, 1).requests)

    def test_shared_cores_are_shared(self):
        emulator = dataclasses.replace(SYSTEM, cores=2)
        self.assertAlmostEqual(starts.staged(emulator, TRACE, 4, 2).seconds, 8 * 0.1 / 2, places=3)

    def test_crowded_cores_are_slower(self):
        crowded = dataclasses.replace(SYSTEM, cores=2, crowd=1.5)
        self.assertAlmostEqual(starts.staged(crowded, TRACE, 1, 2).seconds, 0.1, places=3)
        self.assertAlmostEqual(starts.staged(crowded, TRACE, 4, 2).seconds, 1.5 * 8 * 0.1 / 2, delta=0.02)

    def test_a_read_that_continues_has_no_round_trip(self):
        trace = {"plain": [Step(0.5, "d", 10**6, 0), Step(0.5, "c", 10**6, 0)]}
        self.assertAlmostEqual(starts.plain(SYSTEM, trace, 1, 1).seconds, 0.1 + 1e-3 + 2e-3)
        emulator = dataclasses.replace(SYSTEM, cores=1, fs_cpu_byte=2e-9)  # handling and sending overlap: the longer counts
        self.assertAlmostEqual(starts.plain(emulator, trace, 1, 1).seconds, 0.1 + (2e-3 + 1e-3 + 1e-3) + 2e-3)

    def test_what_is_looked_up_ahead_overlaps(self):
        own, ahead = Step(0.0, "m", 0, 0), [Step(0.0, "m", 0, 0, 1), Step(0.0, "m", 0, 0, 1)]
        step = SYSTEM.rtt + SYSTEM.meta
        for steps, rounds in (([own, *ahead, own, own], 4), ([own, ahead[0], own, ahead[1], own], 4), ([own, own, *ahead, own], 4),
                              ([own, own, own, own, own], 5), ([own, *ahead], 2)):
            got = starts.cold(SYSTEM, {"plain": steps, "root": steps}, 1, 1)
            self.assertAlmostEqual(got.seconds, rounds * step, delta=1e-4, msg=steps)
            self.assertEqual(got.metadata_ops, len(steps))

    def test_a_thread_that_pauses_begins_a_new_chain(self):
        threads = [(0, 7), (10, 8), (20, 7), (50, 8), (2000, 8), (2010, 7), (2020, 9)]
        made = steps(Event(at, 0, "lookup", 0, False, "", 0.0, thread) for at, thread in threads)
        self.assertEqual([step.chain for step in made], [0, 1, 0, 1, 2, 0, 3])
        self.assertAlmostEqual(sum(step.share for step in made), 1.0, places=5)

    def test_tree_levels(self):
        self.assertEqual(relay.levels(8, 2), [2, 4, 1])
        self.assertEqual(relay.levels(1, 2), [])
        self.assertEqual(sum(relay.levels(10000, 3)), 9999)
        self.assertEqual([relay.depth_of(i, 2) for i in (0, 1, 2, 3, 6, 7)], [0, 1, 1, 2, 2, 3])
        self.assertEqual(systems.depth(10000), 14)


class Tool(unittest.TestCase):
    def check(self, words, message):
        done = harness.call(harness.ROOT / "bench/model/run", *words)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn(message, done.stderr)
        self.assertNotIn("Traceback", done.stderr)

    def test_wrong_options(self):
        self.check(["--set", "speed=2"], "'speed=2' is not NAME=VALUE")
        self.check(["--set", "rtt=fast"], "'fast' is not a number")
        self.check(["--system", "dos"], "invalid choice")
        with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
            json.dump({"plain": []}, f)
            f.flush()
            self.check(["--trace", f.name], "cannot read")


if __name__ == "__main__":
    harness.main()
