/* SPDX-License-Identifier: BSD-3-Clause */
/* ldcache.c - see ldcache.h */
#include "elf/ldcache.h"

#include <stdint.h>
#include <string.h>

#define OLD_MAGIC    "ld.so-1.7.0"
#define NEW_MAGIC    "glibc-ld.so.cache1.1"
#define HWCAPS_DIR   "glibc-hwcaps/"
#define LEVEL_PREFIX "x86-64-v"

#if defined __aarch64__
enum { LIBRARY_FLAGS = 0x0a03 };
#elif defined __powerpc64__
enum { LIBRARY_FLAGS = 0x0503 };
#else
enum { LIBRARY_FLAGS = 0x0303 };
#endif

enum { EXTENSION_MAGIC = (int)0xeaa42174, TAG_GLIBC_HWCAPS = 1 };

/* The hwcap word of an entry: bit 62 marks an index into the list of glibc-hwcaps names; the ISA
 * level is in bits 32 to 41. */
#define HWCAP_NAMED  (UINT64_C(1) << 62)
#define ISA_LEVEL(h) ((unsigned)((h) >> 32) & 0x3ff)
#define IS_NAMED(h)  ((((h) >> 32) & ~UINT64_C(0x3ff)) == HWCAP_NAMED >> 32)

struct old_header {
    char magic[sizeof OLD_MAGIC - 1];
    uint32_t n;
};

struct old_entry {
    int32_t flags;
    uint32_t key, value;
};

struct header {
    char magic[sizeof NEW_MAGIC - 1];
    uint32_t n, strings_size;
    uint8_t flags, padding[3];
    uint32_t extension;
    uint32_t unused[3];
};

struct entry {
    int32_t flags;
    uint32_t key, value; /* offsets of NUL-terminated strings, from the header on */
    uint32_t osversion;
    uint64_t hwcap;
};

struct section {
    uint32_t tag, flags, offset, size;
};

/* A cache in memory. `base` is the (new) header, from which string offsets count. */
struct cache {
    const char *base;
    size_t size; /* from `base` on */
    /* bytes of the file before `base`: extension offsets count from the start of the file */
    size_t before;
    struct header header;
    const char *subdirs;
};

/* A file that begins with an old table has the new one behind it, aligned to 8. */
static int skip_old(struct cache *cache)
{
    struct old_header old;
    if (cache->size < sizeof old) {
        return 1;
    }
    memcpy(&old, cache->base, sizeof old);
    if (memcmp(old.magic, OLD_MAGIC, sizeof old.magic) != 0) {
        return 1;
    }
    if ((cache->size - sizeof old) / sizeof(struct old_entry) < old.n) {
        return 0;
    }
    size_t skip = (sizeof old + old.n * sizeof(struct old_entry) + 7) & ~(size_t)7;
    if (skip > cache->size) {
        return 0;
    }
    cache->base += skip;
    cache->size -= skip;
    cache->before = skip;
    return 1;
}

static int ldcache_open_cache(struct cache *cache)
{
    if (!skip_old(cache) || cache->size <= sizeof cache->header) {
        return 0;
    }
    memcpy(&cache->header, cache->base, sizeof cache->header);
    const struct header *header = &cache->header;
    if (memcmp(header->magic, NEW_MAGIC, sizeof header->magic) != 0) {
        return 0;
    }
    int endian = header->flags & 3;
    if (endian != 0 && endian != (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 2 : 3)) {
        return 0;
    }
    return (cache->size - sizeof *header) / sizeof(struct entry) >= header->n;
}

static struct entry ldcache_entry_at(const struct cache *cache, size_t i)
{
    struct entry entry;
    memcpy(&entry, cache->base + sizeof(struct header) + i * sizeof entry, sizeof entry);
    return entry;
}

/* A string that ends inside the file, or NULL. */
static const char *ldcache_string_at(const struct cache *cache, uint32_t offset)
{
    if (offset >= cache->size || memchr(cache->base + offset, '\0', cache->size - offset) == NULL) {
        return NULL;
    }
    return cache->base + offset;
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static unsigned ldcache_number(const char **text)
{
    unsigned value = 0;
    while (is_digit(**text)) {
        value = value * 10 + (unsigned)(*(*text)++ - '0');
    }
    return value;
}

/* ldconfig's order: runs of digits compare as numbers, and a digit is greater than any other
 * character. */
static int ldcache_compare(const char *a, const char *b)
{
    while (*a) {
        if (is_digit(*a) != is_digit(*b)) {
            return is_digit(*a) ? 1 : -1;
        }
        if (is_digit(*a)) {
            unsigned left = ldcache_number(&a), right = ldcache_number(&b);
            if (left != right) {
                return (int)(left - right);
            }
        } else if (*a != *b) {
            return *a - *b;
        } else {
            a++;
            b++;
        }
    }
    return *a - *b;
}

/* The name at an index of the list of hwcaps names. NULL if the file has no such list, or a
 * malformed one. */
static const char *hwcaps_name(const struct cache *cache, uint32_t index)
{
    const char *file = cache->base - cache->before;
    size_t size = cache->size + cache->before, at = cache->header.extension;
    uint32_t head[2], offset;
    struct section section;
    if (at == 0 || at > size || size - at < sizeof head) {
        return NULL;
    }
    memcpy(head, file + at, sizeof head);
    at += sizeof head;
    if (head[0] != (uint32_t)EXTENSION_MAGIC || (size - at) / sizeof section < head[1]) {
        return NULL;
    }
    for (uint32_t i = 0; i < head[1]; i++, at += sizeof section) {
        memcpy(&section, file + at, sizeof section);
        if (section.tag != TAG_GLIBC_HWCAPS) {
            continue;
        }
        if (section.offset > size || size - section.offset < section.size ||
            section.size / sizeof offset <= index) {
            return NULL;
        }
        memcpy(&offset, file + section.offset + index * sizeof offset, sizeof offset);
        return ldcache_string_at(cache, offset);
    }
    return NULL;
}

/* The position of a glibc-hwcaps name in the list of subdirectories: 1 is the best, 0 means
 * unusable. */
static unsigned ldcache_priority(const struct cache *cache, const char *name)
{
    const char *at = cache->subdirs;
    for (unsigned rank = 1; *at; rank++) {
        size_t length = strcspn(at, ":");
        size_t prefix = sizeof HWCAPS_DIR - 1;
        if (length > prefix && strncmp(at, HWCAPS_DIR, prefix) == 0 &&
            strlen(name) == length - prefix && memcmp(at + prefix, name, length - prefix) == 0) {
            return rank;
        }
        at += length + (at[length] == ':');
    }
    return 0;
}

/* The ISA level of the processor, taken from the list of subdirectories: x86-64-v3 is 2, the
 * baseline is 0. */
static unsigned isa_level(const struct cache *cache)
{
    const char *best = strstr(cache->subdirs, LEVEL_PREFIX);
    if (best == NULL || !is_digit(best[sizeof LEVEL_PREFIX - 1])) {
        return 0;
    }
    return (unsigned)(best[sizeof LEVEL_PREFIX - 1] - '1');
}

/* 0 if the entry cannot be used here; otherwise the lower the better. */
static unsigned rank_named(const struct cache *cache, const struct entry *entry)
{
    const char *name = hwcaps_name(cache, (uint32_t)entry->hwcap);
    if (name == NULL || ISA_LEVEL(entry->hwcap) > isa_level(cache)) {
        return 0;
    }
    return ldcache_priority(cache, name);
}

static int ldcache_matches(const struct cache *cache, const struct entry *entry, const char *name)
{
    const char *key = ldcache_string_at(cache, entry->key);
    return key != NULL && ldcache_compare(name, key) == 0;
}

/* The index of the first entry of that name, or -1. */
static long find_first(const struct cache *cache, const char *name)
{
    long left = 0, right = (long)cache->header.n - 1;
    while (left <= right) {
        long middle = left + (right - left) / 2;
        struct entry entry = ldcache_entry_at(cache, (size_t)middle);
        const char *key = ldcache_string_at(cache, entry.key);
        if (key == NULL) {
            return -1;
        }
        int order = ldcache_compare(name, key);
        if (order < 0) {
            left = middle + 1;
        } else if (order > 0) {
            right = middle - 1;
        } else {
            for (; middle > 0; middle--) {
                struct entry previous = ldcache_entry_at(cache, (size_t)middle - 1);
                if (!ldcache_matches(cache, &previous, name)) {
                    break;
                }
            }
            return middle;
        }
    }
    return -1;
}

/* Among the entries of one name, those with a hwcaps name come first. The best of them wins;
 * without one, the first other entry. */
static enum fi_ldcache_answer ldcache_choose(const struct cache *cache, long first,
                                             const char *name, const char **path)
{
    unsigned best = 0;
    *path = NULL;
    for (long i = first; i < (long)cache->header.n; i++) {
        struct entry entry = ldcache_entry_at(cache, (size_t)i);
        if (!ldcache_matches(cache, &entry, name)) {
            break;
        }
        const char *value = ldcache_string_at(cache, entry.value);
        if (entry.flags != LIBRARY_FLAGS || value == NULL) {
            continue;
        }
        if (!IS_NAMED(entry.hwcap)) {
            if (*path == NULL && entry.hwcap != 0) {
                return FI_LDCACHE_UNSURE;
            }
            if (*path == NULL) {
                *path = value;
            }
            break;
        }
        unsigned rank = rank_named(cache, &entry);
        if (rank && (!best || rank < best)) {
            best = rank;
            *path = value;
        }
    }
    return *path != NULL ? FI_LDCACHE_FOUND : FI_LDCACHE_ABSENT;
}

enum fi_ldcache_answer fi_ldcache_lookup(const void *data, size_t size, const char *name,
                                         const char *subdirs, const char **path)
{
    struct cache cache = {.base = data, .size = size, .subdirs = subdirs};
    if (!ldcache_open_cache(&cache)) {
        return FI_LDCACHE_ABSENT;
    }
    long first = find_first(&cache, name);
    return first < 0 ? FI_LDCACHE_ABSENT : ldcache_choose(&cache, first, name, path);
}
