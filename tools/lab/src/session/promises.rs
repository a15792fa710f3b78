// SPDX-License-Identifier: GPL-2.0
//! What the session promises, and whether the figures keep it.

use super::act::Played;
use super::QUEUE;
use crate::tests::line;

/// Promises judged so far.
#[derive(Debug, Default)]
pub struct Promises {
    judged: Vec<(String, bool, String)>,
}

impl Promises {
    /// Add one: what was promised, whether it was kept, and what was seen instead.
    pub fn judge(&mut self, promise: &str, kept: bool, seen: &str) {
        self.judged
            .push((promise.to_string(), kept, seen.to_string()));
    }

    /// Print them all; true when all were kept.
    pub fn print(&self) -> bool {
        line("\n== What was promised");
        for (promise, kept, seen) in &self.judged {
            if *kept {
                line(&format!("kept    {promise}"));
            } else {
                line(&format!("BROKEN  {promise}: {seen}"));
            }
        }
        self.judged.iter().all(|(_, kept, _)| *kept)
    }
}

/// Judge the four acts. `owners` is the queue listing after nm_offload's end, `said` all
/// that nm_offload printed.
pub fn judge(
    normal: &Played,
    flooded: &Played,
    offloaded: &Played,
    after: &Played,
    owners: &str,
    said: String,
) -> Promises {
    let mut p = Promises::default();
    let dns = |a: &Played| {
        format!(
            "{} of {} answered",
            a.measured.dns.good, a.measured.dns.sent
        )
    };
    let full = |a: &Played| a.measured.dns.sent > 0 && a.measured.dns.good == a.measured.dns.sent;
    p.judge(
        "without a flood every query is answered",
        full(normal),
        &dns(normal),
    );
    p.judge(
        "on the kernel's own path the flood breaks the service (under half is answered)",
        flooded.measured.dns.share() < 0.5,
        &dns(flooded),
    );
    p.judge(
        "with nm_offload every good query is answered",
        full(offloaded),
        &dns(offloaded),
    );
    p.judge(
        "the flood did reach the queue given away",
        offloaded.queue_packets > 10 * offloaded.measured.dns.sent,
        &format!("{} packets in queue {QUEUE}", offloaded.queue_packets),
    );
    p.judge(
        "nm_offload printed its rate once a second",
        said.matches("[+] UDP pps:").count() as f64 >= offloaded.seconds * 0.8,
        &format!(
            "{} lines in {:.0} s",
            said.matches("[+] UDP pps:").count(),
            offloaded.seconds
        ),
    );
    p.judge(
        "the other queues lost nothing, as the card counts",
        offloaded.other_drops == 0,
        &format!("{} packets lost", offloaded.other_drops),
    );
    let ping = offloaded.measured.ping;
    p.judge(
        "ping and HTTP on the other queues lost nothing",
        ping.0 > 0 && ping.0 == ping.1 && offloaded.measured.http.0 == offloaded.measured.http.1,
        &format!(
            "ping {}/{}, HTTP {}/{}",
            ping.1, ping.0, offloaded.measured.http.1, offloaded.measured.http.0
        ),
    );
    p.judge(
        "the link never went down (carrier_changes)",
        normal.carrier.0 == after.carrier.1,
        &format!("{} -> {}", normal.carrier.0, after.carrier.1),
    );
    let resets: u64 = [normal, flooded, offloaded, after]
        .iter()
        .map(|a| a.resets)
        .sum();
    let links: u64 = [normal, flooded, offloaded, after]
        .iter()
        .map(|a| a.link_changes)
        .sum();
    p.judge(
        "the card was never reset, nor its link touched",
        resets == 0 && links == 0,
        &format!("{resets} resets, {links} link changes"),
    );
    p.judge(
        "at the end the queue is the kernel's again, and every query is answered on it",
        full(after)
            && after.queue_packets >= after.measured.dns.sent
            && !owners.contains("nm_offload"),
        &format!(
            "{}, {} packets in queue {QUEUE}, owners:\n{owners}",
            dns(after),
            after.queue_packets
        ),
    );
    p
}
