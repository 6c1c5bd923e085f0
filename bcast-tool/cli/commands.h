/* SPDX-License-Identifier: BSD-3-Clause */
/* commands.h - one function for each command, which returns the exit status. Only cli/ prints
 * anything. */
#ifndef BCAST_CLI_COMMANDS_H
#define BCAST_CLI_COMMANDS_H

#include "base/error.h"
#include "cli/options.h"
#include "nodes/nodes.h"

int command_pack(const struct settings *s);
int command_stage(const struct settings *s);
int command_activate(const struct settings *s);
int command_run(const struct settings *s);
int command_verify(const struct settings *s);
int command_list(const struct settings *s);
int command_clean(const struct settings *s);

/* Prints "python-mpi-bcast: [node NODE: ]PATH: REASON" on stderr. `node` may be NULL. Returns 1. */
int cli_complain(const char *node, const struct error *err);

/* The same for what goes wrong before MPI runs: of all ranks, the first one prints it. */
int cli_complain_once(const struct error *err);

/* For commands that do something on every node: `work` runs in the leader of each node. Rank 0
 * prints the failures of all nodes. Returns the exit status, the same on all ranks. */
typedef void node_work(const struct settings *s, const struct nodes *n, struct error *err);
int cli_on_every_node(const struct settings *s, node_work *work);

#endif
