/* SPDX-License-Identifier: BSD-3-Clause */
#include "pack/conda.h"

#include <fnmatch.h>
#include <jansson.h>
#include <string.h>

static void conda_take_path(const json_t *path, struct pathmap *out)
{
    const char *name = json_string_value(json_object_get(path, "_path"));
    const char *mode = json_string_value(json_object_get(path, "file_mode"));
    if (name != NULL && mode != NULL && json_object_get(path, "prefix_placeholder") != NULL) {
        pathmap_put(out, name)->layer = strcmp(mode, "binary") == 0 ? 'b' : 't';
    }
}

static int conda_read_record(const char *file, struct pathmap *out, struct error *err)
{
    json_error_t error;
    size_t k;
    json_t *path, *root = json_load_file(file, 0, &error);
    if (root == NULL) {
        return error_set(err, file, "not a valid conda record: %s", error.text);
    }
    json_t *paths = json_object_get(json_object_get(root, "paths_data"), "paths");
    json_array_foreach(paths, k, path) conda_take_path(path, out);
    json_decref(root);
    return 0;
}

int conda_records(const struct items *it, struct pathmap *out, struct error *err)
{
    for (size_t k = 0; k < it->n; k++) {
        if (fnmatch("conda-meta/*.json", it->list[k].path, FNM_PATHNAME) == 0 &&
            conda_read_record(it->list[k].source, out, err) < 0) {
            return -1;
        }
    }
    return 0;
}
