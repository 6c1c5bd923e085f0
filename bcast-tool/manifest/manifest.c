/* SPDX-License-Identifier: BSD-3-Clause */
#include "manifest/manifest.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/io.h"

#define MAGIC "python-mpi-bcast-manifest 1"

struct manifest_writer {
    FILE *out;
    XXH3_state_t *sum;
    uint64_t count;
    char *line; /* the line that is being made */
    size_t used, room;
};

struct manifest_reader {
    FILE *in;
    XXH3_state_t *sum;
    uint64_t count;
    struct manifest_head head;
    char *line;
    size_t room;
};

void manifest_head_free(struct manifest_head *h)
{
    for (int i = 0; i < h->prefixes; i++) {
        free(h->prefix[i].old);
        free(h->prefix[i].subdir);
    }
    h->prefixes = 0;
}

static XXH3_state_t *manifest_new_sum(void)
{
    XXH3_state_t *s = XXH3_createState();
    XXH3_64bits_reset(s);
    return s;
}

/* Makes room for `n` more bytes of the line. */
static char *manifest_line_room(struct manifest_writer *w, size_t n)
{
    if (w->used + n > w->room) {
        w->room = 2 * (w->used + n);
        w->line = io_realloc(w->line, w->room);
    }
    return w->line + w->used;
}

static void manifest_add_text(struct manifest_writer *w, const char *text)
{
    size_t n = strlen(text);
    memcpy(manifest_line_room(w, n), text, n);
    w->used += n;
}

/* Writes blanks, control characters and '%' of a name as %XX, and the empty name as "%". */
static void manifest_add_name(struct manifest_writer *w, const char *name)
{
    static const char digits[] = "0123456789ABCDEF";
    char *to = manifest_line_room(w, 3 * strlen(name) + 1), *start = to;
    if (!*name) {
        *to++ = '%';
    }
    for (const unsigned char *p = (const unsigned char *)name; *p; p++) {
        bool plain = *p > ' ' && *p != '%' && *p != 0x7f;
        *to++ = plain ? (char)*p : '%';
        if (!plain) {
            *to++ = digits[*p >> 4];
            *to++ = digits[*p & 15];
        }
    }
    w->used += (size_t)(to - start);
}

static int manifest_hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes a name in place. False if it is not what manifest_add_name() writes. */
static bool manifest_take_name(char *s)
{
    char *to = s;
    if (strcmp(s, "%") == 0) {
        *s = '\0';
    }
    for (char *p = s; *p; p++) {
        if (*p != '%') {
            *to++ = *p;
            continue;
        }
        int high = manifest_hex_digit(p[1]), low = high < 0 ? -1 : manifest_hex_digit(p[2]);
        if (low < 0 || (high | low) == 0) {
            return false;
        }
        *to++ = (char)(high << 4 | low);
        p += 2;
    }
    *to = '\0';
    return true;
}

static void manifest_put_line(struct manifest_writer *w)
{
    manifest_add_text(w, "\n");
    XXH3_64bits_update(w->sum, w->line, w->used);
    fwrite(w->line, 1, w->used, w->out);
    w->used = 0;
}

static void manifest_put_head(struct manifest_writer *w, const struct manifest_head *h)
{
    char numbers[96];
    manifest_add_text(w, MAGIC "\nkind ");
    manifest_add_text(w, h->kind);
    manifest_add_text(w, "\nframing ");
    manifest_add_text(w, h->framing);
    for (int i = 0; i < h->prefixes; i++) {
        manifest_add_text(w, "\nprefix ");
        manifest_add_name(w, h->prefix[i].old);
        manifest_add_text(w, " ");
        manifest_add_name(w, h->prefix[i].subdir);
    }
    snprintf(numbers, sizeof numbers, "\nfiles %" PRIu64 "\nbytes %" PRIu64 "\nentries", h->files,
             h->bytes);
    manifest_add_text(w, numbers);
    manifest_put_line(w);
}

struct manifest_writer *manifest_create(FILE *out, const struct manifest_head *h)
{
    struct manifest_writer *w = io_alloc(sizeof *w);
    w->out = out;
    w->sum = manifest_new_sum();
    manifest_put_head(w, h);
    return w;
}

void manifest_add(struct manifest_writer *w, const struct record *r)
{
    char facts[128];
    const struct entry *e = &r->entry;
    snprintf(facts, sizeof facts, "%c %04o %" PRId64 ".%09ld %" PRIu64 " %016" PRIx64 " %s ",
             (char)e->type, (unsigned)e->mode, (int64_t)e->mtime.tv_sec, e->mtime.tv_nsec, e->size,
             r->sum, r->reloc);
    manifest_add_text(w, facts);
    manifest_add_name(w, e->path);
    if (e->link != NULL) {
        manifest_add_text(w, " ");
        manifest_add_name(w, e->link);
    }
    manifest_put_line(w);
    w->count++;
}

int manifest_finish(struct manifest_writer *w, struct error *err)
{
    fprintf(w->out, "end %" PRIu64 " %016" PRIx64 "\n", w->count,
            (uint64_t)XXH3_64bits_digest(w->sum));
    int r = fflush(w->out) != 0 || ferror(w->out)
                ? error_set_errno(err, NULL, "cannot write the manifest")
                : 0;
    XXH3_freeState(w->sum);
    free(w->line);
    free(w);
    return r;
}

/* The next line without its newline. NULL at the end of the file, or if the line has no newline. */
static char *manifest_get_line(struct manifest_reader *r)
{
    ssize_t n = getline(&r->line, &r->room, r->in);
    if (n <= 0 || r->line[n - 1] != '\n') {
        return NULL;
    }
    if (strncmp(r->line, "end ", 4) != 0) {
        XXH3_64bits_update(r->sum, r->line, (size_t)n);
    }
    r->line[n - 1] = '\0';
    return r->line;
}

static bool manifest_head_prefix(struct manifest_head *h, char *value)
{
    char *blank = strchr(value, ' ');
    if (blank == NULL || h->prefixes == MANIFEST_PREFIXES) {
        return false;
    }
    *blank = '\0';
    if (!manifest_take_name(value) || !manifest_take_name(blank + 1) || value[0] != '/') {
        return false;
    }
    h->prefix[h->prefixes].old = io_strdup(value);
    h->prefix[h->prefixes++].subdir = io_strdup(blank + 1);
    return true;
}

/* Takes one line "key value". Unknown keys are passed over, so that a later version can add some.
 */
static bool manifest_head_line(struct manifest_head *h, char *line)
{
    char *value = strchr(line, ' ');
    if (value == NULL) {
        return false;
    }
    *value++ = '\0';
    if (strcmp(line, "kind") == 0) {
        snprintf(h->kind, sizeof h->kind, "%s", value);
    } else if (strcmp(line, "framing") == 0) {
        snprintf(h->framing, sizeof h->framing, "%s", value);
    } else if (strcmp(line, "prefix") == 0) {
        return manifest_head_prefix(h, value);
    } else if (strcmp(line, "files") == 0) {
        h->files = strtoull(value, NULL, 10);
    } else if (strcmp(line, "bytes") == 0) {
        h->bytes = strtoull(value, NULL, 10);
    }
    return true;
}

static int manifest_read_head(struct manifest_reader *r, struct error *err)
{
    char *line = manifest_get_line(r);
    if (line == NULL || strcmp(line, MAGIC) != 0) {
        return error_set(err, NULL, "not a manifest of a version this program knows");
    }
    while ((line = manifest_get_line(r)) != NULL && strcmp(line, "entries") != 0) {
        if (!manifest_head_line(&r->head, line)) {
            return error_set(err, NULL, "the manifest's head is damaged");
        }
    }
    return line != NULL ? 0 : error_set(err, NULL, "the manifest's head is cut off");
}

struct manifest_reader *manifest_open(FILE *in, struct error *err)
{
    struct manifest_reader *r = io_alloc(sizeof *r);
    r->in = in;
    r->sum = manifest_new_sum();
    if (manifest_read_head(r, err) == 0) {
        return r;
    }
    manifest_close(r);
    return NULL;
}

const struct manifest_head *manifest_head(const struct manifest_reader *r)
{
    return &r->head;
}

void manifest_close(struct manifest_reader *r)
{
    if (r == NULL) {
        return;
    }
    manifest_head_free(&r->head);
    XXH3_freeState(r->sum);
    free(r->line);
    free(r);
}

static int manifest_read_end(struct manifest_reader *r, const char *line, struct error *err)
{
    uint64_t count, sum;
    if (sscanf(line, "end %" SCNu64 " %16" SCNx64, &count, &sum) != 2 || count != r->count ||
        sum != (uint64_t)XXH3_64bits_digest(r->sum)) {
        return error_set(err, NULL, "the manifest is damaged");
    }
    return 0;
}

static bool manifest_valid_type(char type, bool link)
{
    return strchr("fdlh", type) != NULL &&
           link == (type == ENTRY_SYMLINK || type == ENTRY_HARDLINK);
}

/* Reads a number in `base` that ends with `end`, and moves `*p` behind it. */
static bool manifest_number(char **p, int base, char end, uint64_t *out)
{
    char *stop;
    *out = strtoull(*p, &stop, base);
    if (stop == *p || *stop != end) {
        return false;
    }
    *p = stop + 1;
    return true;
}

static bool manifest_take_reloc(char **p, char out[MANIFEST_RELOC])
{
    char *blank = strchr(*p, ' ');
    size_t n = blank != NULL ? (size_t)(blank - *p) : 0;
    if (n == 0 || n >= MANIFEST_RELOC) {
        return false;
    }
    memcpy(out, *p, n);
    out[n] = '\0';
    *p = blank + 1;
    return true;
}

static bool manifest_take_names(char *path, struct entry *e)
{
    char *link = strchr(path, ' ');
    if (link != NULL) {
        *link++ = '\0';
    }
    if (!*path || !manifest_valid_type((char)e->type, link != NULL) || !manifest_take_name(path) ||
        (link != NULL && !manifest_take_name(link))) {
        return false;
    }
    e->path = path;
    e->link = link;
    return true;
}

/* TYPE MODE MTIME SIZE SUM RELOC PATH [TARGET] */
static bool manifest_parse_record(char *line, struct record *out)
{
    struct entry *e = &out->entry;
    uint64_t mode, seconds, nanoseconds;
    char *p = line + 2;
    if (!line[0] || line[1] != ' ' || !manifest_number(&p, 8, ' ', &mode) ||
        !manifest_number(&p, 10, '.', &seconds) || !manifest_number(&p, 10, ' ', &nanoseconds) ||
        !manifest_number(&p, 10, ' ', &e->size) || !manifest_number(&p, 16, ' ', &out->sum) ||
        !manifest_take_reloc(&p, out->reloc)) {
        return false;
    }
    e->type = (enum entry_type)line[0];
    e->mode = mode & ENTRY_MODE;
    e->mtime = (struct timespec){(time_t)seconds, (long)(nanoseconds % 1000000000)};
    return manifest_take_names(p, e);
}

int manifest_next(struct manifest_reader *r, struct record *record, struct error *err)
{
    char *line = manifest_get_line(r);
    if (line == NULL) {
        return error_set(err, NULL, "the manifest is cut off");
    }
    if (strncmp(line, "end ", 4) == 0) {
        return manifest_read_end(r, line, err);
    }
    r->count++;
    return manifest_parse_record(line, record)
               ? 1
               : error_set(err, NULL, "a line of the manifest is damaged");
}
