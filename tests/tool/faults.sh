#!/usr/bin/env bash
# What can go wrong on four nodes: every failure is told in one line, leaves nothing, and a rerun succeeds.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

make_tree() { # 40 directories, 400 small files, 24 files of 1 MiB that do not compress
    mkdir -p "$W/env/bin"
    for d in $(seq 40); do
        mkdir "$W/env/d$d"
        for f in $(seq 10); do echo "file $d/$f in $W/env" >"$W/env/d$d/f$f.py"; done
    done
    for f in $(seq 24); do head -c 1048576 /dev/urandom >"$W/env/d$f/data"; done
}
make_tree
for x in tar.gz tar.zst tar; do "$PMB" pack -q "$W/env" -o "$W/a.$x" || exit 1; done
mkdir "$W/big" && for f in $(seq 300); do head -c 1048576 /dev/urandom >"$W/big/f$f"; done
"$PMB" pack -q "$W/big" -o "$W/big.tar" || exit 1

same() { # same NODE: the staged tree is the packed one, but for the prefix
    diff -r -x .python-mpi-bcast <(cd "$W/env" && find . -type f | sort) <(cd "$W/n$1/env" && find . -type f -not -path './.python*' | sort) &&
        cmp "$W/env/d1/data" "$W/n$1/env/d1/data" && grep -q "in $W/local/env\$" "$W/n$1/env/d3/f3.py"
}
rerun() {
    on_nodes 4 stage "$W/a.tar.zst" --to "$W/local/env"
    [ $rc -eq 0 ] && for i in 0 1 2 3; do same $i || return 1; done
}

fresh_nodes
for x in tar.gz tar.zst tar; do
    for how in once nodes; do
        on_nodes 4 stage "$W/a.$x" --to "$W/local/env" --decompress $how
        check "$x is staged to four nodes, decompressed $how" test $rc -eq 0
        for i in 0 1 2 3; do same $i || bad "$x $how: node $i differs"; done
        on_nodes 4 verify "$W/local/env"
        check "verify agrees" test $rc -eq 0
        on_nodes 4 clean "$W/local/env"
        check "clean leaves nothing" nothing_left 0 1 2 3
    done
done

# one node full: known before the first byte, and in the middle
fresh_nodes
mount -o remount,size=20m "$W/n2"
on_nodes 4 stage "$W/a.tar.zst" --to "$W/local/env"
check "a node without space is found beforehand" refused 'rank 2.*not enough space'
check "... and nothing is left" nothing_left 0 1 2 3
tar -C "$W/env" -czf "$W/plain.tar.gz" . # no manifest: the size is not known beforehand
gzip -dc "$W/plain.tar.gz" | head -c 64 >/dev/null
fresh_nodes
mount -o remount,size=25m "$W/n2"
head -c 20000000 /dev/zero >"$W/zeros" && mkdir -p "$W/z" && for i in 1 2 3; do cp "$W/zeros" "$W/z/$i"; done
tar -C "$W/z" -czf "$W/zeros.tar.gz" .
on_nodes 4 stage "$W/zeros.tar.gz" --to "$W/local/env"
check "a node that fills up in the middle" refused 'rank 2.*No space left'
check "... and nothing is left" nothing_left 0 1 2 3
mount -o remount,size=1g "$W/n2"
check "... a rerun succeeds" rerun
fresh_nodes
mount -o remount,nr_inodes=50 "$W/n1"
on_nodes 4 stage "$W/a.tar.gz" --to "$W/local/env"
check "a node without inodes is found beforehand" refused 'rank 1.*not enough inodes'
mount -o remount,nr_inodes=0 "$W/n1"

# one node read-only
fresh_nodes
mount -o remount,ro "$W/n3"
on_nodes 4 stage "$W/a.tar.zst" --to "$W/local/env"
check "a read-only node" refused 'rank 3.*Read-only'
check "... and nothing is left" nothing_left 0 1 2 3
echo precious >"$W/precious"; ln -s precious "$W/bad"
on_nodes 4 stage "$W/a.tar.zst" --to "$W/local/env" --allow-failed 1 --failed-nodes "$W/bad"
check "a link where the list of nodes goes is replaced" test "$(cat "$W/precious")" = precious -a ! -L "$W/bad"
check "--allow-failed 1 goes on without it" test $rc -eq 0
check "... names it" grep -q 'rank 3' "$W/bad"
for i in 0 1 2; do check "... node $i has the tree" same $i; done
check "... the bad node has nothing" nothing_left 3
mount -o remount,ro "$W/n1"
on_nodes 4 stage "$W/a.tar.gz" --to "$W/local/two" --allow-failed 1
check "two bad nodes are more than one" refused 'and 1 more of 4 nodes'
check "... and nothing is left" test ! -e "$W/n0/two"
mount -o remount,rw "$W/n1"; mount -o remount,rw "$W/n3"; rm -rf "$W"/n?/env
check "... a rerun succeeds" rerun

# one rank killed in the middle, a signal to the launcher, a signal to one rank
launch_big() { # in the background; $job is the launcher
    NODES_TIMEOUT=60 "$root/tests/tool/nodes" "$W" 4 "$PMB" stage "$W/big.tar" --to "$W/local/env" >"$W/out" 2>"$W/err" &
    job=$!
    for _ in $(seq 1000); do
        compgen -G "$W/n2/env.partial-*/f1" >/dev/null && return 0
        sleep 0.005
    done
    return 1
}
rank_pid() { # the leader of node $1; its guardian, forked later, comes after it
    local p
    for p in $(pgrep -f "^$PMB stage"); do
        grep -qz "^PMI_RANK=$1\$" "/proc/$p/environ" 2>/dev/null && { echo "$p"; return; }
    done
}
settled() { # settled NODES...: within two seconds nothing is left
    for _ in $(seq 40); do
        nothing_left "$@" >/dev/null && return 0
        sleep 0.05
    done
    nothing_left "$@"
}
fresh_nodes
for victim in 2 0; do
    [ $victim = 0 ] && fresh_nodes
    check "the stream is under way" launch_big
    kill -KILL "$(rank_pid $victim)"
    wait $job; rc=$?
    check "killed rank $victim ends the job with a failure" test $rc -ne 0
    check "... the launcher names it" grep -q 'EXIT CODE: ' "$W/out"
    check "... no partial tree is left" settled 0 1 2 3
    check "... a rerun succeeds" rerun
done

fresh_nodes
check "the stream is under way" launch_big
kill -TERM "$(rank_pid 1)"
wait $job; rc=$?
check "a signal to one rank" refused 'rank 1.*stopped by signal 15'
check "... no partial tree is left" settled 0 1 2 3
check "... a rerun succeeds" rerun

fresh_nodes
check "the stream is under way" launch_big
kill -INT "$(pgrep -P "$(pgrep -P $job timeout)" mpiexec)"
wait $job; rc=$?
check "an interrupt to mpiexec" test $rc -ne 0
check "... one line tells it" test "$(told)" -eq 1
check "... no partial tree is left" settled 0 1 2 3
check "... a rerun succeeds" rerun

# what a dead job left (its guardian killed too) is removed by the next one
fresh_nodes
dead=$W/n1/env.partial-0123456789abcdef
mkdir -p "$dead/d1" "$dead/.python-mpi-bcast" && touch "$dead/d1/f"
printf 'python-mpi-bcast-partial 1\n0123456789abcdef\n' >"$dead/.python-mpi-bcast/partial"
chmod 500 "$dead/d1"
check "a rerun removes what a dead job left" rerun
check "... all of it" test "$(ls -A "$W/n1")" = env

# two jobs at once
fresh_nodes
NODES_TIMEOUT=60 "$root/tests/tool/nodes" "$W" 4 "$PMB" stage "$W/big.tar" --to "$W/local/env" >"$W/out1" 2>"$W/err1" &
first=$!
"$root/tests/tool/nodes" "$W" 4 "$PMB" stage "$W/big.tar" --to "$W/local/env" >"$W/out" 2>"$W/err"; rc=$?
wait $first; rc1=$?
check "of two jobs at once at least one wins" test $((rc == 0 || rc1 == 0)) -eq 1
if [ $rc -ne 0 ] || [ $rc1 -ne 0 ]; then
    cat "$W/err1" >>"$W/err"; rc=1
    check "... the other says why" refused 'another job is staging'
fi
on_nodes 4 verify "$W/local/env"
check "... and the tree is whole" test $rc -eq 0
check "... alone" test "$(ls -A "$W/n0")" = env

# layouts of ranks
fresh_nodes
HOSTS=n0,n1,n0 on_nodes 3 stage "$W/a.tar.gz" --to "$W/local/env"
check "the same host name twice" test $rc -eq 0
check "... node 0" same 0
check "... node 1" same 1
fresh_nodes
HOSTS=n0:3,n1:1,n2:2 on_nodes 3 stage "$W/a.tar.gz" --to "$W/local/env"
check "uneven ranks per node" test $rc -eq 0
for i in 0 1 2; do check "... node $i" same $i; done
fresh_nodes
mkdir "$W/shared"
for i in 0 1; do umount "$W/n$i"; mount --bind "$W/shared" "$W/n$i"; done
on_nodes 2 stage "$W/a.tar.gz" --to "$W/local/env"
check "two nodes on one file system are one place" test $rc -eq 0
check "... staged once" test "$(ls -A "$W/shared")" = env
rm -rf "${W:?}/shared"
umount "$W/n0" "$W/n1"

# what is there already
fresh_nodes
check "staged" rerun
before=$(stat -c %Z "$W/n0/env")
on_nodes 4 stage "$W/a.tar.zst" --to "$W/local/env"
check "the same archive again: nothing to do" grep -q 'nothing to do' "$W/out"
check "... nothing touched" test "$(stat -c %Z "$W/n0/env")" = "$before"
on_nodes 4 stage "$W/a.tar.gz" --to "$W/local/env"
check "another archive needs --force" refused 'another staged environment'
echo changed >>"$W/n2/env/d1/f1.py"
on_nodes 4 verify "$W/local/env"
check "verify finds a changed file" grep -q 'd1/f1.py: its size has changed' "$W/err"
on_nodes 4 stage "$W/a.tar.zst" --to "$W/local/env"
check "a changed tree needs --force" refused 'rank 2.*has changed since'
on_nodes 4 stage "$W/a.tar.gz" --to "$W/local/env" --force
check "--force replaces it" test $rc -eq 0
check "... on every node" same 2
check "... and keeps nothing old" test "$(ls -A "$W/n2")" = env
printf 'x' | dd of="$W/n1/env/d1/data" bs=1 seek=5000 conv=notrunc 2>/dev/null
touch -r "$W/env/d1/data" "$W/n1/env/d1/data"
on_nodes 4 verify "$W/local/env"
check "verify reads contents" grep -q 'rank 1.*d1/data: its contents have changed' "$W/err"
touch "$W/n3/env/d1/mine"
on_nodes 4 clean "$W/local/env"
check "clean keeps what stage did not make" test -e "$W/n3/env/d1/mine" -a $rc -ne 0
check "... and removes the rest" nothing_left 0 1 2
on_nodes 4 clean "$W/local/env" --force
check "clean --force removes it all" nothing_left 3
mkdir "$W/n1/env"
echo precious >"$W/n1/env/file"
on_nodes 4 stage "$W/a.tar.gz" --to "$W/local/env" --force
check "a DIR that stage did not make is never replaced" refused 'rank 1.*was not made by'
check "... and stays" test "$(cat "$W/n1/env/file")" = precious
on_nodes 4 clean "$W/local/env" --force
check "... nor cleaned" test -e "$W/n1/env/file"
rm -r "$W/n1/env"
for d in / // /. /..; do
    on_nodes 1 stage "$W/a.tar.gz" --to $d --force
    check "the root directory is no destination ($d)" refused 'cannot be the destination'
done
on_nodes 4 stage "$W/a.tar.gz" --to "$W/local/env" --dry-run
check "--dry-run says what it would do" grep -q 'would stage' "$W/out"
check "... and does nothing" nothing_left 0 1 2 3
on_nodes 4 stage "$W/a.tar.gz" --to "$W/local/env" --json
check "--json is JSON" python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); assert d["nodes"] == 4 and d["outcome"] == "staged", d' "$W/out"
on_nodes 2 stage "$W/a.tar.gz" --to "$W/local/env" --force --time --json
check "--time --json is one JSON document" python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); assert d["mib_per_second"] > 0, d' "$W/out"
PPN=1 on_nodes 1 stage "$W/a.tar.gz" --to "$W/local/"$'no\xffwhere/env' --json
check "... of a name that is not UTF-8, too" python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); assert d["dir"].endswith("no\\377where/env"), d' "$W/out"
on_nodes 1 list "$W/local"
check "list shows it" grep -q "$W/local/env.*staged.*a.tar.gz" "$W/out"
on_nodes 4 clean "$W/local/env"
on_nodes 4 -v -p "$W/local/env" "$W/a.tar.gz"
check "the old way" test $rc -eq 0
check "... works" same 3
on_nodes 2 stage "$W/missing.tar" --to "$W/local/none"
check "no archive" refused 'missing.tar.*No such file'
on_nodes 2 stage "$W/a.tar.gz" --to "$W/local/no/where"
check "no parent directory" refused 'No such file'
fresh_nodes
mkdir "$W/n0/sub" # and not on node 1, of which two ranks see that
PPN=2 on_nodes 2 stage "$W/a.tar.gz" --to "$W/local/sub/env" --allow-failed 1 --failed-nodes "$W/failed"
check "no parent directory on one node is one failed node, however many ranks it has" test $rc -eq 0
check "... which is named once" test "$(wc -l <"$W/failed")" -eq 1
check "... and the other is staged" test -e "$W/n0/sub/env/d1/data"

finish
