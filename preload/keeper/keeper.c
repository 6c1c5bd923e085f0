/*
 * keeper.c - fastimport-keeper FD: keeps a rank's slot at the launcher in order when the rank has
 * been replaced, by exec, by a program that fastimport cannot be in.
 *
 * The rank has opened PMI, and a launcher takes a process that ends with PMI open for a crashed
 * one, and ends the job. Nobody but the new program knows whether it will use MPI, which finalises
 * PMI, or not. So this process holds the descriptor, too, waits until the rank's process has ended
 * (the kernel then releases the record lock of slot_claim(), mpi/slot.h) or has closed it, and
 * finalises PMI then, if nobody has. The launcher learns the exit status from the process itself.
 *
 * Leaves its parent's session, and is nobody's child when the caller's wait for it is over.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mpi/pmi.h"

/* The launcher waits for the ends of the rank's pipes. */
static void close_all_but(int kept)
{
    DIR *all = opendir("/proc/self/fd");

    for (struct dirent *e; all != NULL && (e = readdir(all)) != NULL;) {
        int fd = e->d_name[0] == '.' ? kept : (int)strtol(e->d_name, NULL, 10);

        if (fd != kept && fd != dirfd(all)) {
            close(fd);
        }
    }
    if (all != NULL) {
        closedir(all);
    }
}

int main(int argc, char **argv)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char *end = NULL;
    long fd = argc == 2 ? strtol(argv[1], &end, 10) : -1;
    int error;

    if (fd < 0 || *end != '\0' || fcntl((int)fd, F_GETFD) < 0) {
        fprintf(stderr, "usage: fastimport-keeper FD (libfastimport.so starts it)\n");
        return 2;
    }
    if (fork() != 0) {
        return 0;
    }
    setsid();
    close_all_but((int)fd);
    do {
        error = fcntl((int)fd, F_SETLKW, &lock) != 0 ? errno : 0;
    } while (error == EINTR);
    if (error == 0) {
        pmi_finalize((int)fd);
    }
    return error != 0;
}
