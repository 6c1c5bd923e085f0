# Common to the tool's tests: emulated nodes on tmpfs, and checks that count. Source it first.
#
# The script runs again in a mount namespace of its own, so that nothing stays mounted whatever happens.
# $W is a scratch directory, $W/n0...n3 the nodes' tmpfs, $W/local what every rank sees as its own.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
B=${B:-build}
case $B in /*) ;; *) B=$root/$B ;; esac
PMB=$B/python-mpi-bcast
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0} # MPI has leaks of its own

if [ "$(id -u)" -ne 0 ]; then
    echo "emulated nodes need root: skipped"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi
if [ -z "${PMB_INSIDE:-}" ]; then
    PMB_INSIDE=1 exec unshare -m bash "$0" "$@"
fi

W=$(mktemp -d /tmp/pmb-test.XXXXXX)
mount -t tmpfs -o size=8g none "$W" || exit 1
cleanup() { cd /; rm -rf --one-file-system "$W"/* 2>/dev/null; umount -R -l "$W" 2>/dev/null; rmdir "$W" 2>/dev/null; }
trap cleanup EXIT
mkdir "$W/local"

passed=0 failed=0 skipped=0
ok() { passed=$((passed + 1)); echo "ok: $1"; }
bad() { failed=$((failed + 1)); echo "FAILED: $1"; }
check() { # check WHAT COMMAND...
    local what=$1
    shift
    if "$@"; then ok "$what"; else bad "$what"; fi
}
skip() { skipped=$((skipped + 1)); echo "skipped: $1"; }
finish() { echo "$passed passed, $failed failed, $skipped skipped"; [ "$failed" -eq 0 ]; }

fresh_nodes() { # fresh_nodes [SIZE]: four empty nodes
    for i in 0 1 2 3; do
        mountpoint -q "$W/n$i" && umount -l "$W/n$i"
        mkdir -p "$W/n$i"
        mount -t tmpfs -o "size=${1:-1g}" none "$W/n$i"
    done
}

# on_nodes N ARGUMENT...: the tool on N nodes; output in $W/out, $W/err, status in $rc
on_nodes() {
    local n=$1
    shift
    "$root/tests/tool/nodes" "$W" "$n" "$PMB" "$@" >"$W/out" 2>"$W/err"
    rc=$?
    return 0
}

# The tool's own lines on stderr: what a user is told.
told() { grep -c '^python-mpi-bcast: ' "$W/err"; }

nothing_left() { # nothing_left NODES...: no DIR, no partial copy, no lock
    local i
    for i in "$@"; do
        [ -z "$(ls -A "$W/n$i")" ] || { ls -A "$W/n$i" | sed "s/^/  left on n$i: /"; return 1; }
    done
}

# refused PATTERN: it failed, said so in one line that matches, and left nothing
refused() {
    [ "$rc" -ne 0 ] || { echo "  exit status 0"; return 1; }
    [ "$(told)" -eq 1 ] || { sed 's/^/  err: /' "$W/err"; return 1; }
    grep -q -- "$1" "$W/err" || { sed 's/^/  err: /' "$W/err"; return 1; }
}
