# What makes a tree of packages an image. $1: the tree. Nothing from a recipe stands in this text;
# its values come in the environment: $KILN_TIMEZONE, $KILN_LOCALE.
set -eu
root=$1

rm -f "$root/etc/dpkg/dpkg.cfg.d/kiln-build" "$root/etc/apt/preferences.d/kiln-lock"

# For the recipe's lock, while apt's lists are still there.
if test -n "${KILN_TELL-}"; then
  chroot "$root" apt-cache show -- $(chroot "$root" dpkg-query -W -f '${Package}=${Version} ') |
    sed -nE 's/^(Package|Version|SHA256): /KILN: \1 /p' >&2
fi

# Identity is never copied: each machine makes its own keys.
rm -f "$root"/etc/ssh/ssh_host_* "$root"/var/lib/systemd/random-seed "$root"/var/lib/systemd/credential.secret

zone=/usr/share/zoneinfo/$KILN_TIMEZONE
if ! test -f "$root$zone"; then echo "KILN: no-timezone $KILN_TIMEZONE" >&2; exit 1; fi
ln -snf "$zone" "$root/etc/localtime"
printf '%s\n' "$KILN_TIMEZONE" > "$root/etc/timezone"

printf 'LANG=%s\n' "$KILN_LOCALE" > "$root/etc/default/locale"
if test "$KILN_LOCALE" != C.UTF-8; then
  if ! grep -qxF -e "$KILN_LOCALE UTF-8" "$root/usr/share/i18n/SUPPORTED"; then
    echo "KILN: no-locale $KILN_LOCALE" >&2; exit 1
  fi
  printf '%s UTF-8\n' "$KILN_LOCALE" > "$root/etc/locale.gen"
  chroot "$root" locale-gen >&2
fi

chroot "$root" systemctl --quiet enable systemd-networkd.service >&2
# cloud-init puts its account into this group, and would make it at the first boot: with three
# fsync(2), seconds on a busy disk.
chroot "$root" groupadd --system --force netdev
# Serves LVM only, and takes two seconds of a slow machine's boot.
chroot "$root" systemctl --quiet disable e2scrub_reap.service e2scrub_all.timer >&2 || true

# Python checks the hash of each source file at each import, since the build sets
# SOURCE_DATE_EPOCH; times are cheaper, a quarter of the start of cloud-init, which starts four
# times. So the modules that it loads are compiled again, with times that the image will keep.
chroot "$root" python3 - >&2 <<'PYTHON'
import importlib, os, pkgutil, py_compile, sys
from py_compile import PycInvalidationMode
import cloudinit.cmd.main, cloudinit.config, cloudinit.net, cloudinit.sources
for package in (cloudinit.config, cloudinit.net, cloudinit.sources):
    for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        try:
            importlib.import_module(found.name)
        except Exception:
            pass  # A data source of a cloud whose library is not installed.
latest = int(os.environ["SOURCE_DATE_EPOCH"])
for module in list(sys.modules.values()):
    file = getattr(module, "__file__", None)
    if file and file.endswith(".py"):
        if os.stat(file).st_mtime > latest:
            os.utime(file, (latest, latest))
        py_compile.compile(file, doraise=True, invalidation_mode=PycInvalidationMode.TIMESTAMP)
PYTHON

# Once, now that every package is there; INITRD=No kept the kernel's package from doing it.
chroot "$root" update-initramfs -c -k all >&2
