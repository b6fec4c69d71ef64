set -eu
id -u "$P_NAME" >/dev/null 2>&1 || useradd --create-home --shell "$P_SHELL" "$P_NAME"
for group in $P_GROUPS; do
  grep -q "^$group:" /etc/group || groupadd "$group"
  usermod --append --groups "$group" "$P_NAME"
done
home=$(sed -n "s/^$P_NAME:\([^:]*:\)\{4\}\([^:]*\):.*/\2/p" /etc/passwd)
if [ -n "$P_KEYS" ]; then
  mkdir -p "$home/.ssh"
  printf '%s\n' "$P_KEYS" > "$home/.ssh/authorized_keys"
  chmod 700 "$home/.ssh"
  chmod 600 "$home/.ssh/authorized_keys"
  chown -R "$(id -u "$P_NAME"):$(id -g "$P_NAME")" "$home/.ssh"
fi
if [ "$P_SUDO" = true ]; then
  mkdir -p /etc/sudoers.d
  printf '%s ALL=(ALL) NOPASSWD:ALL\n' "$P_NAME" > "/etc/sudoers.d/90-kiln-$P_NAME"
  chmod 440 "/etc/sudoers.d/90-kiln-$P_NAME"
fi
