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

enum { MAX_CALLERS = 256 };

/* An object (executable or library) whose import slots are redirected. */
struct caller {
    _Atomic uintptr_t begin, end;           /* its addresses */
    void *_Atomic before[REDIRECTED_CALLS]; /* NULL: not imported, or not bound yet */
};

static struct {
    const struct import *_Atomic imports; /* NULL: not begun */
    struct caller callers[MAX_CALLERS];
    _Atomic size_t n_callers;
    /* The fingerprints of objects that import nothing of MPI. Only the thread that updates uses
     * them. */
    uint64_t *unrelated;
    size_t n_unrelated, capacity;
    atomic_flag updating;
    _Atomic bool again; /* an update is needed: set also while one is running */
} redirect = {.updating = ATOMIC_FLAG_INIT};

/* --- objects that import nothing of MPI --- */

/* Tells objects apart: if another one is mapped at the same addresses later, its tables are hardly
 * at the same places. */
static uint64_t fingerprint(const struct dl_phdr_info *info, const struct dynamic *d)
{
    const uint64_t key[] = {info->dlpi_addr, (uintptr_t)d->section, (uintptr_t)d->strings,
                            (uintptr_t)d->symbols, d->strings_size};

    return fi_hash(key, sizeof key, 0);
}

/* A hash table with open addressing; 0 marks a free entry. */
static bool redirect_is_unrelated(uint64_t print)
{
    for (size_t i = 0; i < redirect.capacity; i++) {
        uint64_t other = redirect.unrelated[(print + i) & (redirect.capacity - 1)];

        if (other == print || other == 0) {
            return other != 0;
        }
    }
    return false;
}

static void redirect_put(uint64_t *table, size_t capacity, uint64_t print)
{
    size_t at = (size_t)print;

    while (table[at & (capacity - 1)] != 0) {
        at++;
    }
    table[at & (capacity - 1)] = print;
}

static void redirect_add_unrelated(uint64_t print)
{
    if (2 * (redirect.n_unrelated + 1) > redirect.capacity) {
        size_t capacity = redirect.capacity == 0 ? 512 : 2 * redirect.capacity;
        uint64_t *table = calloc(capacity, sizeof *table);

        if (table == NULL) {
            return;
        }
        for (size_t i = 0; i < redirect.capacity; i++) {
            if (redirect.unrelated[i] != 0) {
                redirect_put(table, capacity, redirect.unrelated[i]);
            }
        }
        free(redirect.unrelated);
        redirect.unrelated = table;
        redirect.capacity = capacity;
    }
    redirect_put(redirect.unrelated, redirect.capacity, print);
    redirect.n_unrelated++;
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

/* The entry of an object that is or was mapped there; else a free one. NULL: the table is full. */
static struct caller *entry_for(uintptr_t begin, uintptr_t end)
{
    size_t n = atomic_load(&redirect.n_callers);

    for (size_t i = 0; i < n; i++) {
        struct caller *c = &redirect.callers[i];

        if (atomic_load(&c->begin) < end && begin < atomic_load(&c->end)) {
            return c;
        }
    }
    return n < MAX_CALLERS ? &redirect.callers[n] : NULL;
}

/* Fills in an entry. If it was another object's, none of its functions may stay. */
static void fill_entry(struct caller *c, uintptr_t begin, uintptr_t end, void *const *before)
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

/* Between the change of the slots and fill_entry() the program may call: redirect_original() looks
 * the function up then. */
static int redirect_object(struct dl_phdr_info *info, size_t size, void *unused)
{
    void *before[REDIRECTED_CALLS] = {NULL};
    struct dynamic dynamic;
    struct caller *c;
    uintptr_t begin, end;

    (void)size, (void)unused;
    if (!dynamic_read(info, &dynamic) || redirect_is_unrelated(fingerprint(info, &dynamic))) {
        return 0;
    }
    redirect_find_span(info, &begin, &end);
    c = entry_for(begin, end);
    if (c != NULL && imports_redirect(info, redirect.imports, REDIRECTED_CALLS, before) > 0) {
        fill_entry(c, begin, end, before);
    } else {
        redirect_add_unrelated(fingerprint(info, &dynamic));
    }
    return 0;
}

/* Only one thread updates at a time; if another one calls this meanwhile, the first one does its
 * work, too. In a forked child the flag may stay set for ever: nothing more is redirected there
 * then. */
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

/* --- the function that would have been called --- */

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
    const void *address; /* in the caller's object */
    char *caller_name;   /* owned: l_name of that object */
    const void *guess;   /* by dlsym(3) */
    bool guess_is_definition;
    void *first; /* the first definition, in the order of loading */
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

/* Looks a name up in the scope of one object. */
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

/* Looks a function up as ld.so binds a call: in the global scope, then in the caller's own. What
 * dlsym(3) finds may be an entry in the executable's procedure linkage table, which leads back to
 * fastimport: then the first definition is taken. */
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

/* What an entry's object would have called. NULL: it does not import the function, or has it itself. */
static void *original_of_caller(struct caller *c, enum redirected_call call)
{
    void *function = atomic_load(&c->before[call]);

    if (function != NULL && caller_at(function) == c) { /* not bound yet */
        function = redirect_look_up(redirect.imports[call].name, (void *)atomic_load(&c->begin));
    }
    return function != NULL && caller_at(function) != c ? function : NULL;
}

/* The address is in an object that does not import the function: one that does has jumped to it as its
 * last act (mpi4py's function at the exit does), and the address is the caller's caller. */
static void *original_of_tail_call(enum redirected_call call)
{
    size_t n = atomic_load(&redirect.n_callers);
    void *function = NULL;

    for (size_t i = 0; i < n && function == NULL; i++) {
        function = original_of_caller(&redirect.callers[i], call);
    }
    return function;
}

void *redirect_original(enum redirected_call call, const void *address)
{
    struct caller *c = caller_at(address);
    void *function = c == NULL ? original_of_tail_call(call) : atomic_load(&c->before[call]);

    if (function == NULL || (c != NULL && caller_at(function) == c)) {
        function = redirect_look_up(redirect.imports[call].name, address);
        if (c != NULL) {
            atomic_store(&c->before[call], function);
        }
    }
    return function;
}
