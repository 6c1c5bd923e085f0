/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * glue.c - makes a Python module of a library of the storm. The libraries link with this one, so
 * that only this one compiles Python.h.
 */
#include <Python.h>

typedef long run_fn(void);

static PyObject *call_run(PyObject *self, PyObject *unused)
{
    (void)unused;
    run_fn *const *run = PyModule_GetState(self);
    return PyLong_FromLong((*run)());
}

static PyMethodDef methods[] = {
    {"run", call_run, METH_NOARGS,
     "Calls each function of the module; returns the sum of their results."},
    {NULL, NULL, 0, NULL},
};

PyObject *storm_module(struct PyModuleDef *definition, size_t size, const char *name, run_fn *run);

/* Makes the module `name`, whose run() calls `run`. `definition` is zeroed memory of `size` bytes
 * in the library, because Python keeps it for the life of the process. Returns NULL with a Python
 * error, or without one if `size` is too small. */
PyObject *storm_module(struct PyModuleDef *definition, size_t size, const char *name, run_fn *run)
{
    const struct PyModuleDef filled = {
        PyModuleDef_HEAD_INIT, name, NULL, sizeof run, methods, NULL, NULL, NULL, NULL};
    if (size < sizeof filled) {
        return NULL;
    }
    *definition = filled;
    PyObject *module = PyModule_Create(definition);
    if (module != NULL) {
        *(run_fn **)PyModule_GetState(module) = run;
    }
    return module;
}
