// SPDX-License-Identifier: MIT OR Apache-2.0
//! A control socket: lets `nmq queue add` and `nmq queue del` reach the program
//! that has a port open. Queues join and leave an open file, and only its owner
//! has that; so the owner is asked.
//!
//! The socket is `/run/nm_offload/IFACE-PID.sock`. A request is a line (`add 5`,
//! `del 5`), the answer is `ok` or `err TEXT`. Root and the program's own user
//! are served, others refused.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the sockets are.
pub const DIRECTORY: &str = "/run/nm_offload";
/// A peer that neither talks nor listens is dropped after this.
const PATIENCE: Duration = Duration::from_secs(2);
/// No request is longer.
const LONGEST: u64 = 256;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Take this RX queue too.
    Add(u16),
    /// Give this RX queue back.
    Remove(u16),
}

impl Request {
    fn parse(line: &str) -> Result<Self, String> {
        let mut words = line.split_whitespace();
        let (verb, queue, rest) = (words.next(), words.next(), words.next());
        let queue = queue
            .and_then(|q| q.parse().ok())
            .filter(|_| rest.is_none())
            .ok_or("expected: add QUEUE or del QUEUE")?;
        match verb {
            Some("add") => Ok(Self::Add(queue)),
            Some("del") => Ok(Self::Remove(queue)),
            _ => Err("expected: add QUEUE or del QUEUE".into()),
        }
    }

    fn line(self) -> String {
        match self {
            Self::Add(q) => format!("add {q}\n"),
            Self::Remove(q) => format!("del {q}\n"),
        }
    }
}

/// Path of the socket of process `pid` for `ifname`.
pub fn path(ifname: &str, pid: u32) -> PathBuf {
    Path::new(DIRECTORY).join(format!("{ifname}-{pid}.sock"))
}

/// Remove the sockets of processes that are gone.
pub fn remove_stale() -> io::Result<()> {
    remove_stale_in(Path::new(DIRECTORY))
}

fn remove_stale_in(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("");
        let pid = name
            .strip_suffix(".sock")
            .and_then(|n| n.rsplit_once('-'))
            .and_then(|(_, pid)| pid.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Remove a file; another program that starts may have been faster.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// The serving end; the socket is removed when it is dropped.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
}

impl Server {
    /// Serve at `path`, which only our user can reach.
    pub fn bind(path: &Path) -> io::Result<Self> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        // The pid in the name is ours: what is there is left from another time.
        remove(path)?;
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            path: path.to_path_buf(),
        })
    }

    /// Take the next request, if one waits; `serve` does it and its error text
    /// goes to the peer. Call when the socket is readable.
    pub fn handle(&self, serve: impl FnOnce(Request) -> Result<(), String>) -> io::Result<()> {
        let (stream, _) = match self.listener.accept() {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            r => r?,
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let answer = match permitted(&stream)? {
            false => Err("only root and the program's own user may do this".to_string()),
            true => {
                let mut line = String::new();
                BufReader::new((&stream).take(LONGEST)).read_line(&mut line)?;
                Request::parse(&line).and_then(serve)
            }
        };
        let text = match answer {
            Ok(()) => "ok\n".to_string(),
            Err(e) => format!("err {}\n", e.replace('\n', " ")),
        };
        (&stream).write_all(text.as_bytes())
    }
}

impl AsFd for Server {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Ask the program behind `path`; the error text is its own.
pub fn ask(path: &Path, request: Request) -> io::Result<Result<(), String>> {
    let stream = UnixStream::connect(path)?;
    // A queue may take a while to stop and start.
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    (&stream).write_all(request.line().as_bytes())?;
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line)?;
    match line.trim_end() {
        "ok" => Ok(Ok(())),
        other => match other.strip_prefix("err ") {
            Some(text) => Ok(Err(text.to_string())),
            None => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the program closed the connection without an answer",
            )),
        },
    }
}

/// Is the peer root or our own user?
fn permitted(stream: &UnixStream) -> io::Result<bool> {
    let mut cred = libc::ucred {
        pid: 0,
        uid: libc::uid_t::MAX,
        gid: 0,
    };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the option's value is a ucred, whose size is given.
    let r = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut cred).cast(),
            &mut len,
        )
    };
    if r < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: always succeeds.
    let ours = unsafe { libc::geteuid() };
    Ok(cred.uid == 0 || cred.uid == ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_parsed_strictly() {
        assert_eq!(Request::parse("add 5\n"), Ok(Request::Add(5)));
        assert_eq!(Request::parse("del 16"), Ok(Request::Remove(16)));
        for bad in [
            "",
            "add",
            "add x",
            "add 5 6",
            "add -1",
            "add 65536",
            "list 1",
        ] {
            assert!(Request::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_request_and_its_answer_travel() {
        let dir = std::env::temp_dir().join(format!("netmap-control-{}", std::process::id()));
        let path = dir.join("eth3-1.sock");
        let server = Server::bind(&path).expect("bind");
        for (request, answer) in [
            (Request::Add(5), Ok(())),
            (Request::Remove(6), Err("queue 6:\nnot ours".to_string())),
        ] {
            let at = path.clone();
            let peer = std::thread::spawn(move || ask(&at, request));
            sys_wait(&server);
            let mut seen = None;
            server
                .handle(|r| {
                    seen = Some(r);
                    answer.clone()
                })
                .expect("handle");
            assert_eq!(seen, Some(request));
            let got = peer.join().expect("peer").expect("answer");
            assert_eq!(got, answer.map_err(|e| e.replace('\n', " ")));
        }
        drop(server);
        assert!(!path.exists());
        fs::remove_dir(&dir).expect("rmdir");
    }

    #[test]
    fn sockets_of_the_dead_go_those_of_the_living_stay() {
        let dir = std::env::temp_dir().join(format!("netmap-stale-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("mkdir");
        let ours = format!("eth-3-{}.sock", std::process::id());
        for name in ["eth3-4294967294.sock", "eth3-4294967294.json", &ours] {
            fs::write(dir.join(name), "").expect("write");
        }
        remove_stale_in(&dir).expect("remove");
        remove(&dir.join("eth3-4294967294.sock")).expect("gone already");
        assert!(!dir.join("eth3-4294967294.sock").exists());
        assert!(dir.join("eth3-4294967294.json").exists());
        assert!(dir.join(ours).exists());
        fs::remove_dir_all(&dir).expect("rmdir");
    }

    fn sys_wait(server: &Server) {
        let ready = crate::sys::poll(&mut [(server.as_fd(), libc::POLLIN)], Some(PATIENCE));
        assert!(ready.expect("poll"), "no request came");
    }
}
