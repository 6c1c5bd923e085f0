/* SPDX-License-Identifier: BSD-3-Clause */
/* thread_stress.c - many threads open, read, stat and list the same files at once.
 *
 *   thread_stress DIRECTORY THREADS ROUNDS
 *
 * Each thread prints one sum of all that it saw. The sums must be the same everywhere. It exports
 * Py_Initialize, by which the library takes it for a Python. */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int Py_Initialize(void);
int Py_Initialize(void)
{
    return 0;
}

static const char *place;
static int rounds;

static uint64_t mix(uint64_t sum, uint64_t value)
{
    return (sum ^ value) * 0x100000001b3;
}

static uint64_t thread_stress_bytes_of(int fd)
{
    char buffer[4096];
    uint64_t sum = 0;
    ssize_t n;

    while ((n = read(fd, buffer, sizeof buffer)) > 0) {
        for (ssize_t i = 0; i < n; i += 64) {
            sum = mix(sum, (unsigned char)buffer[i]);
        }
        sum = mix(sum, (uint64_t)n);
    }
    return sum;
}

static uint64_t thread_stress_look(const char *name)
{
    char path[4096];
    struct stat st;
    uint64_t sum = 0;
    int fd;

    snprintf(path, sizeof path, "%s/%s", place, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        sum = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? thread_stress_bytes_of(fd) : 1;
        sum = mix(sum, (uint64_t)st.st_ino);
        close(fd);
    }
    if (stat(path, &st) == 0) {
        sum = mix(sum, (uint64_t)st.st_size + (uint64_t)st.st_mtim.tv_nsec);
    }
    strcat(path, ".none");
    return mix(sum, (uint64_t)access(path, F_OK));
}

/* Independent of the order of names. */
static void *work(void *result)
{
    uint64_t sum = 0;

    for (int i = 0; i < rounds; i++) {
        DIR *d = opendir(place);
        struct dirent *e;

        while (d != NULL && (e = readdir(d)) != NULL) {
            sum += thread_stress_look(e->d_name);
        }
        if (d != NULL) {
            closedir(d);
        }
    }
    *(uint64_t *)result = sum;
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[64];
    uint64_t sums[64];
    int n = argc == 4 ? atoi(argv[2]) : 0;

    if (n < 1 || n > 64) {
        return 2;
    }
    place = argv[1];
    rounds = atoi(argv[3]);
    for (int i = 0; i < n; i++) {
        pthread_create(&threads[i], NULL, work, &sums[i]);
    }
    for (int i = 0; i < n; i++) {
        pthread_join(threads[i], NULL);
        printf("%016llx\n", (unsigned long long)sums[i]);
    }
    return 0;
}
