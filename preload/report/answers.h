/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * answers.h - the three questions of a user, answered from the counters: was it active? What did
 * the file system see, against what it would have seen? How long did the start take, and where did
 * that time go?
 *
 * FORMAT.md beside this file says how each figure is made. None of them is a guess about time.
 *
 * Thread rules: one thread.
 */
#ifndef FASTIMPORT_REPORT_ANSWERS_H
#define FASTIMPORT_REPORT_ANSWERS_H

#include <stdio.h>

#include "cache/counters.h"
#include "report/facts.h"

/* A figure with fastimport, and what it would have been without. */
struct answers_against {
    uint64_t with, without;
};

struct report_answers {
    struct answers_against operations; /* calls that reached the file system */
    struct answers_against bytes;      /* read from it */
    double startup;                    /* in seconds: */
    double join;                       /* until all ranks have met; the longest of all ranks */
    double bulk;                       /* the plan's records, until all nodes had them */
    double waiting;                    /* for answers from the root; the longest of all ranks */
    double file_system;                /* in the file system; the longest of all ranks */
};

/* ranks: n of them. */
struct report_answers answers_make(const struct report_facts *facts,
                                   const struct fi_counters *ranks, size_t n);

/* How many times less; 0: it cannot be told, as nothing was needed. */
double answers_factor(const struct answers_against *against);

/* The answers as lines for people, and as members of a JSON object, with a comma at the end. */
void answers_write_text(FILE *f, const struct report_facts *facts,
                        const struct report_answers *answers);
void answers_write_json(FILE *f, const struct report_answers *answers);

#endif
