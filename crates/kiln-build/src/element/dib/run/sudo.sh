#!/bin/bash
# sudo(8) for who is root already: nothing is asked, nothing is gained.
env=()
while [ $# -gt 0 ]; do
  case $1 in
  -u | -g | -h | -p | -C | -T) shift 2 ;;
  --) shift; break ;;
  -*) shift ;;
  *=*) env+=("$1"); shift ;;
  *) break ;;
  esac
done
exec /usr/bin/env "${env[@]}" "$@"
