"""Parameters of the model, and where each number is from. Times in seconds, sizes in bytes."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class System:
    """One kind of system. The emulator's values come from bench/model/calibrate."""

    name: str = "emulator"
    source: str = ""
    # shared file system
    rtt: float = 200e-6  # of a request, network and client
    meta: float = 50e-6  # the metadata server's time for an operation
    bandwidth: float = 500e6  # of all data servers together
    node_bandwidth: float = float("inf")  # of one client
    slack: float = 0.0  # what a sleeping client wakes late (emulator)
    fs_cpu: float = 0.0  # processor time of an operation, client and emulated server
    fs_cpu_byte: float = 0.0
    client_cpu: float = 0.0  # the client's part of these (for bench/model/calibrate)
    client_cpu_byte: float = 0.0
    client: float = 0.0  # processor time of a rank for page faults and cached names, more than in memory (emulator)
    cache_timeout: float = float("inf")  # of names and attributes, on a client
    # processors
    cores: int = 0  # all nodes share so many; 0: each rank has its own
    crowd: float = 1.0  # how much longer work takes when all shared cores are busy
    python: float = 0.25  # one rank's imports when everything is in memory
    # network, LogGP
    latency: float = 1.5e-6
    overhead: float = 0.5e-6
    gap_byte: float = 1 / 10e9
    # fastimport
    join: float = 0.014  # processor time of a rank for joining, beyond a bare MPI start (bench/model/calibrate's takes its place)
    lookup_cpu: float = 30e-6  # the root's own work for a look-up, beyond the file system's (likewise)
    service_share: float = 0.0  # of a shared core that each node's service takes while the job starts (emulator)
    store_byte: float = 1 / 2e9  # writing to the node cache (likewise)
    poll: float = 20e-6  # a service's nap while there is work (preload/service/service.c, NAP_MIN_NS)
    poll_max: float = 1e-3  # and when there is none (NAP_MAX_NS)
    request: float = 2e-6  # the root's time for one request
    record: float = 1e-6  # a record's handling
    patience: float = 2e-3  # preload/fill/fill.c, PATIENCE_START_NS
    patience_max: float = 20e-3
    patience_bulk: float = 100e-3
    helpers: int = 16  # preload/service/root.c, PLAN_HELPERS
    piece: int = 512 << 10  # a frame (preload/service/wire.h, WIRE_FRAME)
    frames: int = 4  # that a relay holds (preload/service/relay.h, RELAY_FRAMES)
    fanout: int = 2  # of the tree (RELAY_FANOUT)
    eager: int = 8 << 10  # larger messages wait for the receiver to look (MPICH, UCX: about this on shared memory and InfiniBand)
    algorithm: str = "relay"  # the tree as built; or mpich: MPI_Ibcast by MPICH's choice, which it replaced
    # staging tool
    chunk: int = 1 << 20  # bcast-tool/stage
    archive: float = 100e6  # bytes of the packed environment
    unpacked: float = 300e6
    unpack_byte: float = 1 / 470e6  # zstd: 345 MiB in 0.73 s on the machine of this page


NAMED = {
    "nfs": System("nfs", "one server: 0.2 ms round trip, 20,000 operations/s, 10 Gbit/s (assumed, a usual filer); NFS client "
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
    """Steps of a binomial tree."""
    return max(0, (nodes - 1).bit_length())


def broadcast_steps(system, size, nodes):
    """(root_busy, first, per_step, steps): how long the root's link is taken, and when the last node has `size` bytes:
    first + per_step * steps. MPICH's choice by size: binomial below 12 KiB or 8 processes; scatter and recursive doubling
    up to 512 KiB for powers of two; else scatter and a ring (its CVARs BCAST_SHORT_MSG_SIZE, BCAST_LONG_MSG_SIZE,
    BCAST_MIN_PROCS), of which the source says (lg p + p - 1) alpha + 2 n beta. Each step waits for a service's nap."""
    step = system.latency + 2 * system.overhead + system.poll
    transfer, deep = size * system.gap_byte, depth(nodes)
    if nodes == 1:
        return 0.0, 0.0, 0.0, 0
    if size < 12288 or nodes < 8:
        return deep * (system.overhead + transfer), 0.0, step + transfer, deep
    if size < 512 << 10 and nodes & (nodes - 1) == 0:
        return 2 * transfer, 2 * transfer, step, 2 * deep
    return 2 * transfer, 2 * transfer, step, deep + nodes - 1
