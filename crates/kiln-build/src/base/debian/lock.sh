# Before apt looks at anything. $1: the tree; $KILN_PINS: the file of the versions that apt is to
# take. finish.sh removes it from the tree: a machine has its updates.
set -eu
mkdir -p "$1/etc/apt/preferences.d"
cat "$KILN_PINS" > "$1/etc/apt/preferences.d/kiln-lock"
