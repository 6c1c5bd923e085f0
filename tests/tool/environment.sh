#!/usr/bin/env bash
# A real virtual environment: packed with its interpreter, staged to four nodes, run there with the original
# out of reach. PMB_ENV names one with packages (numpy, scipy, matplotlib, pandas are imported if there).
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [ -z "${PMB_ENV:-}" ]; then
    /usr/bin/python3 -m venv --without-pip "$W/original" || { skip "no venv"; finish; exit; }
    site=$(echo "$W"/original/lib/python3*/site-packages)
    mkdir "$site/pkg"
    echo 'VALUE = 42' >"$site/pkg/__init__.py"
    printf '#!%s/bin/python\nimport pkg, sys\nprint(pkg.VALUE, sys.prefix)\n' "$W/original" >"$W/original/bin/tool"
    chmod +x "$W/original/bin/tool"
    "$W/original/bin/python" -m compileall -q "$site"
    PMB_ENV=$W/original
fi

fresh_nodes
"$PMB" pack -q "$PMB_ENV" -o "$W/env.tar.zst" --with-python
check "packed with its interpreter" test $? -eq 0
on_nodes 4 stage "$W/env.tar.zst" --to "$W/local/env"
check "staged" test $rc -eq 0

cat >"$W/probe.py" <<'P'
import importlib, importlib.util, json, os, struct, sys
for name in ("pkg", "numpy", "scipy", "scipy.linalg", "pandas", "matplotlib.pyplot", "decimal", "ssl", "ctypes"):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as e:
        if e.name.split(".")[0] != name.split(".")[0]:
            raise
stale = seen = 0
for m in list(sys.modules.values()):
    source, cached = getattr(m, "__file__", None), getattr(m, "__cached__", None)
    if not source or not source.endswith(".py") or not cached or not os.path.exists(cached):
        continue
    with open(cached, "rb") as f:
        head = f.read(16)
    st = os.stat(source)
    seen += 1
    stale += head[:4] != importlib.util.MAGIC_NUMBER or struct.unpack("<III", head[4:]) != (0, int(st.st_mtime), st.st_size)
missing = [m.__file__ for m in sys.modules.values() if (getattr(m, "__file__", None) or "").endswith(".py") and getattr(m.__spec__, "origin", "frozen") != "frozen" and not os.path.exists(getattr(m, "__cached__", None) or "")]
print(json.dumps({"prefix": sys.prefix, "base": sys.base_prefix, "seen": seen, "stale": stale, "missing": missing}))
P
here=$W/local/env
for i in 0 3; do
    mount --bind "$W/n$i" "$W/local"
    if ! strace -f -e trace=file -o "$W/strace" sh -c "cd / && PYTHONDONTWRITEBYTECODE=1 '$PMB' run '$here' -- python '$W/probe.py'" >"$W/out" 2>"$W/err"; then
        cat "$W/err"
    fi
    check "node $i: it runs" grep -q "\"prefix\": \"$here\", \"base\": \"$here/.base\"" "$W/out"
    check "node $i: every .pyc is valid" grep -q '"stale": 0, "missing": \[\]' "$W/out"
    [ "$i" = 0 ] && sed 's/^/    /' "$W/out"
    grep -E "\"($PMB_ENV|/usr/lib/python3|/usr/lib/python3[0-9.]*/|/usr/bin/python3)" "$W/strace" | head -5 | sed 's/^/  /' >"$W/touched"
    check "node $i: the original is not touched" test ! -s "$W/touched"
    cat "$W/touched"
    if [ -x "$here/bin/tool" ]; then
        check "node $i: scripts run" test "$(cd / && "$here/bin/tool")" = "42 $here"
        check "node $i: activate" test "$(cd / && bash -c "eval \"\$('$PMB' activate '$here' --shell bash)\"; tool")" = "42 $here"
    fi
    umount "$W/local"
done
on_nodes 4 verify "$here"
check "verify agrees afterwards" test $rc -eq 0
on_nodes 4 clean "$here"
check "clean" nothing_left 0 1 2 3
finish
