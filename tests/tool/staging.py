"""For archives.py and hostile.py: runs the tool on one node, and compares trees."""
import io, os, re, shutil, stat, subprocess, sys, tarfile, tempfile, traceback

PMB = os.path.abspath(sys.argv[1])
LONG = "--long" in sys.argv
SANITIZED = "build-san" in PMB
WORK = tempfile.mkdtemp(prefix="pmb-archives.", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
ENV = dict(os.environ, LC_ALL="C")
ENV.setdefault("ASAN_OPTIONS", "detect_leaks=0")  # MPI's own leaks


class Skip(Exception):
    pass


def run(*args, status=0):
    p = subprocess.run([PMB, *map(os.fsencode, args)], capture_output=True, env=ENV, stdin=subprocess.DEVNULL, timeout=250)
    if status is not None:
        assert p.returncode == status, (args, p.returncode, p.stdout, p.stderr)
    return p


def fresh(*parts):
    path = os.path.join(WORK, *parts)
    subprocess.run(["chmod", "-R", "u+rwx", path], stderr=subprocess.DEVNULL)
    shutil.rmtree(path, ignore_errors=True)
    return path


def refused(archive, *patterns, options=()):
    """It fails with one line and leaves neither DIR nor anything beside it."""
    place = fresh("refused")
    os.mkdir(place)
    p = run("stage", archive, "--to", place + "/env", *options, status=None)
    lines = [l for l in p.stderr.decode("latin-1").splitlines() if l.startswith("python-mpi-bcast: ")]
    assert p.returncode == 1, (archive, p.returncode, p.stdout, p.stderr)
    assert len(lines) == 1, p.stderr
    for pattern in patterns:
        assert re.search(pattern, lines[0]), (pattern, lines[0])
    assert os.listdir(place) == [], os.listdir(place)
    return lines[0]


def snapshot(top):
    """Everything about a tree that an archive should keep."""
    seen, out = {}, {}
    for where, dirs, files in os.walk(os.fsencode(top)):
        for name in dirs + files:
            path = os.path.join(where, name)
            rel = os.path.relpath(path, os.fsencode(top))
            if rel.split(b"/")[0] == b".python-mpi-bcast":
                continue
            st = os.lstat(path)
            kind = stat.S_IFMT(st.st_mode)
            what = None
            if stat.S_ISLNK(st.st_mode):
                what = os.readlink(path)
            elif stat.S_ISREG(st.st_mode):
                with open(path, "rb") as f:
                    what = f.read() if st.st_size < 1 << 26 else st.st_size
            first = seen.setdefault((st.st_dev, st.st_ino), rel) if st.st_nlink > 1 and kind == stat.S_IFREG else None
            mode = None if kind == stat.S_IFLNK else stat.S_IMODE(st.st_mode)
            out[rel] = (kind, mode, st.st_mtime_ns, what, first if kind == stat.S_IFREG else None)
    return out


def same_tree(a, b):
    # hardlink groups are compared by their sorted members
    x, y = snapshot(a), snapshot(b)
    assert x.keys() == y.keys(), (x.keys() ^ y.keys())
    for k in x:
        assert x[k][:4] == y[k][:4], (k, x[k][:3], y[k][:3])
    groups = lambda s: sorted(sorted(k for k in s if s[k][4] == g) for g in {v[4] for v in s.values() if v[4]})
    assert groups(x) == groups(y)


def write(path, data=b"", mode=0o644, mtime=None):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)
    os.chmod(path, mode)
    if mtime:
        os.utime(path, ns=(mtime, mtime))


def add(t, name, data=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.mtime = 1_600_000_000
    for k, v in fields.items():
        setattr(info, k, v)
    t.addfile(info, io.BytesIO(data))


def hostile(build):
    path = f"{WORK}/hostile.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as t:
        build(t)
    return path


def run_all(tests):
    passed = failed = skipped = 0
    only = [a for a in sys.argv[2:] if not a.startswith("--")]
    for name, test in list(tests.items()):
        if not name.startswith("test_") or (only and name not in only):
            continue
        try:
            test()
            passed += 1
            print("ok:", name)
        except Skip as e:
            skipped += 1
            print("skipped:", name, e)
        except Exception:
            failed += 1
            print("FAILED:", name)
            traceback.print_exc(file=sys.stdout)
    fresh(".")
    shutil.rmtree(WORK, ignore_errors=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(failed > 0)
