# SPDX-License-Identifier: BSD-3-Clause
"""Arrays, compilers, statistics and symbols. See __init__.py for what a row is."""

PROGRAMS = {
    "numba": ("numba", """
        import numba, numpy

        @numba.njit(cache=True)
        def total(n):
            s = 0
            for i in range(n):
                s += i * i
            return s

        @numba.njit(parallel=True)
        def double(x):
            for i in numba.prange(x.size):
                x[i] *= 2
            return x

        @numba.vectorize(["float64(float64)"])
        def cube(x):
            return x ** 3

        print(total(10), double(numpy.arange(4.0)).tolist(), cube(numpy.arange(3.0)).tolist(), numba.config.THREADING_LAYER)
        """),
    "pandas": ("pandas", """
        import pandas
        frame = pandas.DataFrame({"when": pandas.date_range("2020-01-01", periods=6, tz="Europe/Berlin"), "group": list("aabbcc"), "n": range(6)})
        frame.to_csv("a.csv", index=False)
        frame.to_pickle("a.pickle")
        back = pandas.read_csv("a.csv", parse_dates=["when"])
        print(back.groupby("group").n.agg(["sum", "mean"]).to_string())
        print(pandas.read_pickle("a.pickle").equals(frame), back.shape, frame.resample("2D", on="when").n.sum().tolist())
        """),
    "polars": ("polars", """
        import polars
        frame = polars.DataFrame({"a": [1, 2, 3, 4], "b": ["x", "y", "x", "y"]})
        frame.write_parquet("a.parquet")
        print(polars.scan_parquet("a.parquet").group_by("b").agg(polars.col("a").sum()).sort("b").collect())
        print(polars.SQLContext(t=frame).execute("SELECT b, COUNT(*) AS n FROM t GROUP BY b ORDER BY b").collect().rows())
        """),
    "xarray-dask": ("xarray dask distributed netCDF4", """
        import dask.array, dask.distributed, numpy, xarray
        if __name__ == "__main__":
            print(dask.array.arange(100, chunks=10).sum().compute(scheduler="processes", num_workers=2))
            data = xarray.Dataset({"t": (("x", "y"), numpy.arange(12.0).reshape(3, 4))}, coords={"x": [1, 2, 3]})
            data.to_netcdf("a.nc")
            with xarray.open_dataset("a.nc", chunks={"x": 1}) as back:
                print(float(back.t.mean().compute()), back.sizes["y"], back.equals(data))
            with dask.distributed.Client(n_workers=2, threads_per_worker=1, dashboard_address=":0") as client:
                print(sum(client.gather(client.map(lambda n: n * n, range(5)))))
        """),
    "statsmodels": ("statsmodels", """
        import numpy, statsmodels.api as sm, statsmodels.formula.api as smf, pandas
        x = numpy.arange(20.0)
        frame = pandas.DataFrame({"x": x, "y": 3 * x + 2 + numpy.sin(x)})
        print(smf.ols("y ~ x", frame).fit().params.round(6).to_dict(), sm.OLS(frame.y, sm.add_constant(x)).fit().rsquared > 0.99)
        """),
    "sympy": ("sympy", """
        import sympy
        x = sympy.symbols("x")
        print(sympy.integrate(sympy.exp(-x ** 2), (x, -sympy.oo, sympy.oo)), sympy.factor(x ** 4 - 1), sympy.latex(sympy.sqrt(x)))
        print(sympy.lambdify(x, sympy.sin(x) ** 2)(0.5), sympy.dsolve(sympy.Function("f")(x).diff(x) - 1).rhs)
        """),
    "networkx": ("networkx scipy", """
        import networkx
        graph = networkx.karate_club_graph()
        print(networkx.diameter(graph), round(networkx.pagerank(graph)[0], 6), len(networkx.community.louvain_communities(graph, seed=1)))
        networkx.write_graphml(graph, "a.graphml")
        print(len(networkx.read_graphml("a.graphml")))
        """),
    "mpi4py.futures": ("mpi4py", """
        from mpi4py import MPI
        from mpi4py.futures import MPICommExecutor
        with MPICommExecutor(MPI.COMM_WORLD, root=0) as executor:
            if executor is not None:
                print(list(executor.map(pow, range(5), [2] * 5)))
        assert MPI.COMM_WORLD.size == 2, MPI.Get_library_version()
        print(MPI.COMM_WORLD.allreduce(MPI.COMM_WORLD.rank + 1))
        """),
    "cupy": ("cupy-cuda12x", """
        try:
            import cupy
            cupy.arange(3).sum()
            print("computed")
        except Exception as e:
            print(type(e).__name__, str(e).splitlines()[0])
        """),
}
