# SPDX-License-Identifier: BSD-3-Clause
"""File formats, pictures and databases. See __init__.py for what a row is."""

PROGRAMS = {
    "matplotlib": ("matplotlib", """
        import matplotlib
        matplotlib.use("Agg")
        import hashlib, matplotlib.pyplot as plt, os
        figure, axes = plt.subplots()
        axes.plot([1, 3, 2], label="$x^2$")
        axes.legend()
        axes.set_title("Über alles")
        figure.savefig("a.png", metadata={"Software": None})
        figure.savefig("a.pdf")
        figure.savefig("a.svg")
        print(hashlib.sha256(open("a.png", "rb").read()).hexdigest(), os.path.getsize("a.pdf") > 5000, os.path.getsize("a.svg") > 5000)
        """),
    "h5py": ("h5py", """
        import h5py, numpy
        with h5py.File("a.h5", "w") as f:
            f.create_dataset("x", data=numpy.arange(1000), chunks=(100,), compression="gzip")
            f["x"].attrs["unit"] = "m"
        with h5py.File("a.h5") as f:
            print(int(f["x"][::7].sum()), f["x"].attrs["unit"], f["x"].compression)
        """),
    "netCDF4": ("netCDF4", """
        import netCDF4, numpy
        with netCDF4.Dataset("a.nc", "w") as f:
            f.createDimension("t", None)
            f.createVariable("v", "f8", ("t",), zlib=True)[:] = numpy.arange(10)
        with netCDF4.Dataset("a.nc") as f:
            print(f["v"][:].sum(), f.data_model, netCDF4.num2date(5, "days since 2020-01-01"))
        """),
    "pyarrow": ("pyarrow", """
        import pyarrow as pa, pyarrow.compute as pc, pyarrow.csv, pyarrow.dataset as ds, pyarrow.feather, pyarrow.parquet as pq
        table = pa.table({"a": [1, 2, 3], "b": ["x", "y", "x"]})
        pq.write_table(table, "a.parquet", compression="zstd")
        pyarrow.feather.write_feather(table, "a.feather")
        pyarrow.csv.write_csv(table, "a.csv")
        ds.write_dataset(table, "d", format="parquet", partitioning=["b"], partitioning_flavor="hive")
        print(pq.read_table("a.parquet").equals(table), pyarrow.feather.read_table("a.feather").equals(table), pyarrow.csv.read_csv("a.csv").equals(table))
        print(ds.dataset("d", partitioning="hive").to_table(filter=pc.field("b") == "x")["a"].to_pylist(), pa.compute.sum(table["a"]))
        """),
    "zarr": ("zarr", """
        import numpy, zarr
        array = zarr.create_array(store="a.zarr", shape=(100, 10), chunks=(10, 10), dtype="f8") if hasattr(zarr, "create_array") else zarr.open(
            "a.zarr", mode="w", shape=(100, 10), chunks=(10, 10), dtype="f8")
        array[:] = numpy.arange(1000).reshape(100, 10)
        print(zarr.open("a.zarr", mode="r")[5].tolist())
        """),
    "pillow": ("pillow", """
        import hashlib
        from PIL import Image, ImageDraw, ImageFilter, ImageFont
        image = Image.new("RGB", (64, 64), "white")
        ImageDraw.Draw(image).text((5, 5), "abc", fill="black", font=ImageFont.load_default())
        for name in "a.png", "a.jpg", "a.webp", "a.tiff", "a.gif":
            image.filter(ImageFilter.GaussianBlur(1)).save(name)
            print(name, Image.open(name).size, hashlib.sha256(Image.open(name).convert("RGB").tobytes()).hexdigest()[:16])
        """),
    "opencv-python-headless": ("opencv-python-headless", """
        import cv2, numpy
        image = numpy.zeros((64, 64, 3), numpy.uint8)
        cv2.circle(image, (32, 32), 10, (0, 255, 0), -1)
        cv2.imwrite("a.png", image)
        back = cv2.imread("a.png")
        contours, _ = cv2.findContours(cv2.cvtColor(back, cv2.COLOR_BGR2GRAY), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        print((back == image).all(), len(contours), cv2.Canny(back, 10, 20).sum())
        writer = cv2.VideoWriter("a.avi", cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 64))
        writer.write(image)
        writer.release()
        print(cv2.VideoCapture("a.avi").read()[0])
        """),
    "sqlalchemy": ("sqlalchemy", """
        import sqlalchemy as sa, sqlalchemy.orm as orm

        class Base(orm.DeclarativeBase):
            pass

        class User(Base):
            __tablename__ = "users"
            id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
            name: orm.Mapped[str]

        engine = sa.create_engine("sqlite:///a.db")
        Base.metadata.create_all(engine)
        with orm.Session(engine) as session:
            session.add_all([User(name=n) for n in ("ann", "bob")])
            session.commit()
        with orm.Session(engine) as session:
            print(session.scalars(sa.select(User.name).order_by(User.name.desc())).all())
        """),
}
