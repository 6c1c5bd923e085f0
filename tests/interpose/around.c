/* A preload that stands before the library and makes by libc alone the calls that write: they go
 * around the library, which notes nothing of them. Whoever shows what a call has changed
 * (change.c) must then show something else. */
#include <dlfcn.h>
#include <stddef.h>

/* dlmopen is nobody's wrapper. */
static void *of_libc(const char *name)
{
    return dlsym(dlmopen(LM_ID_BASE, "libc.so.6", RTLD_LAZY | RTLD_NOLOAD), name);
}

typedef long any_call(long, long, long, long, long);

/* None of them has more than five arguments, all in registers; nor has a result that is wider. */
#define AROUND(name)                                                                               \
    any_call name;                                                                                 \
    long name(long a, long b, long c, long d, long e)                                              \
    {                                                                                              \
        static any_call *call;                                                                     \
        if (!call)                                                                                 \
            call = (any_call *)of_libc(#name);                                                     \
        return call(a, b, c, d, e);                                                                \
    }

AROUND(open)
AROUND(open64)
AROUND(openat)
AROUND(openat64)
AROUND(__open_2)
AROUND(__open64_2)
AROUND(__openat_2)
AROUND(__openat64_2)
AROUND(creat)
AROUND(creat64)
AROUND(fopen)
AROUND(fopen64)
AROUND(freopen)
AROUND(freopen64)
AROUND(unlink)
AROUND(unlinkat)
AROUND(remove)
AROUND(rename)
AROUND(renameat)
AROUND(renameat2)
AROUND(mkdir)
AROUND(mkdirat)
AROUND(rmdir)
AROUND(symlink)
AROUND(symlinkat)
AROUND(link)
AROUND(linkat)
AROUND(mknod)
AROUND(mknodat)
AROUND(__xmknod)
AROUND(__xmknodat)
AROUND(mkfifo)
AROUND(mkfifoat)
AROUND(bind)
AROUND(chmod)
AROUND(lchmod)
AROUND(fchmodat)
AROUND(fchmod)
AROUND(chown)
AROUND(lchown)
AROUND(fchownat)
AROUND(fchown)
AROUND(utime)
AROUND(utimes)
AROUND(lutimes)
AROUND(futimesat)
AROUND(utimensat)
AROUND(futimens)
AROUND(futimes)
AROUND(truncate)
AROUND(truncate64)
AROUND(mkstemp)
AROUND(mkstemp64)
AROUND(mkostemp)
AROUND(mkostemp64)
AROUND(mkstemps)
AROUND(mkstemps64)
AROUND(mkostemps)
AROUND(mkostemps64)
AROUND(mkdtemp)
