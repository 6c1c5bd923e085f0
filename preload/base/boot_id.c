/* SPDX-License-Identifier: BSD-3-Clause */
/* boot_id.c - see boot_id.h */
#include "base/boot_id.h"

#include "base/sys.h"

size_t boot_id_read(char *text)
{
    ssize_t n = sys_read_file("/proc/sys/kernel/random/boot_id", text, BOOT_ID_SIZE);

    text[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}
