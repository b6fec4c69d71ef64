#!/bin/bash
# Makes a tree of RPM packages at /kiln/tree with the host's dnf. Nothing from a recipe stands in this
# text: its values are in files of /kiln/dnf and in the environment: $KILN_BASE, $KILN_PACKAGES (names,
# separated by spaces), $KILN_TIMEZONE, $KILN_LOCALE, $KILN_DBPATH, $KILN_RELEASEVER.
set -eu -o pipefail
tree=/kiln/tree
# rpm of Debian keeps its list of packages elsewhere.
printf '%%_dbpath %s\n%%_db_backend sqlite\n' "$KILN_DBPATH" > "$HOME/.rpmmacros"
dnf() { /usr/bin/dnf -c /kiln/dnf/dnf.conf --installroot=$tree --releasever="$KILN_RELEASEVER" "$@"; }

# What was fetched is kept for other builds, and not in the image.
mkdir -p $tree/var/cache/dnf
mount --bind /kiln/dnf-cache $tree/var/cache/dnf
# The keys are those of this tree, whatever another one had.
rm -f $tree/var/cache/dnf/.gpgkeyschecked*

echo 'KILN: stage lists'
dnf --refresh makecache
# A wrong name is told before anything is installed, with the names near it.
names=$(dnf -q repoquery --available --qf '%{name}')
missing=
for wanted in $KILN_PACKAGES; do
  if ! grep -qxF -e "$wanted" <<< "$names" && test -z "$(dnf -q repoquery --available --whatprovides "$wanted")" &&
    test -z "$(dnf -q repoquery --available "$wanted")"; then
    missing=yes
    echo "KILN: no-package $wanted"
    grep -i -e "^$(printf %.1s "$wanted")" <<< "$names" | sed 's/^/KILN: package /' || true
  fi
done
test -z "$missing"

echo 'KILN: stage install'
# First what has the folders: its files lie below /proc and /dev, which are mounted for the others.
mkdir -p $tree/etc/dracut.conf.d
echo 'hostonly="no"' > $tree/etc/dracut.conf.d/90-kiln.conf
dnf -y install filesystem
mount --rbind /proc $tree/proc
mount --rbind /dev $tree/dev
# shellcheck disable=SC2086
dnf -y install $KILN_BASE $KILN_PACKAGES

echo 'KILN: stage finish'
# Identity is never copied: each machine makes its own keys.
rm -f $tree/etc/ssh/ssh_host_* $tree/var/lib/systemd/random-seed $tree/var/lib/systemd/credential.secret
rm -rf $tree/var/log/dnf* $tree/var/log/hawkey.log
zone=/usr/share/zoneinfo/$KILN_TIMEZONE
if ! test -f "$tree$zone"; then echo "KILN: no-timezone $KILN_TIMEZONE"; exit 1; fi
ln -snf "$zone" $tree/etc/localtime
printf 'LANG=%s\n' "$KILN_LOCALE" > $tree/etc/locale.conf
# A tree without labels does not start when SELinux insists on them.
if test -f $tree/etc/selinux/config; then
  sed -i 's/^SELINUX=.*/SELINUX=permissive/' $tree/etc/selinux/config
fi

# The kernel's own scripts may have done all of this already.
for modules in $tree/usr/lib/modules/*/; do
  version=$(basename "$modules")
  test -f "$modules/vmlinuz" || continue
  test -f "$tree/boot/vmlinuz-$version" || cp "$modules/vmlinuz" "$tree/boot/vmlinuz-$version"
  if test -x $tree/usr/bin/dracut; then
    chroot $tree dracut --no-hostonly --reproducible --force --kver "$version" "/boot/initramfs-$version.img"
  fi
done
rm -f $tree/var/lib/rpm/.rpm.lock $tree/usr/lib/sysimage/rpm/.rpm.lock
umount -l $tree/var/cache/dnf $tree/proc $tree/dev
