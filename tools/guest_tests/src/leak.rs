// SPDX-License-Identifier: GPL-2.0
//! What the kernel holds, counted before and after a test: slab objects, pages, vmalloc areas,
//! DMA mappings, open files, threads, references to our modules. What has grown with the number
//! of rounds is a leak.
//!
//! The kernel's own caches make these counts waver by some hundred objects, whatever is done. So
//! a caller warms up first, does many rounds, and what one round would lose is visible as that
//! times the number of rounds. What belongs to the two modules alone (their vmalloc areas, DMA
//! mappings, references) must come back exactly. With kmemleak, lost objects are found one by one.

use crate::deep::{self, patience};
use anyhow::{bail, Context, Result};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::time::{Duration, Instant};

/// Things to be counted: what it is, and how many there are.
type Counts = BTreeMap<String, i64>;

/// What the kernel held at a time.
#[derive(Clone, Debug, Default)]
pub struct Footprint {
    /// Objects by slab cache.
    slabs: Counts,
    /// Pages that no account of the kernel's explains: those of drivers and of netmap.
    pages: i64,
    /// Other numbers that may waver.
    loose: Counts,
    /// Numbers that must come back as they were.
    exact: Counts,
}

/// Slab objects by which a cache may waver without the rounds being the reason: CPUs keep free
/// objects for themselves, which count as used.
const SLAB_NOISE: i64 = 96;
/// The same for socket buffers, of which each CPU keeps 64 for NAPI, and for vmalloc areas, which
/// are unmapped and freed some hundred at a time.
const LAZY_NOISE: i64 = 1024;
/// The same in pages: per-CPU fragment caches, page pools. A ring of 512 slots has 256 pages of
/// buffers.
const PAGE_NOISE: i64 = 224;
/// How long what is released late (RCU, deferred work) may take.
const PATIENCE: Duration = Duration::from_secs(8);

/// Does `work`, which does something `rounds` times, and fails if the kernel holds more of
/// anything than before, in proportion to the rounds.
pub fn nothing_kept(rounds: u64, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let before = Footprint::read()?;
    work()?;
    let kept = before.kept_since(rounds)?;
    if !kept.is_empty() {
        bail!("kept after {rounds} rounds: {}", kept.join("; "));
    }
    kmemleak()
}

impl Footprint {
    /// As it is now, after all has been released that can be.
    pub fn read() -> Result<Footprint> {
        let mut f = Footprint {
            slabs: shrink()?,
            pages: unexplained_pages()?,
            ..Footprint::default()
        };
        f.loose.insert("open files".into(), open_files()?);
        f.loose.insert("threads".into(), threads()?);
        for module in ["netmap", "ixgbe"] {
            let (areas, pages) = vmalloc(module)?;
            f.exact.insert(format!("vmalloc areas of {module}"), areas);
            f.exact.insert(format!("vmalloc pages of {module}"), pages);
            f.exact
                .insert(format!("references to {module}"), references(module));
        }
        for list in ["rings", "regions"] {
            let text = fs::read_to_string(format!("/sys/kernel/debug/netmap/{list}"));
            let lines = text.map_or(0, |t| t.lines().count() as i64);
            f.exact.insert(format!("netmap's {list}"), lines);
        }
        if let Some(n) = dma_entries() {
            f.exact.insert("DMA mappings".into(), n);
        }
        Ok(f)
    }

    /// What has grown since, at once.
    pub fn kept_now(&self, rounds: u64) -> Result<Vec<String>> {
        Ok(self.growth(&Footprint::read()?, rounds))
    }

    /// What has grown since, once it does not go away by waiting; empty if nothing has.
    pub fn kept_since(&self, rounds: u64) -> Result<Vec<String>> {
        let end = Instant::now() + patience(PATIENCE);
        let mut least = Footprint::read()?;
        loop {
            let kept = self.growth(&least, rounds);
            if kept.is_empty() || Instant::now() > end {
                return Ok(kept);
            }
            std::thread::sleep(Duration::from_millis(200));
            least.lower(&Footprint::read()?);
        }
    }

    /// Keeps the smaller of two readings of each number: what wavers is in one of them.
    fn lower(&mut self, other: &Footprint) {
        let counts = [
            (&mut self.slabs, &other.slabs),
            (&mut self.loose, &other.loose),
            (&mut self.exact, &other.exact),
        ];
        for (mine, others) in counts {
            for (what, n) in mine.iter_mut() {
                *n = (*n).min(others.get(what).copied().unwrap_or(0));
            }
        }
        self.pages = self.pages.min(other.pages);
    }

    /// What `after` has more than this, beyond what wavers.
    fn growth(&self, after: &Footprint, rounds: u64) -> Vec<String> {
        let mut all = Vec::new();
        let rounds = rounds as i64;
        let mut compare = |before: &Counts, after: &Counts, slack: i64| {
            for (what, now) in after {
                let then = before.get(what).copied().unwrap_or(0);
                let lazy = what.starts_with("slab skb") || what.starts_with("slab vmap_area");
                let slack = if lazy { slack.max(LAZY_NOISE) } else { slack };
                if now - then > slack {
                    all.push(format!("{what}: {then} became {now}"));
                }
            }
        };
        compare(&self.slabs, &after.slabs, SLAB_NOISE.max(rounds / 4));
        compare(&self.loose, &after.loose, 8);
        compare(&self.exact, &after.exact, 0);
        if pages_tell() && after.pages - self.pages > PAGE_NOISE {
            all.push(format!(
                "pages not accounted for: {} became {}",
                self.pages, after.pages
            ));
        }
        all
    }
}

/// Whether pages that no account explains say something. KASAN has shadow pages of vmalloc areas, and
/// keeps those of areas that were freed until some ten thousand pages of them have come together.
pub fn pages_tell() -> bool {
    !deep::release().ends_with("-nm-kasan")
}

/// Slab caches that a leak of ours can show in. Those of file systems waver with whatever is read.
const SLABS: &[&str] = &[
    "kmalloc",
    "filp",
    "vmap_area",
    "skbuff",
    "task_struct",
    "mm_struct",
    "vm_area",
    "files_cache",
    "signal",
    "eventpoll",
    "pid",
];

/// Makes the kernel let go of caches, and bring its counts up to date; objects in use by slab
/// cache.
fn shrink() -> Result<Counts> {
    // 4: from now on without a line in the log.
    for what in ["4", "3"] {
        fs::write("/proc/sys/vm/drop_caches", what).context("drop_caches")?;
    }
    fs::write("/proc/sys/vm/stat_refresh", "1").context("stat_refresh")?;
    let mut caches = Vec::new();
    for cache in fs::read_dir("/sys/kernel/slab").context("/sys/kernel/slab")? {
        let cache = cache?;
        let name = cache.file_name().to_string_lossy().into_owned();
        // Of several names of one cache all but one are links.
        if SLABS.iter().any(|s| name.starts_with(s)) && !cache.file_type()?.is_symlink() {
            let file = File::options()
                .write(true)
                .open(cache.path().join("shrink"));
            caches.push(file.with_context(|| name)?);
        }
    }
    let mut list = File::open("/proc/slabinfo").context("/proc/slabinfo")?;
    // Opening files has filled caches of CPUs again.
    for cache in &mut caches {
        let _ = cache.write(b"1");
    }
    let mut text = String::new();
    list.read_to_string(&mut text)?;
    let line = |l: &str| -> Option<(String, i64)> {
        let mut words = l.split_whitespace();
        let name = words
            .next()
            .filter(|n| SLABS.iter().any(|s| n.starts_with(s)))?;
        Some((format!("slab {name}"), words.next()?.parse().ok()?))
    };
    let all: Counts = text.lines().filter_map(line).collect();
    if all.len() < 15 {
        bail!("/proc/slabinfo lists only {:?}", all.keys());
    }
    Ok(all)
}

/// Pages that are neither free nor anybody's whom /proc/vmstat names.
fn unexplained_pages() -> Result<i64> {
    let text = fs::read_to_string("/proc/vmstat").context("/proc/vmstat")?;
    let stat = |key: &str| -> i64 {
        let value = text.lines().find_map(|l| {
            let (k, v) = l.split_once(' ')?;
            (k == key).then(|| v.trim().parse().ok()).flatten()
        });
        value.unwrap_or(0)
    };
    let zones = fs::read_to_string("/proc/zoneinfo").context("/proc/zoneinfo")?;
    let sum = |key: &str| -> i64 {
        let values = zones.lines().filter_map(|l| l.trim().strip_prefix(key));
        values.filter_map(|v| v.trim().parse::<i64>().ok()).sum()
    };
    let meminfo = fs::read_to_string("/proc/meminfo").context("/proc/meminfo")?;
    let percpu = meminfo.lines().find_map(|l| l.strip_prefix("Percpu:"));
    let percpu: i64 = percpu
        .and_then(|v| v.trim().strip_suffix("kB")?.trim().parse().ok())
        .context("no Percpu in /proc/meminfo")?;
    // In KiB, as kernel stacks are.
    let kib = percpu + stat("nr_kernel_stack");
    let named = stat("nr_free_pages")
        + sum("count:")
        + stat("nr_anon_pages")
        + stat("nr_file_pages")
        + stat("nr_slab_reclaimable")
        + stat("nr_slab_unreclaimable")
        + stat("nr_page_table_pages");
    let managed = sum("managed");
    if managed < 10_000 || stat("nr_free_pages") == 0 {
        bail!("/proc/zoneinfo and /proc/vmstat are not what they were");
    }
    Ok(managed - named - kib / 4)
}

/// vmalloc areas a module has made, and their pages.
fn vmalloc(module: &str) -> Result<(i64, i64)> {
    let text = fs::read_to_string("/proc/vmallocinfo").context("/proc/vmallocinfo")?;
    let of = format!("[{module}]");
    let lines = text.lines().filter(|l| l.contains(&of));
    let pages = |l: &str| -> i64 {
        let word = l.split_whitespace().find_map(|w| w.strip_prefix("pages="));
        word.and_then(|n| n.parse().ok()).unwrap_or(0)
    };
    Ok(lines.fold((0, 0), |(n, p), l| (n + 1, p + pages(l))))
}

/// Who uses a module; 0 if it is not loaded.
fn references(module: &str) -> i64 {
    let text = fs::read_to_string(format!("/sys/module/{module}/refcnt"));
    text.ok().and_then(|t| t.trim().parse().ok()).unwrap_or(0)
}

/// Files open anywhere.
fn open_files() -> Result<i64> {
    let text = fs::read_to_string("/proc/sys/fs/file-nr")?;
    let first = text.split_whitespace().next().context("file-nr")?;
    Ok(first.parse()?)
}

/// Threads there are, those of the kernel included.
fn threads() -> Result<i64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    let count = text.split_whitespace().nth(3);
    let all = count.and_then(|w| w.split_once('/')).context("loadavg")?.1;
    Ok(all.parse()?)
}

/// DMA mappings there are, on a kernel that keeps account of them.
fn dma_entries() -> Option<i64> {
    let read = |file: &str| -> Option<i64> {
        let text = fs::read_to_string(format!("/sys/kernel/debug/dma-api/{file}")).ok()?;
        text.trim().parse().ok()
    };
    Some(read("nr_total_entries")? - read("num_free_entries")?)
}

/// On a kernel that has it: nothing is allocated that nobody points to.
pub fn kmemleak() -> Result<()> {
    const FILE: &str = "/sys/kernel/debug/kmemleak";
    if !fs::exists(FILE)? {
        return Ok(());
    }
    // The first scan finds candidates, of which some are pointed to from a register or a stack.
    for _ in 0..2 {
        fs::write(FILE, "scan").context("kmemleak: scan")?;
        std::thread::sleep(Duration::from_millis(100));
    }
    let text = fs::read_to_string(FILE)?;
    let ours = |object: &&str| object.contains("[netmap]") || object.contains("[ixgbe]");
    let objects = text.split("unreferenced object");
    if let Some(first) = objects.clone().find(ours) {
        let n = objects.filter(ours).count();
        bail!("kmemleak: {n} objects, the first: {first}");
    }
    Ok(())
}
