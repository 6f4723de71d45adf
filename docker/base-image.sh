#!/usr/bin/env bash
# Makes the image meshwork-base:local out of this machine's Node (or the one named by NODE) and the libraries it needs, without any registry:
#   docker/base-image.sh [TAG]
# DOCKER_HOST says which engine gets it.
set -euo pipefail
tag=${1:-meshwork-base:local}
node=$(readlink -f "${NODE:-$(command -v node)}")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

mkdir -p "$folder"/{usr/local/bin,etc,tmp,root,app}
chmod 1777 "$folder/tmp"
cp "$node" "$folder/usr/local/bin/node"
# Every library by its own path, the loader included; the resolver's are loaded only when a name is looked up.
{
  ldd "$node" | grep -o '/[^ )]*'
  for library in libnss_dns.so.2 libnss_files.so.2 libresolv.so.2; do
    ldconfig -p | awk -v name="$library" '$1 == name && !found++ { print $NF }'
  done
} | sort -u | while read -r library; do
  [ -e "$library" ] || continue
  mkdir -p "$folder$(dirname "$library")"
  cp -L "$library" "$folder$library"
done
printf 'root:x:0:0:root:/root:/bin/false\nnode:x:1000:1000::/tmp:/bin/false\n' >"$folder/etc/passwd"
printf 'root:x:0:\nnode:x:1000:\n' >"$folder/etc/group"
printf 'hosts: files dns\n' >"$folder/etc/nsswitch.conf"

tar -C "$folder" --owner=0 --group=0 --numeric-owner -c . |
  docker import -c 'ENV PATH=/usr/local/bin' -c 'ENTRYPOINT ["/usr/local/bin/node"]' - "$tag" >/dev/null
echo "$tag"
