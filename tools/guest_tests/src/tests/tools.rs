// SPDX-License-Identifier: GPL-2.0
//! nm_offload and nmq on the running guest: what they do to packets, and that
//! they leave the port as they found it, whatever way they end.

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::Fd;
use crate::frame::{parse_udp, udp_sized};
use crate::helper::Helper;
use crate::nic::Nic;
use crate::port::{rx_info, Port, DPORT, Q, Q2};
use crate::setup::eventually;
use crate::sock::{bind, recv, Counter};
use crate::steer::{ethtool, ifname, run, Rss, Rule};
use anyhow::{Context, Result};
use std::process::Command;
use std::time::Duration;

tests! { "tools":
    nmq_lists_the_port_and_the_owner_of_a_queue,
    nm_offload_drops_what_matches_and_puts_the_rest_back,
    nm_offload_takes_steers_and_undoes_under_traffic_without_loss @ 90,
    nm_offload_undoes_everything_on_sigterm_and_sigint,
    nm_offload_killed_is_undone_by_the_next_start,
    nm_offload_survives_ifdown_and_ifup @ 90 | flaps,
    nmq_adds_and_removes_a_queue_of_a_running_nm_offload,
    nm_offload_runs_from_a_file_and_says_when_it_is_ready,
    tools_say_what_is_missing_by_exit_code,
    classic_nm_open_loop_in_c_and_cpp_receives_on_its_queue,
}

const SOON: Duration = Duration::from_secs(10);

/// `tools/examples/rx_loop.c`, built as C99 and as C++11 with our headers.
fn classic_nm_open_loop_in_c_and_cpp_receives_on_its_queue() -> Result<()> {
    const FRAMES: u64 = 300;
    let (nic, _rss, _rule) = (Nic::open()?, Rss::without(&[Q])?, Rule::udp(DPORT, Q)?);
    let port = format!("netmap:{}~{Q}", ifname());
    for name in ["rx_loop", "rx_loop_cpp"] {
        let program = Helper::program(name, &[&port, &Q.to_string()])?;
        eventually("the program has its queue", SOON, || {
            Ok(rx_info(&Fd::open()?, Q)?.state == Q_NETMAP)
        })?;
        for seq in 0..FRAMES {
            nic.send(&udp_sized(DPORT, seq as u32, 100))?;
        }
        let mut seen = 0;
        while seen < FRAMES {
            let line = program.line_with("pps: ")?;
            let number = line.trim().strip_prefix("pps: ").context(line.clone())?;
            seen += number.parse::<u64>().with_context(|| line.clone())?;
        }
        want_eq(&format!("frames {name} saw"), seen, FRAMES)?;
        want_eq("exit code", program.ended_by(libc::SIGTERM)?, Some(0))?;
        want_eq("state", rx_info(&Fd::open()?, Q)?.state, Q_KERNEL)?;
    }
    Ok(())
}

/// nm_offload on queue `Q` with `DPORT` steered to it, once it is under way.
fn offload(args: &[&str]) -> Result<Helper> {
    let (name, queue, flow) = (ifname(), Q.to_string(), format!("udp4 dst-port {DPORT}"));
    let mut all = vec![name.as_str(), queue.as_str(), "--steer", flow.as_str()];
    all.extend(args);
    let program = Helper::program("nm_offload", &all)?;
    program.line_with("pps")?;
    let owner = rx_info(&Fd::open()?, Q)?;
    want_eq(
        "queue's state, owner",
        (owner.state, owner.pid),
        (Q_NETMAP, program.pid()),
    )?;
    Ok(program)
}

/// Table and rules, as text.
fn steering() -> Result<(String, String)> {
    Ok((ethtool("-x", &[])?, ethtool("-n", &[])?))
}

/// Exit code of a program that ends by itself.
fn exit_code(program: &str, args: &[&str]) -> Result<Option<i32>> {
    let out = Command::new(program).args(args).output()?;
    println!(
        "{program} {}: {}",
        args.join(" "),
        String::from_utf8_lossy(&out.stderr).trim()
    );
    Ok(out.status.code())
}

fn nmq_lists_the_port_and_the_owner_of_a_queue() -> Result<()> {
    let name = ifname();
    want(
        "nmq port names the interface",
        run("nmq", &["port"])?.contains(&name),
    )?;
    let _port = Port::rx(Q)?;
    let shown = run("nmq", &["queue", "show", &name, "-s"])?;
    let (pid, comm) = (
        std::process::id().to_string(),
        std::fs::read_to_string("/proc/self/comm")?,
    );
    want(
        &format!("'{shown}' tells the owner"),
        shown.contains(&pid) && shown.contains(comm.trim()),
    )?;
    let json = run("nmq", &["-j", "queue", "show", &name])?;
    want(
        &format!("'{json}' is a JSON list"),
        json.trim().starts_with('[') && json.trim().ends_with(']'),
    )?;
    want("with the owner in it", json.contains(&pid))
}

fn nm_offload_drops_what_matches_and_puts_the_rest_back() -> Result<()> {
    let before = steering()?;
    let program = offload(&["--drop", "greater 500"])?;
    let socket = bind(DPORT)?;
    let nic = Nic::open()?;
    for seq in 0..40 {
        nic.send(&udp_sized(DPORT, seq, if seq % 2 == 0 { 100 } else { 600 }))?;
    }
    for seq in (0..40).step_by(2) {
        let frame = udp_sized(DPORT, seq, 100);
        let payload = parse_udp(&frame).context("own frame")?.payload;
        let got = recv(&socket, SOON)?.with_context(|| format!("datagram {seq} did not come"))?;
        want_eq(&format!("datagram {seq}"), got.as_slice(), payload)?;
    }
    want_eq("one more", recv(&socket, Duration::from_millis(300))?, None)?;
    want_eq("exit code", program.ended_by(libc::SIGTERM)?, Some(0))?;
    want_eq("steering afterwards", steering()?, before)
}

/// Good traffic of the steered flow and of others while it comes and goes.
fn nm_offload_takes_steers_and_undoes_under_traffic_without_loss() -> Result<()> {
    let nic = Nic::open()?;
    let counter = Counter::start(DPORT)?;
    let gen = nic.generate(
        "good",
        &format!("profile=udp rate=500 size=100 dport={DPORT}"),
    )?;
    eventually("traffic flows", SOON, || Ok(counter.total() > 50))?;
    for _ in 0..3 {
        let program = offload(&["--drop", "udp port 9"])?;
        let seen = counter.total();
        eventually("put back while it runs", SOON, || {
            Ok(counter.total() > seen + 100)
        })?;
        want_eq("exit code", program.ended_by(libc::SIGTERM)?, Some(0))?;
    }
    let sent = gen.stop()?;
    want_eq("received by the socket", counter.settle(sent), sent)?;
    counter.finish().map(drop)
}

fn nm_offload_undoes_everything_on_sigterm_and_sigint() -> Result<()> {
    let before = steering()?;
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let program = offload(&["--count-only"])?;
        want("it has changed the steering", steering()? != before)?;
        want_eq("exit code", program.ended_by(signal)?, Some(0))?;
        want_eq("steering afterwards", steering()?, before.clone())?;
        want_eq("state", rx_info(&Fd::open()?, Q)?.state, Q_KERNEL)?;
    }
    Ok(())
}

fn nm_offload_killed_is_undone_by_the_next_start() -> Result<()> {
    let before = steering()?;
    let killed = offload(&["--count-only"])?;
    let pid = killed.pid().to_string();
    killed.kill()?;
    want_eq(
        "state right after SIGKILL",
        rx_info(&Fd::open()?, Q)?.state,
        Q_KERNEL,
    )?;
    want("the steering is still changed", steering()? != before)?;
    let (name, other) = (ifname(), Q2.to_string());
    let next = Helper::program("nm_offload", &[&name, &other, "--count-only"])?;
    next.line_with("pps")?;
    want_eq(
        &format!("steering after the start that follows pid {pid}"),
        steering()?,
        before,
    )?;
    want_eq("exit code", next.ended_by(libc::SIGTERM)?, Some(0))
}

/// The queue is parked while the interface is down, and goes on afterwards, as
/// does the flow that is steered to it: the driver has forgotten the rule.
fn nm_offload_survives_ifdown_and_ifup() -> Result<()> {
    let rules = || ethtool("-n", &[]);
    let none = rules()?;
    let program = offload(&["--count-only"])?;
    let steered = rules()?;
    want("it has a rule", steered != none)?;
    crate::steer::ip_link(&["down"])?;
    want_eq("rules while down", rules()?, none.clone())?;
    let parked = rx_info(&Fd::open()?, Q)?;
    crate::setup::ensure()?;
    want_eq("owner while down", parked.pid, program.pid())?;
    want_eq(
        "state afterwards",
        rx_info(&Fd::open()?, Q)?.state,
        Q_NETMAP,
    )?;
    program.line_with("set again")?;
    want_eq("rules afterwards", rules()?, steered)?;
    let nic = Nic::open()?;
    let packets = || Ok::<u64, anyhow::Error>(rx_info(&Fd::open()?, Q)?.counter[counter::PACKETS]);
    let before = packets()?;
    nic.send_n(&udp_sized(DPORT, 1, 60), 10)?;
    eventually("it counts again", SOON, || Ok(packets()? >= before + 10))?;
    want_eq("exit code", program.ended_by(libc::SIGTERM)?, Some(0))?;
    want_eq("rules at the end", rules()?, none)
}

fn nmq_adds_and_removes_a_queue_of_a_running_nm_offload() -> Result<()> {
    let program = offload(&["--count-only"])?;
    let (name, queue) = (ifname(), Q2.to_string());
    let fd = Fd::open()?;
    run("nmq", &["queue", "add", &name, &queue])?;
    let added = rx_info(&fd, Q2)?;
    want_eq(
        "added: state, owner",
        (added.state, added.pid),
        (Q_NETMAP, program.pid()),
    )?;
    run("nmq", &["queue", "del", &name, &queue])?;
    want_eq("removed: state", rx_info(&fd, Q2)?.state, Q_KERNEL)?;
    want_eq(
        "the first is still its own",
        rx_info(&fd, Q)?.pid,
        program.pid(),
    )?;
    want_eq("exit code", program.ended_by(libc::SIGTERM)?, Some(0))
}

/// As nm-offload@.service starts it.
fn nm_offload_runs_from_a_file_and_says_when_it_is_ready() -> Result<()> {
    let before = steering()?;
    let file = std::env::temp_dir().join(format!("offload-{}.conf", std::process::id()));
    let text = format!("# flow\nsteer = udp4 dst-port {DPORT}\nqueue = {Q2}\ninterval = 0.2\ndrop = greater 500 or (udp and less 10)\n");
    std::fs::write(&file, text)?;
    let manager = std::env::temp_dir().join(format!("notify-{}", std::process::id()));
    let socket = std::os::unix::net::UnixDatagram::bind(&manager)?;
    socket.set_read_timeout(Some(SOON))?;
    std::env::set_var("NOTIFY_SOCKET", &manager);
    let told = || -> Result<String> {
        let mut text = [0; 256];
        let n = socket.recv(&mut text)?;
        Ok(String::from_utf8_lossy(&text[..n]).into_owned())
    };
    let path = file.to_str().context("path")?;
    let instance = format!("{}-{Q}", ifname());
    let line = ["--interval", "3600", "--config", path, &instance];
    let program = Helper::program("nm_offload", &line)?;
    let ready = told()?;
    want(
        &format!("'{ready}' says that it is ready, and with what"),
        ready.starts_with("READY=1\nSTATUS=") && ready.contains("greater 500"),
    )?;
    for q in [Q, Q2] {
        let owner = rx_info(&Fd::open()?, q)?;
        want_eq("owner when it is ready", owner.pid, program.pid())?;
    }
    want(
        "the rule is set by then",
        ethtool("-n", &[])?.contains(&format!("Dest port: {DPORT}")),
    )?;
    program.line_with("pps")?;
    want_eq("exit code", program.ended_by(libc::SIGTERM)?, Some(0))?;
    want_eq("told at the end", told()?.as_str(), "STOPPING=1")?;
    want_eq("steering afterwards", steering()?, before)?;
    std::fs::write(&file, "drop udp\n")?;
    want_eq(
        "a mistake in the file",
        exit_code("nm_offload", &line)?,
        Some(2),
    )?;
    std::fs::remove_file(&file)?;
    std::fs::remove_file(&manager)?;
    Ok(())
}

/// 2 wrong usage, 3 a queue is taken, 4 something is missing.
fn tools_say_what_is_missing_by_exit_code() -> Result<()> {
    let (name, queue) = (ifname(), Q.to_string());
    for (args, code) in [
        (vec!["nosuchif0", "4"], 4),
        (vec!["lo", "0"], 4),
        (vec![&name, "4000"], 4),
        (vec![&name, &queue, "--drop", "udp port ("], 2),
        (vec![&name], 2),
    ] {
        want_eq(
            &format!("nm_offload {args:?}"),
            exit_code("nm_offload", &args)?,
            Some(code),
        )?;
    }
    let _taken = Port::rx(Q)?;
    want_eq(
        "queue taken",
        exit_code("nm_offload", &[&name, &queue, "--count-only"])?,
        Some(3),
    )?;
    want_eq(
        "nmq: no program",
        exit_code("nmq", &["queue", "add", &name, "4000"])?,
        Some(4),
    )
}
