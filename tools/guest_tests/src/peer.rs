// SPDX-License-Identifier: GPL-2.0
//! The lab's peer as the kernel's own programs reach it: it echoes TCP and UDP port 7, so
//! what the kernel sends and receives can be checked to the byte.

use crate::frame::pattern;
use crate::steer::run;
use anyhow::{bail, Context, Result};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

const ECHO: u16 = 7;
/// The peer on the first card's wire.
pub const PEER: [u8; 4] = [10, 0, 3, 2];
/// The peer on the second card's wire.
pub const PEER2: [u8; 4] = [10, 0, 4, 2];

fn echo(peer: [u8; 4]) -> SocketAddr {
    SocketAddr::from((peer, ECHO))
}

/// `len` bytes through a TCP connection and back; they must come as they went.
pub fn tcp_echo(len: usize, limit: Duration) -> Result<()> {
    let mut stream =
        TcpStream::connect_timeout(&echo(PEER), limit).context("connect to the peer")?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    let bytes = pattern(len as u32, len);
    let mut writer = stream.try_clone()?;
    std::thread::scope(|s| {
        let sent = s.spawn(|| writer.write_all(&bytes));
        let mut got = vec![0; len];
        let mut at = 0;
        while at < len {
            match stream.read(&mut got[at..]) {
                Ok(0) => bail!("the connection ended after {at} of {len} bytes"),
                Ok(n) => at += n,
                Err(e) => bail!("{at} of {len} bytes came back: {e}"),
            }
        }
        sent.join().ok().context("the writer died")??;
        if let Some(at) = (0..len).find(|i| got[*i] != bytes[*i]) {
            bail!("byte {at} of {len} came back changed");
        }
        Ok(())
    })
}

/// A socket for datagrams to the echo of `peer`.
pub fn udp(peer: [u8; 4]) -> Result<UdpSocket> {
    let s = UdpSocket::bind(("0.0.0.0", 0))?;
    s.connect(echo(peer))?;
    s.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok(s)
}

/// One datagram there and back; the round trip.
pub fn udp_echo(socket: &UdpSocket, seq: u32, size: usize) -> Result<Duration> {
    let (bytes, started) = (pattern(seq, size), Instant::now());
    socket.send(&bytes)?;
    let mut got = vec![0; size + 1];
    let n = socket
        .recv(&mut got)
        .with_context(|| format!("echo of datagram {seq} ({size} bytes)"))?;
    if got[..n] != bytes {
        bail!("datagram {seq} of {size} bytes came back changed ({n} bytes)");
    }
    Ok(started.elapsed())
}

/// `n` pings to the peer; how many were answered.
pub fn pings(n: u32) -> Result<u32> {
    let count = n.to_string();
    let said = run(
        "ping",
        &[
            "-n", "-q", "-i", "0.01", "-c", &count, "-w", "20", "10.0.3.2",
        ],
    )?;
    let words: Vec<_> = said.split_whitespace().collect();
    let at = words
        .iter()
        .position(|w| *w == "received,")
        .with_context(|| format!("ping said '{said}'"))?;
    Ok(words[at - 1].parse()?)
}
