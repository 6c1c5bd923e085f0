/*
 * execonly.so: preloaded, ends the process before its main. What such a run costs on the shared
 * file system is what the kernel's execve and ld.so do before any preloaded library gets a say.
 */
#include <unistd.h>

__attribute__((constructor)) static void end_here(void)
{
    _exit(0);
}
