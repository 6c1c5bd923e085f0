/* SPDX-License-Identifier: BSD-3-Clause */
/* query.c - see query.h */
#include "cache/query.h"

#include "base/path.h"
#include "cache/library_record.h"

static bool is_by_name(const struct fi_query *q)
{
    return q->kind == RECORD_LIBRARY && (q->argument & LIBRARY_BY_NAME) != 0;
}

static bool knows_argument(const struct fi_query *q)
{
    switch (q->kind) {
    case RECORD_STAT:
    case RECORD_LIST:
    case RECORD_REALPATH:
        return q->argument == 0;
    case RECORD_CONTENT:
        return q->argument <= RECORD_MAPPED;
    case RECORD_ACCESS:
        return q->argument <= (RECORD_EFFECTIVE | 7);
    case RECORD_LIBRARY:
        return q->argument <= (LIBRARY_FROM_START | LIBRARY_BY_NAME);
    case RECORD_STATX:
        return true; /* flags and mask, which the kernel checks */
    default:
        return false; /* meaningful on one node only, or not a query at all */
    }
}

bool query_is_sound(const struct fi_query *q)
{
    return knows_argument(q) && (is_by_name(q) ? library_record_key_is_sound(q->path, q->length)
                                               : path_is_normal(q->path, q->length));
}

bool query_is_allowed(const struct fi_query *q, const struct policy *policy)
{
    return query_is_sound(q) &&
           (is_by_name(q) || policy_verdict(policy, q->path, q->length) != NOT_OURS);
}

bool query_has_answer(const struct record *r)
{
    struct fi_query q = {(enum record_kind)r->kind, r->argument, r->path, r->path_length, r->hash};

    if ((record_flags(r) & RECORD_LOCAL) != 0) {
        return false;
    }
    if (q.kind == RECORD_LIVE || q.kind == RECORD_EVERYWHERE) {
        return path_is_normal(q.path, q.length);
    }
    return query_is_sound(&q);
}
