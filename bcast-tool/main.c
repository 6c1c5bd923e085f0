/* SPDX-License-Identifier: BSD-3-Clause */
/* python-mpi-bcast: puts a Python environment onto the local disk of every node. README.md shows
 * how to use it. */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "process/rank_variables.h"

/* libarchive converts names by the locale. With UTF-8 it leaves every name as the bytes that it is.
 */
static void choose_locale(void)
{
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL && setlocale(LC_CTYPE, "C.utf8") == NULL &&
        setlocale(LC_CTYPE, "en_US.UTF-8") == NULL) {
        setlocale(LC_CTYPE, "");
    }
}

/* Every rank parses the same words before MPI_Init; only one should report what is wrong with them.
 */
static bool is_first_rank(void)
{
    return rank_variables_read(NULL) <= 0;
}

int main(int argc, char **argv)
{
    static int (*const commands[COMMANDS])(const struct settings *) = {
        [COMMAND_PACK] = command_pack,         [COMMAND_STAGE] = command_stage,
        [COMMAND_ACTIVATE] = command_activate, [COMMAND_RUN] = command_run,
        [COMMAND_VERIFY] = command_verify,     [COMMAND_LIST] = command_list,
        [COMMAND_CLEAN] = command_clean,
    };
    struct settings s;
    choose_locale();
    switch (options_parse(&s, argc, argv, is_first_rank())) {
    case OPTIONS_DONE:
        return 0;
    case OPTIONS_WRONG:
        return 2;
    case OPTIONS_RUN:
        break;
    }
    return commands[s.command](&s);
}
