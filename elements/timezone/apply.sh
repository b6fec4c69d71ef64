set -eu
file=/usr/share/zoneinfo/$P_ZONE
if [ ! -f "$file" ]; then echo "there is no time zone $P_ZONE" >&2; exit 1; fi
ln -snf "$file" /etc/localtime
if [ "$FAMILY" = debian ]; then printf '%s\n' "$P_ZONE" > /etc/timezone; fi
