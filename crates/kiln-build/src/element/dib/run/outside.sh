#!/bin/bash
# Runs one phase of diskimage-builder's elements beside the tree. $1: the phase. The kit that Kiln
# made is at /kiln/dib, the tree at /kiln/tree.
set -eu -o pipefail
phase=$1 kit=/kiln/dib tree=/kiln/tree
export PATH=$kit/bin:$PATH LC_ALL=C HOME=/root USER=root
# The dot is looked for: elements take what follows it for the build's name.
export TMP_BUILD_DIR=/tmp/dib_build.kiln TMP_IMAGE_DIR=/tmp/dib_image.kiln
export TMP_HOOKS_PATH=$TMP_BUILD_DIR/hooks TMP_MOUNT_PATH=$TMP_BUILD_DIR/mnt
export DIB_BLOCK_DEVICE_PARAMS_YAML=$TMP_BUILD_DIR/block-device/params.yaml
[ "$phase" != root ] && [ "$phase" != cleanup ] || export TARGET_ROOT=$TMP_MOUNT_PATH
mkdir -p $TMP_MOUNT_PATH $TMP_HOOKS_PATH $TMP_IMAGE_DIR $TMP_BUILD_DIR/block-device
# Elements keep downloads there, and expect the folders.
mkdir -p "$DIB_IMAGE_CACHE" "$DIB_LOCKFILES"
mount --bind $tree $TMP_MOUNT_PATH
# What variables of a recipe name.
cp -a $kit/files/. $TMP_BUILD_DIR
cd $TMP_BUILD_DIR

# Prints the files of folder $1 that are named like $2 and pass test(1) $3.
function named {
  local path
  for path in "$1"/*; do
    if [ -f "$path" ] && [ "$3" "$path" ] && [[ ${path##*/} =~ $2 ]]; then echo "${path##*/}"; fi
  done
}
function die {
  echo "$@"
  exit 1
}
function get_image_element_array { echo "$KILN_ELEMENT_ARRAY"; }
export -f die get_image_element_array

# Prints the value of key $2 of the os-release $1.
function os_value {
  local key value
  while IFS='=' read -r key value; do
    if [ "$key" = "$2" ]; then echo "${value//[^A-Za-z0-9._-]/}"; return; fi
  done < "$1"
}
if [ -n "$KILN_ON_TREE" ]; then
  # The elements below, which would say that, are Kiln's.
  release=$tree/etc/os-release
  [ ! -L $release ] || release=/none
  [ -e $release ] || release=$tree/usr/lib/os-release
  if [ -f $release ]; then
    : "${DISTRO_NAME:=$(os_value $release ID)}"
    : "${DIB_RELEASE:=$(os_value $release VERSION_CODENAME)}"
    : "${DIB_RELEASE:=$(os_value $release VERSION_ID)}"
    export DISTRO_NAME DIB_RELEASE
  fi
fi

if [ "$phase" = root ]; then
  cp -a $kit/hooks/. $TMP_HOOKS_PATH
else
  # Between the phases the folder lies where the tree's own programs look for it.
  mount --bind $tree/tmp/in_target.d $TMP_HOOKS_PATH
fi

(
  # Into a variable first: what fails in a list of `for` fails unheard.
  files=$(named $TMP_HOOKS_PATH/environment.d '^[0-9A-Za-z_.-]+$' -f | sort)
  for file in $files; do
    source "$TMP_HOOKS_PATH/environment.d/$file"
  done
  if [ -d "$TMP_HOOKS_PATH/$phase.d" ]; then
    scripts=$(named "$TMP_HOOKS_PATH/$phase.d" '^[0-9A-Za-z_-]+$' -x | sort -n)
    for script in $scripts; do
      echo "KILN: script $phase.d/$script"
      "$TMP_HOOKS_PATH/$phase.d/$script"
    done
  fi
)

case $phase in
root)
  if [ -z "$(ls $tree | grep -vx -e lost+found -e tmp)" ]; then
    echo "no element made a tree" >&2
    exit 1
  fi
  # What elements find in resolv.conf.ORIG, or put there, is in the image.
  if [ -L $tree/etc/resolv.conf ] || [ -f $tree/etc/resolv.conf ]; then
    mv $tree/etc/resolv.conf $tree/etc/resolv.conf.ORIG
  fi
  : > $tree/etc/resolv.conf
  mkdir -p -m 1777 $tree/tmp
  cp -a $kit/hooks $tree/tmp/in_target.d
  ;;
cleanup)
  if [ -L $tree/etc/resolv.conf ]; then
    rm -f $tree/etc/resolv.conf.ORIG
  else
    rm -f $tree/etc/resolv.conf
    if [ -L $tree/etc/resolv.conf.ORIG ] || [ -f $tree/etc/resolv.conf.ORIG ]; then
      mv $tree/etc/resolv.conf.ORIG $tree/etc/resolv.conf
    fi
  fi
  umount -l $TMP_HOOKS_PATH
  find $tree/tmp -xdev -mindepth 1 -delete
  find $tree/var/log -type f -exec truncate -s 0 {} +
  find $tree/root -name '*.log' -type f -delete
  rm -rf $tree/lost+found
  ;;
esac
