# The boot loader of the RPM family reads one file, and the command lines of its kernels lie in
# entries of their own. Debian's part is a file of the element.
set -eu
[ "$FAMILY" = rpm ] || exit 0
file=/etc/default/grub
words="console=tty0 console=$P_CONSOLE,$P_SPEED"
mkdir -p /etc/default
touch "$file"
set_to() {
  sed -i "/^$1=/d" "$file"
  printf '%s="%s"\n' "$1" "$2" >> "$file"
}
before=$(sed -n 's/^GRUB_CMDLINE_LINUX="\(.*\)"$/\1/p' "$file" | tail -n 1)
for word in $before; do
  case $word in console=*) ;; *) rest="${rest:-}$word " ;; esac
done
set_to GRUB_CMDLINE_LINUX "${rest:-}$words"
set_to GRUB_TERMINAL "console serial"
set_to GRUB_SERIAL_COMMAND "serial --speed=$P_SPEED"
for entry in /boot/loader/entries/*.conf; do
  [ -f "$entry" ] || continue
  sed -i -e '/^options /s/ console=[^ ]*//g' -e "/^options /s/\$/ $words/" "$entry"
done
