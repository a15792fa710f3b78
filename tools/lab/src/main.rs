// SPDX-License-Identifier: GPL-2.0
//! `lab`: boot the guest with the emulated card and work with it.

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use lab::secure::Trust;
use lab::vm::{Config, Drivers, Vm};
use lab::{bench, child, echo, places, say, session, tests};
use std::process::ExitCode;

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(flatten)]
    machine: MachineArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct MachineArgs {
    /// Virtual CPUs (default: 2; the session uses 10)
    #[arg(long, global = true)]
    smp: Option<u32>,
    /// Memory in MiB (default: 1024; the session uses 2048)
    #[arg(long, global = true)]
    mem: Option<u32>,
    /// Emulated cards
    #[arg(long, global = true, default_value_t = 1)]
    cards: usize,
    /// Boot without a card
    #[arg(long, global = true)]
    no_card: bool,
    /// Modules to load after boot
    #[arg(long, global = true, value_enum)]
    load: Option<Drivers>,
    /// Kernel release (default: the one the set-up chose)
    #[arg(long, global = true)]
    kernel: Option<String>,
    /// More kernel parameters
    #[arg(long, global = true, default_value = "", allow_hyphen_values = true)]
    append: String,
    /// Boot an installed system with Secure Boot, whose modules being loaded
    #[arg(long, global = true, value_enum, value_name = "WHOSE")]
    secure_boot: Option<Trust>,
    /// One more argument for the card's program (repeat as needed)
    #[arg(long, global = true, allow_hyphen_values = true)]
    card_arg: Vec<String>,
    /// One more QEMU argument (repeat as needed)
    #[arg(long, global = true, allow_hyphen_values = true)]
    qemu_arg: Vec<String>,
    /// Say nothing while booting
    #[arg(long, short, global = true)]
    quiet: bool,
}

#[derive(Subcommand)]
enum Command {
    /// A root shell in the guest
    Shell,
    /// Run one command line in the guest, with its output here
    Exec {
        /// Shell words, joined by blanks
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        line: Vec<String>,
    },
    /// Run the tests: host crates, then groups in the guest
    Test(tests::TestArgs),
    /// Play the session: a flood, and a host that never notices
    Run(session::RunArgs),
    /// Echo what comes to port 7 (the peer runs it for the guest's tests)
    #[command(hide = true)]
    Echo,
    /// Measure
    Bench {
        /// Arguments of the bench
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

impl MachineArgs {
    fn config(&self, cpus: u32, memory: u32) -> Config {
        Config {
            release: self.kernel.clone(),
            cpus: self.smp.unwrap_or(cpus),
            memory: self.mem.unwrap_or(memory),
            cards: if self.no_card { 0 } else { self.cards },
            append: self.append.clone(),
            secure_boot: self.secure_boot,
            card_args: self.card_arg.clone(),
            qemu_args: self.qemu_arg.clone(),
            verbose: !self.quiet,
            ..Config::default()
        }
    }
}

fn run(cli: &Cli) -> Result<i32> {
    let machine = &cli.machine;
    match &cli.command {
        Command::Shell => {
            let mut vm = Vm::boot(&machine.config(2, 1024))?;
            vm.load(machine.load.unwrap_or(Drivers::None))?;
            let status = vm.ssh().interactive(None)?;
            report_trouble(&mut vm);
            Ok(status)
        }
        Command::Exec { line } => {
            let mut vm = Vm::boot(&machine.config(2, 1024))?;
            vm.load(machine.load.unwrap_or(Drivers::None))?;
            let status = vm.stream(&line.join(" "), |text| println!("{text}"))?;
            Ok(if report_trouble(&mut vm) {
                status.max(1)
            } else {
                status
            })
        }
        Command::Test(args) => tests::run(args, &machine.config(10, 2048)),
        Command::Run(args) => session::run(args, &machine.config(10, 2048)),
        Command::Echo => echo::serve().map(|()| 0),
        Command::Bench { args } => bench::run(args, &machine.config(1, 1024)),
    }
}

/// Say what the guest's kernel complained about; true when it did.
fn report_trouble(vm: &mut Vm) -> bool {
    let trouble = vm.console.new_trouble();
    for line in &trouble {
        eprintln!("guest kernel: {line}");
    }
    if !trouble.is_empty() {
        eprint!("last console lines:\n{}", vm.last_console(40));
    }
    !trouble.is_empty()
}

fn main() -> ExitCode {
    child::on_signals(places::remove_own_scratch);
    say::elapsed();
    match run(&Cli::parse()) {
        Ok(status) => ExitCode::from(u8::try_from(status).unwrap_or(1)),
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::from(1)
        }
    }
}
