/* SPDX-License-Identifier: BSD-3-Clause */
/* faults.c - see faults.h */
#include "faults.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "base/sys.h"

static struct {
    _Atomic int skip;
    _Atomic int times;
    int error;
    _Atomic int action_skip;
    void (*_Atomic action)(void);
} faults[FAULT_CALLS];

void fault_arm(enum fault_call call, int error, int skip, int times)
{
    faults[call].error = error;
    atomic_store(&faults[call].skip, skip);
    atomic_store(&faults[call].times, times);
}

void fault_meanwhile(enum fault_call call, int skip, void (*action)(void))
{
    atomic_store(&faults[call].action_skip, skip);
    atomic_store(&faults[call].action, action);
}

void fault_clear(void)
{
    for (int i = 0; i < FAULT_CALLS; i++) {
        atomic_store(&faults[i].times, 0);
        atomic_store(&faults[i].action, NULL);
    }
}

/* 0, or the error of this call. */
static int faulty_fault(enum fault_call call)
{
    void (*action)(void) = atomic_load(&faults[call].action);

    if (action != NULL && atomic_fetch_sub(&faults[call].action_skip, 1) <= 0) {
        atomic_store(&faults[call].action, NULL);
        action();
    }
    if (atomic_load(&faults[call].times) <= 0 || atomic_fetch_sub(&faults[call].skip, 1) > 0) {
        return 0;
    }
    return atomic_fetch_sub(&faults[call].times, 1) > 0 ? faults[call].error : 0;
}

#define X(result, name, parameters, arguments)                                                     \
    result __real_##name parameters;                                                               \
    result __wrap_##name parameters;                                                               \
    result __wrap_##name parameters                                                                \
    {                                                                                              \
        int error = faulty_fault(FAULT_##name);                                                    \
                                                                                                   \
        return error != 0 ? error : __real_##name arguments;                                       \
    }
#include "faults.def"
#undef X

void *__real_sys_mmap(size_t size, int prot, int flags, int fd, off_t offset);
void *__wrap_sys_mmap(size_t size, int prot, int flags, int fd, off_t offset);
void *__wrap_sys_mmap(size_t size, int prot, int flags, int fd, off_t offset)
{
    return faulty_fault(FAULT_sys_mmap) != 0 ? NULL
                                             : __real_sys_mmap(size, prot, flags, fd, offset);
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
    return faulty_fault(FAULT_malloc) != 0 ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
    return faulty_fault(FAULT_calloc) != 0 ? NULL : __real_calloc(n, size);
}

void *__real_realloc(void *at, size_t size);
void *__wrap_realloc(void *at, size_t size);
void *__wrap_realloc(void *at, size_t size)
{
    return faulty_fault(FAULT_realloc) != 0 ? NULL : __real_realloc(at, size);
}

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text)
{
    return faulty_fault(FAULT_strdup) != 0 ? NULL : __real_strdup(text);
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*body)(void *),
                          void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*body)(void *),
                          void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*body)(void *),
                          void *argument)
{
    return faulty_fault(FAULT_pthread_create) != 0
               ? EAGAIN
               : __real_pthread_create(thread, attr, body, argument);
}
