#!/usr/bin/env bash
# Two users on one node: what another user may have put there is neither believed, nor run, nor removed, and he stops nobody.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

victim=daemon attacker=nobody
chmod 755 "$W"
cp "$PMB" "$W/pmb" && chmod 755 "$W/pmb"
as() { # as USER COMMAND...: output in $W/out, $W/err, status in $rc
    local user=$1
    shift
    (cd "$W" && timeout 60 runuser -u "$user" -- "$@" </dev/null) >"$W/out" 2>"$W/err"
    rc=$?
    return 0
}
pmb() { local user=$1; shift; as "$user" "$W/pmb" "$@"; }
must() { "$@"; [ $rc -eq 0 ] || { bad "$*"; cat "$W/err"; finish; exit 1; }; }
ok_now() { [ $rc -eq 0 ] || { cat "$W/err"; return 1; }; }
new_place() { rm -rf "$W/tmp"; mkdir -m 1777 "$W/tmp"; } # as /tmp

for what in good evil; do
    mkdir -p "$W/$what/bin"
    printf '#!/bin/sh\necho %s\n' $what >"$W/$what/bin/python"
    chmod 755 "$W/$what/bin/python"
done
mkdir -m 1777 "$W/archives"
must pmb $victim pack "$W/good" -o "$W/archives/good.tar.gz"
must pmb $attacker pack "$W/evil" -o "$W/archives/evil.tar.gz"
good=$W/archives/good.tar.gz evil=$W/archives/evil.tar.gz
chmod a+r "$W"/archives/*
dir=$W/tmp/env

# another user's DIR, which says that it is the archive's
plant() {
    new_place
    must pmb $attacker stage "$good" --to "$W/tmp/copy"
    must pmb $attacker stage "$evil" --to "$dir"
    must as $attacker cp "$W/tmp/copy/.python-mpi-bcast/state" "$dir/.python-mpi-bcast/state"
}
plant
for command in "stage $good --to $dir" "stage $good --to $dir --force" "run $dir -- python" "activate $dir" "verify $dir" "clean $dir" "clean $dir --force"; do
    pmb $victim $command
    check "another user's DIR: $command" refused 'belongs to another user'
    check "... says nothing else" test ! -s "$W/out"
done
check "... it is still there" test -e "$dir/bin/python"
pmb $attacker run "$dir" -- python
check "... it runs for himself" test "$(cat "$W/out")" = evil
new_place
must pmb root stage "$good" --to "$dir"
pmb $victim run "$dir" -- python
check "root's DIR is trusted" test "$(cat "$W/out")" = good

# DIR's own modes
for name in . .python-mpi-bcast .python-mpi-bcast/state .python-mpi-bcast/manifest; do
    for mode in g+w o+w; do
        new_place
        must pmb $victim stage "$good" --to "$dir"
        chmod $mode "$dir/$name"
        pmb $victim stage "$good" --to "$dir"
        check "$name is $mode: not believed" refused 'other users may write'
        pmb $victim run "$dir" -- python
        check "... nor run" refused 'other users may write'
    done
done
new_place
must pmb $victim stage "$good" --to "$dir"
chown $attacker "$dir/.python-mpi-bcast/state"
pmb $victim stage "$good" --to "$dir"
check "a state of another user's is not believed" refused 'state.*belongs to another user'
mkdir -p "$W/loose/bin" && echo x >"$W/loose/bin/x" && chmod -R 777 "$W/loose"
must pmb root pack "$W/loose" -o "$W/archives/loose.tar.gz"
tar -C "$W/loose" -czf "$W/archives/plain.tar.gz" .
chmod a+r "$W"/archives/*
for archive in loose plain; do
    new_place
    must pmb $victim stage "$W/archives/$archive.tar.gz" --to "$dir"
    check "$archive.tar.gz: what is staged others cannot write" test -z "$(find "$dir" ! -type l -perm /022)"
    pmb $victim verify "$dir"
    check "... verify agrees" ok_now
done

# the way to DIR
new_place
mkdir "$W/tmp/open" "$W/tmp/his" "$W/tmp/mine" && chmod 777 "$W/tmp/open" && chown $attacker "$W/tmp/his" && chmod 1777 "$W/tmp/his"
chown $victim "$W/tmp/mine" && mkdir -m 1777 "$W/tmp/open/sticky"
runuser -u $attacker -- ln -s mine "$W/tmp/hislink" && runuser -u $victim -- ln -s mine "$W/tmp/mylink"
runuser -u $victim -- ln -s hislink "$W/tmp/tohislink"
for way in open open/sticky his; do
    pmb $victim stage "$good" --to "$W/tmp/$way/env"
    check "a way through $way" refused 'could replace'
    check "... nothing is left" test -z "$(find "$W/tmp/$way" -name 'env*')"
done
for way in hislink tohislink; do
    pmb $victim stage "$good" --to "$W/tmp/$way/env"
    check "a way through a symlink ($way) of another user's" refused 'belongs to another user'
done
check "... nothing is left" test -z "$(ls -A "$W/tmp/mine")"
for way in mylink ./mine mine/../mine; do
    must pmb $victim stage "$good" --to "$W/tmp/mine/env" --force
    pmb $victim run "$W/tmp/$way/env" -- python
    check "a way through $way is good" test "$(cat "$W/out")" = good
done
pmb $victim run "$W/tmp/hislink/env" -- python
check "run by another user's symlink" refused 'belongs to another user'
chown $victim "$W/tmp/open" && chmod 757 "$W/tmp/open" && as $victim cp -r "$W/tmp/mine/env" "$W/tmp/open/env"
for command in "run $W/tmp/open/env -- python" "activate $W/tmp/open/env" "verify $W/tmp/open/env" "clean $W/tmp/open/env"; do
    pmb $victim $command
    check "a DIR that others may replace: ${command%% *}" refused 'could replace'
done

# names beside DIR
mark() { mkdir -p "$1/.python-mpi-bcast" && printf 'python-mpi-bcast-partial 1\n0\n' >"$1/.python-mpi-bcast/partial"; }
new_place
cd "$W/tmp" || exit 1
mkdir env.partial-results env.partial-0000000000000001 env.partial-ABCDEF0000000001
echo precious | tee env.partial-results/data env.partial-0000000000000001/data env.partial-notes.txt >env.partial-0000000000000002
mark env.partial-ABCDEF0000000001
mark env.partial-00000000000000011
ln -s env.partial-results env.partial-0000000000000003
mark env.partial-0000000000000005
chown -R $victim .
chmod 1777 . && chown root .
mark env.partial-0000000000000004
chown -R $attacker env.partial-0000000000000004
runuser -u $attacker -- touch env.partial-lock
runuser -u $attacker -- flock env.partial-0000000000000004/.python-mpi-bcast/partial sleep 60 &
holder=$!
runuser -u $attacker -- flock env.partial-lock sleep 60 &
holders="$holder $!"
sleep 0.2
before=$(ls -A | grep -v 0005)
pmb $victim stage "$good" --to "$dir"
check "another user's names and locks stop nobody" ok_now
check "what is not a dead job's of this user stays" test "$(ls -A | grep -vx env)" = "$before"
check "... whole" test "$(cat env.partial-results/data env.partial-0000000000000001/data env.partial-0000000000000002 | grep -c precious)" -eq 3
check "what is one goes" test ! -e env.partial-0000000000000005
before=$(find . -path ./env -prune -o -print | sort)
pmb $victim clean "$dir"
check "clean, too" ok_now
check "... leaves the others' things" test "$(find . -path ./env -prune -o -print | sort)" = "$before"
for p in $holders; do kill "$(pgrep -P "$(pgrep -P "$p" flock)" sleep)" 2>/dev/null; done
cd "$W" || exit 1

# a live copy of the same user's is another job, whichever name comes first
for digit in 0 f; do
    new_place
    live=$dir.partial-$(printf "$digit%.0s" {1..16})
    mark "$live" && chown -R $victim "$live"
    runuser -u $victim -- flock "$live/.python-mpi-bcast/partial" sleep 60 &
    holder=$!
    sleep 0.2
    pmb $victim stage "$good" --to "$dir"
    check "a live job's copy ($digit)" refused 'another job is staging'
    check "... stays, alone" test "$(ls "$W/tmp")" = "${live##*/}"
    kill "$(pgrep -P "$(pgrep -P $holder flock)" sleep)"
    wait $holder
    pmb $victim stage "$good" --to "$dir"
    check "... once it is dead the next succeeds" test "$(ls "$W/tmp")" = env
done

# small things
new_place
mkdir -p "$W/tmp/fifo/.python-mpi-bcast" && mkfifo "$W/tmp/fifo/.python-mpi-bcast/state"
mkdir -p "$W/tmp/"$'esc\e[1m/.python-mpi-bcast' && printf 'python-mpi-bcast-state 1\narchive 1 \e]0;x\a\n' >"$W/tmp/"$'esc\e[1m/.python-mpi-bcast/state'
pmb $victim list "$W/tmp"
check "list is not stopped by a FIFO" ok_now
check "... and prints no control characters of others" test "$(tr -d '\n\t' <"$W/out" | grep -c '[[:cntrl:]]')" -eq 0
echo mine >"$W/precious" && chmod 666 "$W/precious"
mkdir -m 777 "$W/tmp/drop"
ln -s "$W/precious" "$W/tmp/drop/a.tar.partial"
pmb $victim pack "$W/good" -o "$W/tmp/drop/a.tar"
check "pack follows no planted name" test "$(cat "$W/precious")" = mine -a $rc -eq 0
must pmb $victim stage "$good" --to "$dir"
as $victim env PATH= "$W/pmb" run "$dir" -- /usr/bin/env
check "no current directory on PATH" grep -qx "PATH=$dir/bin" "$W/out"
finish
