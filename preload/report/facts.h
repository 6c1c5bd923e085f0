/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * facts.h - what a report is made of, besides the counters of the ranks. The strings are the
 * caller's.
 */
#ifndef FASTIMPORT_REPORT_FACTS_H
#define FASTIMPORT_REPORT_FACTS_H

#include <stddef.h>
#include <stdint.h>

#include "report/libraries.h"

struct report_plan {
    const char *file;    /* "": no plan */
    size_t entries;      /* that were read */
    size_t used;         /* of these, those that the job asked for */
    size_t missed;       /* what the job asked for and the plan did not have */
    double bulk_seconds; /* from the first look-up to the last broadcast */
    uint64_t bulk_bytes; /* of files */
};

struct report_facts {
    const char *why;    /* why nothing was served; NULL: something was */
    const char *job_id; /* the batch system's (process/job_id.h); "": none */
    int ranks, nodes, root;
    const char *mpi_library;
    const char *roots;    /* the table of roots (policy.h) */
    uint64_t cache_bytes; /* in the root's node cache */
    uint64_t index_bytes;
    double startup_seconds; /* until nothing new was asked for; 0: not known */
    struct report_plan plan;
    const struct report_libraries *unserved; /* left to ld.so */
};

#endif
