// SPDX-License-Identifier: GPL-2.0
//! libpcap as it comes, built against our headers (tools/root/build-libpcap): its own test
//! programs capture from netmap ports, and what it sends leaves the card.

use super::queues_traffic::undisturbed;
use super::tests;
use crate::abi::*;
use crate::check::*;
use crate::fd::Fd;
use crate::frame::{is_echo_reply, ping, udp_sized, PEER_IP};
use crate::helper::Helper;
use crate::nic::Nic;
use crate::port::{rx_info, DPORT, Q};
use crate::setup::eventually;
use crate::steer::{ifname, Rss, Rule};
use anyhow::{Context, Result};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

tests! { "programs":
    libpcap_saves_every_frame_of_a_queue_while_the_kernel_loses_none @ 120,
    libpcap_filters_what_it_captures,
    libpcap_is_woken_by_select_and_by_poll,
    libpcap_captures_a_whole_port_and_gives_it_back,
    libpcap_sends_what_is_injected,
    libpcap_says_that_a_port_is_taken,
}

const SOON: Duration = Duration::from_secs(10);

fn port(what: &str) -> String {
    format!("netmap:{}{what}", ifname())
}

/// Both names of queue `Q` alone: with our letter, and as netmap has it.
fn names() -> [String; 2] {
    [port(&format!("~{Q}")), port(&format!("-{Q}/R"))]
}

fn counters() -> Result<[u64; 16]> {
    Ok(rx_info(&Fd::open()?, Q)?.counter)
}

/// Starts a program that takes `Q`, alone or with others.
fn on_queue(program: &str, args: &[&str]) -> Result<Helper> {
    let program = Helper::program(program, args)?;
    eventually("the program has its queue", SOON, || {
        Ok(rx_info(&Fd::open()?, Q)?.state == Q_NETMAP)
    })?;
    Ok(program)
}

/// Runs a capture until it has had `n` frames of `Q`; what it says at its end.
fn capture(
    program: &str,
    args: &[&str],
    n: u64,
    send: impl FnOnce() -> Result<()>,
) -> Result<Vec<String>> {
    let program = on_queue(program, args)?;
    let before = counters()?[counter::PACKETS];
    send()?;
    ended(program, || Ok(counters()?[counter::PACKETS] >= before + n))
}

/// Ends a capture that has `Q` among others once it was given all and has seen it; what it says.
fn ended(program: Helper, given: impl FnMut() -> Result<bool>) -> Result<Vec<String>> {
    eventually("the program was given all", SOON, given)?;
    // It asks for more only when it is done with what it has.
    let syncs = counters()?[counter::SYNCS];
    eventually("the program asks for more, twice", SOON, || {
        Ok(counters()?[counter::SYNCS] >= syncs + 2)
    })?;
    program.signal(libc::SIGINT);
    let mut said = Vec::new();
    while !said.iter().any(|l: &String| l.contains("Broken out")) {
        said.push(program.line(SOON).with_context(|| format!("{said:?}"))?);
    }
    program.end()?;
    Ok(said)
}

/// The number before each `word`.
fn before(word: &str, said: &[String]) -> Vec<u64> {
    let words: Vec<&str> = said.iter().flat_map(|l| l.split(' ')).collect();
    let text = words.join(" ");
    text.match_indices(word)
        .filter_map(|(at, _)| text[..at].trim_end().rsplit(' ').next()?.parse().ok())
        .collect()
}

/// Frames with their time in seconds.
type Frames = Vec<(u32, Vec<u8>)>;

/// The link type and the frames of a capture file.
fn read_file(path: &str) -> Result<(u32, Frames)> {
    let bytes = std::fs::read(path).with_context(|| path.to_string())?;
    let word = |at: usize| -> Result<u32> {
        let word = bytes.get(at..at + 4).context("the file ends too early")?;
        Ok(u32::from_ne_bytes(word.try_into()?))
    };
    want_eq("magic number", word(0)?, 0xa1b2_c3d4)?;
    let (mut frames, mut at) = (Vec::new(), 24);
    while at < bytes.len() {
        let (captured, wire) = (word(at + 8)?, word(at + 12)?);
        want_eq("captured and real length", captured, wire)?;
        let end = at + 16 + captured as usize;
        let frame = bytes.get(at + 16..end).context("half a frame")?;
        frames.push((word(at)?, frame.to_vec()));
        at = end;
    }
    Ok((word(20)?, frames))
}

fn now() -> Result<u32> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() as u32)
}

fn libpcap_saves_every_frame_of_a_queue_while_the_kernel_loses_none() -> Result<()> {
    const N: u32 = 700;
    let (_rss, _rule) = (Rss::without(&[Q])?, Rule::udp(DPORT, Q)?);
    let file = format!("/tmp/nm_libpcap.{}", std::process::id());
    let wanted: Vec<Vec<u8>> = (0..N)
        .map(|seq| udp_sized(DPORT, seq, 60 + (seq as usize * 97) % 1455))
        .collect();
    for name in names() {
        undisturbed(1000, &[], |nic| {
            let args = ["-i", &name, "-w", &file];
            let start = now()?;
            let said = capture("pcap_writecaptest", &args, u64::from(N), || {
                wanted.iter().try_for_each(|f| nic.send(f))
            })?;
            let (link_type, got) = read_file(&file)?;
            std::fs::remove_file(&file)?;
            let end = now()?;
            want_eq(&format!("{name}: link type"), link_type, 1)?;
            want_eq(
                &format!("{name}: frames of {said:?}"),
                got.len(),
                wanted.len(),
            )?;
            for (n, ((time, frame), sent)) in got.iter().zip(&wanted).enumerate() {
                want_eq(
                    &format!("{name}: frame {n} is the one sent"),
                    frame == sent,
                    true,
                )?;
                want(
                    &format!("{name}: time of frame {n}, {time}, is in {start} to {end}"),
                    (start..=end).contains(time),
                )?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn libpcap_filters_what_it_captures() -> Result<()> {
    let (_rss, _rule, nic) = (Rss::without(&[Q])?, Rule::udp(DPORT, Q)?, Nic::open()?);
    for name in names() {
        let filter = format!("udp dst port {DPORT} and greater 300");
        let args = ["-s", "-b", "-t", "100", "-i", &name, &filter];
        let said = capture("pcap_capturetest", &args, 100, || {
            nic.send_n(&udp_sized(DPORT, 0, 299), 70)?;
            nic.send_n(&udp_sized(DPORT, 0, 300), 30)
        })?;
        let sum = |word| before(word, &said).iter().sum::<u64>();
        want_eq(&format!("{name}: seen"), sum("packets seen"), 100)?;
        want_eq(&format!("{name}: counted"), sum("packets counted"), 30)?;
        want_eq(
            &format!("{name}: its own statistics"),
            before("ps_recv", &said).last().copied(),
            Some(100),
        )?;
    }
    Ok(())
}

fn libpcap_is_woken_by_select_and_by_poll() -> Result<()> {
    let (_rss, _rule, nic) = (Rss::without(&[Q])?, Rule::udp(DPORT, Q)?, Nic::open()?);
    for how in ["-s", "-p"] {
        for name in names() {
            // It waits without an end, and says nothing until it wakes.
            let args = ["-oL", "pcap_selpolltest", how, "-i", &name];
            let program = on_queue("stdbuf", &args)?;
            for _ in 0..10 {
                nic.send(&udp_sized(DPORT, 0, 100))?;
                let line = program.line_with("1 packets counted")?;
                want_eq(
                    &format!("{name} {how}: seen"),
                    before("packets seen", &[line]),
                    vec![1],
                )?;
            }
        }
    }
    Ok(())
}

/// Answers of the guest to ten pings of the peer.
fn answered(nic: &Nic, id: u16) -> Result<usize> {
    let (_, frames) = nic.sent_during(|| {
        for seq in 0..10 {
            nic.send(&ping(PEER_IP, id, seq, &[seq as u8; 100]))?;
        }
        std::thread::sleep(Duration::from_millis(500));
        Ok(())
    })?;
    Ok(frames.iter().filter(|f| is_echo_reply(f, id)).count())
}

fn libpcap_captures_a_whole_port_and_gives_it_back() -> Result<()> {
    let nic = Nic::open()?;
    want_eq("answered before", answered(&nic, 0x4310)?, 10)?;
    let name = port("");
    let args = ["-s", "-b", "-t", "100", "-i", &name, "icmp or udp"];
    let program = on_queue("pcap_capturetest", &args)?;
    eventually("the program has all queues", SOON, || {
        let all = Fd::open()?.queues(Some(&ifname()))?;
        let mut rings = all.iter().filter(|i| i.kind == KIND_RX);
        Ok(rings.all(|i| i.state == Q_NETMAP))
    })?;
    want_eq("answered meanwhile", answered(&nic, 0x4311)?, 0)?;
    // every address its own flow: they spread over all queues
    for n in 0..64 {
        nic.send(&ping([10, 0, 3, 100 + n], 0x4312, 0, &[n; 100]))?;
    }
    let said = ended(program, || {
        let all = Fd::open()?.queues(Some(&ifname()))?;
        let rings = all.iter().filter(|i| i.kind == KIND_RX);
        let given: u64 = rings.map(|i| i.counter[counter::PACKETS]).sum();
        Ok(given >= 74)
    })?;
    let counted: u64 = before("packets counted", &said).iter().sum();
    want_eq("captured of all queues", counted, 74)?;
    want_eq("answered afterwards", answered(&nic, 0x4313)?, 10)
}

fn libpcap_sends_what_is_injected() -> Result<()> {
    const N: u32 = 3000;
    for (name, size) in [("-0/T", "60"), ("", "1514"), ("-3", "300")] {
        let nic = Nic::open()?;
        let (_, frames) = nic.sent_during(|| {
            let program = Helper::program("pcap_send", &[&port(name), &N.to_string(), size])?;
            program.line_with(&format!("{N} frames queued"))?;
            program.end()
        })?;
        let ours = frames
            .iter()
            .filter(|f| f.len().to_string() == size && f[12..14] == [0x88, 0xb5]);
        let mut numbers: Vec<u32> = ours
            .map(|f| u32::from_be_bytes([f[14], f[15], f[16], f[17]]))
            .collect();
        if name.is_empty() {
            // in order on each ring only
            numbers.sort_unstable();
        }
        want_eq(&format!("{name}: frames"), numbers.len(), N as usize)?;
        want(
            &format!("{name}: each once, in order"),
            numbers.into_iter().eq(0..N),
        )?;
    }
    Ok(())
}

fn libpcap_says_that_a_port_is_taken() -> Result<()> {
    let _taken = on_queue("nm_count", &[&port(&format!("~{Q}")), "-d", "20"])?;
    for name in names() {
        let mut program = std::process::Command::new("pcap_capturetest");
        let out = program.args(["-i", &name]).output()?;
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        want(
            &format!("it names {name} and the cause: {said}"),
            said.contains(&format!("cannot access {name}: Device or resource busy")),
        )?;
        want_eq("exit code", out.status.code(), Some(1))?;
    }
    Ok(())
}
