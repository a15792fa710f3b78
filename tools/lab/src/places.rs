// SPDX-License-Identifier: GPL-2.0
//! Where things are: the cache, the guest image, what was built, a scratch folder per run.

use anyhow::{bail, Context, Result};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The cache as it is seen inside the made root.
pub fn cache() -> PathBuf {
    std::env::var_os("NM_LAB_CACHE").map_or_else(|| PathBuf::from("/cache"), PathBuf::from)
}

/// The checkout as it is seen inside the made root.
pub fn checkout() -> PathBuf {
    std::env::var_os("NM_LAB_SRC").map_or_else(|| PathBuf::from("/src"), PathBuf::from)
}

/// What `tools/guest/make` made for one kernel release, or `tools/installed/test`.
#[derive(Debug, Clone)]
pub struct GuestImage {
    /// Release name of the kernel, as `uname -r` says it.
    pub release: String,
    /// Where it is.
    dir: PathBuf,
    /// ELF kernel.
    pub kernel: PathBuf,
    /// Initial RAM file system.
    pub initrd: PathBuf,
    /// Read-only root file system.
    pub rootfs: PathBuf,
    /// Private key that opens the guest.
    pub ssh_key: PathBuf,
    /// Kernel parameters of its own: an installed system is told where its root is. Such a
    /// system writes to its disk; what it writes is thrown away.
    pub append: Option<String>,
}

/// In front of a kernel release: not a guest, but the installed system with that kernel.
pub const INSTALLED: &str = "installed/";

impl GuestImage {
    /// The image for `release`, or the current one; `installed/RELEASE` is the installed system.
    ///
    /// # Errors
    /// When it has not been made.
    pub fn find(release: Option<&str>) -> Result<Self> {
        let (dir, maker) = match release.and_then(|r| r.strip_prefix(INSTALLED)) {
            Some(r) => (
                cache().join("installed").join(format!("guest-{r}")),
                "tools/root/enter tools/installed/test",
            ),
            None => (
                cache().join("guest").join(release.unwrap_or("current")),
                "make guest",
            ),
        };
        let dir = dir
            .canonicalize()
            .with_context(|| format!("no guest image at {}; '{maker}' makes it", dir.display()))?;
        let name = dir
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        let image = GuestImage {
            release: name.strip_prefix("guest-").unwrap_or(&name).to_string(),
            dir: dir.clone(),
            kernel: dir.join("vmlinux"),
            initrd: dir.join("initrd"),
            rootfs: dir.join("rootfs.ext4"),
            ssh_key: dir.join("ssh_key"),
            append: std::fs::read_to_string(dir.join("append"))
                .ok()
                .map(|text| text.trim().to_string()),
        };
        for part in [&image.kernel, &image.initrd, &image.rootfs, &image.ssh_key] {
            if !part.exists() {
                bail!(
                    "guest image is incomplete: {} is missing; run '{maker}'",
                    part.display()
                );
            }
        }
        Ok(image)
    }

    /// Kernel parameters, with some more.
    pub fn parameters(&self, more: &str) -> String {
        // Warnings and worse go to the console, where they are looked for; no interface is renamed.
        format!(
            "console=ttyS0 loglevel=5 panic=-1 no_timer_check net.ifnames=0 iomem=relaxed {} {more}",
            self.append.as_deref().unwrap_or_default(),
        )
    }

    /// A file of this image that not all have.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// A program that was built and staged for the guest or the lab.
///
/// # Errors
/// When it is not there, with the command that builds it.
pub fn built_program(name: &str) -> Result<PathBuf> {
    let candidates = [
        cache().join("payload/bin").join(name),
        cache().join("target/release").join(name),
    ];
    candidates
        .iter()
        .find(|p| p.exists())
        .cloned()
        .with_context(|| format!("{name} is not built; run 'make tools'"))
}

/// A short name of this run that no other run has (process ids may repeat: the lab has a
/// process namespace of its own).
pub fn run_tag() -> &'static str {
    static TAG: OnceLock<String> = OnceLock::new();
    TAG.get_or_init(|| {
        let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
        match uuid.get(..6) {
            Some(head) => head.to_string(),
            None => std::process::id().to_string(),
        }
    })
}

/// A folder for one run's sockets, logs and disks; removed when dropped. Its lock tells
/// later runs that it is in use: what a killed run left is removed by the next.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Make one, named by this run and `label`. Paths stay short: Unix sockets
    /// have room for 107 characters.
    ///
    /// # Errors
    /// When the cache is not writable.
    pub fn new(label: &str) -> Result<Self> {
        let path = cache()
            .join("tmp")
            .join(format!("lab-{}-{label}", run_tag()));
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make the scratch folder {}", path.display()))?;
        remove_abandoned();
        // Locked before it gets the name others look for.
        let lock = File::create(path.join("lock.new"))?;
        if !try_lock(&lock) {
            anyhow::bail!("{} is in use by another run", path.display());
        }
        std::fs::rename(path.join("lock.new"), path.join("lock"))?;
        Ok(Self { path, _lock: lock })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Best effort: a leftover scratch folder harms nobody and `make clean` takes it.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Take the lock of a scratch folder, unless its run is alive.
fn try_lock(file: &File) -> bool {
    // SAFETY: flock() takes an open descriptor, which `file` keeps open during the call.
    unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) == 0 }
}

/// Remove the scratch folders whose runs were killed.
fn remove_abandoned() {
    let Ok(entries) = std::fs::read_dir(cache().join("tmp")) else {
        return;
    };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with("lab-") {
            continue;
        }
        if File::open(entry.path().join("lock")).is_ok_and(|lock| try_lock(&lock)) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Remove the scratch folders of this run (for exits that run no destructors).
pub fn remove_own_scratch() {
    let prefix = format!("lab-{}-", run_tag());
    let Ok(entries) = std::fs::read_dir(cache().join("tmp")) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
