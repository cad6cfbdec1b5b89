#!/bin/sh
# Build the cpu image and run it for real where there is no Docker engine: with buildah in a chroot,
# on a base image that debootstrap makes. Needs Debian with buildah and debootstrap, and root.
#
#   docker/verify.sh [FOLDER] [COMMAND...]
#
# FOLDER keeps the base and the images, about 4 GB; by default a temporary one that is removed.
# COMMAND is what wsikd is asked to do at the end, by default to plan the demo.
set -eu
cd "$(dirname "$0")/.."

if [ $# -gt 0 ]; then
    mkdir -p "$1"
    work=$(realpath "$1")
    shift
else
    work=$(mktemp --directory)
    trap 'rm -rf "$work"' EXIT
fi
[ $# -gt 0 ] || set -- run demo --dry-run

export STORAGE_DRIVER=vfs
image() { buildah --root "$work/storage" --runroot "$work/runroot" "$@"; }

# the base image: Debian with Python 3.11, in place of python:3.11-slim
if ! image inspect --type image wsikd-base >/dev/null 2>&1; then
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Codename: bookworm' | head -n 1)
    debootstrap --variant=minbase --include=python3,python3-venv bookworm "$work/rootfs" "$mirror"
    base=$(image from scratch)
    image add --quiet "$base" "$work/rootfs" /
    image commit --quiet --rm "$base" wsikd-base
    rm -rf "$work/rootfs"
fi

# pip inside reads what pip out here reads: its settings, and the folders and files they name
pip config list | sed -n "s/^[^=]*\.\([a-z-]*\)='\(.*\)'$/\1 = \2/p" |
    awk 'BEGIN { print "[global]" } { last[$1] = $0 } END { for (key in last) print last[key] }' \
        >"$work/pip.conf"
volumes_of() {
    # a folder of package pages lies beside the folder of their files
    grep -o '\(file://\)\?/[^ ]*' "$1" | sed 's|^file://||; s|/simple/*$||' | sort -u |
        while read -r path; do [ ! -e "$path" ] || echo "--volume $path:$path:ro"; done
}
torch_index=${TORCH_INDEX_URL:-$(pip config get global.index-url 2>/dev/null || echo https://pypi.org/simple)}
# shellcheck disable=SC2046  # one word for each part of each volume
image bud --isolation chroot --file docker/Dockerfile --target cpu --tag wsikd \
    --build-arg BASE=localhost/wsikd-base --build-arg TORCH_INDEX_URL="$torch_index" \
    --volume "$work/pip.conf:/etc/pip.conf:ro" $(volumes_of "$work/pip.conf") .

# run it as Docker would: its own entry point, user and folder, with a volume for the data
mkdir -p "$work/data"
chown 1000 "$work/data"
entry=$(image inspect --type image --format '{{index .OCIv1.Config.Entrypoint 0}}' wsikd)
container=$(image from wsikd)
run() { image run --isolation chroot --volume "$work/data:/data" "$container" -- "$@"; }
[ "$(run id -u)" != 0 ] || { echo "verify.sh: the image must not run as root" >&2; exit 1; }
run "$entry" --help
run "$entry" "$@"
image rm "$container" >/dev/null
image rmi --prune >/dev/null # what this build replaced
