# SPDX-License-Identifier: BSD-3-Clause
"""The parameters of the model, and the source of each number. Times are seconds, sizes bytes."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class System:
    """The parameters of one kind of system. bench/model/calibrate measures those of the emulator and of fastimport's own work.

    "emulator" at a parameter: it is 0 on other systems.
    """

    name: str = "emulator"
    source: str = ""
    # shared file system
    rtt: float = 200e-6  # round trip of a request, with the work of the client
    meta: float = 50e-6  # the metadata server's time for an operation
    bandwidth: float = 500e6  # of all data servers together
    node_bandwidth: float = float("inf")  # of one client
    slack: float = 0.0  # how late a sleeping client wakes (emulator)
    fs_cpu: float = 0.0  # processor time of an operation, in the client and the server (emulator)
    fs_cpu_byte: float = 0.0  # the same for a byte
    client_cpu: float = 0.0  # the part of fs_cpu that the client takes (for bench/model/calibrate)
    client_cpu_byte: float = 0.0
    client: float = 0.0  # processor time of a rank for page faults and cached names, beyond that in memory (emulator)
    cache_timeout: float = float("inf")  # how long a client caches names and attributes
    # processors
    cores: int = 0  # that all nodes share; 0: each rank has its own
    crowd: float = 1.0  # the factor by which work is longer when all shared cores are busy
    python: float = 0.25  # the imports of one rank from memory
    # network, LogGP
    latency: float = 1.5e-6
    overhead: float = 0.5e-6
    gap_byte: float = 1 / 10e9
    # fastimport
    join: float = 0.014  # processor time of a rank for joining the job, beyond a bare MPI start (calibrate)
    lookup_cpu: float = 30e-6  # processor time of the root for a look-up, beyond that of the file system (calibrate)
    service_share: float = 0.0  # the part of a shared core that the service thread of a node takes (emulator)
    store_byte: float = 1 / 2e9  # writing a byte to the node cache (calibrate)
    poll: float = 20e-6  # the sleep of a service thread while there is work (NAP_MIN_NS of preload/)
    poll_max: float = 1e-3  # and when there is none (NAP_MAX_NS)
    poll_idle: float = 5e-3  # the same after a quiet second (NAP_IDLE_NS)
    poll_dormant: float = 0.1  # and after FASTIMPORT_IDLE_MS (NAP_DORMANT_NS)
    request: float = 2e-6  # processor time of the root for one request
    record: float = 1e-6  # processor time for one record of the stream
    wait_budget: float = 2e-3  # how long a rank waits before it sends its first request (preload/fill)
    wait_budget_max: float = 20e-3  # the budget doubles with each request up to this
    wait_budget_bulk: float = 100e-3  # the budget during the bulk of a plan
    helpers: int = 16  # threads of the root that look up a plan (PLAN_HELPERS)
    piece: int = 512 << 10  # most bytes of a frame (WIRE_FRAME)
    frames: int = 4  # that a relay holds (RELAY_FRAMES)
    fanout: int = 2  # children of a node in the tree (RELAY_FANOUT)
    eager: int = 8 << 10  # longer messages wait until the receiver polls (about this in MPICH and UCX)
    algorithm: str = "relay"  # fastimport's tree; or "mpich": MPI_Ibcast by MPICH's choice, as it was before
    # staging tool
    chunk: int = 1 << 20  # bytes of a broadcast (bcast-tool/stage)
    archive: float = 100e6  # bytes of the packed environment
    unpacked: float = 300e6
    unpack_byte: float = 1 / 470e6  # zstd: 345 MiB in 0.73 s on the machine of the kept results


NAMED = {
    "nfs": System("nfs", "one server: 0.2 ms round trip, 20,000 operations/s, 10 Gbit/s (assumed, a usual filer); the NFS client "
                  "caches names for acdirmin = 30 s, nfs(5)", rtt=200e-6, meta=50e-6, bandwidth=1.2e9, node_bandwidth=1.2e9,
                  cache_timeout=30.0),
    "lustre": System("lustre", "one metadata server, mdtest: 2,000 stats/s with one thread (0.4 ms and more each); 240 threads: 500,000 "
                     "stats/s, 27,000 creates/s; an open for reading is between these, 100,000/s is taken; single client reads 1.3 GB/s "
                     "(Dell HPC Lustre Storage solution with Intel Omni-Path, white paper, section 4.1 and figure 13); all together "
                     "18.5 GB/s (the same with Mellanox Infiniband EDR, figure 10); locks do not time out",
                     rtt=390e-6, meta=10e-6, bandwidth=18.5e9, node_bandwidth=1.3e9),
    "gpfs": System("gpfs", "Spectrum Scale 5.0.4, mdtest: 37,300 opens and reads of 4 KiB files/s; sequential reads 20.5 GB/s sustained (Dell "
                   "EMC Ready Solution for HPC PixStor Storage, Administrator Guide, page 35, the solution without the capacity expansion); "
                   "0.3 ms for one operation and 5 GB/s a client are assumed", rtt=273e-6, meta=27e-6, bandwidth=20.5e9, node_bandwidth=5e9),
}


def depth(nodes):
    """The number of steps of a binomial tree over so many nodes."""
    return max(0, (nodes - 1).bit_length())


def broadcast_steps(system, size, nodes):
    """The cost of MPICH's broadcast of `size` bytes: (root_busy, first, per_step, steps).

    The link of the root is busy for root_busy seconds. The last node has the bytes after first + per_step * steps seconds.

    MPICH chooses by size: a binomial tree below 12 KiB or below 8 processes; scatter and recursive doubling up to 512 KiB
    for powers of two; otherwise scatter and a ring (its CVARs BCAST_SHORT_MSG_SIZE, BCAST_LONG_MSG_SIZE, BCAST_MIN_PROCS).
    Its source gives (lg p + p - 1) alpha + 2 n beta for the ring. Each step waits for a sleeping service thread.
    """
    step = system.latency + 2 * system.overhead + system.poll
    transfer, deep = size * system.gap_byte, depth(nodes)
    if nodes == 1:
        return 0.0, 0.0, 0.0, 0
    if size < 12288 or nodes < 8:
        return deep * (system.overhead + transfer), 0.0, step + transfer, deep
    if size < 512 << 10 and nodes & (nodes - 1) == 0:
        return 2 * transfer, 2 * transfer, step, 2 * deep
    return 2 * transfer, 2 * transfer, step, deep + nodes - 1


def announcement(system, nodes, sleep):
    """How long the first change in a directory waits for the other nodes, in seconds (preload/invalidate/announce.h). sleep: that of
    the services when the change is made; each notices a message after half of it, on average. Three ways through the tree: the request
    to the root and the announcement down; the confirmations up; the word that all have it down. On the last two all have just
    worked, and sleep poll_max at most."""
    if nodes == 1:
        return 0.0
    hop, deep = system.latency + 2 * system.overhead, depth(nodes)
    return (1 + deep) * (hop + sleep / 2) + 2 * deep * (hop + system.poll_max / 2)
