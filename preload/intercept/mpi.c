/* mpi.c - MPI_Init and its like: see mpi/init.h. */
#include "mpi/init.h"

#define X(result, name, parameters) __attribute__((visibility("default"))) result name parameters;
#include "intercept/mpi.def"
#undef X

int MPI_Init(int *argc, char ***argv)
{
    static struct init_name name = {"MPI_Init", 0};

    return init_init(&name, argc, argv);
}

int MPI_Init_thread(int *argc, char ***argv, int required, int *provided)
{
    static struct init_name name = {"MPI_Init_thread", 0};

    return init_init_thread(&name, argc, argv, required, provided);
}

int MPI_Initialized(int *flag)
{
    static struct init_name name = {"MPI_Initialized", 0};

    return init_initialized(&name, flag);
}

int MPI_Finalized(int *flag)
{
    static struct init_name name = {"MPI_Finalized", 0};

    return init_finalized(&name, flag);
}

int MPI_Is_thread_main(int *flag)
{
    static struct init_name name = {"MPI_Is_thread_main", 0};

    return init_is_thread_main(&name, flag);
}

int MPI_Finalize(void)
{
    static struct init_name name = {"MPI_Finalize", 0};

    return init_finalize(&name);
}

int PMPI_Init(int *argc, char ***argv)
{
    static struct init_name name = {"PMPI_Init", 0};

    return init_init(&name, argc, argv);
}

int PMPI_Init_thread(int *argc, char ***argv, int required, int *provided)
{
    static struct init_name name = {"PMPI_Init_thread", 0};

    return init_init_thread(&name, argc, argv, required, provided);
}

int PMPI_Initialized(int *flag)
{
    static struct init_name name = {"PMPI_Initialized", 0};

    return init_initialized(&name, flag);
}

int PMPI_Finalized(int *flag)
{
    static struct init_name name = {"PMPI_Finalized", 0};

    return init_finalized(&name, flag);
}

int PMPI_Is_thread_main(int *flag)
{
    static struct init_name name = {"PMPI_Is_thread_main", 0};

    return init_is_thread_main(&name, flag);
}

int PMPI_Finalize(void)
{
    static struct init_name name = {"PMPI_Finalize", 0};

    return init_finalize(&name);
}
