/* SPDX-License-Identifier: BSD-3-Clause */
/* unnoted_writes.so - a library for LD_PRELOAD, before libfastimport.so. It passes the calls that
 * write straight to libc, so that libfastimport.so cannot note what they change. A program that
 * shows what a call has changed (change.c) must then show something else. */
#include <dlfcn.h>
#include <stddef.h>

/* By dlmopen, which libfastimport.so does not wrap. */
static void *of_libc(const char *name)
{
    return dlsym(dlmopen(LM_ID_BASE, "libc.so.6", RTLD_LAZY | RTLD_NOLOAD), name);
}

typedef long any_call(long, long, long, long, long);

/* None of them has more than five arguments, all in registers; nor has a result that is wider. */
#define THROUGH_LIBC(name)                                                                         \
    any_call name;                                                                                 \
    long name(long a, long b, long c, long d, long e)                                              \
    {                                                                                              \
        static any_call *call;                                                                     \
        if (!call)                                                                                 \
            call = (any_call *)of_libc(#name);                                                     \
        return call(a, b, c, d, e);                                                                \
    }

THROUGH_LIBC(open)
THROUGH_LIBC(open64)
THROUGH_LIBC(openat)
THROUGH_LIBC(openat64)
THROUGH_LIBC(__open_2)
THROUGH_LIBC(__open64_2)
THROUGH_LIBC(__openat_2)
THROUGH_LIBC(__openat64_2)
THROUGH_LIBC(creat)
THROUGH_LIBC(creat64)
THROUGH_LIBC(fopen)
THROUGH_LIBC(fopen64)
THROUGH_LIBC(freopen)
THROUGH_LIBC(freopen64)
THROUGH_LIBC(unlink)
THROUGH_LIBC(unlinkat)
THROUGH_LIBC(remove)
THROUGH_LIBC(rename)
THROUGH_LIBC(renameat)
THROUGH_LIBC(renameat2)
THROUGH_LIBC(mkdir)
THROUGH_LIBC(mkdirat)
THROUGH_LIBC(rmdir)
THROUGH_LIBC(symlink)
THROUGH_LIBC(symlinkat)
THROUGH_LIBC(link)
THROUGH_LIBC(linkat)
THROUGH_LIBC(mknod)
THROUGH_LIBC(mknodat)
THROUGH_LIBC(__xmknod)
THROUGH_LIBC(__xmknodat)
THROUGH_LIBC(mkfifo)
THROUGH_LIBC(mkfifoat)
THROUGH_LIBC(chmod)
THROUGH_LIBC(lchmod)
THROUGH_LIBC(fchmodat)
THROUGH_LIBC(fchmod)
THROUGH_LIBC(chown)
THROUGH_LIBC(lchown)
THROUGH_LIBC(fchownat)
THROUGH_LIBC(fchown)
THROUGH_LIBC(utime)
THROUGH_LIBC(utimes)
THROUGH_LIBC(lutimes)
THROUGH_LIBC(futimesat)
THROUGH_LIBC(utimensat)
THROUGH_LIBC(futimens)
THROUGH_LIBC(futimes)
THROUGH_LIBC(truncate)
THROUGH_LIBC(truncate64)
THROUGH_LIBC(mkstemp)
THROUGH_LIBC(mkstemp64)
THROUGH_LIBC(mkostemp)
THROUGH_LIBC(mkostemp64)
THROUGH_LIBC(mkstemps)
THROUGH_LIBC(mkstemps64)
THROUGH_LIBC(mkostemps)
THROUGH_LIBC(mkostemps64)
THROUGH_LIBC(mkdtemp)
