#!/bin/bash
# Runs one phase of diskimage-builder's elements in the tree. $1: the phase.
set -eu -o pipefail
phase=$1 hooks=/tmp/in_target.d
export LC_ALL=C HOME=/root USER=root TMP_MOUNT_PATH=/ TMP_HOOKS_PATH=$hooks
unset TMPDIR
cd /

# Prints the files of folder $1 that are named like $2 and pass test(1) $3.
function named {
  local path
  for path in "$1"/*; do
    if [ -f "$path" ] && [ "$3" "$path" ] && [[ ${path##*/} =~ $2 ]]; then echo "${path##*/}"; fi
  done
}
function get_image_element_array { echo "$KILN_ELEMENT_ARRAY"; }
export -f get_image_element_array

# Into a variable first: what fails in a list of `for` fails unheard.
files=$(named $hooks/environment.d '^[0-9A-Za-z_.-]+$' -f | sort)
for file in $files; do
  source "$hooks/environment.d/$file"
done
if [ "$phase" = finalise ]; then
  # There is no disk yet to install a boot loader on: Kiln does that when it makes one. This file
  # is how elements say that it is done.
  mkdir -p /tmp/grub
  : > /tmp/grub/install
  if [ -n "$KILN_LOADERS" ] && [ -e /etc/debian_version ]; then
    echo "KILN: script boot loaders for Kiln"
    install-packages $KILN_LOADERS
  fi
fi
[ -d "$hooks/$phase.d" ] || exit 0
scripts=$(named "$hooks/$phase.d" '^[0-9A-Za-z_-]+$' -x | sort -n)
for script in $scripts; do
  echo "KILN: script $phase.d/$script"
  "$hooks/$phase.d/$script"
done
