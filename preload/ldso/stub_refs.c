/* SPDX-License-Identifier: BSD-3-Clause */
/* stub_refs.c - see stub_refs.h */
#include "ldso/stub_refs.h"

#include <pthread.h>
#include <stdlib.h>

struct stub_ref {
    struct stub_ref *next;
    void *library, *stub;
    size_t opened;
};

static pthread_mutex_t stub_refs_lock =
    PTHREAD_MUTEX_INITIALIZER; /* no other lock is taken under it */
static struct stub_ref *stub_refs_first;

static struct stub_ref **stub_refs_find(const void *library)
{
    struct stub_ref **at = &stub_refs_first;

    while (*at != NULL && (*at)->library != library) {
        at = &(*at)->next;
    }
    return at;
}

bool stub_refs_opened(void *library, void *stub)
{
    struct stub_ref *k;

    if (stub == NULL && __atomic_load_n(&stub_refs_first, __ATOMIC_ACQUIRE) == NULL) {
        return false;
    }
    pthread_mutex_lock(&stub_refs_lock);
    k = *stub_refs_find(library);
    if (k == NULL && stub != NULL && (k = calloc(1, sizeof *k)) != NULL) {
        *k = (struct stub_ref){stub_refs_first, library, stub, 0};
        __atomic_store_n(&stub_refs_first, k, __ATOMIC_RELEASE);
    }
    if (k != NULL) {
        k->opened++;
    }
    pthread_mutex_unlock(&stub_refs_lock);
    return k != NULL && k->stub == stub;
}

void *stub_refs_closed(const void *library)
{
    struct stub_ref **at;
    struct stub_ref *k;
    void *stub = NULL;

    if (__atomic_load_n(&stub_refs_first, __ATOMIC_ACQUIRE) == NULL) {
        return NULL;
    }
    pthread_mutex_lock(&stub_refs_lock);
    at = stub_refs_find(library);
    k = *at;
    if (k != NULL && --k->opened == 0) {
        *at = k->next;
        stub = k->stub;
        free(k);
    }
    pthread_mutex_unlock(&stub_refs_lock);
    return stub;
}
