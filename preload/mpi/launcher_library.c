/* SPDX-License-Identifier: BSD-3-Clause */
/* launcher_library.c - see launcher_library.h */
#include "mpi/launcher_library.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "base/sys.h"

static bool is_writable_by_others(const char *directory)
{
    struct stat st;

    return sys_stat(directory, &st) != 0 || (st.st_mode & S_IWOTH) != 0;
}

/* Open MPI's launchers are links to these. */
static bool is_launcher_of_open_mpi(const char *name)
{
    return strcmp(name, "orterun") == 0 || strcmp(name, "prterun") == 0 ||
           strcmp(name, "prte") == 0;
}

/* PREFIX/bin/NAME -> PREFIX/lib/LIBRARY. Returns false if there is none. */
static bool launcher_library_find(const char *program, char *out, size_t size)
{
    const char *name = path_name(program, strlen(program));
    const char *library = is_launcher_of_open_mpi(name) ? "libmpi.so.40" : "libmpi.so.12";
    size_t prefix = path_parent_length(program, path_parent_length(program, strlen(program)));
    char directory[FI_PATH_MAX];

    snprintf(directory, sizeof directory, "%.*s/lib", (int)prefix, program);
    return prefix > 1 && !is_writable_by_others(directory) &&
           (size_t)snprintf(out, size, "%s/%s", directory, library) < size &&
           sys_access(out, F_OK, false) == 0;
}

void launcher_library_tell(const char *program)
{
    char library[FI_PATH_MAX];

    if (launcher_library_find(program, library, sizeof library)) {
        setenv(LAUNCHER_LIBRARY_VARIABLE, library, 1);
    } else {
        unsetenv(LAUNCHER_LIBRARY_VARIABLE);
    }
}
