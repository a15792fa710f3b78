// SPDX-License-Identifier: GPL-2.0
//! Tells a service manager that asked for it (sd_notify(3)) when the queues are taken
//! and when they are being given back, so that `systemctl start` fails if they cannot be.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The queues are taken, and `status` is what there is to say.
pub fn ready(status: &str) {
    tell(&format!("READY=1\nSTATUS={}", status.replace('\n', " ")));
}

/// The end has begun.
pub fn stopping() {
    tell("STOPPING=1");
}

fn tell(text: &str) {
    let Some(socket) = env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    if let Err(e) = send(&socket, text) {
        eprintln!("[!] telling the service manager: {e}");
    }
}

/// A name that begins with `@` is in the abstract namespace.
fn send(socket: &OsStr, text: &str) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?
        .send_to_addr(text.as_bytes(), &address)
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_arrives_by_either_kind_of_name() {
        let path = std::env::temp_dir().join(format!("nm_offload-{}.ready", std::process::id()));
        let abstract_name = format!("nm_offload-ready-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&abstract_name).expect("name");
        for (socket, manager) in [
            (
                path.clone().into_os_string(),
                UnixDatagram::bind(&path).expect("bind"),
            ),
            (
                format!("@{abstract_name}").into(),
                UnixDatagram::bind_addr(&address).expect("bind"),
            ),
        ] {
            send(&socket, "READY=1").expect("send");
            let mut got = [0; 64];
            let n = manager.recv(&mut got).expect("receive");
            assert_eq!(&got[..n], b"READY=1");
        }
        std::fs::remove_file(&path).expect("remove");
        assert!(send(path.as_os_str(), "READY=1").is_err());
    }
}
