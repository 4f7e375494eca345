#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# verify, trim, export and import with real compiles: damage by hand, full disks, hostile archives, others at work.
set -u

top=$(cd "${top_srcdir:-$(dirname "$0")/..}" && pwd)
cubby=$(cd "${top_builddir:-.}" && pwd)/cubby
work=$(mktemp -d)
trap 'umount "$work/disk" 2>/dev/null; chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work" || exit 1
unset CUBBY_CACHE CUBBY_DISABLE CUBBY_NVRTC CUBBY_LOG
# shellcheck source=tests/cli-harness.sh
. "$top/tests/cli-harness.sh"
need_nvrtc

says() { grep -q -- "$1" err || { sed 's/^/    /' err; return 1; }; }
prints() { grep -q -- "$1" out || { sed 's/^/    /' out; return 1; }; }
outcomes() { [ "$(grep -c "\"outcome\":\"$1\"" out)" -eq "$2" ]; } # WANTED COUNT

mkdir k plain
cp "$top"/examples/kernels/*.cu k
printf '#include <cuda_fp16.h>\n__global__ void k(__half *x) { *x = 1; }\n' >k/half.cu
count=$(find k -name '*.cu' | wc -l)
specs=file:f
if "$cubby" --cache sqlite:probe.db stats >/dev/null 2>&1; then specs="file:f sqlite:s.db memory,file:t,sqlite:t.db"; fi
archives=true
"$cubby" --cache file:probe export probe.tar >/dev/null 2>err || archives=false
if ! $archives; then true_that says libarchive; fi

compile() { "$cubby" --json --cache "$1" compile --arch sm_90 -o "$2" k/*.cu >out 2>err; } # SPEC FOLDER
status 0 compile file:f plain

# ---- Sound stores

for spec in $specs; do
    status 0 compile "$spec" plain
    status 0 "$cubby" --cache "$spec" verify
    true_that prints ' 0 damaged'
    true_that [ ! -s err ]
    status 0 "$cubby" --cache "$spec" --json verify --repair
    true_that prints '{"damaged":\[\],"entries":[1-9]'
    status 0 compile "$spec" plain
    true_that outcomes hit "$count"
done
status 4 "$cubby" --cache file:/proc/none verify
status 2 "$cubby" --cache file:f verify now

# ---- Damage by hand: in each entry another sort

damage_all() {
    i=0
    for entry in f/object/*/*; do
        case $((i % 6)) in
            0) printf X | dd of="$entry" bs=1 seek=64 conv=notrunc 2>/dev/null ;;
            1) : >"$entry" ;;
            2) echo more >>"$entry" ;;
            3) ln -sf /etc/passwd "$entry" ;;
            4) chmod 0622 "$entry" ;;
            5) dd if=/dev/zero of="$entry" bs=100 seek=2 count=1 conv=notrunc 2>/dev/null ;;
        esac
        i=$((i + 1))
    done
}
damage_all
status 4 "$cubby" --cache file:f verify
true_that [ "$(grep -c '^file: object [0-9a-f]\{64\}: ' out)" -eq "$count" ]
status 4 "$cubby" --cache file:f --json verify
true_that prints '"tier":"file","kind":"object","key":"[0-9a-f]*","problem":"'
true_that prints '"repaired":0,'
status 4 "$cubby" --cache 'file:f?read_only=1' verify --repair
status 0 "$cubby" --cache file:f verify --repair
true_that prints "$count damaged, $count repaired"
status 0 "$cubby" --cache file:f verify
mkdir again
status 0 compile file:f again
true_that outcomes compiled "$count"
true_that diff -r plain again
# What is no part of a store is told and left alone.
escape=$(printf '\033[31m')
: >"f/stray$escape"
status 0 "$cubby" --cache file:f verify --repair
true_that says 'stray?\[31m is no part of the store'
true_that [ -e "f/stray$escape" ]
rm "f/stray$escape"

# ---- A database: rows, then its structure

if [ -e s.db ]; then
    python3 - <<'PY'
import sqlite3
db = sqlite3.connect("s.db", isolation_level=None)
db.execute("update entry set data = zeroblob(size) where id = (select min(id) from entry)")
db.execute("update total set bytes = 1 where kind = 0")
PY
    status 4 "$cubby" --cache sqlite:s.db verify
    true_that prints 'the totals say'
    status 0 "$cubby" --cache sqlite:s.db verify --repair
    status 0 "$cubby" --cache sqlite:s.db verify
    python3 - <<'PY'
import sqlite3
sqlite3.connect("s.db").execute("pragma wal_checkpoint(truncate)")
with open("s.db", "r+b") as file:
    file.seek(40960)
    file.write(b"\xa5" * 20480)
PY
    status 4 "$cubby" --cache sqlite:s.db verify
    status 0 "$cubby" --cache sqlite:s.db verify --repair
    status 0 "$cubby" --cache sqlite:s.db verify
    status 0 compile sqlite:s.db plain
fi

# ---- Trim

for spec in $specs; do
    status 0 compile "$spec" plain
    status 0 "$cubby" --cache "$spec" trim --max-size 50K
    true_that prints 'entries (.* KB) removed'
    status 0 "$cubby" --cache "$spec" --json trim --max-size 50K
    true_that prints '{"entries":0,"bytes":0}'
    status 0 "$cubby" --cache "$spec" trim --older-than 2h
    true_that prints '^0 entries'
    status 0 "$cubby" --cache "$spec" verify
    status 0 compile "$spec" plain
done
touch -d '3 days ago' f/object/*/*
status 0 "$cubby" --cache file:f --json trim --older-than 2d
true_that prints "{\"entries\":$count,"
status 2 "$cubby" --cache file:f trim
for wrong in '--max-size 0' '--max-size 5X' '--max-size -1' '--older-than 5' '--older-than d' '--older-than 1y'; do
    # shellcheck disable=SC2086 # words
    status 2 "$cubby" --cache file:f trim $wrong
done
status 4 "$cubby" --cache 'file:f?read_only=1' trim --max-size 1K
status 0 compile file:f plain

# ---- Export and import

if $archives; then
    status 0 "$cubby" --cache file:f export all.tar
    true_that prints "entries (.* KB) exported"
    tar -tf all.tar >members
    true_that [ "$(grep -c '^object/[0-9a-f]\{64\}$' members)" -eq "$count" ]
    true_that [ "$(grep -c '^manifest/' members)" -eq 1 ]
    true_that [ "$(grep -c toolchain members)" -eq 0 ]
    "$cubby" --cache file:f export - >stdout.tar 2>err
    true_that cmp all.tar stdout.tar
    for spec in file:new sqlite:new.db memory,file:new-t; do
        case "$spec $specs" in sqlite*sqlite* | file* | memory*) ;; *) continue ;; esac
        status 0 "$cubby" --cache $spec import all.tar
        status 0 "$cubby" --cache $spec --json import all.tar
        true_that prints "{\"refusals\":\[\],\"entries\":0,\"bytes\":0,\"present\":$(wc -l <members),\"refused\":0}"
        status 0 "$cubby" --cache $spec export again.tar
        true_that cmp all.tar again.tar
        rm -rf result
        mkdir result
        status 0 compile $spec result
        true_that outcomes hit "$count"
        true_that diff -r plain result
    done
    # shellcheck disable=SC2016 # expanded by the inner shell
    status 0 sh -c '"$0" --cache file:f export - | "$0" --cache file:piped import -' "$cubby"
    status 0 "$cubby" --cache file:piped export again.tar
    true_that cmp all.tar again.tar

    # Bad outputs and inputs; an existing file is replaced whole or not at all.
    status 4 "$cubby" --cache file:f export /no/such/folder/x.tar
    status 4 "$cubby" --cache file:f export /dev/full
    true_that says 'No space left'
    status 2 "$cubby" --cache file:f import /no/such/file.tar
    status 2 "$cubby" --cache file:f import
    status 2 "$cubby" --cache file:f export a b
    status 4 "$cubby" --cache 'file:f?read_only=1,file:g?read_only=1' export x.tar
    true_that [ ! -e x.tar ]
    "$cubby" --cache file:empty stats >/dev/null
    status 4 "$cubby" --cache 'file:empty?read_only=1' import all.tar
    head -c 20000 all.tar >cut.tar
    status 4 "$cubby" --cache file:cut import cut.tar
    status 0 "$cubby" --cache file:cut verify
    gzip -c all.tar >all.tar.gz
    status 4 "$cubby" --cache file:cut import all.tar.gz
    true_that says 'not compressed'

    # Hostile archives, as a real tar makes them.
    mkdir -p h/object h/user h/toolchain outside
    tar -C h -xf all.tar
    name=$(sed -n 's/^object\///p' members | head -n 1)
    other=$(sed -n 's/^object\///p' members | tail -n 1)
    (cd h && tar -cf ../path.tar --transform="s|^object/|../../outside/|" "object/$name"
        tar -P -cf ../absolute.tar --transform="s|^object|$work/outside|" "object/$name"
        ln -s "$work/outside" user/"$name" && tar -cf ../link.tar "user/$name"
        ln "object/$name" "object/$(echo "$name" | tr 0-9a-f 1-9a-f0)" && tar -cf ../hard.tar object/*
        cp "object/$name" "toolchain/$name" && tar -cf ../memo.tar "toolchain/$name"
        tar -cf ../wrong.tar --transform="s/$name/$other/" "object/$name"
        truncate -s 20G "user/$other" && tar -S -cf ../sparse.tar "user/$other"
        mkfifo fifo && tar -cf ../fifo.tar --transform="s|fifo|object/$name|" fifo)
    for hostile in path absolute link hard memo wrong sparse fifo; do
        rm -rf hostile
        status 4 "$cubby" --cache file:hostile import "$hostile.tar"
        true_that says 'refused '
        true_that prints '1 members refused'
        status 0 "$cubby" --cache file:hostile verify
    done
    true_that [ -z "$(ls outside)" ]

    # A disk that is full while the archive is written: the old one stays, and no temporary.
    mkdir disk
    if mount -t tmpfs -o size=64k,mode=700 tmpfs disk 2>/dev/null; then
        echo old >disk/all.tar
        status 4 "$cubby" --cache file:f export disk/all.tar
        true_that says 'No space left'
        true_that [ "$(cat disk/all.tar)" = old ]
        true_that [ "$(ls disk)" = all.tar ]
        status 4 "$cubby" --cache file:disk/store import all.tar
        true_that says 'No space left'
        status 0 "$cubby" --cache file:disk/store verify
        umount disk
    else
        echo "mounting is not permitted: the full disk is left out"
    fi
fi

# ---- While four processes compile and clear

for spec in $specs; do
    for i in 1 2 3 4; do
        mkdir -p "crowd-$i"
        (for _ in 1 2 3; do
            "$cubby" --cache "$spec" compile --arch sm_90 -o "crowd-$i" k/*.cu || echo "exit $?"
            [ "$i" -ne 4 ] || "$cubby" --cache "$spec" clear || echo "exit $?"
        done) >"crowd-$i.out" 2>&1 &
    done
    for _ in 1 2 3; do
        status 0 "$cubby" --cache "$spec" verify
        status 0 "$cubby" --cache "$spec" verify --repair
        status 0 "$cubby" --cache "$spec" trim --max-size 60K
        if $archives; then
            status 0 "$cubby" --cache "$spec" export crowd.tar
            status 0 "$cubby" --cache "$spec" import crowd.tar
            status 0 "$cubby" --cache "$spec" import all.tar
        fi
    done
    wait
    for i in 1 2 3 4; do
        true_that diff -r plain "crowd-$i"
        if grep -E 'exit|warning: |error' "crowd-$i.out"; then true_that false "crowd-$i with $spec"; fi
        rm -rf "crowd-$i"
    done
    status 0 "$cubby" --cache "$spec" verify
done

echo "$checks checks, $failures failures"
[ $failures -eq 0 ]
