// SPDX-License-Identifier: GPL-2.0
//! Programs written for netmap on the running guest: the C examples (nm_open, libnetmap's
//! calls, and no header at all), and the tools built on the Rust crate.

use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::Fd;
use crate::frame::{is_echo_reply, parse_udp, ping, udp_sized, PEER_IP};
use crate::helper::Helper;
use crate::nic::Nic;
use crate::port::{rx_info, DPORT, Q};
use crate::setup::eventually;
use crate::steer::{ifname, Rss, Rule};
use anyhow::{bail, Context, Result};
use std::time::Duration;

tests! { "programs":
    nm_count_counts_every_frame_of_its_queue,
    nm_count_sums_up_the_metadata_of_frames,
    a_receiver_without_headers_works_by_both_families_of_requests,
    nm_pktgen_sends_as_many_frames_as_it_says,
    nm_pktgen_keeps_to_its_rate,
    nm_inject_in_c_and_cpp_sends_in_order,
    nm_inject_splits_a_packet_longer_than_a_buffer,
    nm_inject_on_a_host_ring_reaches_a_socket,
    nm_bridge_between_nic_and_host_keeps_the_host_reachable,
    libnetmap_bridge_in_c_and_cpp_keeps_the_host_reachable,
    programs_say_why_a_port_is_refused,
}

const SOON: Duration = Duration::from_secs(10);
const FRAMES: u32 = 400;

/// A program with queue `Q` of its own, and `DPORT` steered there.
struct OnQueue {
    nic: Nic,
    program: Helper,
    _rss: Rss,
    _rule: Rule,
}

impl OnQueue {
    fn start(name: &str, args: &[&str]) -> Result<OnQueue> {
        let (nic, rss, rule) = (Nic::open()?, Rss::without(&[Q])?, Rule::udp(DPORT, Q)?);
        let program = Helper::program(name, args)?;
        eventually("the program has its queue", SOON, || {
            Ok(rx_info(&Fd::open()?, Q)?.state == Q_NETMAP)
        })?;
        Ok(OnQueue {
            nic,
            program,
            _rss: rss,
            _rule: rule,
        })
    }

    fn send(&self, n: u32, size: usize) -> Result<()> {
        (0..n).try_for_each(|seq| self.nic.send(&udp_sized(DPORT, seq, size)))
    }
}

/// The numbers in a line.
fn numbers(line: &str) -> Vec<u64> {
    line.split(|c: char| !c.is_ascii_digit())
        .filter_map(|w| w.parse().ok())
        .collect()
}

fn port(what: &str) -> String {
    format!("netmap:{}{what}", ifname())
}

fn nm_count_counts_every_frame_of_its_queue() -> Result<()> {
    let count = FRAMES.to_string();
    let on = OnQueue::start("nm_count", &[&port(&format!("~{Q}")), "-c", &count])?;
    on.send(FRAMES, 100)?;
    let line = on.program.line_with("counted")?;
    let want = vec![u64::from(FRAMES), u64::from(FRAMES) * 100];
    want_eq("packets and bytes", numbers(&line)[..2].to_vec(), want)?;
    on.program.end()
}

fn nm_count_sums_up_the_metadata_of_frames() -> Result<()> {
    let name = port(&format!("-{Q}/R"));
    let on = OnQueue::start("nm_count", &[&name, "-m", "-c", "50"])?;
    on.send(50, 100)?;
    let line = on.program.line_with("known of")?;
    let n = numbers(&line);
    want_eq("packets with an entry", n[0], 50)?;
    want_eq(
        "good and bad checksums",
        n[n.len() - 2..].to_vec(),
        vec![50, 0],
    )
}

fn a_receiver_without_headers_works_by_both_families_of_requests() -> Result<()> {
    for (name, family) in [
        ("raw_rx", "legacy"),
        ("raw_rx", "ctrl"),
        ("raw_rx_cpp", "legacy"),
        ("raw_rx_cpp", "ctrl"),
    ] {
        let (queue, count) = (Q.to_string(), FRAMES.to_string());
        let on = OnQueue::start(name, &[family, &ifname(), &queue, &count])?;
        on.send(FRAMES, 60)?;
        let line = on.program.line_with("packets")?;
        let want = vec![u64::from(FRAMES), u64::from(FRAMES) * 60, 0];
        want_eq(
            &format!("{name} {family}: packets, bytes, bad slots"),
            numbers(&line),
            want,
        )?;
        on.program.end()?;
    }
    Ok(())
}

/// What a program sends, by its own exit and by the card.
fn sent(program: &str, args: &[&str], done: &str) -> Result<(String, Vec<Vec<u8>>)> {
    let nic = Nic::open()?;
    nic.sent_during(|| {
        let program = Helper::program(program, args)?;
        let line = program.line_with(done)?;
        program.end()?;
        Ok(line)
    })
}

fn nm_pktgen_sends_as_many_frames_as_it_says() -> Result<()> {
    for name in [port("-0/T"), port("/T")] {
        let args = ["tx", &name, "-c", "3000", "-s", "90", "--dport", "7777"];
        let (line, frames) = sent("nm_pktgen", &args, "sent")?;
        want_eq("it says", numbers(&line)[0], 3000)?;
        let ours = frames
            .iter()
            .filter_map(|f| parse_udp(f).map(|u| (f.len(), u.dport)));
        let n = ours.filter(|x| *x == (90, 7777)).count();
        want_eq(&format!("the card has seen from {name}"), n, 3000)?;
    }
    Ok(())
}

fn nm_pktgen_keeps_to_its_rate() -> Result<()> {
    let args = ["tx", &port("-1/T"), "-r", "2000", "-d", "2"];
    let (line, frames) = sent("nm_pktgen", &args, "sent")?;
    let n = numbers(&line)[0];
    // Not more than two seconds' worth; less only if the guest was not run.
    want(
        &format!("2000 a second for 2 s, not {n}"),
        (2000..=4100).contains(&n),
    )?;
    let seen = frames
        .iter()
        .filter(|f| parse_udp(f).is_some_and(|u| u.dport == 9))
        .count();
    want_eq("the card has seen", seen as u64, n)
}

/// Numbers of the frames of `inject`.
fn injected(frames: &[Vec<u8>], size: usize) -> Vec<u32> {
    let ours = frames
        .iter()
        .filter(|f| f.len() == size && f[12..14] == [0x88, 0xb5]);
    ours.map(|f| u32::from_be_bytes([f[14], f[15], f[16], f[17]]))
        .collect()
}

fn nm_inject_in_c_and_cpp_sends_in_order() -> Result<()> {
    for program in ["inject", "inject_cpp"] {
        let (line, frames) = sent(program, &[&port("-2"), "2000", "60"], "queued")?;
        want_eq("all is sent", line.contains("all sent"), true)?;
        let want: Vec<u32> = (0..2000).collect();
        want_eq("numbers of the frames", injected(&frames, 60) == want, true)?;
    }
    Ok(())
}

fn nm_inject_splits_a_packet_longer_than_a_buffer() -> Result<()> {
    let (_, frames) = sent("inject", &[&port("-0/T"), "20", "5000"], "queued")?;
    want_eq(
        "numbers of the frames",
        injected(&frames, 5000),
        (0..20).collect(),
    )
}

fn nm_inject_on_a_host_ring_reaches_a_socket() -> Result<()> {
    let socket = Packets::open()?;
    for program in ["inject", "inject_cpp"] {
        let mac = std::fs::read_to_string(format!("/sys/class/net/{}/address", ifname()))?;
        let on_host = Helper::program(program, &[&port("^"), "30", "64", mac.trim()])?;
        on_host.line_with("30 packets queued, all sent")?;
        want_eq(
            "numbers of the frames",
            socket.numbers(30)?,
            (0..30).collect(),
        )?;
    }
    Ok(())
}

/// A packet socket for the EtherType of `inject`.
struct Packets(std::fs::File);

impl Packets {
    fn open() -> Result<Packets> {
        use std::os::fd::FromRawFd;
        let ethertype = i32::from(0x88b5u16.to_be());
        // SAFETY: no pointers; the descriptor is new and ours.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, ethertype) };
        if fd < 0 {
            bail!("packet socket: {}", Errno::last());
        }
        // SAFETY: as above.
        Ok(Packets(unsafe { std::fs::File::from_raw_fd(fd) }))
    }

    fn numbers(&self, n: usize) -> Result<Vec<u32>> {
        use std::io::Read;
        use std::os::fd::AsRawFd;
        let (mut frames, mut frame) = (Vec::new(), [0; 2048]);
        while frames.len() < n {
            let got = crate::fd::poll_fd(self.0.as_raw_fd(), libc::POLLIN, SOON)?;
            want(
                &format!("frame {} of {n} arrives", frames.len()),
                got & libc::POLLIN != 0,
            )?;
            let len = (&self.0).read(&mut frame)?;
            frames.push(frame[..len].to_vec());
        }
        Ok(injected(&frames, 64))
    }
}

/// Does the guest answer pings of the peer?
fn pings(nic: &Nic, id: u16) -> Result<()> {
    const N: u16 = 20;
    let (_, frames) = nic.sent_during(|| {
        for seq in 0..N {
            nic.send(&ping(PEER_IP, id, seq, &[seq as u8; 200]))?;
        }
        std::thread::sleep(Duration::from_millis(700));
        Ok(())
    })?;
    let answers = frames.iter().filter(|f| is_echo_reply(f, id)).count();
    want_eq("answered pings", answers, usize::from(N))
}

fn bridged(program: &str, first_line: &str, id: u16) -> Result<()> {
    let nic = Nic::open()?;
    pings(&nic, id)?;
    let bridge = Helper::program(program, &[&port(""), &port("^")])?;
    bridge.line_with(first_line)?;
    pings(&nic, id + 1)?;
    want_eq("exit code", bridge.ended_by(libc::SIGTERM)?, Some(0))?;
    pings(&nic, id + 2).context("after the bridge")
}

fn nm_bridge_between_nic_and_host_keeps_the_host_reachable() -> Result<()> {
    bridged("nm_bridge", "<->", 0x4210)
}

fn libnetmap_bridge_in_c_and_cpp_keeps_the_host_reachable() -> Result<()> {
    bridged("port_bridge", "zero copy", 0x4220)?;
    bridged("port_bridge_cpp", "zero copy", 0x4230)
}

fn programs_say_why_a_port_is_refused() -> Result<()> {
    let _taken = Helper::program("nm_count", &[&port(&format!("~{Q}")), "-d", "20"])?;
    eventually("it has the queue", SOON, || {
        Ok(rx_info(&Fd::open()?, Q)?.state == Q_NETMAP)
    })?;
    let taken = port(&format!("~{Q}"));
    for (program, args, text, code) in [
        ("nm_count", vec![taken.as_str()], "taken by nm_count", 3),
        ("nm_count", vec!["nosuchif0"], "no such interface", 4),
        ("nm_pktgen", vec!["rx", "lo"], "no netmap hooks", 1),
        ("nm_bridge", vec!["eth3-1/R", "eth3^"], "--one-way", 1),
        ("nm_count", vec!["eth3-"], "ring number", 1),
    ] {
        let out = std::process::Command::new(program).args(&args).output()?;
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        want(
            &format!("{program} {args:?} says '{text}': {said}"),
            said.contains(text),
        )?;
        want_eq(
            &format!("exit code of {program} {args:?}"),
            out.status.code(),
            Some(code),
        )?;
    }
    Ok(())
}
