// SPDX-License-Identifier: GPL-2.0
//! A process that runs sequences: first those that are kept, then changed and fresh ones.
//! What reaches something new is kept, without the calls it does not need.

use super::call::{generate, mutate, Program};
use super::corpus;
use super::kcov::Kcov;
use super::run;
use super::user::User;
use super::world::World;
use super::Env;
use crate::counts::Count;
use crate::rng::Rng;
use anyhow::Result;
use std::path::Path;

/// The files a process without rights came with are used up: it may be replaced.
pub const USED_UP: i32 = 7;

struct Worker<'a> {
    world: World<'a>,
    kcov: Option<Kcov>,
    dir: &'a Path,
}

/// The n-th process, in its `generation`.
pub fn work(env: &Env, dir: &Path, n: usize, generation: u64) -> Result<i32> {
    quiet_signals();
    let user = User::of(n);
    let mut rng = Rng::part(env.seed, n as u64 + 64 * generation);
    let kcov = if env.kcov { Kcov::open() } else { None };
    let stash: Vec<i32> = (0..user.stash())
        // SAFETY: a NUL-terminated name; makes a descriptor.
        .map(|_| unsafe { libc::open(c"/dev/netmap".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) })
        .collect();
    user.become_it()?;
    let mut programs = corpus::kept()?;
    let replay = match generation {
        0 => programs.clone(),
        _ => Vec::new(),
    };
    programs.extend(corpus::found(dir));
    let mut w = Worker {
        world: World::new(env, user.uid(), n, stash)?,
        kcov,
        dir,
    };
    for program in &replay {
        w.run(program);
    }
    while !env.counts.stopped() {
        if user.stash() != 0 && w.world.stash.is_empty() {
            return Ok(USED_UP);
        }
        let program = match rng.below(4) {
            0 => generate(&mut rng),
            _ => {
                let from = &programs[rng.below(programs.len())];
                let other = &programs[rng.below(programs.len())];
                mutate(from, other, &mut rng)
            }
        };
        if w.run(&program) > 0 {
            env.counts.add(Count::Kept, 1);
            let program = w.without_the_needless(program);
            if user == User::Root {
                corpus::keep(w.dir, &program)?;
            }
            programs.push(program);
        }
    }
    Ok(0)
}

impl Worker<'_> {
    /// Runs a sequence; how much of what it has reached is new.
    fn run(&mut self, program: &Program) -> usize {
        let mut features = Vec::new();
        self.trace(program, &mut features);
        let counts = self.world.env.counts;
        features.iter().filter(|f| counts.reach(**f)).count()
    }

    /// Runs a sequence; what it has reached.
    fn trace(&mut self, program: &Program, features: &mut Vec<u64>) {
        let Worker { world, kcov, .. } = self;
        let counts = world.env.counts;
        counts.beat(world.process);
        for call in program {
            if counts.stopped() {
                break;
            }
            match kcov {
                // places in the code, which have no bit 63, say it all
                Some(kcov) => drop(kcov.trace(|| run::call(world, call), |pc| features.push(pc))),
                None => features.push(run::call(world, call) | (1 << 63)),
            }
        }
        world.reset();
        counts.add(Count::Programs, 1);
        features.sort_unstable();
        features.dedup();
    }

    /// Leaves out what can be left out without reaching less.
    fn without_the_needless(&mut self, mut program: Program) -> Program {
        let mut all = Vec::new();
        self.trace(&program, &mut all);
        let mut i = 0;
        while i < program.len() && program.len() > 1 {
            let mut shorter = program.clone();
            shorter.remove(i);
            let mut features = Vec::new();
            self.trace(&shorter, &mut features);
            if all.iter().all(|f| features.binary_search(f).is_ok()) {
                program = shorter;
            } else {
                i += 1;
            }
        }
        program
    }
}

extern "C" fn nothing(_: i32) {}

/// Signals that end what sleeps in the kernel, and nothing else; one comes again and again, for
/// requests that another thread may have turned into a loop.
fn quiet_signals() {
    // SAFETY: a handler that does nothing, for signals this process sends itself; then a timer.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as *const () as usize;
        for signal in [libc::SIGUSR1, libc::SIGALRM, libc::SIGIO] {
            libc::sigaction(signal, &action, std::ptr::null_mut());
        }
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        let tick = libc::timeval {
            tv_sec: 0,
            tv_usec: 300_000,
        };
        let timer = libc::itimerval {
            it_interval: tick,
            it_value: tick,
        };
        libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut());
    }
}
