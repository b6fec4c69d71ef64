# Debian: every address of Debian's or Ubuntu's archive is replaced. RPM family: the lists of mirrors
# are switched off, and the part of baseurl before the release's folder is replaced.
set -eu
case $FAMILY in
debian)
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    [ -f "$file" ] || continue
    if [ -n "$P_SECURITY" ]; then
      sed -i -E "s#https?://[^ /]+/(debian-security|security)/?#$P_SECURITY#g
        s#https?://security\\.ubuntu\\.com/ubuntu/?#$P_SECURITY#g" "$file"
    fi
    sed -i -E "s#https?://[^ /]+/(debian|ubuntu)/?( |\$)#$P_URL\\2#g" "$file"
  done
  # cloud-init would write its own list over this one.
  mkdir -p /etc/cloud/cloud.cfg.d
  printf 'apt: {preserve_sources_list: true}\n' > /etc/cloud/cloud.cfg.d/95-kiln-mirror.cfg
  ;;
rpm)
  for file in /etc/yum.repos.d/*.repo; do
    [ -f "$file" ] || continue
    if grep -qF "baseurl=$P_URL/" "$file"; then continue; fi
    sed -i -E -e 's/^(metalink|mirrorlist)=/#&/' \
      -e "s@^#?[[:space:]]*baseurl=https?://[^/]+(/pub/fedora/linux|/fedora/linux|/centos-stream|/pub/rocky|/almalinux|/\\\$contentdir)?@baseurl=$P_URL@" "$file"
  done
  ;;
esac
