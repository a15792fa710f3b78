# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What the scripts that DKMS runs share: where things are, and whether a kernel can have the
# modules at all.

NETMAP_STATE=${NETMAP_STATE:-/var/lib/netmap-dkms}
NETMAP_MODULES=${NETMAP_MODULES:-/lib/modules}
NETMAP_USR_SRC=${NETMAP_USR_SRC:-/usr/src}

say() { printf 'netmap-dkms: %s\n' "$*" >&2; }

kernel_config() { echo "$NETMAP_MODULES/$1/build/.config"; }
config_value() { sed -n "s/^$2=//p" "$(kernel_config "$1")" | tr -d '"'; }
kernel_series() { echo "$1" | cut -d. -f1,2 | sed 's/[^0-9.].*//'; }

# The rustc that built this kernel: `rustc`, or one of a versioned package.
matching_rustc() {
	local wanted c
	wanted=$(config_value "$1" CONFIG_RUSTC_VERSION_TEXT)
	for c in rustc /usr/bin/rustc-[0-9]* /usr/lib/rust-*/bin/rustc /usr/lib/rustc-*/bin/rustc; do
		if [ "$("$c" --version 2>/dev/null)" = "$wanted" ]; then
			command -v "$c"
			return
		fi
	done
	return 1
}

# The tarball of this kernel's own source.
source_tarball() { echo "$NETMAP_USR_SRC/linux-source-$(kernel_series "$1").tar.xz"; }
package_version() { dpkg-query -W -f '${db:Status-Status} ${Version}\n' "$1" 2>/dev/null | sed -n 's/^\(installed\|unpacked\|half-configured\|triggers-[a-z]*\) //p'; }

# What the kernel's crates depend on; trees of another key are made anew.
tree_key() {
	{
		echo 1
		config_value "$1" CONFIG_RUSTC_VERSION_TEXT
		cat "$(kernel_config "$1")" "$NETMAP_MODULES/$1/build/Module.symvers"
	} | sha256sum | cut -c1-32
}
have_tree() {
	local dir=$NETMAP_STATE/$1
	[ -e "$dir/tree/rust/libkernel.rmeta" ] && [ -e "$dir/tree/.config" ] && [ -d "$dir/source/drivers" ] &&
		[ "$(cat "$dir/key" 2>/dev/null)" = "$(tree_key "$1")" ]
}

# Whether the firmware lets the kernel load what DKMS signs. A refused module in updates/ would
# hide the kernel's own.
untrusted_key() {
	local cert
	mokutil --sb-state 2>/dev/null | grep -q '^SecureBoot enabled' || return
	# shellcheck disable=SC1091,SC2154 # the administrator's choice
	cert=$(
		for f in /etc/dkms/framework.conf /etc/dkms/framework.conf.d/*.conf; do [ ! -r "$f" ] || . "$f"; done
		echo "${mok_certificate:-/var/lib/dkms/mok.pub}"
	)
	mokutil --test-key "$cert" 2>/dev/null | grep -q 'is already enrolled' ||
		echo "Secure Boot is on and does not trust the key DKMS signs with. Enroll it: dkms generate_mok; mokutil --import $cert; reboot and confirm; dkms autoinstall -k $1"
}

# why_not RELEASE: prints why this kernel can't have the modules, as far as that is known
# without building anything; nothing when it can. Quick: package scripts ask often.
why_not() {
	local release=$1 series config name have want untrusted
	config=$(kernel_config "$release")
	series=$(kernel_series "$release")
	if [ ! -e "$config" ] || [ ! -e "$NETMAP_MODULES/$release/build/Module.symvers" ]; then
		echo "its headers are not installed (linux-headers-$release)"
	elif ! grep -q '^CONFIG_RUST=y' "$config"; then
		echo "this kernel is built without Rust (CONFIG_RUST)"
	elif ! grep -q '^CONFIG_IXGBE=m' "$config"; then
		echo "this kernel has no ixgbe module (CONFIG_IXGBE=m)"
	elif untrusted=$(untrusted_key "$release") && [ -n "$untrusted" ]; then
		echo "$untrusted"
	elif ! matching_rustc "$release" >/dev/null; then
		echo "it was built with $(config_value "$release" CONFIG_RUSTC_VERSION_TEXT | cut -d' ' -f1-2), and the very same compiler is needed; here is $(rustc --version 2>/dev/null | grep . || echo none). Install that version of rustc and rust-src"
	elif ! have_tree "$release"; then
		name=linux-source-$series
		have=$(package_version "$name")
		want=$(package_version "linux-headers-$release")
		if [ ! -e "$(source_tarball "$release")" ]; then
			echo "its source is not installed: apt install $name${want:+=$want}"
		elif [ -n "$want" ] && [ "$have" != "$want" ]; then
			echo "its source has another version: the kernel's is $want, $name is ${have:-unknown}"
		else
			missing_tool
		fi
	else
		missing_tool
	fi
}
missing_tool() {
	local t
	for t in bindgen spatch pahole make flex bison bc cpio; do
		command -v "$t" >/dev/null || { echo "the program $t is missing; reinstall netmap-dkms with its dependencies" && return; }
	done
}
