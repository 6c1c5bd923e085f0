/* SPDX-License-Identifier: BSD-3-Clause */
/* config.c - see config.h */
#include "process/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/dilation.h"
#include "base/log.h"
#include "base/path.h"
#include "base/sys.h"

/* A variable: how to parse it into its field, and what to tell the user when that fails. */
struct option {
    const char *name;
    size_t offset;
    bool (*parse)(const char *text, void *field);
    const char *expected;
    const char *fallback;
};

static bool parse_switch(const char *text, void *field)
{
    bool on = strcmp(text, "1") == 0;

    if (!on && strcmp(text, "0") != 0) {
        return false;
    }
    *(bool *)field = on;
    return true;
}

static bool parse_text(const char *text, void *field)
{
    char *copy = strdup(text);

    if (copy != NULL) {
        *(const char **)field = copy;
    }
    return copy != NULL;
}

/* so that the same in nanoseconds fits into 64 bits */
static const uint64_t longest_ms = 366ULL * 24 * 3600 * 1000;

static bool parse_ms(const char *text, void *field)
{
    char *end;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (end == text || *end != '\0' || strchr(text, '-') != NULL || errno != 0 ||
        value > longest_ms) {
        return false;
    }
    *(uint64_t *)field = value;
    return true;
}

static bool parse_factor(const char *text, void *field)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || !(value >= 1 && value <= 1000)) {
        return false;
    }
    *(double *)field = value;
    return true;
}

static bool parse_size(const char *text, void *field)
{
    static const char units[] = "kMGT";
    char *end;
    unsigned long long value;
    int shift = 0;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (end == text || strchr(text, '-') != NULL || errno != 0) {
        return false;
    }
    if (*end != '\0') {
        const char *unit = strchr(units, *end == 'K' ? 'k' : *end);

        if (unit == NULL || end[1] != '\0') {
            return false;
        }
        shift = 10 * (int)(unit - units + 1);
    }
    if (value > UINT64_MAX >> shift) {
        return false;
    }
    *(uint64_t *)field = value << shift;
    return true;
}

static bool parse_fs(const char *text, void *field)
{
    bool all = strcmp(text, "all") == 0;

    if (!all && strcmp(text, "net") != 0) {
        return false;
    }
    *(enum fi_fs *)field = all ? FI_FS_ALL : FI_FS_NETWORK;
    return true;
}

static bool parse_join(const char *text, void *field)
{
    bool at_start = strcmp(text, "start") == 0;

    if (!at_start && strcmp(text, "init") != 0) {
        return false;
    }
    *(enum fi_join *)field = at_start ? FI_AT_START : FI_AT_INIT;
    return true;
}

static bool parse_level(const char *text, void *field)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};

    for (int i = 0; i < 4; i++) {
        if (strcmp(text, names[i]) == 0) {
            *(enum log_level *)field = (enum log_level)i;
            return true;
        }
    }
    return false;
}

static bool parse_directory(const char *text, void *field)
{
    return text[0] == '/' && parse_text(text, field);
}

#define FIELD(f) offsetof(struct fi_config, f)

static const struct option options[] = {
    {"FASTIMPORT", FIELD(enabled), parse_switch, "0 or 1", "1"},
    {"FASTIMPORT_PATH", FIELD(path), parse_text, "a list of paths", "none"},
    {"FASTIMPORT_EXCLUDE", FIELD(exclude), parse_text, "a list of paths", "none"},
    {"FASTIMPORT_FS", FIELD(fs), parse_fs, "net or all", "net"},
    {"FASTIMPORT_DIR", FIELD(dir), parse_directory, "an absolute path", "/dev/shm"},
    {"FASTIMPORT_MAX_FILE", FIELD(max_file), parse_size, "a size such as 512M", "2G"},
    {"FASTIMPORT_MPI", FIELD(mpi), parse_text, "a library", "the one that is found"},
    {"FASTIMPORT_WAIT_MS", FIELD(wait_ms), parse_ms, "milliseconds", "5000"},
    {"FASTIMPORT_JOIN_MS", FIELD(join_ms), parse_ms, "milliseconds", "60000"},
    {"FASTIMPORT_BELOW_SHELL", FIELD(join), parse_join, "init or start", "init"},
    {"FASTIMPORT_IDLE_MS", FIELD(idle_ms), parse_ms, "milliseconds", "10000"},
    {"FASTIMPORT_DILATE", FIELD(dilate), parse_factor, "a number from 1 to 1000", "1"},
    {"FASTIMPORT_PLAN", FIELD(plan), parse_text, "off, a file, record:FILE or use:FILE",
     "the default"},
    {"FASTIMPORT_REPORT", FIELD(report), parse_text, "stderr or a file", "no report"},
    {"FASTIMPORT_LOG", FIELD(log), parse_level, "error, warn, info or debug", "warn"},
    {"FASTIMPORT_LOG_FILE", FIELD(log_file), parse_text, "a file", "standard error"},
};

static void config_complain(const struct option *o, const char *text, void (*warn)(const char *))
{
    char sentence[512];

    snprintf(sentence, sizeof sentence, "%s=%.200s is not %s; using %s", o->name, text, o->expected,
             o->fallback);
    warn(sentence);
}

void config_load(struct fi_config *config, void (*warn)(const char *sentence))
{
    *config = (struct fi_config){
        .enabled = true,
        .dir = "/dev/shm",
        .max_file = 2ULL << 30,
        .wait_ms = 5000,
        .join_ms = 60000,
        .idle_ms = 10000,
        .dilate = 1,
        .log = LOG_WARN,
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        const struct option *o = &options[i];
        const char *text = getenv(o->name);

        if (text == NULL || text[0] == '\0') {
            continue;
        }
        if (!o->parse(text, (char *)config + o->offset) && warn != NULL) {
            config_complain(o, text, warn);
        }
    }
}

/* --- variables that do not exist --- */

/* Variables by which fastimport talks to its own processes and tests. */
static const char *const internal[] = {"FASTIMPORT_NODE",          "FASTIMPORT_WARNED",
                                       "FASTIMPORT_LIBRARY_NAMES", "FASTIMPORT_LAUNCHER_MPI",
                                       "FASTIMPORT_TOLD",          "FASTIMPORT_BUILD"};
static const char for_tests[] = "FASTIMPORT_TEST_";

enum { LONGEST_NAME = 40, PREFIX = sizeof "FASTIMPORT_" - 1 };

static bool config_is_known(const char *name, size_t n)
{
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (strlen(options[i].name) == n && memcmp(options[i].name, name, n) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof internal / sizeof *internal; i++) {
        if (strlen(internal[i]) == n && memcmp(internal[i], name, n) == 0) {
            return true;
        }
    }
    return strncmp(name, for_tests, sizeof for_tests - 1) == 0;
}

static unsigned smallest(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/* Levenshtein's distance of a name of n bytes and an option's name, regardless of case. */
static unsigned config_distance(const char *a, size_t n, const char *b)
{
    unsigned row[LONGEST_NAME + 1];
    size_t m = strlen(b);

    for (size_t j = 0; j <= m; j++) {
        row[j] = (unsigned)j;
    }
    for (size_t i = 1; i <= n; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned change = diagonal + (toupper((unsigned char)a[i - 1]) != b[j - 1]);

            diagonal = row[j];
            row[j] = smallest(row[j] + 1, row[j - 1] + 1, change);
        }
    }
    return row[m];
}

/* The option that the user probably meant; NULL: none is close. The longer an option's name, the
 * more of it may be wrong. */
static const char *config_nearest(const char *name, size_t n)
{
    const char *best = NULL;
    unsigned nearest = LONGEST_NAME;

    for (size_t i = 1; i < sizeof options / sizeof *options && n <= LONGEST_NAME; i++) {
        unsigned d = config_distance(name, n, options[i].name);

        if (d < nearest && d <= 1 + (strlen(options[i].name) - PREFIX) / 3) {
            nearest = d;
            best = options[i].name;
        }
    }
    return best;
}

void config_name_unknown(char *const environment[], void (*warn)(const char *sentence))
{
    char sentence[900] = "not a setting of fastimport: ";
    const size_t head = strlen(sentence);
    size_t at = head;

    for (; *environment != NULL; environment++) {
        const char *name = *environment;
        size_t n = strcspn(name, "=");
        const char *meant;

        if (strncmp(name, "FASTIMPORT_", PREFIX) != 0 || config_is_known(name, n)) {
            continue;
        }
        if (at > sizeof sentence - 2 * LONGEST_NAME - 200) {
            break;
        }
        meant = config_nearest(name, n);
        at += (size_t)snprintf(sentence + at, sizeof sentence - at, "%s%.*s",
                               at == head ? "" : ", ", n < 100 ? (int)n : 100, name);
        if (meant != NULL) {
            at +=
                (size_t)snprintf(sentence + at, sizeof sentence - at, " (did you mean %s?)", meant);
        }
    }
    if (at > head) {
        warn(sentence);
    }
}

bool config_expand(const char *pattern, int rank, char *out, unsigned long size)
{
    size_t n = 0;

    for (const char *p = pattern; *p != '\0'; p++) {
        char value[256] = {*p, '\0'};

        if (*p == '%' && p[1] != '\0') {
            p++;
            if (*p == 'h' && gethostname(value, sizeof value - 1) != 0) {
                strcpy(value, "localhost");
            } else if (*p == 'r') {
                snprintf(value, sizeof value, "%d", rank);
            } else if (*p == 'p') {
                snprintf(value, sizeof value, "%d", (int)sys_getpid());
            } else if (*p != 'h') {
                snprintf(value, sizeof value, *p == '%' ? "%%" : "%%%c", *p);
            }
        }
        if (n + strlen(value) >= size) {
            return false;
        }
        strcpy(out + n, value);
        n += strlen(value);
    }
    out[n] = '\0';
    return true;
}

/* --- at the start of a process --- */

static void config_warn(const char *sentence)
{
    fi_log(LOG_WARN, "%s", sentence);
}

void config_start(struct fi_config *config, int rank, bool complains)
{
    char file[FI_PATH_MAX];
    const char *name = NULL;
    int error;

    config_load(config, complains ? config_warn : NULL);
    dilation_set(config->dilate);
    if (config->log_file != NULL && config_expand(config->log_file, rank, file, sizeof file)) {
        name = file;
    }
    error = log_configure(config->log, name, rank);
    if (complains) {
        if (error != 0) {
            fi_log(LOG_WARN, "FASTIMPORT_LOG_FILE: cannot open %s: %s; using standard error", name,
                   strerror(-error));
        }
        config_name_unknown(environ, config_warn);
    }
}
