/* SPDX-License-Identifier: BSD-3-Clause */
/* mapped.c - see mapped.h */
#include "fill/mapped.h"

#include <elf.h>
#include <string.h>

#include "base/sys.h"

uint64_t mapped_size(int fd, uint64_t size)
{
    Elf64_Phdr headers[64];
    Elf64_Ehdr e;
    uint64_t end = 0;

    if (sys_pread_all(fd, &e, sizeof e, 0) != sizeof e || memcmp(e.e_ident, ELFMAG, SELFMAG) != 0 ||
        e.e_ident[EI_CLASS] != ELFCLASS64 || e.e_phentsize != sizeof *headers || e.e_phnum == 0 ||
        e.e_phnum > 64) {
        return size;
    }
    if (sys_pread_all(fd, headers, e.e_phnum * sizeof *headers, (off_t)e.e_phoff) !=
        (ssize_t)(e.e_phnum * sizeof *headers)) {
        return size;
    }
    for (int i = 0; i < e.e_phnum; i++) {
        if (headers[i].p_type == PT_LOAD && headers[i].p_offset < size &&
            headers[i].p_filesz <= size - headers[i].p_offset &&
            headers[i].p_offset + headers[i].p_filesz > end) {
            end = headers[i].p_offset + headers[i].p_filesz;
        }
    }
    /* ld.so maps whole pages, so what follows a segment in its last page is visible, too */
    end = (end + 65535) & ~(uint64_t)65535;
    return end == 0 || end > size ? size : end;
}
