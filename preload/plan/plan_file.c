/* SPDX-License-Identifier: BSD-3-Clause */
/* plan_file.c - see plan_file.h */
#include "plan/plan_file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/path.h"
#include "base/sys.h"
#include "cache/query.h"

static const char head[] = "fastimport plan 2\n";

/* --- lines --- */

/* Writes a path; bytes that would break the file's lines become %XX. */
static void plan_file_escape(FILE *f, const char *path)
{
    for (; *path != '\0'; path++) {
        unsigned char c = (unsigned char)*path;

        if (c < 0x20 || c == '%') {
            fprintf(f, "%%%02X", c);
        } else {
            fputc(c, f);
        }
    }
}

static bool plan_file_unescape(char *text)
{
    char *out = text;

    for (; *text != '\0'; text++) {
        unsigned value;

        if (*text != '%') {
            *out++ = *text;
        } else if (isxdigit((unsigned char)text[1]) && isxdigit((unsigned char)text[2]) &&
                   sscanf(text + 1, "%2x", &value) == 1 && value != 0) {
            *out++ = (char)value;
            text += 2;
        } else {
            return false;
        }
    }
    *out = '\0';
    return true;
}

static bool parse_entry(struct plan *plan, char *line)
{
    struct plan_entry e = {0};
    struct fi_query q;
    unsigned kind;
    unsigned age;
    int at = 0;

    if (sscanf(line, "%u %" SCNx64 " %u %" SCNu64 " %n", &kind, &e.argument, &age, &e.size, &at) !=
            4 ||
        at == 0) {
        return false;
    }
    e.path = line + at;
    if (kind >= RECORD_KINDS || age > PLAN_MAX_AGE || !plan_file_unescape(e.path)) {
        return false;
    }
    e.kind = (uint8_t)kind;
    e.age = (uint16_t)age;
    e.length = (uint32_t)strlen(e.path);
    q = query_make((enum record_kind)kind, e.argument, e.path, e.length);
    return query_is_sound(&q) && plan_add(plan, &e);
}

/* parts: room for EXTENTS_MAX. "touched <inode> <size> <seconds> <nanoseconds> <age> <first>+<number> ..." */
static bool parse_touched(struct plan *plan, struct record_extent *parts, char *line)
{
    struct plan_touched t = {.parts = parts};
    unsigned age;
    int at = 0;

    if (sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNd64 " %" SCNd64 " %u%n", &t.file.inode,
               &t.file.size, &t.file.seconds, &t.file.nanoseconds, &age, &at) != 5 ||
        age > PLAN_MAX_AGE) {
        return false;
    }
    t.age = (uint16_t)age;
    for (line += at; *line != '\0'; line += at) {
        struct record_extent *e = &parts[t.n];
        const struct record_extent *before = t.n == 0 ? NULL : e - 1;

        if (t.n == EXTENTS_MAX ||
            sscanf(line, " %" SCNx64 "+%" SCNx64 "%n", &e->offset, &e->length, &at) != 2 ||
            e->length == 0 || e->length > UINT32_MAX || e->offset > UINT32_MAX ||
            (before != NULL && e->offset <= before->offset + before->length)) {
            return false;
        }
        t.n++;
    }
    return t.n > 0 && plan_add_touched(plan, &t);
}

static bool parse_line(struct plan *plan, char *line)
{
    static const char touched[] = "touched";
    struct record_extent *parts;
    bool right;

    if (strncmp(line, touched, sizeof touched - 1) != 0) {
        return parse_entry(plan, line);
    }
    parts = calloc(EXTENTS_MAX, sizeof *parts);
    right = parts != NULL && parse_touched(plan, parts, line + sizeof touched - 1);
    free(parts);
    return right;
}

/* Checks the last line, "end <checksum of all before it>". Returns where it begins; NULL: it is
 * wrong. */
static char *check_end(char *text, size_t size)
{
    char *end = text == NULL || size < 2 ? NULL : memrchr(text, '\n', size - 1);
    uint64_t sum;

    if (end == NULL || sscanf(++end, "end %" SCNx64, &sum) != 1 ||
        sum != fi_hash(text, (size_t)(end - text), 0)) {
        return NULL;
    }
    return end;
}

/* Adds the entries of the text. NULL, or what is wrong with it. */
static const char *plan_file_parse(struct plan *plan, char *text, size_t size)
{
    char *end = check_end(text, size);
    uint64_t key;
    char *line;
    char *save;

    if (strncmp(text, head, sizeof head - 1) != 0) {
        return "it is no plan, or one of another version";
    }
    if (end == NULL) {
        return "it is truncated or damaged";
    }
    *end = '\0';
    (void)strtok_r(text, "\n", &save); /* the head */
    line = strtok_r(NULL, "\n", &save);
    if (line == NULL || sscanf(line, "key %" SCNx64, &key) != 1 ||
        (plan->key != 0 && key != plan->key)) {
        return "it was made for another environment";
    }
    plan->key = key;
    while ((line = strtok_r(NULL, "\n", &save)) != NULL) {
        if (plan->n == PLAN_MAX_ENTRIES) {
            return "it has more than a million entries";
        }
        if (!parse_line(plan, line)) {
            return "it has a line that makes no sense";
        }
    }
    return NULL;
}

/* --- reading --- */

/* May this file be believed? Looks at the opened file, not at the name, which may be another file's
 * by now. NULL, or what is wrong with it. */
static const char *check_owner(const struct stat *st, struct plan *plan)
{
    if (!S_ISREG(st->st_mode)) {
        plan->save = false;
        return "it is no regular file";
    }
    if (st->st_uid != 0 && st->st_uid != geteuid()) {
        plan->save = false;
        return "it belongs to another user";
    }
    if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return "others may write to it (chmod go-w)";
    }
    return st->st_size > PLAN_FILE_BYTES ? "it is larger than 64 MiB" : NULL;
}

static const char *read_whole(int fd, size_t size, struct plan *plan)
{
    char *text = malloc(size + 1);
    ssize_t n = text == NULL ? -ENOMEM : sys_pread_all(fd, text, size, 0);
    const char *wrong;

    if (n >= 0) {
        text[n] = '\0';
        wrong = plan_file_parse(plan, text, (size_t)n);
    } else {
        wrong = strerror((int)-n);
    }
    free(text);
    return wrong;
}

static const char *read_file(int fd, struct plan *plan)
{
    struct stat st;
    int error = sys_fstat(fd, &st);
    const char *wrong = error != 0 ? strerror(-error) : check_owner(&st, plan);

    return wrong != NULL ? wrong : read_whole(fd, (size_t)st.st_size, plan);
}

/* O_NONBLOCK, because the name may be that of a FIFO without a writer, or of a device. */
const char *plan_file_read(struct plan *plan)
{
    int fd = sys_open(plan->file, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
    const char *wrong;

    if (fd == -ENOENT && plan->save) {
        return NULL; /* the first run */
    }
    if (fd < 0) {
        return strerror(-fd);
    }
    wrong = read_file(fd, plan);
    sys_close(fd);
    return wrong;
}

/* --- writing --- */

static void format_touched(const struct plan *plan, FILE *f)
{
    for (size_t i = 0; i < plan->n_touched; i++) {
        const struct plan_touched *t = &plan->touched[i];

        if (t->age >= PLAN_MAX_AGE || ftell(f) > PLAN_FILE_BYTES - EXTENTS_MAX * 64) {
            continue;
        }
        fprintf(f, "touched %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 " %u", t->file.inode,
                t->file.size, t->file.seconds, t->file.nanoseconds, t->age);
        for (uint32_t k = 0; k < t->n; k++) {
            fprintf(f, " %" PRIx64 "+%" PRIx64, t->parts[k].offset, t->parts[k].length);
        }
        fputc('\n', f);
    }
}

static char *plan_file_format(const struct plan *plan, size_t *size)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, size);

    if (f == NULL) {
        return NULL;
    }
    fprintf(f, "%skey %016" PRIx64 "\n", head, plan->key);
    for (size_t i = 0; i < plan->n; i++) {
        const struct plan_entry *e = &plan->entries[i];

        if (e->age < PLAN_MAX_AGE && ftell(f) < PLAN_FILE_BYTES - 4 * FI_PATH_MAX) {
            fprintf(f, "%u %" PRIx64 " %u %" PRIu64 " ", e->kind, e->argument, e->age, e->size);
            plan_file_escape(f, e->path);
            fputc('\n', f);
        }
    }
    format_touched(plan, f);
    fflush(f);
    fprintf(f, "end %016" PRIx64 "\n", fi_hash(text, *size, 0));
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

int plan_file_write(const struct plan *plan)
{
    size_t size = 0;
    char *text = plan_file_format(plan, &size);
    int error = text == NULL ? -ENOMEM : file_replace(plan->file, text, size, 0600);

    free(text);
    return error;
}
