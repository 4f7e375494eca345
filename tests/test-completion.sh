#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What bash completes, and that its tables hold every verb and option of --help.
set -u

top=$(cd "${top_srcdir:-$(dirname "$0")/..}" && pwd)
build=$(cd "${top_builddir:-.}" && pwd)
cubby=$build/cubby
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
unset CUBBY_CACHE CUBBY_DISABLE CUBBY_LOG
failures=0

# shellcheck source=scripts/completion/cubby
. "$top/scripts/completion/cubby" || exit 1
[ "$(complete -p cubby)" = "complete -F _cubby cubby" ] || { echo "FAILED: not registered"; exit 1; }

# words LINE: COMP_WORDS as bash breaks it: at blanks, and around = and : outside of quotes.
words() {
    local rest=$1 quoted=
    COMP_WORDS=("")
    while [ -n "$rest" ]; do
        local c=${rest:0:1}
        rest=${rest:1}
        if [[ $c == [\'\"] ]]; then
            if [ -n "$quoted" ]; then quoted=; else quoted=$c; fi
        fi
        if [ -n "$quoted" ]; then
            COMP_WORDS[-1]+=$c
        elif [ "$c" = ' ' ]; then
            COMP_WORDS+=("")
        elif [[ $c == [=:] ]]; then
            COMP_WORDS+=("$c")
            [[ -z $rest || $rest == ' '* ]] || COMP_WORDS+=("")
        else
            COMP_WORDS[-1]+=$c
        fi
    done
}

# completes LINE WANTED...: exactly these, in any order.
completes() {
    local line=$1 got wanted
    shift
    words "$line"
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=$line COMP_POINT=${#line} COMPREPLY=()
    _cubby
    got=$(printf '%s\n' "${COMPREPLY[@]}" | sort)
    wanted=$(printf '%s\n' "$@" | sort)
    if [ "$got" != "$wanted" ]; then
        printf 'FAILED: "%s" completes to\n%s\nexpected\n%s\n' "$line" "$got" "$wanted"
        failures=$((failures + 1))
    fi
}

# ---- Verbs, options, values

completes 'cubby c' compile clear
completes 'cubby --json s' stats show
completes 'cubby --cache memory d' doctor
completes 'cubby l' link ls
completes 'cubby r' run rm
completes 'cubby p' prewarm
completes 'cubby run --strategy ' lazy eager none
completes 'cubby run --strategy=e' eager
completes 'cubby run --output' --output --output-dir
completes 'cubby run --dims n'
completes 'cubby --ca' --cache
completes 'cubby compile --no' --no-cache --no-toolkit-include
completes 'cubby stats --z' --zero
completes 'cubby trim --max' --max-size
completes 'cubby trim --older-than 3'
completes 'cubby ls --z'
completes 'cubby compile --target ' cubin ptx ltoir
completes 'cubby compile --target=p' ptx
completes 'cubby link --target ' cubin ptx
completes 'cubby key --kind ' cuda ptx nvvm
completes 'cubby link --libd'
completes 'cubby compile --target=' cubin ptx ltoir
completes 'cubby compile --arch sm_90' sm_90 sm_90a
completes 'cubby key --arch=sm_10' sm_100 sm_100a sm_100f sm_103 sm_103a sm_103f
completes 'cubby compile --std c++1' c++11 c++14 c++17
completes 'cubby compile -j '
completes 'cubby compile --name '

# ---- Files

mkdir folder
touch a.cu b.cu notes.txt folder/c.cu
completes 'cubby compile ' a.cu b.cu folder/
completes 'cubby compile a.cu fol' folder/
completes 'cubby explain --arch sm_90 ' a.cu b.cu folder/
touch a.tar
completes 'cubby import a' a.tar
rm a.tar
completes 'cubby key --explain b' b.cu
mkdir other
touch other/a.ptx other/b.ll other/c.bc other/d.ltoir
completes 'cubby compile other/' other/a.ptx other/b.ll other/c.bc
completes 'cubby compile --module other/' other/b.ll other/c.bc
completes 'cubby link other/' other/a.ptx other/b.ll other/c.bc other/d.ltoir
completes 'cubby compile -o no' notes.txt
completes 'cubby compile --output=no' notes.txt

touch e.json x.npy
completes 'cubby run ' e.json folder/ other/
completes 'cubby prewarm ' a.cu b.cu e.json folder/ other/
completes 'cubby run --input x'
completes 'cubby run --input x=' x.npy folder/ other/
completes 'cubby run --input=x=x' x.npy
completes 'cubby run --output y=no' notes.txt
completes 'cubby run --runtime-cache no' notes.txt
completes 'cubby run e.json --output-dir fol' folder/
rm e.json x.npy

# ---- Cache specs

completes 'cubby --cache m' memory
completes 'cubby --cache=s' sqlite:
completes 'cubby --cache memory,f' memory,file: memory,folder/
completes 'cubby --cache file:fol' folder/
completes 'cubby --cache=memory,sqlite:no' notes.txt
completes 'cubby --cache memory?' 'memory?max_size=' 'memory?durable=1' 'memory?read_only=1' \
    'memory?flight_timeout='
completes "cubby --cache 'memory?d" 'memory?durable=1'
completes "cubby --cache 'memory?s"
completes "cubby --cache 'file:a?s" 'file:a?secret_file=' 'file:a?shared=group'
completes "cubby --cache 'sqlite:a?durable=1&s" 'sqlite:a?durable=1&secret_file='
completes "cubby --cache 'a?c" 'a?compress=zstd'
completes "cubby --cache 'a?secret_file=no" 'a?secret_file=notes.txt'
completes "cubby --cache='memory?durable=1&r" 'memory?durable=1&read_only=1'

# ---- Keys: of what is stored where --cache says

mkdir bin
cat >bin/cubby <<'FAKE'
#!/bin/sh
case "$*" in
    ls) echo "12ab  file  1 KB"; echo "12cd  file  1 KB"; echo "34ef  file  1 KB"; echo "34ef  memory  1 KB" ;;
    "--cache file:other ls") echo "99aa  file  1 KB" ;;
    *) exit 2 ;;
esac
FAKE
chmod +x bin/cubby
completes 'bin/cubby rm ' 12ab 12cd 34ef
completes 'bin/cubby show 12' 12ab 12cd
completes 'bin/cubby rm 12ab 3' 34ef
completes 'bin/cubby get 9'
completes 'bin/cubby --cache file:other get 9' 99aa
completes 'bin/cubby get --cache=file:other ' 99aa
completes "bin/cubby --cache 'file:other' show " 99aa
completes "$cubby --cache file:empty show "

# ---- The tables and --help

"$cubby" --help >help
verbs=$(sed -n '/^Verbs:/,/^$/s/^  \([a-z-]*\) .*/\1/p' help)
if [ -z "$verbs" ] || [ "$(sort <<<"$verbs")" != "$(tr ' ' '\n' <<<"$_cubby_verbs" | sort)" ]; then
    printf 'FAILED: the verbs are\n%s\nand are completed to\n%s\n' "$verbs" "$_cubby_verbs"
    failures=$((failures + 1))
fi
for verb in '' $verbs; do
    # shellcheck disable=SC2086 # no word where there is no verb
    "$cubby" $verb --help >help
    {
        sed -nE 's/^ +(-[A-Za-z?]),? .*/\1/p' help
        sed -nE 's/^ +(-[A-Za-z?], |    )(--[a-z-]+).*/\2/p' help
    } | sort >wanted
    _cubby_options "$verb" | tr ' ' '\n' | sort >got
    if ! diff wanted got >differences; then
        printf 'FAILED: options of "%s": in --help only (<), completed only (>):\n' "$verb"
        cat differences
        failures=$((failures + 1))
    fi
    # An option takes a value where --help shows one.
    while read -r option; do
        if grep -qE -- "(^|[ ,])${option}[= ][A-Z]" help; then takes=yes; else takes=no; fi
        if _cubby_takes_value "$option"; then takes=$takes-yes; else takes=$takes-no; fi
        case $takes:$option in
            yes-yes:* | no-no:* | no-yes:-[oj]) ;; # of -o and -j, help shows the value with the long name
            *) echo "FAILED: $verb $option: a value in --help and in the completion: $takes"; failures=$((failures + 1)) ;;
        esac
    done < <(sed 's/?/\\?/' wanted)
done
[ $failures -eq 0 ]
