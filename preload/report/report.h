/*
 * report.h - what fastimport did in this job, once per job, at its end: for people, or as JSON.
 *
 * Called by the root's service thread with the counters of all ranks that said farewell. The JSON's fields are listed
 * in the README; it is written whole or not at all (a temporary file, renamed).
 */
#ifndef FASTIMPORT_REPORT_REPORT_H
#define FASTIMPORT_REPORT_REPORT_H

#include <stddef.h>

#include "report/counters.h"

struct report_facts {
    int ranks, nodes, root;
    const char *mpi_library;
    const char *roots;         /* policy text */
    uint64_t cache_bytes;      /* in the root's node cache */
    uint64_t index_bytes;
    const char *why_not;       /* NULL, or why fastimport did not take part */
};

/* where: "stderr" or a file's name. */
void report_write(const char *where, const struct report_facts *facts, const struct fi_counters *ranks, size_t n);

#endif
