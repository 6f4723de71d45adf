#!/usr/bin/env bash
# Makes an image out of a program of this machine and the libraries it needs, without any registry:
#   docker/base-image.sh [TAG]              meshwork-base:local of Node, or of the one named by NODE
#   docker/base-image.sh TAG PROGRAM…       of other programs, such as etcd and etcdctl from Debian's packages; the first one is the entry point
# DOCKER_HOST says which engine gets it.
set -euo pipefail
tag=${1:-meshwork-base:local}
shift || true
[ $# -gt 0 ] || set -- node
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

mkdir -p "$folder"/{usr/local/bin,etc/ssl/certs,tmp,root,app,data}
chmod 1777 "$folder/tmp" "$folder/data"
for program in "$@"; do
  if [ "$program" = node ]; then path=${NODE:-$(command -v node)}; else path=$(command -v "$program"); fi
  path=$(readlink -f "$path")
  cp "$path" "$folder/usr/local/bin/$program"
  ldd "$path" | grep -o '/[^ )]*' || true
done >"$folder/libraries"
# Those of the resolver are loaded only when a name is looked up.
for library in libnss_dns.so.2 libnss_files.so.2 libresolv.so.2; do
  ldconfig -p | awk -v name="$library" '$1 == name && !found++ { print $NF }'
done >>"$folder/libraries"
# Every library by its own path, the loader included.
sort -u "$folder/libraries" | while read -r library; do
  [ -e "$library" ] || continue
  mkdir -p "$folder$(dirname "$library")"
  cp -L "$library" "$folder$library"
done
rm "$folder/libraries"
if [ -e /etc/ssl/certs/ca-certificates.crt ]; then cp -L /etc/ssl/certs/ca-certificates.crt "$folder/etc/ssl/certs/"; fi
printf 'root:x:0:0:root:/root:/bin/false\nnode:x:1000:1000::/tmp:/bin/false\n' >"$folder/etc/passwd"
printf 'root:x:0:\nnode:x:1000:\n' >"$folder/etc/group"
printf 'hosts: files dns\n' >"$folder/etc/nsswitch.conf"

tar -C "$folder" --owner=0 --group=0 --numeric-owner -c . |
  docker import -c 'ENV PATH=/usr/local/bin' -c "ENTRYPOINT [\"/usr/local/bin/$1\"]" - "$tag" >/dev/null
echo "$tag"
