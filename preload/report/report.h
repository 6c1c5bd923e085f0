/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * report.h - the report: what fastimport did in this job, once a job, at its end, as text for
 * people or as JSON.
 *
 * The root's service thread writes it, with the counters of all ranks whose nodes sent exit
 * statistics. Where nothing is served, the rank that tells the user so writes it. FORMAT.md lists
 * the JSON's fields, schema.json describes them for programs. The JSON is valid UTF-8: in a name that is not, each byte XX that is not part
 * of a sequence is written as \udcXX, which Python's os.fsencode() turns into that byte again. The
 * file is written whole or not at all (base/file.h).
 *
 * Thread rules: one thread at a time. Errors are told to the user.
 */
#ifndef FASTIMPORT_REPORT_REPORT_H
#define FASTIMPORT_REPORT_REPORT_H

#include <stddef.h>

#include "cache/counters.h"
#include "report/facts.h"

/* where: "stderr" for the text, else the name of the JSON file; base/file.h's file_put() says what
 * it may name. ranks: n of them. */
void report_write(const char *where, const struct report_facts *facts,
                  const struct fi_counters *ranks, size_t n);

/* Writes a report of a job in which nothing is served: why, and zeros. At most once a process, in
 * the one rank of the job that tells the user. where NULL: no report is wanted. Does not need the
 * service. */
void report_write_idle(const char *where, const char *why);

#endif
