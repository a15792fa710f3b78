// SPDX-License-Identifier: GPL-2.0
//! Scribbling: threads write hostile values over all a program may write, others sync over it.
//!
//! A *ring operation* is a hostile value stored into memory the kernel reads (a field of a slot,
//! of a ring's header, of a `netmap_if`, of a CSB, of metadata, a link of the extra-buffer list,
//! a word of a frame), or a sync of rings over it. Both are printed apart: a run of writes that
//! nothing reads would be none.
//!
//! Each scene ([`scene::SCENES`]) runs in a process of its own, with its threads; the parent
//! watches that it ends and that the kernel has its queues back.

mod areas;
mod drive;
mod open;
mod scene;

pub use open::anonymous;

use crate::counts::{Count, Counts};
use crate::queues;
use crate::rng::Rng;
use crate::watch::{stacks, Child, End};
use anyhow::{bail, Context, Result};
use open::Place;
use scene::{Scene, SCENES};
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Args {
    /// Determines all random choices
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long each scene plays, in milliseconds
    #[arg(long, default_value_t = 1000)]
    millis: u64,
    /// Go on until that many ring operations are done
    #[arg(long, default_value_t = 0)]
    ops: u64,
    /// Only this scene (may be given several times; --list prints them)
    #[arg(long)]
    scene: Vec<String>,
    /// Print the scenes
    #[arg(long)]
    list: bool,
    /// The port of which only rings --queue, +1 and +2 are used
    #[arg(long, default_value = "eth3")]
    first: String,
    /// The port that is used whole
    #[arg(long, default_value = "eth4")]
    second: String,
    /// First of three queues of the first port
    #[arg(long, default_value_t = 4)]
    queue: u32,
    /// Threads that write
    #[arg(long, default_value_t = 2)]
    writers: usize,
    /// Threads that sync
    #[arg(long, default_value_t = 2)]
    syncers: usize,
}

/// A scene may take that much longer than it plays, on a busy machine with all of the kernel's
/// checks.
const PATIENCE: Duration = Duration::from_secs(300);

pub fn run(args: &Args) -> Result<()> {
    if args.list {
        SCENES
            .iter()
            .for_each(|s| println!("{}: {}", s.name, s.what));
        return Ok(());
    }
    let chosen: Vec<&Scene> = SCENES
        .iter()
        .filter(|s| args.scene.is_empty() || args.scene.iter().any(|n| n == s.name))
        .collect();
    if chosen.is_empty() {
        bail!("no such scene; --list prints them");
    }
    let ports = [args.first.as_str(), args.second.as_str()];
    let counts = Counts::new()?;
    println!("seed {}", args.seed);
    for round in 0u64.. {
        for (i, scene) in chosen.iter().enumerate() {
            let part = round * SCENES.len() as u64 + i as u64;
            one(args, scene, &counts, part).with_context(|| format!("scene {}", scene.name))?;
            queues::all_back(&ports).with_context(|| format!("after scene {}", scene.name))?;
        }
        if counts.get(Count::Writes) + counts.get(Count::Syncs) >= args.ops {
            break;
        }
    }
    let (writes, syncs) = (counts.get(Count::Writes), counts.get(Count::Syncs));
    println!(
        "hostile ring operations: {} ({writes} writes, {syncs} syncs)",
        writes + syncs
    );
    Ok(())
}

/// Plays a scene in a process of its own.
fn one(args: &Args, scene: &Scene, counts: &Counts, part: u64) -> Result<()> {
    let mut child = Child::fork(|| match play(args, scene, counts, part) {
        Ok(()) => 0,
        Err(e) => {
            eprintln!("nm_fuzz: scene {}: {e:#}", scene.name);
            1
        }
    })?;
    match child.wait(Duration::from_millis(args.millis) + PATIENCE) {
        Some(End::Code(0)) => Ok(()),
        Some(end) => bail!("ended with {end:?}"),
        None => {
            let where_it_hangs = stacks(child.pid);
            child.killed()?;
            bail!("no end; it hung here:\n{where_it_hangs}")
        }
    }
}

/// The scene itself, in this process.
fn play(args: &Args, scene: &Scene, counts: &Counts, part: u64) -> Result<()> {
    let place = Place {
        first: &args.first,
        second: &args.second,
        queue: args.queue,
    };
    let targets = open::targets(scene, &place)?;
    let areas = areas::of(&targets);
    let before = (counts.get(Count::Writes), counts.get(Count::Syncs));
    let end = Instant::now() + Duration::from_millis(args.millis);
    let loops = drive::Loops::default();
    let mut roles = 0;
    let mut role = || {
        roles += 1;
        Rng::part(args.seed, part * 64 + roles)
    };
    std::thread::scope(|s| {
        for _ in 0..args.writers {
            let (mut rng, areas, counts) = (role(), &areas, *counts);
            s.spawn(move || {
                while Instant::now() < end {
                    counts.add(Count::Writes, areas::scribble(areas, &mut rng));
                    // what nobody reads before it is written over is worth nothing
                    if rng.one_in(8) {
                        std::thread::sleep(Duration::from_micros(100));
                    }
                }
            });
        }
        // One thread is in a kernel loop, the others move on, kick, and stop it.
        for n in 0..args.syncers.max(2) {
            let (mut rng, targets, counts) = (role(), &targets, *counts);
            let (place, loops) = (&place, &loops);
            s.spawn(move || match (scene.loops, n) {
                (false, _) => drive::until(end, scene, place, targets, &mut rng, &counts),
                (true, 0) => drive::in_loop(end, scene, &targets[0], loops, &mut rng),
                (true, _) => drive::beside_loop(&targets[0], loops, &mut rng),
            });
        }
        if scene.kernel_sends {
            s.spawn(move || drive::kernel_sends(end));
        }
    });
    let sums = queues::Sums::of(&targets[0].fd, &[&args.first, &args.second]);
    if scene.loops {
        // rounds of a loop in the kernel are nowhere else counted
        counts.add(Count::Syncs, sums.syncs);
    }
    println!(
        "scene {}: {} writes, {} syncs; the kernel: {sums}",
        scene.name,
        counts.get(Count::Writes) - before.0,
        counts.get(Count::Syncs) - before.1
    );
    if counts.get(Count::Syncs) == before.1 {
        bail!("no ring was synced");
    }
    Ok(())
}
