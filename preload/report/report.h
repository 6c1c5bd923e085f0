/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * report.h - what fastimport did in this job, once per job, at its end: for people, or as JSON.
 *
 * Called by the root's service thread with the counters of all ranks that said farewell; where
 * nothing is served, by the rank that says so. The JSON's fields are listed in the README; it is
 * valid UTF-8: of a name that is not, each byte XX that does not belong stands as \udcXX, which
 * Python's os.fsencode() makes the byte again. Written whole or not at all (base/file.h).
 */
#ifndef FASTIMPORT_REPORT_REPORT_H
#define FASTIMPORT_REPORT_REPORT_H

#include <stddef.h>

#include "cache/counters.h"
#include "report/libraries.h"

struct report_plan {
    const char *file;    /* "" : none */
    size_t entries;      /* read */
    size_t used;         /* of these, asked for */
    size_t missed;       /* asked for and not in the plan */
    double bulk_seconds; /* from the first look-up to the last broadcast */
    uint64_t bulk_bytes; /* of files */
};

struct report_facts {
    const char *why; /* nothing was served; NULL: it was */
    int ranks, nodes, root;
    const char *mpi_library;
    const char *roots;    /* policy text */
    uint64_t cache_bytes; /* in the root's node cache */
    uint64_t index_bytes;
    struct report_plan plan;
    const struct report_libraries *left; /* to ld.so */
};

/* where: "stderr" (for people), or a file's name: base/file.h's file_put() says what may be there.
 */
void report_write(const char *where, const struct report_facts *facts,
                  const struct fi_counters *ranks, size_t n);

/* Nothing is served, and this is why: all is zero in the report. At most once a process, and by the
 * one rank of a job that is to speak. where NULL: no report is wanted. Needs no service. */
void report_write_idle(const char *where, const char *why);

#endif
