# SPDX-License-Identifier: BSD-3-Clause
"""bench/model/run: its queue against closed forms, its starts against sums by hand, its bounds as bounds."""

import dataclasses
import json
import random

import engine
import pytest
import relay
import starts
import systems
from events import Event
from support import ROOT
from trace_file import Step, steps

SYSTEM = systems.System(join=0.0, lookup_cpu=0.0, rtt=1e-3, meta=1e-4, bandwidth=1e9, python=0.1)
STEPS = [Step(0.01, "m", 0, 0)] * 60 + [Step(0.01, "o", 0, 0)] * 30 + [Step(0.01, "d", 10**6, 1)] * 10
TRACE = {"plain": STEPS, "root": STEPS}
ALONE = 0.1 + 90 * 1.1e-3 + 10 * (1e-3 + 1e-3)  # Python, metadata, data


# --- the queue -----------------------------------------------------------------------------------------------------


def mean_wait(load, n=60000):
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


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_m_d_1(load):
    assert mean_wait(load) / (load / (2 * (1 - load))) == pytest.approx(1.0, abs=0.06)


def test_several_servers():
    server = engine.Server(2)
    assert [server.reserve(0.0, 1.0) for _ in range(4)] == [1.0, 1.0, 2.0, 2.0]


def test_signal_or_time_whichever_is_first():
    e, signal, seen = engine.Engine(), engine.Signal(), []

    def waiter(until):
        yield signal, until
        seen.append(e.now)

    e.start(waiter(1.0))
    e.start(waiter(9.0))
    e.set_at(3.0, signal)
    e.run()
    assert seen == [1.0, 3.0]


# --- starts --------------------------------------------------------------------------------------------------------


def test_one_plain_rank_is_a_sum():
    got = starts.plain(SYSTEM, TRACE, 1, 1)
    assert got.seconds == pytest.approx(ALONE, abs=5e-7)
    assert (got.metadata_ops, got.bytes) == (90, 10**7)


def test_a_nodes_ranks_share_its_cache_but_not_opens():
    assert starts.plain(SYSTEM, TRACE, 1, 2).metadata_ops == 60 + 2 * 30


def test_many_plain_nodes_are_bound_by_the_server():
    got = starts.plain(SYSTEM, TRACE, 400, 1)
    assert got.metadata_ops == 400 * 90
    assert got.seconds >= 400 * 90 * SYSTEM.meta
    assert got.seconds < 400 * 90 * SYSTEM.meta + 400 * 10**7 / 1e9 + ALONE


def test_groups_stand_for_their_nodes(monkeypatch):
    fine = starts.plain(SYSTEM, TRACE, 100, 1).seconds
    monkeypatch.setattr(starts.shares, "__defaults__", (25,))  # of `most`
    assert starts.plain(SYSTEM, TRACE, 100, 1).seconds / fine == pytest.approx(1.0, abs=0.03)


def test_caches_that_time_out_ask_again():
    def ops(timeout):
        """The operations of two ranks, of which the second starts long after the first has ended."""
        world = starts.World(dataclasses.replace(SYSTEM, cache_timeout=timeout))
        client = starts.Client(1)

        def late():
            yield 10.0
            yield from starts.plain_rank(world, client, TRACE["plain"])

        world.engine.start(starts.plain_rank(world, client, TRACE["plain"]))
        world.engine.start(late())
        return world.run().metadata_ops

    assert (ops(3.0), ops(30.0)) == (180, 120)


def test_fastimport_asks_once_whatever_the_size():
    for mode in starts.cold, starts.warm:
        for nodes in 1, 2, 33:
            got = mode(SYSTEM, TRACE, nodes, 2)
            assert (got.metadata_ops, got.bytes) == (90, 10**7)


def test_nothing_is_faster_than_the_bounds():
    for system in [SYSTEM, *systems.NAMED.values()]:
        for nodes in 1, 8, 100:
            at = {mode: starts.SIMULATED[mode](system, TRACE, nodes, 2).seconds for mode in starts.SIMULATED}
            assert at["cold"] >= at["bound cold"]
            assert at["warm"] >= at["bound warm"]
            assert at["plain"] >= at["bound warm"]


def test_a_slow_broadcast_makes_ranks_ask():
    slow = dataclasses.replace(SYSTEM, latency=0.05)
    assert starts.cold(slow, TRACE, 16, 1).requests > starts.cold(SYSTEM, TRACE, 16, 1).requests


def test_shared_cores_are_shared():
    emulator = dataclasses.replace(SYSTEM, cores=2)
    assert starts.staged(emulator, TRACE, 4, 2).seconds == pytest.approx(8 * 0.1 / 2, abs=5e-4)


def test_crowded_cores_are_slower():
    crowded = dataclasses.replace(SYSTEM, cores=2, crowd=1.5)
    assert starts.staged(crowded, TRACE, 1, 2).seconds == pytest.approx(0.1, abs=5e-4)
    assert starts.staged(crowded, TRACE, 4, 2).seconds == pytest.approx(1.5 * 8 * 0.1 / 2, abs=0.02)


def test_a_read_that_continues_has_no_round_trip():
    trace = {"plain": [Step(0.5, "d", 10**6, 0), Step(0.5, "c", 10**6, 0)]}
    assert starts.plain(SYSTEM, trace, 1, 1).seconds == pytest.approx(0.1 + 1e-3 + 2e-3, abs=5e-8)
    emulator = dataclasses.replace(SYSTEM, cores=1, fs_cpu_byte=2e-9)  # handling and sending overlap: the longer counts
    assert starts.plain(emulator, trace, 1, 1).seconds == pytest.approx(0.1 + (2e-3 + 1e-3 + 1e-3) + 2e-3, abs=5e-8)


def test_what_is_prefetched_overlaps():
    own, ahead = Step(0.0, "m", 0, 0), [Step(0.0, "m", 0, 0, 1), Step(0.0, "m", 0, 0, 1)]
    step = SYSTEM.rtt + SYSTEM.meta
    for sequence, rounds in (([own, *ahead, own, own], 4), ([own, ahead[0], own, ahead[1], own], 4), ([own, own, *ahead, own], 4),
                          ([own, own, own, own, own], 5), ([own, *ahead], 2)):
        got = starts.cold(SYSTEM, {"plain": sequence, "root": sequence}, 1, 1)
        assert got.seconds == pytest.approx(rounds * step, abs=1e-4), sequence
        assert got.metadata_ops == len(sequence)


def test_a_thread_that_pauses_begins_a_new_chain():
    threads = [(0, 7), (10, 8), (20, 7), (50, 8), (2000, 8), (2010, 7), (2020, 9)]
    made = steps(Event(at, 0, "lookup", 0, False, "", 0.0, thread) for at, thread in threads)
    assert [step.chain for step in made] == [0, 1, 0, 1, 2, 0, 3]
    assert sum(step.share for step in made) == pytest.approx(1.0, abs=5e-6)


def test_tree_levels():
    assert relay.levels(8, 2) == [2, 4, 1]
    assert relay.levels(1, 2) == []
    assert sum(relay.levels(10000, 3)) == 9999
    assert [relay.depth_of(i, 2) for i in (0, 1, 2, 3, 6, 7)] == [0, 1, 1, 2, 2, 3]
    assert systems.depth(10000) == 14


# --- the command line ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words, message", [
    (["--set", "speed=2"], "'speed=2' is not NAME=VALUE"),
    (["--set", "rtt=fast"], "'fast' is not a number"),
    (["--system", "dos"], "invalid choice")])
def test_wrong_options(assert_refused, words, message):
    assert_refused([ROOT / "bench/model/run", *words], message)


def test_a_trace_without_steps_of_the_root(assert_refused, scratch):
    (scratch / "trace.json").write_text(json.dumps({"plain": []}))
    assert_refused([ROOT / "bench/model/run", "--trace", scratch / "trace.json"], "cannot read")


def test_an_announcement_by_hand():
    """On two nodes: one step down and one up. Nothing on one node."""
    hop = SYSTEM.latency + 2 * SYSTEM.overhead
    assert systems.announcement(SYSTEM, 1, 0.1) == 0
    assert systems.announcement(SYSTEM, 2, 0.1) == pytest.approx(2 * (hop + 0.05) + 2 * (hop + SYSTEM.poll_max / 2))
