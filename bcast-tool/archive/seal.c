/* SPDX-License-Identifier: BSD-3-Clause */
#include "archive/seal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void seal_write(char block[SEAL_SIZE], uint64_t sum, uint64_t bytes)
{
    memset(block, 0, SEAL_SIZE);
    snprintf(block, SEAL_SIZE, "python-mpi-bcast seal 1 xxh3 %016" PRIx64 " bytes %020" PRIu64 "\n",
             sum, bytes);
}

bool seal_parse(const char block[SEAL_SIZE], uint64_t *sum, uint64_t *bytes)
{
    char copy[SEAL_SIZE];
    memcpy(copy, block, SEAL_SIZE);
    copy[SEAL_SIZE - 1] = '\0';
    if (sscanf(copy, "python-mpi-bcast seal 1 xxh3 %16" SCNx64 " bytes %20" SCNu64, sum, bytes) !=
        2) {
        return false;
    }
    seal_write(copy, *sum, *bytes);
    return memcmp(copy, block, SEAL_SIZE) == 0;
}
