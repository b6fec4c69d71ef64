# Before apt looks at anything. $1: the tree. A tree that is thrown away after a crash needs no fsync(2),
# and dpkg, apt and the packages' scripts wait for some thousands: so it is made in an overlay that does
# none. Where the file system takes no such overlay all goes as well, and slower.
set -eu
root=$1 own=$1/.kiln
test "$MMDEBSTRAP_MODE" = unshare || exit 0

# What is mounted here is mounted for mmdebstrap and its children alone, and goes with them.
mount --make-rprivate /
mkdir "$own" "$own/lower" "$own/upper" "$own/work"
chmod --reference="$root" "$own/upper"
for each in "$root"/*; do cp -a "$each" "$own/upper/"; done
cd "$own"
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work,userxattr,volatile overlay "$root" ||
  rm -rf "$own"
