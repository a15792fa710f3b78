// SPDX-License-Identifier: GPL-2.0
//! Sequences of requests and of what goes with them, from several processes of several users
//! at once, on one port that is left alone but for three queues (nothing may be lost on the
//! others), or on one where anything goes, while an administrator works on it.
//!
//! Sequences are kept in `corpus/` as text and run first. What reaches new code (KCOV, where
//! the kernel has it; else: has a new outcome) is kept for the run, in `--found` for good.

mod arena;
mod call;
mod corpus;
mod events;
mod kcov;
mod odd;
mod request;
mod run;
mod user;
mod worker;
mod world;

use crate::counts::{Count, Counts};
use crate::queues;
use crate::rng::Rng;
use crate::watch::{stacks, Child, End};
use anyhow::{bail, Context, Result};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Args {
    /// Determines all random choices
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long to go on, in milliseconds
    #[arg(long, default_value_t = 5000)]
    millis: u64,
    /// Go on until that many ioctls are done
    #[arg(long, default_value_t = 0)]
    ioctls: u64,
    /// Processes; the third is another user with CAP_NET_ADMIN, the fourth one without
    #[arg(long, default_value_t = 4)]
    procs: usize,
    /// Keep to three queues of the first port, so that its others must not notice
    #[arg(long)]
    guarded: bool,
    /// Let an administrator work on the second port meanwhile
    #[arg(long)]
    events: bool,
    /// Kill a process now and then
    #[arg(long)]
    kill: bool,
    /// Do not use KCOV though the kernel has it
    #[arg(long)]
    no_kcov: bool,
    /// Directory for sequences that reach something new
    #[arg(long)]
    found: Option<PathBuf>,
    /// Run the sequences of this file instead, one after the other, and say what each call gave
    #[arg(long)]
    replay: Option<PathBuf>,
    /// Print so many fresh sequences of this seed, and run nothing
    #[arg(long)]
    print: Option<usize>,
    /// The port of which only rings --queue, +1 and +2 are used
    #[arg(long, default_value = "eth3")]
    first: String,
    /// The port where anything goes
    #[arg(long, default_value = "eth4")]
    second: String,
    /// First of three queues of the first port
    #[arg(long, default_value_t = 4)]
    queue: u32,
}

/// What all processes of a run know.
pub struct Env {
    pub counts: Counts,
    pub seed: u64,
    pub guarded: bool,
    pub kcov: bool,
    pub first: String,
    pub second: String,
    pub queue: u32,
}

/// A process that runs no sequence for so long hangs.
const PATIENCE: Duration = Duration::from_secs(90);

pub fn run(args: &Args) -> Result<()> {
    if let Some(n) = args.print {
        let mut rng = Rng::part(args.seed, 0);
        (0..n).for_each(|_| print!("{}", corpus::text(&call::generate(&mut rng))));
        return Ok(());
    }
    let env = Env {
        counts: Counts::new()?,
        seed: args.seed,
        guarded: args.guarded,
        kcov: !args.no_kcov,
        first: args.first.clone(),
        second: args.second.clone(),
        queue: args.queue,
    };
    if let Some(file) = &args.replay {
        return replay(&env, file);
    }
    let temporary = std::env::temp_dir().join(format!("nm_fuzz-{}", std::process::id()));
    let dir = args.found.as_deref().unwrap_or(&temporary);
    std::fs::create_dir_all(dir)?;
    println!("seed {}", args.seed);
    let result = all(args, &env, dir);
    report(&env);
    let _ = std::fs::remove_dir_all(&temporary);
    result?;
    if env.counts.get(Count::Leaks) != 0 {
        bail!("bytes of another user were found in a mapping");
    }
    let ports = [args.first.as_str(), args.second.as_str()];
    let ports = if args.guarded {
        &ports[..1]
    } else {
        &ports[..]
    };
    queues::all_back(ports)
}

fn report(env: &Env) {
    let n = |what| env.counts.get(what);
    println!(
        "hostile ioctls: {} ({} registrations succeeded), other calls: {}, hostile words: {}",
        n(Count::Ioctls),
        n(Count::Registered),
        n(Count::Others),
        n(Count::Writes)
    );
    println!(
        "sequences: {} ({} kept), reached: {}, processes killed: {}, events: {}, pages searched: {} (leaks: {})",
        n(Count::Programs),
        n(Count::Kept),
        n(Count::Reached),
        n(Count::Kills),
        n(Count::Events),
        n(Count::Pages),
        n(Count::Leaks)
    );
}

/// A process and when it was last seen alive.
struct Slot {
    child: Child,
    n: usize,
    generation: u64,
    heart: u64,
    seen: Instant,
}

impl Slot {
    fn start(env: &Env, dir: &Path, n: usize, generation: u64) -> Result<Slot> {
        let child = Child::fork(|| match worker::work(env, dir, n, generation) {
            Ok(code) => code,
            Err(e) => {
                eprintln!("nm_fuzz: process {n}: {e:#}");
                1
            }
        })?;
        Ok(Slot {
            child,
            n,
            generation,
            heart: env.counts.heart(n),
            seen: Instant::now(),
        })
    }
}

/// All processes, until it is enough.
fn all(args: &Args, env: &Env, dir: &Path) -> Result<()> {
    let counts = env.counts;
    let queues = tx_queues(&args.second);
    let mut admin = match args.events && !args.guarded {
        true => Some(Child::fork(|| {
            events::go_on(&args.second, &counts, &mut Rng::part(args.seed, 1 << 40));
            0
        })?),
        false => None,
    };
    let mut slots = (0..args.procs.clamp(1, 60))
        .map(|n| Slot::start(env, dir, n, 0))
        .collect::<Result<Vec<_>>>()?;
    let mut rng = Rng::part(args.seed, 1 << 41);
    let mut next_kill = Instant::now() + Duration::from_millis(700);
    let end = Instant::now() + Duration::from_millis(args.millis);
    let result = loop {
        if Instant::now() > end && counts.get(Count::Ioctls) >= args.ioctls {
            break Ok(());
        }
        if let Err(e) = watch(env, dir, &mut slots) {
            break Err(e);
        }
        if args.kill && Instant::now() > next_kill {
            slots[rng.below(args.procs)].child.kill();
            counts.add(Count::Kills, 1);
            next_kill = Instant::now() + Duration::from_millis(200 + rng.below(800) as u64);
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    counts.stop();
    let mut last = Ok(());
    for slot in slots {
        last = last.and(gone(slot.child));
    }
    if let Some(admin) = admin.as_mut() {
        let _ = admin.wait(Duration::from_secs(20));
        events::undo(&args.second, queues);
    }
    result.and(last)
}

/// Replaces processes that have ended; finds those that hang.
fn watch(env: &Env, dir: &Path, slots: &mut [Slot]) -> Result<()> {
    for slot in slots {
        match slot.child.ended() {
            None => {}
            // killed by us or by what it did to its own memory, or out of files
            Some(End::Signal(libc::SIGKILL | libc::SIGBUS | libc::SIGSEGV))
            | Some(End::Code(worker::USED_UP)) => {
                *slot = Slot::start(env, dir, slot.n, slot.generation + 1)?;
                continue;
            }
            Some(end) => bail!("process {} ended with {end:?}", slot.n),
        }
        let heart = env.counts.heart(slot.n);
        if heart != slot.heart {
            (slot.heart, slot.seen) = (heart, Instant::now());
        } else if slot.seen.elapsed() > PATIENCE {
            bail!("process {} hangs:\n{}", slot.n, stacks(slot.child.pid));
        }
    }
    Ok(())
}

/// Lets a process end, else kills it: nothing may keep it in the kernel.
fn gone(mut child: Child) -> Result<()> {
    if child.wait(PATIENCE).is_some() {
        return Ok(());
    }
    let where_it_hangs = stacks(child.pid);
    child.killed()?;
    bail!("a process did not end by itself:\n{where_it_hangs}")
}

fn tx_queues(port: &str) -> usize {
    let dir = std::fs::read_dir(format!("/sys/class/net/{port}/queues"));
    let names = dir.into_iter().flatten().flatten();
    let tx = names.filter(|e| e.file_name().to_string_lossy().starts_with("tx-"));
    tx.count().clamp(1, 63)
}

/// Runs given sequences in this process.
fn replay(env: &Env, file: &Path) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let mut world = world::World::new(env, 0, 0, Vec::new())?;
    for (i, program) in corpus::parse(&text)?.iter().enumerate() {
        println!("sequence {i}");
        for call in program {
            let result = run::call(&mut world, call) as u32 as i32;
            println!("  {}: {result}", call.text());
        }
        world.reset();
    }
    report(env);
    Ok(())
}
