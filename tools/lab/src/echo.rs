// SPDX-License-Identifier: GPL-2.0
//! What the peer answers to tests in the guest: whatever comes to TCP or UDP port 7 goes
//! back as it came (RFC 862), datagram by datagram.

use crate::child::Child;
use crate::netns::{card_mac, guest_address, wire_name};
use crate::vm::Vm;
use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};

/// The well-known port.
const PORT: u16 = 7;

/// Serve until the process is ended.
///
/// # Errors
/// When the port can't be had.
pub fn serve() -> Result<()> {
    let udp = UdpSocket::bind(("0.0.0.0", PORT)).context("UDP port 7")?;
    let tcp = TcpListener::bind(("0.0.0.0", PORT)).context("TCP port 7")?;
    std::thread::spawn(move || {
        let mut datagram = [0; 65536];
        loop {
            // An error is an ICMP answer to what was sent before; nobody waits for that.
            if let Ok((n, from)) = udp.recv_from(&mut datagram) {
                let _ = udp.send_to(&datagram[..n], from);
            }
        }
    });
    for stream in tcp.incoming().flatten() {
        std::thread::spawn(move || talk(stream));
    }
    Ok(())
}

/// One connection, to its end.
fn talk(mut stream: TcpStream) {
    let mut bytes = vec![0; 65536];
    while let Ok(n @ 1..) = stream.read(&mut bytes) {
        if stream.write_all(&bytes[..n]).is_err() {
            return;
        }
    }
}

/// Have this program serve in the peer's namespace. The peer knows the guest's addresses:
/// while a program has all of a port nobody would tell it.
///
/// # Errors
/// When it can't be started.
pub fn at_peer(vm: &Vm) -> Result<Child> {
    for n in 0..vm.cards().len() {
        let (ip, mac, wire) = (guest_address(n), card_mac(n), wire_name(n));
        let line = format!("ip neigh replace {ip} lladdr {mac} dev {wire} nud permanent");
        vm.peer.run(&line)?.ok(&line)?;
    }
    let mut command = vm.peer.command(&std::env::current_exe()?);
    command.arg("echo");
    Child::spawn("echo", &mut command, &vm.scratch_file("echo.log"))
}
