#!/bin/sh
# Writes down how it was called, beside the name that it was called by, and then does what that name asks for.
here=$(dirname "$0")
{
    echo "called: $*"
    env | sort | grep -v '^_=\|^PWD=\|^SHLVL=\|^OLDPWD='
} >>"$here/calls"
case $(basename "$0") in
works) ;;
fails)
    echo "nothing of interest"
    echo "no such zone: $2" >&2
    exit 3
    ;;
talks) head -c 1000000 /dev/zero | tr '\0' x; exit 1 ;;
leaves)
    sleep 600 &
    echo $! >"$here/left"
    ;;
hangs)
    sleep 600 &
    echo $! >"$here/left"
    wait
    ;;
esac
