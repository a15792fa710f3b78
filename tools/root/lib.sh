# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What the set-up scripts share: where the cache is, how they speak.

# Everything that is made lives here, outside the checkout.
NM_CACHE=${NM_CACHE:-/var/cache/netmap-build}

say() { printf '[%(%H:%M:%S)T] %s\n' -1 "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

root_dir() { echo "$NM_CACHE/root"; }
