/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * execonly.c - execonly.so, a preloaded library that ends the process before main. Such a run
 * counts what execve and ld.so read from the shared file system before any preloaded library can
 * run.
 */
#include <unistd.h>

__attribute__((constructor)) static void end_here(void)
{
    _exit(0);
}
