/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>

#include "base/io.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "pack/pack.h"

static int pack_cores(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n > 0 ? n : 1;
}

static void pack_print_json(const struct settings *s, const struct pack_result *r, double seconds)
{
    json_print(json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "archive",
                         json_text(s->output), "entries", (json_int_t)r->files, "bytes",
                         (json_int_t)r->bytes, "stored", (json_int_t)r->stored, "relocatable",
                         (json_int_t)r->relocatable, "external_links", (json_int_t)r->external,
                         "outside_links", (json_int_t)r->outside, "seconds", seconds));
}

int command_pack(const struct settings *s)
{
    struct error err = {0};
    struct pack_result r;
    struct pack_options o = {.prefix = s->words[0],
                             .out = s->output,
                             .exclude = s->exclude,
                             .no_default_excludes = s->no_default_excludes,
                             .with_python = s->with_python,
                             .dereference_outside = s->dereference_outside,
                             .keep_outside = s->keep_outside,
                             .level = s->level_given ? (int)s->level : -1,
                             .threads = s->threads_given ? (int)s->threads : pack_cores()};
    double start = io_now();
    if (o.threads > 256) {
        o.threads = 256;
    }
    if (pack_environment(&o, &r, &err) < 0) {
        return cli_complain(NULL, &err);
    }
    double seconds = io_now() - start;
    if (s->json) {
        pack_print_json(s, &r, seconds);
    } else if (!s->quiet) {
        printf("%s: %" PRIu64 " entries, %.1f MiB -> %.1f MiB, %" PRIu64 " to relocate, %.1f s\n",
               s->output, r.files, (double)r.bytes / 1048576, (double)r.stored / 1048576,
               r.relocatable, seconds);
    }
    if (r.outside && !s->quiet) {
        fprintf(stderr,
                "python-mpi-bcast: note: %" PRIu64
                " symlinks lead out of %s, such as %s; what they "
                "point to is packed in their place (--keep-outside leaves the links)\n",
                r.outside, s->words[0], r.first_outside);
    }
    if (r.external && !s->quiet) {
        fprintf(stderr,
                "python-mpi-bcast: note: %" PRIu64 " symlinks point outside of %s, and will do "
                "so on the nodes%s\n",
                r.external, s->words[0],
                s->with_python ? "" : "; --with-python packs the interpreter, too");
    }
    return 0;
}
