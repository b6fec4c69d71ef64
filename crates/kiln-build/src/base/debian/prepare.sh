# Before any package is installed. $1: the tree; $KILN_PACKAGES: the packages that the recipe adds,
# separated by spaces.
set -eu
root=$1

# A tree that is thrown away after a crash needs no fsync(2). finish.sh removes the file: in a
# machine dpkg waits for its disk.
mkdir -p "$root/etc/dpkg/dpkg.cfg.d"
echo force-unsafe-io > "$root/etc/dpkg/dpkg.cfg.d/kiln-build"

# A wrong name costs ten seconds here and thirty later, and here the names near it can be offered.
names=$(APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-cache pkgnames)
missing=
for wanted in $KILN_PACKAGES; do
  name=${wanted%%=*}
  if ! printf '%s\n' "$names" | grep -qxF -e "$name"; then
    missing=yes
    echo "KILN: no-package $name" >&2
    printf '%s\n' "$names" | grep -e "^$(printf %.1s "$name")" | sed 's/^/KILN: package /' >&2 || true
  fi
done
test -z "$missing"

# What is locked must be there, each file the same one: that is known before anything is installed.
if test -n "${KILN_LOCKED-}"; then
  export LC_ALL=C
  show() {
    APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-cache show -- "$@" 2>/dev/null |
      awk '$1 == "Package:" { p = $2 } $1 == "Version:" { v = $2 } $1 == "SHA256:" { print p, v, $2 }'
  }
  gone=$(show $(cut -d ' ' -f 1,2 --output-delimiter== "$KILN_LOCKED") | sort -u | comm -13 - "$KILN_LOCKED")
  if test -n "$gone"; then
    printf '%s\n' "$gone" | sed 's/^/KILN: gone /' >&2
    show $(printf '%s\n' "$gone" | cut -d ' ' -f 1) | sed 's/^/KILN: there /' >&2 || true
    exit 1
  fi
fi
