# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What the set-up scripts share: where the cache is, how they speak, how a Debian tree is made.

# Everything that is made lives here, outside the checkout.
NM_CACHE=${NM_CACHE:-/var/cache/netmap-build}
# The Debian release of the made root and of the guest.
NM_SUITE=trixie

say() { printf '[%(%H:%M:%S)T] %s\n' -1 "$*" >&2; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

root_dir() { echo "$NM_CACHE/root"; }

# The kernel release everything is built for (chosen by tools/root/kernel).
kernel_release() {
	cat "$NM_CACHE/kernel/current" 2>/dev/null ||
		die "no kernel tree prepared in $NM_CACHE; 'make root' does it"
}

# The releases this tree was tried with, the main one first.
locked_releases() {
	sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "$(dirname "${BASH_SOURCE[0]}")/kernel.lock"
}

need_root() {
	[ "$(id -u)" = 0 ] || die "this needs root (mounts, namespaces, a chroot); run it as root"
}

# need_space DIR MIB: stop before a long job that cannot end well.
need_space() {
	local free
	mkdir -p "$1" || die "cannot create $1"
	free=$(df --output=avail -m "$1" | tail -n 1 | tr -d ' ')
	[ "$free" -ge "$2" ] ||
		die "only $free MiB free in $1, about $2 MiB are needed; make room or set NM_CACHE to another file system"
}

# with_lock NAME: one such job at a time on this cache, released when the shell ends.
with_lock() {
	mkdir -p "$NM_CACHE/lock"
	exec {nm_lock}>"$NM_CACHE/lock/$1"
	flock -n "$nm_lock" || {
		say "waiting for another '$1' job on $NM_CACHE"
		flock "$nm_lock"
	}
}

# Names in a package list: one per line, # comments.
package_list() { sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "$1" | LC_ALL=C sort -u; }

# quietly LOG TITLE CMD…: run a long command with its output in LOG and a line of
# progress now and then; on failure show the end of LOG.
quietly() {
	local log=$1 title=$2 pid start=$SECONDS rc=0 n=0
	shift 2
	say "$title"
	mkdir -p "$(dirname "$log")"
	# a process group of its own, so that an interruption ends all of it
	set -m
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	set +m
	# shellcheck disable=SC2064 # the pid of now
	trap "kill -TERM -- -$pid 2>/dev/null || :; wait $pid 2>/dev/null || :; die '$title: interrupted; run it again'" INT TERM HUP
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.5
		n=$((n + 1))
		if [ $((n % 30)) = 0 ]; then
			say "  … $((SECONDS - start)) s: $(tail -n 1 "$log" | tr -d '\r' | cut -c1-100)"
		fi
	done
	wait "$pid" || rc=$?
	trap - INT TERM HUP
	if [ "$rc" != 0 ]; then
		tail -n 25 "$log" | sed 's/^/    /' >&2
		if grep -q 'No space left on device' "$log"; then
			die "$title: disk full; make room on $(df --output=target "$NM_CACHE" | tail -n 1) or set NM_CACHE"
		fi
		if grep -qiE 'could not resolve|Temporary failure resolving|Could not connect|Network is unreachable|Connection timed out|Failed to fetch' "$log"; then
			die "$title: the network or the registry is not reachable (see above; full log: $log). Check the network, proxy and apt sources of this host, then run it again"
		fi
		die "$title failed (status $rc); full log: $log"
	fi
	say "  done in $((SECONDS - start)) s"
}

# The host's Debian mirror, as its own apt is configured.
debian_mirror() {
	if [ -n "${NM_MIRROR:-}" ]; then
		echo "${NM_MIRROR%/}"
		return
	fi
	command -v apt-get >/dev/null ||
		die "no apt-get here: the set-up runs on Debian 12 or 13 (or set NM_MIRROR to a Debian mirror and install mmdebstrap)"
	local uri code component
	# shellcheck disable=SC1091
	code=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	while IFS='|' read -r uri suite component; do
		case $uri in *security*) continue ;; esac
		if [ "$suite" = "$code" ] && [ "$component" = main ]; then
			echo "${uri%/}"
			return
		fi
	done < <(apt-get indextargets --format '$(REPO_URI)|$(RELEASE)|$(COMPONENT)' 'Created-By: Packages' 2>/dev/null)
	die "the host's apt sources name no Debian mirror with '$code main'; add one or set NM_MIRROR=http://…/debian"
}

# The host's certificate authorities: what SSL_CERT_FILE names, else the system's bundle.
ca_bundle() {
	local f
	for f in "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt; do
		if [ -n "$f" ] && [ -s "$f" ]; then
			echo "$f"
			return
		fi
	done
}

# How the host's apt reaches its registries: proxies, CA, timeouts, as apt.conf lines.
apt_access() {
	command -v apt-config >/dev/null || return 0
	apt-config dump | grep -E '^Acquire::((http|https|ftp)::|Retries|ForceIPv)' |
		grep -Ev 'Proxy-Auto-Detect|ProxyAutoDetect|::(http|https|ftp) ""|User-Agent' || true
	local auto
	for auto in Acquire::http::Proxy-Auto-Detect Acquire::http::ProxyAutoDetect; do
		local cmd
		cmd=$(apt-config dump --format '%v' "$auto" 2>/dev/null || true)
		if [ -n "$cmd" ] && [ -x "$cmd" ]; then
			local p
			p=$("$cmd" "$(debian_mirror)" 2>/dev/null | head -n 1)
			case $p in http*) echo "Acquire::http::Proxy \"$p\";" ;; esac
		fi
	done
}

need_mmdebstrap() {
	# shellcheck disable=SC1091
	case $(. /etc/os-release 2>/dev/null && echo "${ID:-}:${VERSION_ID:-}") in
	debian:12 | debian:13) ;;
	*) command -v mmdebstrap >/dev/null ||
		die "this host is not Debian 12 or 13 and has no mmdebstrap; install mmdebstrap and the Debian archive keyring by hand, or use Debian 12 or 13" ;;
	esac
	if ! command -v mmdebstrap >/dev/null; then
		quietly "$NM_CACHE/log/mmdebstrap.log" "installing mmdebstrap on this host (the only package outside the made root)" \
			install_mmdebstrap
	fi
	[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || [ -e /etc/apt/trusted.gpg.d ] ||
		die "no Debian archive keyring on this host; install debian-archive-keyring"
}

install_mmdebstrap() {
	apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends mmdebstrap
}

# debian_tree TARGET PACKAGES [SUITE…]: make a minimal Debian tree (a folder, or a .tar)
# with PACKAGES (comma separated) from the host's mirror, reaching it as the host does.
debian_tree() {
	local target=$1 packages=$2 mirror setup conf rc=0 suite lines=()
	shift 2
	mirror=$(debian_mirror)
	for suite in "$NM_SUITE" "$@"; do lines+=("deb $mirror $suite main"); done
	setup=$(mktemp -d "${TMPDIR:-/tmp}/nm-setup.XXXXXX")
	mkdir -p "$setup/usr/local/share/ca-certificates" "$setup/etc/apt/apt.conf.d" "$setup/etc/apt/preferences.d"
	if [ -d /usr/local/share/ca-certificates ]; then
		cp -rL /usr/local/share/ca-certificates/. "$setup/usr/local/share/ca-certificates/"
	fi
	conf=$setup/etc/apt/apt.conf.d/90host
	apt_access >"$conf"
	if [ -d /etc/apt/auth.conf.d ]; then cp -rL /etc/apt/auth.conf.d "$setup/etc/apt/"; fi
	printf 'Package: qemu* seabios ipxe* libslirp* libfdt* vgabios\nPin: release n=%s-backports\nPin-Priority: 600\n' "$NM_SUITE" \
		>"$setup/etc/apt/preferences.d/netmap"
	# In namespaces of its own: when it is interrupted, its processes and mounts are gone
	# at once, and nothing that is removed afterwards is a mount of the host.
	DEBIAN_FRONTEND=noninteractive unshare --mount --propagation private --pid --fork --kill-child \
		mmdebstrap --mode=root --variant=minbase \
		--include="$packages" --skip=cleanup/reproducible \
		--aptopt="$conf" --aptopt='APT::Install-Recommends "false"' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--setup-hook="cp -r '$setup/.' \"\$1/\"" \
		--customize-hook="$(carry_ca_hook)" \
		"$NM_SUITE" "$target" "${lines[@]}" || rc=$?
	rm -rf "$setup"
	return $rc
}

# The hook that lays the host's CA bundle over the tree's own.
carry_ca_hook() {
	local bundle
	bundle=$(ca_bundle)
	if [ -n "$bundle" ]; then
		echo "mkdir -p \"\$1/etc/ssl/certs\" && cp '$bundle' \"\$1/etc/ssl/certs/ca-certificates.crt\""
	else
		echo true
	fi
}
