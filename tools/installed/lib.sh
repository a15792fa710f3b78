# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# An installed system for one test run: overlays on what tools/installed/make made, with our
# packages' dependencies, and how it is asked what it would load. (inside the made root)

installed=/cache/installed
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mapfile -t releases <"$installed/releases"
newest=$(printf '%s\n' "${releases[@]}" | sort -V | tail -n 1)

in_host() { "$here/enter" "$host" "$@"; }

# overlay DIR LAYER…: DIR/merged, a writable layer on these (topmost first) and the system.
overlay() {
	local dir=$1 lower
	shift
	lower=$(IFS=: && echo "$*${1:+:}$installed/system/upper:/")
	mkdir -p "$dir"/{upper,work,merged}
	mount -t overlay -o "lowerdir=$lower,upperdir=$dir/upper,workdir=$dir/work,redirect_dir=off,index=off" \
		overlay "$dir/merged"
}

# What our packages depend on is installed once, in a layer of its own.
dependencies_layer() { # DEB…
	local depends key dir=$installed/deps
	depends=$(for deb in "$@"; do dpkg-deb -f "$deb" Pre-Depends Depends | sed 's/^[A-Za-z-]*: //'; done |
		tr '\n' ',' | sed 's/,,*/,/g; s/,$//')
	# what the packages themselves provide to each other
	for deb in "$@"; do depends=$(sed -E "s/(^|, ?)$(dpkg-deb -f "$deb" Package) ?\([^)]*\)//g" <<<"$depends"); done
	key=$(printf '%s\n' "$depends" "$(cat "$installed/key")" | sha256sum | cut -c1-16)
	[ "$(cat "$dir/key" 2>/dev/null)" != "$key" ] || return 0
	rm -rf --one-file-system "$dir" "$dir.tmp"
	overlay "$dir.tmp"
	"$here/enter" "$dir.tmp/merged" bash -ec '
		apt-get update
		apt-get satisfy -y --no-install-recommends "$1"
		apt-get clean' satisfy "${depends#,}" >"$dir.tmp/log" 2>&1 || {
		sed 's/^/# /' "$dir.tmp/log" | tail -n 20
		umount "$dir.tmp/merged"
		return 1
	}
	umount "$dir.tmp/merged"
	rm -rf "$dir.tmp/work"
	mv "$dir.tmp" "$dir"
	echo "$key" >"$dir/key"
}

# repackaged DEB VERSION OUT: the same package under another version.
repackaged() {
	local tree version
	tree=$(mktemp -d)
	version=$(dpkg-deb -f "$1" Version)
	dpkg-deb -R "$1" "$tree"
	grep -rlZF -- "$version" "$tree/DEBIAN" | xargs -0 -r sed -i "s/${version//./\\.}/$2/g"
	if [ -d "$tree/usr/src/netmap-$version" ]; then
		mv "$tree/usr/src/netmap-$version" "$tree/usr/src/netmap-$2"
		sed -i "s/^PACKAGE_VERSION=.*/PACKAGE_VERSION=\"$2\"/" "$tree/usr/src/netmap-$2/dkms.conf"
	fi
	(cd "$tree" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | LC_ALL=C sort -z | xargs -0 md5sum >DEBIAN/md5sums)
	dpkg-deb -b "$tree" "$3" >/dev/null
	rm -rf "$tree"
}

# Which file a kernel would load for a module's name, as depmod's index has it.
resolved() { in_host modinfo -k "$1" -F filename "$2" 2>/dev/null; } # RELEASE MODULE
ours() { resolved "$1" ixgbe | grep -q "/$1/updates/dkms/ixgbe\.ko"; }
stocks() { resolved "$1" ixgbe | grep -q "/$1/kernel/drivers/net/ethernet/intel/ixgbe/ixgbe\.ko"; }
# Whether the initrd holds ours (or nothing of ours, with "not" in front).
in_initrd() { in_host lsinitramfs "/boot/initrd.img-$1" | grep "/updates/dkms/ixgbe\.ko" >/dev/null; }
# Nothing of the distribution's was changed: what dpkg says about the kernel's packages.
pristine() { ! in_host dpkg -V "linux-modules-$1" "linux-image-$1" | grep -v '/usr/share/'; }

# The files under the places a package of ours touches, to see what a removal leaves.
traces() {
	(cd "$host" && { find usr/lib/modules var/lib/dkms var/lib/netmap-dkms usr/src etc/kernel etc/modprobe.d etc/depmod.d \
		-maxdepth 4 2>/dev/null || :; } | grep -vE '/modules\.|/mok\.|^var/lib/dkms$' | LC_ALL=C sort)
}
