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

# Prints the value of key $2 of the os-release $1.
function os_value {
  local key value
  while IFS='=' read -r key value; do
    if [ "$key" = "$2" ]; then echo "${value//[^A-Za-z0-9._-]/}"; return; fi
  done < "$1"
}
if [ -n "$KILN_ON_TREE" ]; then
  # The elements below, which would say that, are Kiln's.
  release=/etc/os-release
  [ -e $release ] || release=/usr/lib/os-release
  if [ -f $release ]; then
    : "${DISTRO_NAME:=$(os_value $release ID)}"
    : "${DIB_RELEASE:=$(os_value $release VERSION_CODENAME)}"
    : "${DIB_RELEASE:=$(os_value $release VERSION_ID)}"
    export DISTRO_NAME DIB_RELEASE
  fi
fi
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
