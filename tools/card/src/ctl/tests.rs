// SPDX-License-Identifier: GPL-2.0
//! The control protocol without a socket.

use super::*;
use crate::card::Card;
use crate::regs::at;

fn unit() -> Ctl {
    let mut card = Card::new([0xa0, 0x36, 0x9f, 0x82, 0x59, 0x90], false);
    card.write(at::RXCTRL, 1, 0);
    card.write(at::FCTRL, 0x700, 0);
    Ctl {
        shared: Arc::new(Shared::new("t", card, None).unwrap()),
        base: Arc::default(),
    }
}

fn ok(c: &Ctl, line: &str) -> String {
    c.command(line).unwrap_or_else(|e| panic!("{line}: {e}"))
}

#[test]
fn frames_are_sent_counted_and_counts_reset() {
    let c = unit();
    ok(&c, &format!("send {} x300", "ff".repeat(60)));
    let s = ok(&c, "counts");
    assert!(
        s.contains("port rx_packets=0 rx_bytes=0 rx_arrived=300 "),
        "{s}"
    );
    assert!(s.contains("rxq 0 enabled=0 packets=0 bytes=0 drop_nodesc=0 drop_disabled=300 "));
    ok(&c, "counts reset");
    assert!(ok(&c, "counts").contains("drop_disabled=0 "));
    ok(&c, &format!("send {}", "ff".repeat(20)));
    assert!(ok(&c, "counts").contains("rx_arrived=1 "));
}

#[test]
fn generators_start_list_and_stop() {
    let c = unit();
    ok(&c, "gen start a profile=udp rate=10 count=5 size=100");
    assert!(c
        .command("gen start a profile=udp")
        .unwrap_err()
        .contains("running"));
    assert_eq!(ok(&c, "gen list"), "gen a sent=0 skipped=0 running=1\n");
    ok(&c, "gen stop a");
    ok(&c, "gen start a profile=dnsflood zone=example.org");
    ok(&c, "gen stop all");
    assert!(c.command("gen stop b").is_err());
}

#[test]
fn link_faults_info_and_help() {
    let c = unit();
    ok(&c, "link down");
    assert!(ok(&c, "info").contains("mac=a0:36:9f:82:59:90 link=down guest=none"));
    ok(&c, "fault rxq 4 stuck on");
    ok(&c, "fault txq 63 hang on");
    ok(&c, "fault port crc on");
    let s = ok(&c, "fault list");
    assert!(
        s.contains("on port crc\n")
            && s.contains("on rxq 4 stuck\n")
            && s.contains("on txq 63 hang\n")
            && s.contains("names txq stuck dead late hang"),
        "{s}"
    );
    ok(&c, "fault rxq all length 7");
    ok(&c, "fault irq 3 lost on");
    ok(&c, "fault port slow 50");
    let s = ok(&c, "fault list");
    assert!(s.contains("on rxq 127 length number=7\n"), "{s}");
    assert!(s.contains("on irq lost=0x8 storm=0x0\n"), "{s}");
    assert!(s.contains("on port crc slow number=50\n"), "{s}");
    ok(&c, "fault off");
    assert!(!ok(&c, "fault list").contains("on "));
    assert!(ok(&c, "help").contains("counts"));
    let regs = ok(&c, "regs");
    assert!(regs.contains("reg RXCTRL at=0x03000 n=1 value=0x00000001 part=\"receive DMA\""));
}

#[test]
fn sent_frames_are_logged_on_request() {
    let c = unit();
    let note = |b: u8| c.shared.txlog.lock().unwrap().note(&[b; 2]);
    note(1);
    ok(&c, "txlog start");
    note(2);
    ok(&c, "txlog stop");
    note(3);
    assert_eq!(ok(&c, "txlog get"), "0202\n");
}

#[test]
fn mistakes_are_explained() {
    let c = unit();
    for (line, text) in [
        ("frobnicate", "not understood"),
        ("send xyz", "not in hex"),
        ("send ffff", "14 to"),
        ("send ffff y3", "how often"),
        ("gen start a", "profile"),
        ("gen start a profile=x", "no such profile"),
        ("gen start a profile=udp rate=fast", "rate=fast"),
        ("gen start a profile=udp nonsense", "KEY=VALUE"),
        ("replay /dev/null/x", "/dev/null/x"),
        ("fault rxq 128 stuck on", "0 to 127"),
        ("fault irq 64 lost on", "0 to 63"),
        ("fault rxq 1 stuck maybe", "on, off or a number"),
        ("fault everything", "not understood"),
        ("fault rxq 1 odd on", "no such fault"),
        ("fault txq 1 length on", "no such fault"),
        ("trace on /dev/null/x", "/dev/null/x"),
    ] {
        let e = c.command(line).unwrap_err();
        assert!(e.contains(text), "{line}: {e}");
    }
}

#[test]
fn the_protocol_over_a_socket() {
    let (a, b) = UnixStream::pair().unwrap();
    let c = unit();
    let t = thread::spawn(move || c.talk(&b));
    (&a).write_all(b"info\n\nbad\n").unwrap();
    a.shutdown(std::net::Shutdown::Write).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut &a, &mut text).unwrap();
    t.join().unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("card ") && lines[1] == "ok" && lines[2].starts_with("err bad"));
}
