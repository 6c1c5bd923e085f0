# SPDX-License-Identifier: BSD-3-Clause
"""Time dilation: R ranks on C cores as on R cores. bench/README.md has the method and its limits.

All that is not computed here is slower by a factor: the emulated file system (client()) and the waits of fastimport
(variables()). Both also make up for computing that was faster than a rank's share of the cores. Whoever measures divides the
times by the factor.
"""

import os


def factor(ranks, cores=None):
    """The factor for a job of so many ranks: ranks / cores, at least 1."""
    return max(1.0, ranks / (cores or len(os.sched_getaffinity(0))))


def client(settings, k):
    """Settings of sharedfs such as sharedjob.COSTS, in a world that is slower by k."""
    return settings | ({"dilate": f"{k:g}"} if k != 1 else {})


def variables(k):
    """What the ranks need in their environment for a factor of k."""
    return {"FASTIMPORT_DILATE": f"{k:g}"} if k != 1 else {}
