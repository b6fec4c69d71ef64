# sshd takes the first value that it reads, so the file's name puts it before cloud-init's.
set -eu
yes_no() { if [ "$1" = true ]; then echo yes; else echo no; fi; }
folder=/etc/ssh/sshd_config.d
file=$folder/10-kiln.conf
main=/etc/ssh/sshd_config
mkdir -p "$folder"
{
  echo "PermitRootLogin $P_ROOT"
  echo "PasswordAuthentication $(yes_no "$P_PASSWORDS")"
  echo "KbdInteractiveAuthentication $(yes_no "$P_PASSWORDS")"
  echo "AllowTcpForwarding $(yes_no "$P_FORWARDING")"
  if [ -n "$P_USERS" ]; then echo "AllowUsers $(echo "$P_USERS" | tr '\n' ' ' | sed 's/ $//')"; fi
} > "$file"
chmod 600 "$file"
# Older packages do not read the folder.
touch "$main"
if ! grep -Eqi '^[[:space:]]*Include[[:space:]]+/etc/ssh/sshd_config\.d/' "$main"; then
  { echo "Include $folder/*.conf"; cat "$main"; } > "$main.kiln"
  cat "$main.kiln" > "$main"
  rm "$main.kiln"
fi
