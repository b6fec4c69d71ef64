# Debian makes a locale when it is asked to; Fedora's family has packages of them.
set -eu
[ "$P_LANG" = C.UTF-8 ] && exit 0
case $FAMILY in
debian)
  if ! grep -qxF -e "$P_LANG UTF-8" /usr/share/i18n/SUPPORTED; then
    echo "there is no locale $P_LANG" >&2
    exit 1
  fi
  sed -i "/^[# ]*$P_LANG UTF-8\$/d" /etc/locale.gen
  printf '%s UTF-8\n' "$P_LANG" >> /etc/locale.gen
  locale-gen
  ;;
rpm)
  if [ -z "$(find /usr/lib/locale -maxdepth 1 -name "${P_LANG%.UTF-8}.*" 2>/dev/null)" ]; then
    echo "install glibc-langpack-${P_LANG%%_*}: the locale $P_LANG is not there" >&2
    exit 1
  fi
  ;;
esac
