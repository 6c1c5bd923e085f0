/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * faults.so - faults at the boundary between libfastimport.so and everything below it.
 *
 *   LD_PRELOAD=libfastimport.so:faults.so FAULTS=NAME:FIRST:TIMES:WHAT
 *
 * Of the calls of NAME that are made from inside libfastimport.so (by their return address), those
 * with the numbers FIRST to FIRST + TIMES - 1 fail with WHAT, in each process. NAME: a system call
 * of base/sys.c by its own name, an allocator, mmap, pthread_create, or an MPI function. WHAT: the
 * name of an errno, SHORT (reads give a byte), EOF (they give none), or for MPI FAIL or HANG.
 * Further: FAULTS_RANK, only in this rank; FAULTS_PATH, only opens and stats of paths that contain
 * this; FAULTS_LOG, a file that gets a line for each fault, so that tests can see that one
 * happened.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { WHAT_SHORT = 1000, WHAT_EOF, WHAT_FAIL, WHAT_HANG };

static struct {
    char name[64];
    int first, times, what;
    const char *path, *log;
    uintptr_t begin, end; /* of libfastimport.so's code */
    _Atomic int calls;
} faults;

static const struct {
    const char *name;
    long number;
} system_calls[] = {
    {"openat", SYS_openat},       {"newfstatat", SYS_newfstatat}, {"fstat", SYS_fstat},
    {"readlink", SYS_readlink},   {"getdents64", SYS_getdents64}, {"pread64", SYS_pread64},
    {"pwrite64", SYS_pwrite64},   {"mkdirat", SYS_mkdirat},       {"ftruncate", SYS_ftruncate},
    {"fallocate", SYS_fallocate}, {"fcntl", SYS_fcntl},           {"flock", SYS_flock},
    {"renameat2", SYS_renameat2}, {"linkat", SYS_linkat},
};

static int what_of(const char *text)
{
    static const struct {
        const char *name;
        int what;
    } names[] = {{"ENOSPC", ENOSPC}, {"EMFILE", EMFILE},  {"ENOMEM", ENOMEM},
                 {"EIO", EIO},       {"EAGAIN", EAGAIN},  {"SHORT", WHAT_SHORT},
                 {"EOF", WHAT_EOF},  {"FAIL", WHAT_FAIL}, {"HANG", WHAT_HANG}};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(text, names[i].name) == 0) {
            return names[i].what;
        }
    }
    abort(); /* a test that names no fault tests nothing */
}

static int find_library(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size, (void)unused;
    if (strstr(info->dlpi_name, "/libfastimport.so") == NULL) {
        return 0;
    }
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];

        if (p->p_type == PT_LOAD && (p->p_flags & PF_X) != 0) {
            faults.begin = info->dlpi_addr + p->p_vaddr;
            faults.end = faults.begin + p->p_memsz;
        }
    }
    return 1;
}

/* Before libfastimport's constructor: this library is a dependency of nobody, so ld.so runs it
 * first, as the last of the preloaded ones. */
__attribute__((constructor)) static void prepare(void)
{
    const char *spec = getenv("FAULTS");
    const char *rank = getenv("FAULTS_RANK");
    const char *mine = getenv("PMI_RANK");
    char what[16];

    if (spec == NULL || (rank != NULL && (mine == NULL || strcmp(rank, mine) != 0))) {
        return;
    }
    faults.path = getenv("FAULTS_PATH");
    faults.log = getenv("FAULTS_LOG");
    dl_iterate_phdr(find_library, NULL);
    if (sscanf(spec, "%63[^:]:%d:%d:%15s", faults.name, &faults.first, &faults.times, what) != 4) {
        abort();
    }
    faults.what = what_of(what);
}

static long pass(long number, long a, long b, long c, long d, long e, long f);

static void faults_note(void)
{
    int fd = faults.log == NULL ? -1
                                : (int)pass(SYS_openat, AT_FDCWD, (long)faults.log,
                                            O_WRONLY | O_CREAT | O_APPEND, 0600, 0, 0);

    if (fd >= 0) {
        pass(SYS_write, fd, (long)"fault\n", 6, 0, 0, 0);
        pass(SYS_close, fd, 0, 0, 0, 0, 0);
    }
}

/* What happens to this call: 0, an errno, or a WHAT_. */
static int faults_fault(const char *name, const void *caller)
{
    int number;

    if (faults.name[0] == '\0' || strcmp(name, faults.name) != 0 ||
        (uintptr_t)caller < faults.begin || (uintptr_t)caller >= faults.end) {
        return 0;
    }
    number = atomic_fetch_add(&faults.calls, 1) + 1;
    if (number < faults.first || number - faults.first >= faults.times) {
        return 0;
    }
    faults_note();
    return faults.what;
}

#define FAULT(name) faults_fault(name, __builtin_return_address(0))
#define REAL(name)  ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* --- system calls --- */

/* As the kernel does it: -errno. */
static long pass(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

/* The report, and the plan, that the library writes at the end (base/file.c): by them it is judged.
 */
static bool is_result(long number, long path)
{
    return (number == SYS_openat || number == SYS_renameat2) &&
           strstr((const char *)path, "/.fastimport-") != NULL;
}

static bool path_matches(long number, long b)
{
    if (is_result(number, b)) {
        return false;
    }
    return faults.path == NULL || (number != SYS_openat && number != SYS_newfstatat) ||
           strstr((const char *)b, faults.path) != NULL;
}

static const char *faults_name_of(long number)
{
    for (size_t i = 0; i < sizeof system_calls / sizeof *system_calls; i++) {
        if (system_calls[i].number == number) {
            return system_calls[i].name;
        }
    }
    return "";
}

long syscall(long number, ...);
__attribute__((noinline)) static long faulty(const void *caller, long number, long *a)
{
    int what = path_matches(number, a[1]) ? faults_fault(faults_name_of(number), caller) : 0;
    long result;

    if (what == WHAT_SHORT) {
        a[2] = a[2] > 1;
    } else if (what == WHAT_EOF) {
        return 0;
    } else if (what != 0) {
        errno = what;
        return -1;
    }
    result = pass(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (result < 0 && result > -4096) {
        errno = (int)-result;
        return -1;
    }
    return result;
}

long syscall(long number, ...)
{
    long a[6];
    __builtin_va_list args;

    __builtin_va_start(args, number);
    for (int i = 0; i < 6; i++) {
        a[i] = __builtin_va_arg(args, long);
    }
    __builtin_va_end(args);
    return faulty(__builtin_return_address(0), number, a);
}

/* --- memory and threads --- */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *at, size_t size);

void *malloc(size_t size)
{
    return FAULT("malloc") != 0 ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return FAULT("calloc") != 0 ? NULL : __libc_calloc(n, size);
}

void *realloc(void *at, size_t size)
{
    return FAULT("realloc") != 0 ? NULL : __libc_realloc(at, size);
}

void *mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
    long result;

    if (FAULT("mmap") != 0) {
        errno = faults.what;
        return MAP_FAILED;
    }
    result = pass(SYS_mmap, (long)at, (long)size, prot, flags, fd, offset);
    if (result < 0 && result > -4096) {
        errno = (int)-result;
        return MAP_FAILED;
    }
    return (void *)result;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *),
                   void *argument)
{
    int what = FAULT("pthread_create");

    return what != 0 ? what : REAL(pthread_create)(thread, attributes, body, argument);
}

/* --- MPI: libfastimport.so finds its functions by dlsym --- */

typedef long (*any_function)(long, long, long, long, long, long, long, long, long, long);
static any_function mpi_function;

/* Stands for the one MPI function that fails; all of MPI's arguments are integers and pointers. */
static long stand_in(long a, long b, long c, long d, long e, long f, long g, long h, long i, long j)
{
    int what = FAULT(faults.name);

    if (what == WHAT_HANG) {
        for (;;) {
            pause();
        }
    }
    return what != 0 ? 16 /* MPI_ERR_INTERN of MPICH */
                     : mpi_function(a, b, c, d, e, f, g, h, i, j);
}

void *dlsym(void *restrict library, const char *restrict name)
{
    static void *(*_Atomic real)(void *, const char *);
    void *symbol;

    if (real == NULL) {
        *(void **)&real = dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.34");
    }
    if (real == NULL) {
        *(void **)&real = dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5");
    }
    symbol = real(library, name);
    if (symbol != NULL && strncmp(name, "MPI_", 4) == 0 && strcmp(name, faults.name) == 0 &&
        (uintptr_t)__builtin_return_address(0) - faults.begin < faults.end - faults.begin) {
        *(void **)&mpi_function = symbol;
        *(any_function *)&symbol = stand_in;
    }
    return symbol;
}
