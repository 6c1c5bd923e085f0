/* SPDX-License-Identifier: BSD-3-Clause */
/* stub_refs.c - see stub_refs.h */
#include "ldso/stub_refs.h"

#include <pthread.h>
#include <stdlib.h>

struct kept {
    struct kept *next;
    void *library, *stub;
    size_t opened;
};

static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER; /* a leaf */
static struct kept *kept_first;

static struct kept **find_kept(const void *library)
{
    struct kept **at = &kept_first;

    while (*at != NULL && (*at)->library != library) {
        at = &(*at)->next;
    }
    return at;
}

bool stub_refs_opened(void *library, void *stub)
{
    struct kept *k;

    if (stub == NULL && __atomic_load_n(&kept_first, __ATOMIC_ACQUIRE) == NULL) {
        return false;
    }
    pthread_mutex_lock(&kept_lock);
    k = *find_kept(library);
    if (k == NULL && stub != NULL && (k = calloc(1, sizeof *k)) != NULL) {
        *k = (struct kept){kept_first, library, stub, 0};
        __atomic_store_n(&kept_first, k, __ATOMIC_RELEASE);
    }
    if (k != NULL) {
        k->opened++;
    }
    pthread_mutex_unlock(&kept_lock);
    return k != NULL && k->stub == stub;
}

void *stub_refs_closed(const void *library)
{
    struct kept **at;
    struct kept *k;
    void *stub = NULL;

    if (__atomic_load_n(&kept_first, __ATOMIC_ACQUIRE) == NULL) {
        return NULL;
    }
    pthread_mutex_lock(&kept_lock);
    at = find_kept(library);
    k = *at;
    if (k != NULL && --k->opened == 0) {
        *at = k->next;
        stub = k->stub;
        free(k);
    }
    pthread_mutex_unlock(&kept_lock);
    return stub;
}
