# Where the route comes from: Red Hat's network scripts, and Debian's avahi-autoipd.
set -eu
case $FAMILY in
rpm)
  file=/etc/sysconfig/network
  mkdir -p /etc/sysconfig
  touch "$file"
  sed -i '/^NOZEROCONF=/d' "$file"
  echo NOZEROCONF=yes >> "$file"
  ;;
debian)
  for hook in if-up.d if-down.d; do
    if [ -f "/etc/network/$hook/avahi-autoipd" ]; then
      chmod 644 "/etc/network/$hook/avahi-autoipd"
    fi
  done
  ;;
esac
