/* What kind of relocation do a file's bytes allow? */
#ifndef BCAST_RELOCATE_CLASSIFY_H
#define BCAST_RELOCATE_CLASSIFY_H

#include <stdint.h>
#include <sys/types.h>

/* Looks for prefixes in one file and sums it up. `hits` gets one bit per prefix that it holds. */
struct classify {
    const char *const *prefixes;
    int n;
    uint64_t sum, size; /* XXH3 and bytes of the file */
    unsigned hits;
    char mode; /* 't' text: no NUL byte; 'b' binary: an ELF file; '-' neither */
};

/* Reads `fd` from its start to its end. 0, or -1 with errno. */
int classify_file(struct classify *c, int fd);

#endif
