/*
 * glue.c - makes a Python module of a storm library, so that those need not compile Python.h each.
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

/* definition is the library's own zeroed memory: Python keeps it for the life of the process. */
PyObject *storm_module(struct PyModuleDef *definition, size_t size, const char *name, run_fn *run)
{
    const struct PyModuleDef filled = {
        PyModuleDef_HEAD_INIT, name, NULL, sizeof run, methods, NULL, NULL, NULL, NULL};
    if (size < sizeof filled)
        return NULL;
    *definition = filled;
    PyObject *module = PyModule_Create(definition);
    if (module)
        *(run_fn **)PyModule_GetState(module) = run;
    return module;
}
