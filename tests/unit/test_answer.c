/* SPDX-License-Identifier: BSD-3-Clause */
/* answer/directory, answer/library, report: from records to what a call returns, and the last word
 * of a job. */
#include "scratch.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "answer/answer.h"
#include "answer/directory.h"
#include "base/protected_fd.h"
#include "cache/library_record.h"
#include "dlopen/closure.h"
#include "dlopen/load.h"
#include "faults.h"
#include "report/report.h"
#include "samples.h"

static void reads_a_listing_in_order(void **state)
{
    static const char *const names[] = {"__init__.py", "a", "a-name-that-is-a-little-longer.so",
                                        "b"};
    struct record *r = sample_record(RECORD_LIST, scratch());
    struct directory *d = directory_open(r);

    (void)state;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 4; i++) {
            const struct dirent *e = directory_read(d);

            assert_string_equal(e->d_name, names[i]);
            assert_int_equal(e->d_ino, 100 + i);
            assert_int_equal(e->d_off, i + 1);
            assert_true(e->d_reclen % 8 == 0 && e->d_reclen > strlen(names[i]));
        }
        assert_null(directory_read(d));
        assert_null(directory_read(d));
        directory_seek(d, 0);
    }
    directory_seek(d, 2);
    assert_string_equal(directory_read(d)->d_name, names[2]);
    directory_seek(d, 99);
    assert_null(directory_read(d));
    directory_close(d);
    fault_arm(FAULT_malloc, 1, 0, 1);
    assert_null(directory_open(r));
    free(r);
}

static void a_stream_is_known_by_its_address(void **state)
{
    struct record *r = sample_record(RECORD_LIST, scratch());
    struct directory *d = directory_open(r);
    DIR *real = opendir(scratch());
    struct stat a;
    struct stat b;

    (void)state;
    assert_ptr_equal(directory_of((DIR *)d), d);
    assert_null(directory_of(real));
    assert_null(directory_of(NULL));
    assert_int_equal(fstat(directory_fd(d), &a), 0);
    assert_int_equal(stat(scratch(), &b), 0);
    assert_int_equal(a.st_ino, b.st_ino);
    assert_int_equal(directory_fd(d), directory_fd(d));
    closedir(real);
    directory_close(d);
    free(r);
}

/* A RECORD_LIBRARY of one item. */
static struct record *library_record(const char *item, size_t size)
{
    struct record *r = sample_make(RECORD_LIBRARY, "/x.so", 5, size);

    memcpy((void *)record_payload(r), item, size);
    record_seal(r);
    return r;
}

static int opened;

static void *fake_dlopen(const char *path, int flags)
{
    (void)path;
    (void)flags;
    opened++;
    return NULL;
}

/* The stub can be written nowhere, the mirror's file is not there, or may not be mapped: nothing is
 * left loaded. */
static void a_library_that_cannot_be_loaded_is_left_to_ld_so(void **state)
{
    static const char alone[] = "D/root/x.so\0\0"; /* LIBRARY_OURS: from the mirror */
    const struct library_calls calls = {.dlopen = fake_dlopen};
    struct node_cache node = {.directory = "/nowhere", .directory_length = 8, .may_execute = false};
    struct record *r = library_record(alone, sizeof alone);
    struct fi_query left = query_make(RECORD_UNSERVED, 0, "/root/x.so", 10);

    (void)state;
    assert_int_equal(segment_create(&node.index, scratch_path("index"), 1 << 20, 1, 1), 0);
    assert_null(load_library(&node, r, "/root/x.so", RTLD_NOW, &calls));
    assert_int_equal(opened, 0); /* mounted noexec: not even tried */
    node.may_execute = true;
    assert_null(load_library(&node, r, "/root/x.so", RTLD_NOLOAD | RTLD_NOW, &calls));
    assert_null(load_library(&node, r, "/root/x.so", RTLD_NOW, &calls));
    assert_non_null(segment_find(&node.index, &left));
    segment_detach(&node.index);
    free(r);
}

/* Whatever stands in a payload, stepping through it ends and stays inside. */
static void items_that_make_no_sense_end_the_list(void **state)
{
    static const char *const payloads[] = {"",      "\0",     "A",        "A/x",      "A\0",
                                           "A/x\0", "A/x\0s", "\0\0\0\0", "A/x\0s\0n"};
    static const size_t sizes[] = {1, 2, 2, 4, 3, 5, 6, 4, 8};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct record *r = library_record(payloads[i], sizes[i]);
        struct library_item item;
        size_t at = 0;

        assert_false(library_record_next(r, &at, &item));
        free(r);
    }
}

static void without_the_companion_libraries_are_left_alone(void **state)
{
    struct node_cache node;
    struct fill fill;
    static struct policy policy;
    struct fi_query q = query_make(RECORD_LIBRARY, 0, "/x.so", 5);
    const struct record *r;
    const char *text;

    (void)state;
    assert_int_equal(node_create(&node, scratch(), 1), 0);
    fill_init(&fill, &node, true, 1, 1);
    capture_begin();
    assert_false(closure_prepare(&fill, &policy)); /* there is none beside this program */
    text = capture_end();
#ifndef __SANITIZE_ADDRESS__
    assert_int_equal(occurrences(text, "libraries are left to ld.so"), 1);
#else
    (void)text; /* not even looked for */
#endif
    r = closure_lookup(&node, &q, 0);
    assert_true((r->flags & RECORD_UNAVAILABLE) != 0);
    segment_detach(&node.index);
    protected_fd_close(node.lock);
}

static struct fi_counters counters[3];

static struct report_facts facts_of_a_job(void)
{
    static const struct report_libraries left = {
        {{(char *)"/sw/\"odd\".so", (char *)"no reason", 2}}, 1, 3};

    for (int i = 0; i < 3; i++) {
        counters[i].intercepted[CALL_STAT] = 10;
        counters[i].lookups = 7;
        counters[i].waiting_ns = (uint64_t)(i + 1) * 1000000000;
    }
    counters[0].fallbacks[FALLBACK_TIMEOUT] = 5;
    return (struct report_facts){.job_id = "",
                                 .ranks = 3,
                                 .nodes = 2,
                                 .root = 0,
                                 .mpi_library = "A \"quoted\\\" MPI\t1",
                                 .roots = "A/sw/env\nX/tmp\n",
                                 .cache_bytes = 100,
                                 .index_bytes = 23,
                                 .plan = {.file = ""},
                                 .unserved = &left};
}

static void reports_for_people(void **state)
{
    struct report_facts facts = facts_of_a_job();
    const char *text;

    (void)state;
    capture_begin();
    report_write("stderr", &facts, counters, 3);
    text = capture_end();
    assert_non_null(strstr(text, "3 ranks on 2 nodes"));
    assert_non_null(strstr(text, "timeout"));
    assert_non_null(strstr(text, "left to ld.so on 2 nodes: /sw/\"odd\".so (no reason)\n"));
    assert_non_null(strstr(text, "left to ld.so: 3 more\n"));
    assert_non_null(strstr(text, "min 1.000  median 2.000  max 3.000"));
    capture_begin();
    report_write("stderr", &facts, counters, 0); /* nobody reported */
    text = capture_end();
    assert_non_null(strstr(text, "3 ranks on 2 nodes"));
}

static void reports_as_json(void **state)
{
    struct report_facts facts = facts_of_a_job();
    char command[600];
    const char *text;

    (void)state;
    report_write(scratch_path("r.json"), &facts, counters, 3);
    assert_int_equal(scratch_count("."), 1); /* no temporary file is left */
    snprintf(command, sizeof command,
             "/usr/bin/python3 -c 'import json,sys; r = json.load(open(sys.argv[1])); "
             "sys.exit(not (r[\"ranks\"] == 3 and r[\"lookups\"] == 21 and r[\"mpi\"] == \"A "
             "\\\"quoted\\\\\\\" MPI\\t1\" "
             "and r[\"waiting_seconds\"][\"median\"] == 2 and "
             "r[\"left_to_ld_so\"] == [{\"path\": \"/sw/\\\"odd\\\".so\", \"why\": \"no reason\", "
             "\"nodes\": 2}] "
             "and r[\"left_to_ld_so_unnamed\"] == 3))' %s",
             scratch_path("r.json"));
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
    capture_begin();
    report_write(scratch_path("no/such/r.json"), &facts, counters, 3);
    text = capture_end();
    assert_non_null(strstr(text, "cannot write"));
    assert_non_null(strstr(text, "No such file or directory"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(reads_a_listing_in_order),
        scratch_test(a_stream_is_known_by_its_address),
        scratch_test(a_library_that_cannot_be_loaded_is_left_to_ld_so),
        scratch_test(items_that_make_no_sense_end_the_list),
        scratch_test(without_the_companion_libraries_are_left_alone),
        scratch_test(reports_for_people),
        scratch_test(reports_as_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
