// SPDX-License-Identifier: GPL-2.0
//! Where the bench finds what it runs; each missing thing is named with its maker.

use anyhow::{bail, Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Stock modules the driver needs, in load order.
const NEEDED: [&str; 4] = ["mdio", "dca", "libie_fwlog", "xfrm_algo"];

/// Paths of everything that goes into a run.
pub struct Places {
    /// The cache with kernel, guest and payload.
    pub cache: PathBuf,
    /// Release of the kernel that is booted.
    pub release: String,
    /// Where the programs were built: this program's own folder.
    pub programs: PathBuf,
}

impl Places {
    /// Find them below `cache`.
    pub fn find(cache: &Path) -> Result<Self> {
        let current = cache.join("guest/current");
        let link = fs::read_link(&current).with_context(|| {
            format!(
                "no guest kernel at {}: 'make guest' makes it",
                current.display()
            )
        })?;
        let own = std::env::current_exe().context("path of this program")?;
        Ok(Places {
            cache: cache.to_owned(),
            release: link.to_string_lossy().into_owned(),
            programs: own.parent().unwrap_or(Path::new("/")).to_owned(),
        })
    }

    /// The kernel as ELF.
    pub fn kernel(&self) -> Result<PathBuf> {
        there(
            self.cache.join("guest").join(&self.release).join("vmlinux"),
            "make guest",
        )
    }

    /// A program of this workspace.
    pub fn program(&self, name: &str) -> Result<PathBuf> {
        there(self.programs.join(name), "make tools")
    }

    /// A module of ours.
    pub fn own_module(&self, name: &str) -> Result<PathBuf> {
        there(
            self.cache
                .join("payload/modules")
                .join(&self.release)
                .join(format!("{name}.ko")),
            "make",
        )
    }

    /// The stock modules a driver needs, in load order: name and content.
    pub fn stock_modules(&self) -> Result<Vec<(String, Vec<u8>)>> {
        NEEDED.iter().map(|name| self.stock_module(name)).collect()
    }

    /// A stock module: name and content.
    pub fn stock_module(&self, name: &str) -> Result<(String, Vec<u8>)> {
        let release = &self.release;
        let tree = format!("kernel/{release}/image/usr/lib/modules/{release}/kernel");
        let tree = self.cache.join(tree);
        let file = format!("{name}.ko.xz");
        let Some(path) = search(&tree, &file)? else {
            bail!(
                "no {file} below {}: 'make root' fetches the kernel",
                tree.display()
            );
        };
        let output = Command::new("xz")
            .arg("-dc")
            .arg(&path)
            .output()
            .context("run xz")?;
        if !output.status.success() {
            bail!(
                "xz -dc {}: {}",
                path.display(),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok((format!("{name}.ko"), output.stdout))
    }
}

/// `path` when it exists, else an error that names what makes it.
fn there(path: PathBuf, maker: &str) -> Result<PathBuf> {
    if !path.exists() {
        bail!("{} is missing: '{maker}' makes it", path.display());
    }
    Ok(path)
}

/// The file called `name` somewhere below `folder`.
fn search(folder: &Path, name: &str) -> Result<Option<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            if let Some(found) = search(&entry.path(), name)? {
                return Ok(Some(found));
            }
        } else if entry.file_name() == name {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}
