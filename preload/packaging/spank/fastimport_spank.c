/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fastimport_spank.c - a plugin for Slurm (spank(8)): `srun --fastimport` starts the tasks with
 * libfastimport.so, which lies beside the plugin. Only the tasks of this srun get it.
 *
 * plugstack.conf: optional /sw/fastimport/lib/fastimport/fastimport-spank.so
 *
 * srun reads the option; slurmstepd, which has the plugin, too, changes the tasks' environment. If
 * anything is wrong, the tasks start without the library, and one line says why.
 */
#include <dlfcn.h>
#include <slurm/spank.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

SPANK_PLUGIN(fastimport, 1)

enum { SPANK_TEXT_MAX = 8192 };

static bool spank_is_wanted;

static int spank_take_option(int value, const char *text, int remote)
{
    (void)value;
    (void)text;
    (void)remote;
    spank_is_wanted = true;
    return ESPANK_SUCCESS;
}

static char option_name[] = "fastimport";
static char option_usage[] = "Python's imports are served from memory (fastimport(1))";

struct spank_option spank_options[] = {
    {option_name, NULL, option_usage, 0, 0, spank_take_option},
    SPANK_OPTIONS_TABLE_END,
};

/* The path of libfastimport.so, beside this plugin. */
static bool spank_find_library(char *out, size_t size)
{
    Dl_info self;
    const char *slash;

    if (dladdr(&spank_is_wanted, &self) == 0) {
        return false;
    }
    slash = strrchr(self.dli_fname, '/');
    return slash != NULL && snprintf(out, size, "%.*s/libfastimport.so",
                                     (int)(slash - self.dli_fname), self.dli_fname) < (int)size;
}

/* As the user, once on each node of the step, before its tasks start. */
int slurm_spank_user_init(spank_t spank, int argc, char **argv)
{
    char library[SPANK_TEXT_MAX] = "libfastimport.so";
    char old[SPANK_TEXT_MAX];
    char both[2 * SPANK_TEXT_MAX + 2];

    (void)argc;
    (void)argv;
    if (!spank_is_wanted || spank_context() != S_CTX_REMOTE) {
        return ESPANK_SUCCESS;
    }
    if (!spank_find_library(library, sizeof library) || access(library, R_OK) != 0) {
        slurm_error("fastimport: %s cannot be read on this node; going on without it: install "
                    "fastimport where all nodes see it",
                    library);
        return ESPANK_SUCCESS;
    }
    if (spank_getenv(spank, "LD_PRELOAD", old, sizeof old) != ESPANK_SUCCESS || old[0] == '\0') {
        snprintf(both, sizeof both, "%s", library);
    } else {
        snprintf(both, sizeof both, "%s:%s", library, old);
    }
    if (spank_setenv(spank, "LD_PRELOAD", both, 1) != ESPANK_SUCCESS) {
        slurm_error("fastimport: cannot set LD_PRELOAD of the tasks; going on without it");
    }
    /* who asks for fastimport wants to know whether it is there */
    spank_setenv(spank, "FASTIMPORT_LOG", "info", 0);
    return ESPANK_SUCCESS;
}
