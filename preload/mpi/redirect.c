/* SPDX-License-Identifier: BSD-3-Clause */
/* redirect.c - see redirect.h */
#include "mpi/redirect.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "base/hash.h"
#include "ldso/dynamic.h"
#include "ldso/linkmap.h"

enum { CALLERS = 256 };

/* An object whose slots are redirected. */
struct caller {
    _Atomic uintptr_t begin, end;           /* its addresses */
    void *_Atomic before[REDIRECTED_CALLS]; /* NULL: not imported, or not bound yet */
};

static struct {
    const struct import *_Atomic imports; /* NULL: not begun */
    struct caller callers[CALLERS];
    _Atomic size_t n_callers;
    /* objects that import nothing of MPI: their fingerprints, for the thread that updates */
    uint64_t *others;
    size_t n_others, room;
    atomic_flag updating;
    _Atomic bool again; /* something was loaded during an update */
} redirect = {.updating = ATOMIC_FLAG_INIT};

/* --- objects that were looked at before --- */

/* Another object that comes to lie at the same addresses hardly has the same tables. */
static uint64_t fingerprint(const struct dl_phdr_info *info, const struct dynamic *d)
{
    const uint64_t key[] = {info->dlpi_addr, (uintptr_t)d->section, (uintptr_t)d->strings,
                            (uintptr_t)d->symbols, d->strings_size};

    return fi_hash(key, sizeof key, 0);
}

/* Open addressing; 0 is a free place. */
static bool redirect_is_known(uint64_t print)
{
    for (size_t i = 0; i < redirect.room; i++) {
        uint64_t other = redirect.others[(print + i) & (redirect.room - 1)];

        if (other == print || other == 0) {
            return other != 0;
        }
    }
    return false;
}

static void redirect_put(uint64_t *table, size_t room, uint64_t print)
{
    size_t at = (size_t)print;

    while (table[at & (room - 1)] != 0) {
        at++;
    }
    table[at & (room - 1)] = print;
}

static void redirect_remember(uint64_t print)
{
    if (2 * (redirect.n_others + 1) > redirect.room) {
        size_t room = redirect.room == 0 ? 512 : 2 * redirect.room;
        uint64_t *table = calloc(room, sizeof *table);

        if (table == NULL) {
            return;
        }
        for (size_t i = 0; i < redirect.room; i++) {
            if (redirect.others[i] != 0) {
                redirect_put(table, room, redirect.others[i]);
            }
        }
        free(redirect.others);
        redirect.others = table;
        redirect.room = room;
    }
    redirect_put(redirect.others, redirect.room, print);
    redirect.n_others++;
}

/* --- redirecting --- */

static void redirect_find_span(const struct dl_phdr_info *info, uintptr_t *begin, uintptr_t *end)
{
    *begin = *end = 0;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        uintptr_t at = info->dlpi_addr + h->p_vaddr;

        if (h->p_type == PT_LOAD) {
            *begin = *begin == 0 ? at : *begin;
            *end = at + h->p_memsz;
        }
    }
}

/* The entry of an object that lies there, or lay there; else a free one. NULL: there is no room. */
static struct caller *entry_for(uintptr_t begin, uintptr_t end)
{
    size_t n = atomic_load(&redirect.n_callers);

    for (size_t i = 0; i < n; i++) {
        struct caller *c = &redirect.callers[i];

        if (atomic_load(&c->begin) < end && begin < atomic_load(&c->end)) {
            return c;
        }
    }
    return n < CALLERS ? &redirect.callers[n] : NULL;
}

/* What was remembered of another object at this place must not be taken for this one's. */
static void take_entry(struct caller *c, uintptr_t begin, uintptr_t end, void *const *before)
{
    bool is_same = atomic_load(&c->begin) == begin && atomic_load(&c->end) == end;

    for (size_t i = 0; i < REDIRECTED_CALLS; i++) {
        if (!is_same || before[i] != NULL) {
            atomic_store(&c->before[i], before[i]);
        }
    }
    atomic_store(&c->begin, begin);
    atomic_store(&c->end, end);
    if (c == &redirect.callers[atomic_load(&redirect.n_callers)]) {
        atomic_fetch_add(&redirect.n_callers, 1);
    }
}

/* A call that comes while slots and entry do not fit each other yet is answered by
 * redirect_original()'s search. */
static int redirect_object(struct dl_phdr_info *info, size_t size, void *unused)
{
    void *before[REDIRECTED_CALLS] = {NULL};
    struct dynamic dynamic;
    struct caller *c;
    uintptr_t begin, end;

    (void)size, (void)unused;
    if (!dynamic_read(info, &dynamic) || redirect_is_known(fingerprint(info, &dynamic))) {
        return 0;
    }
    redirect_find_span(info, &begin, &end);
    c = entry_for(begin, end);
    if (c != NULL && imports_redirect(info, redirect.imports, REDIRECTED_CALLS, before) > 0) {
        take_entry(c, begin, end, before);
    } else {
        redirect_remember(fingerprint(info, &dynamic));
    }
    return 0;
}

/* One thread at a time; another one leaves its work to it. In the child of a fork the flag may stay
 * set: then nothing more is redirected there. */
void redirect_update(void)
{
    int error = errno;

    if (atomic_load(&redirect.imports) == NULL) {
        return;
    }
    atomic_store(&redirect.again, true);
    while (atomic_load(&redirect.again) && !atomic_flag_test_and_set(&redirect.updating)) {
        atomic_store(&redirect.again, false);
        dl_iterate_phdr(redirect_object, NULL);
        atomic_flag_clear(&redirect.updating);
    }
    errno = error;
}

bool redirect_is_begun(void)
{
    return atomic_load(&redirect.imports) != NULL;
}

void redirect_begin(const struct import imports[REDIRECTED_CALLS])
{
    atomic_store(&redirect.imports, imports);
    redirect_update();
}

/* --- what would have been called --- */

static struct caller *caller_at(const void *address)
{
    size_t n = atomic_load(&redirect.n_callers);

    for (size_t i = 0; i < n; i++) {
        struct caller *c = &redirect.callers[i];

        if (atomic_load(&c->begin) <= (uintptr_t)address &&
            (uintptr_t)address < atomic_load(&c->end)) {
            return c;
        }
    }
    return NULL;
}

struct search {
    const char *name;
    const void *address; /* of the caller */
    char *caller_name;   /* owned: l_name of the object that has the address in it */
    const void *guess;
    bool guess_is_definition;
    void *first; /* the first definition in the order of loading */
};

static int search_object(struct dl_phdr_info *info, size_t size, void *search_)
{
    struct search *s = search_;
    const ElfW(Sym) * symbol;
    struct dynamic dynamic;
    uintptr_t begin, end;

    (void)size;
    redirect_find_span(info, &begin, &end);
    if (begin <= (uintptr_t)s->address && (uintptr_t)s->address < end && s->caller_name == NULL) {
        s->caller_name = strdup(info->dlpi_name == NULL ? "" : info->dlpi_name);
    }
    symbol = dynamic_read(info, &dynamic) ? dynamic_definition(&dynamic, s->name) : NULL;
    if (symbol != NULL) {
        void *at = (void *)(info->dlpi_addr + symbol->st_value);

        s->guess_is_definition |= at == s->guess;
        s->first = s->first == NULL ? at : s->first;
    }
    return 0;
}

/* In the scope of the object alone. */
static void *look_up_in(const char *object_name, const char *name)
{
    void *object =
        dlopen(object_name[0] == '\0' ? NULL : object_name, RTLD_LAZY | RTLD_NOLOAD | RTLD_LOCAL);
    void *function = object == NULL ? NULL : dlsym(object, name);

    if (object != NULL) {
        dlclose(object);
    }
    return function;
}

/* As ld.so binds a call: in the global scope, then in the caller's own. (What dlsym finds may be
 * the entry of an executable's procedure linkage table, which leads back to us.) */
static void *redirect_look_up(const char *name, const void *address)
{
    struct search s = {.name = name, .address = address};
    void *function = dlsym(RTLD_DEFAULT, name);

    fi_enter();
    s.guess = function;
    dl_iterate_phdr(search_object, &s);
    if (function == NULL && s.caller_name != NULL) {
        function = look_up_in(s.caller_name, name);
    } else if (!s.guess_is_definition) {
        function = s.first;
    }
    fi_leave();
    free(s.caller_name);
    return function != NULL ? function : s.first;
}

void *redirect_original(enum redirected_call call, const void *address)
{
    struct caller *c = caller_at(address);
    void *function = c == NULL ? NULL : atomic_load(&c->before[call]);

    if (function == NULL || caller_at(function) == c) {
        function = redirect_look_up(redirect.imports[call].name, address);
        if (c != NULL) {
            atomic_store(&c->before[call], function);
        }
    }
    return function;
}
