set -eu
home=$(sed -n "s/^$P_USER:\([^:]*:\)\{4\}\([^:]*\):.*/\2/p" /etc/passwd)
if [ -z "$home" ]; then echo "there is no account $P_USER" >&2; exit 1; fi
file=$home/.ssh/authorized_keys
mkdir -p "$home/.ssh"
touch "$file"
printf '%s\n' "$P_KEYS" | while IFS= read -r key; do
  grep -qxF -e "$key" "$file" || printf '%s\n' "$key" >> "$file"
done
chmod 700 "$home/.ssh"
chmod 600 "$file"
owner=$(sed -n "s/^$P_USER:[^:]*:\([^:]*:[^:]*\):.*/\1/p" /etc/passwd)
chown "$owner" "$home/.ssh" "$file"
