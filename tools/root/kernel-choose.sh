# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Which kernel release to build for. The archive moves: backports holds a few releases at a
# time and drops old ones, so the choice has fallbacks, each said aloud.

# Releases the archive has headers for, with the package version: "RELEASE VERSION", newest last.
# A release whose source package has another version is left out: it could not be prepared.
available_releases() {
	"$here/enter" bash -ec '
		apt-cache search --names-only "^linux-headers-[0-9].*-amd64$" |
			sed -n "s/^linux-headers-\([0-9][^ ]*-amd64\) .*/\1/p" | grep -Ev -- "-(rt|cloud)-amd64$" |
			while read -r release; do
				series=$(echo "$release" | cut -d. -f1,2 | sed "s/[^0-9.].*//")
				apt-cache madison "linux-headers-$release" | cut -d"|" -f2 | tr -d " " | sort -u |
					while read -r v; do
						apt-cache madison "linux-source-$series" | cut -d"|" -f2 | tr -d " " |
							grep -qxF -- "$v" && echo "$release $v"
					done
			done | sort -V' list || true
}

release_series() { echo "$1" | cut -d. -f1,2 | sed 's/[^0-9.].*//'; }
release_version() { available_releases | awk -v r="$1" '$1 == r { v = $2 } END { print v }'; }

# release_config RELEASE [VERSION]: the configuration of the archive's kernel, from its headers.
release_config() {
	"$here/enter" bash -ec '
		d=$(mktemp -d); trap "rm -rf $d" EXIT; cd "$d"
		apt-get -qq -o APT::Sandbox::User=root download "linux-headers-$1${2:+=$2}" >/dev/null
		dpkg-deb --fsys-tarfile linux-headers-*.deb | tar -xO --wildcards "*/.config"' config "$@"
}
release_has_rust() { release_config "$1" | grep -x "CONFIG_RUST=y" >/dev/null; }

# choose_release WANTED [asked|series]: the release to use, on standard output. It must be that
# one if it was asked for; with `series` it is of that series, or none.
choose_release() {
	local wanted=$1 asked=${2:-} all series newest r
	all=$(available_releases | cut -d' ' -f1)
	[ -n "$all" ] || die "the archive offers no kernel with both headers and source; check that the mirror carries $NM_SUITE-backports"
	if grep -qxF -- "$wanted" <<<"$all"; then
		echo "$wanted"
		return
	fi
	if [ "$asked" = asked ]; then
		die "NM_KERNEL=$wanted: the archive has no such release with headers and source. It has:
$(sed 's/^/    /' <<<"$all")"
	fi
	series=$(release_series "$wanted")
	newest=$(grep -E "^${series//./\\.}([.+-])" <<<"$all" | tail -n 1 || true)
	if [ -n "$newest" ]; then
		warn "kernel $wanted is gone from the archive; taking the newest of its series, $newest"
		echo "$newest"
		return
	fi
	if [ "$asked" = series ]; then
		warn "no kernel of series $series is left in the archive; nothing is built for it or tried on it. Take $wanted out of tools/root/kernel.lock (Documentation/kernels.md)"
		return
	fi
	for r in $(tac <<<"$all"); do
		if release_has_rust "$r"; then
			warn "no kernel of series $series is left in the archive; taking $r, the newest built with Rust. This tree was not tried with it: if a step fails, choose another with NM_KERNEL=RELEASE (tools/root/kernel --list)"
			echo "$r"
			return
		fi
	done
	die "no kernel in the archive is built with Rust (CONFIG_RUST); it has:
$(sed 's/^/    /' <<<"$all")"
}

# need_same_rustc CONFIG: crates of another compiler version cannot be linked.
need_same_rustc() {
	local kernel root
	kernel=$(sed -n 's/^CONFIG_RUSTC_VERSION=//p' "$1")
	root=$("$here/enter" rustc --version | awk '{ split($2, v, "[.-]"); printf "%d%03d%02d\n", v[1], v[2], v[3] }')
	[ "$kernel" = "$root" ] ||
		die "this kernel was built with rustc $kernel, the made root has $root; the very same version is needed. Choose a kernel built with it: NM_KERNEL=RELEASE (tools/root/kernel --list)"
}
