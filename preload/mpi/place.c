/* place.c - see place.h */
#include "mpi/place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/hash.h"
#include "base/sys.h"

/* The process at the other end of the launcher's socket; 0: unknown, or in another PID namespace.
 */
static pid_t daemon_of_slot(void)
{
    const char *text = getenv("PMI_FD");
    struct ucred peer = {0};
    socklen_t size = sizeof peer;

    if (text == NULL ||
        getsockopt((int)strtol(text, NULL, 10), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        return 0;
    }
    return peer.pid;
}

bool place_key(uint64_t *key)
{
    const char *node = getenv("SLURM_NODEID");
    const char *step = getenv("SLURM_STEP_ID");
    pid_t daemon = daemon_of_slot();
    char text[256] = "";
    size_t n;

    if (sys_read_file("/proc/sys/kernel/random/boot_id", text, 64) <= 0) {
        return false;
    }
    n = strlen(text);
    if (daemon > 0) {
        snprintf(text + n, sizeof text - n, " daemon %d", (int)daemon);
    } else if (node != NULL && step != NULL) {
        snprintf(text + n, sizeof text - n, " slurm %.32s %.32s", step, node);
    } else {
        return false;
    }
    *key = fi_hash(text, strlen(text), 0);
    return true;
}
