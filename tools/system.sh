#!/bin/sh
# Install the system packages that napari, its tests and the compiled cores need on
# Debian and Ubuntu, where they are missing and we may; else say what is missing.
# Usage: system.sh PYTHON
set -eu

python=$1

if [ -z "$python" ] || ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "Python 3.11, 3.12 or 3.13 is needed; name one with: make PYTHON=/path/to/python3" >&2
    exit 1
fi

packages="g++ make xvfb xauth libegl1 libgl1 libgl1-mesa-dri libopengl0 libxkbcommon-x11-0
libdbus-1-3 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-render-util0
libxcb-shape0 libxcb-xinerama0"
"$python" -c 'import ensurepip, venv' 2>/dev/null || packages="$packages python3-venv"

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "Not Debian or Ubuntu: make sure of a C++ compiler, Xvfb and OpenGL for Qt yourself."
    exit 0
fi

missing=""
for package in $packages; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root="env"
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root="sudo"
else
    echo "Some system packages are missing and need an administrator:" >&2
    echo "    sudo apt-get install$missing" >&2
    echo "Going on without them." >&2
    exit 0
fi
echo "Installing system packages:$missing"
$as_root apt-get update -qq
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    $missing </dev/null
