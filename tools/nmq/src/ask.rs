// SPDX-License-Identifier: GPL-2.0
//! Adding and removing queues: the program that has the port open is asked, since
//! queues join and leave an open file.

use anyhow::{bail, Context, Result};
use netmap::control::{self, Request};
use netmap::{Kind, Queues};
use std::collections::BTreeMap;
use std::fmt;
use std::io;

/// Failures with an exit status of their own.
#[derive(Debug)]
pub enum Problem {
    /// The queue has another owner, or has none to give it back.
    Taken(String),
    /// No interface, hook, queue or program.
    NotThere(String),
    /// The program's socket is not ours to use.
    NotPermitted(String),
}

impl Problem {
    /// Exit status.
    pub fn status(&self) -> u8 {
        match self {
            Self::Taken(_) => 3,
            Self::NotThere(_) => 4,
            Self::NotPermitted(_) => 5,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Taken(text) | Self::NotThere(text) | Self::NotPermitted(text)) = self;
        f.write_str(text)
    }
}

impl std::error::Error for Problem {}

/// Programs with rings of an interface, by pid.
type Owners = BTreeMap<u32, String>;

/// `nmq queue add`.
pub fn add(ifname: &str, queue: u16, program: &[String]) -> Result<()> {
    let (owners, of_queue) = owners(ifname, queue)?;
    if let Some((pid, comm)) = of_queue {
        bail!(Problem::Taken(format!(
            "{ifname} queue {queue} is taken by {comm} (pid {pid})"
        )));
    }
    let pid = choose(ifname, &owners, wanted(program)?)?;
    ask(ifname, pid, Request::Add(queue))
}

/// `nmq queue del`.
pub fn del(ifname: &str, queue: u16, program: &[String]) -> Result<()> {
    let wanted = wanted(program)?;
    let (_, of_queue) = owners(ifname, queue)?;
    match of_queue {
        None => bail!(Problem::NotThere(format!(
            "{ifname} queue {queue} is the kernel's, there is nothing to give back"
        ))),
        Some((pid, comm)) if wanted.is_some_and(|w| w != pid) => bail!(Problem::Taken(format!(
            "{ifname} queue {queue} is {comm}'s (pid {pid})"
        ))),
        Some((pid, _)) => ask(ifname, pid, Request::Remove(queue)),
    }
}

/// `pid N` at the end of the command line.
fn wanted(words: &[String]) -> Result<Option<u32>> {
    match words {
        [] => Ok(None),
        [pid, n] if pid == "pid" => Ok(Some(
            n.parse().with_context(|| format!("'{n}' is not a pid"))?,
        )),
        _ => bail!(
            "expected 'pid N' after the queue, not '{}'",
            words.join(" ")
        ),
    }
}

fn owners(ifname: &str, queue: u16) -> Result<(Owners, Option<(u32, String)>)> {
    let list: Vec<_> = Queues::of(ifname)?.collect::<netmap::Result<_>>()?;
    let Some(port) = list.iter().find(|e| e.kind == Kind::Port) else {
        bail!(Problem::NotThere(format!(
            "{ifname}: no such port; 'nmq port' lists them"
        )));
    };
    if u32::from(queue) >= port.num_queues {
        bail!(Problem::NotThere(format!(
            "{ifname} has {} RX queues, there is no queue {queue}",
            port.num_queues
        )));
    }
    let owners = list
        .iter()
        .filter(|e| e.pid != 0)
        .map(|e| (e.pid, e.comm.clone()))
        .collect();
    let of_queue = list
        .iter()
        .find(|e| e.kind == Kind::Rx && e.queue == u32::from(queue) && e.pid != 0)
        .map(|e| (e.pid, e.comm.clone()));
    Ok((owners, of_queue))
}

fn choose(ifname: &str, owners: &Owners, wanted: Option<u32>) -> Result<u32> {
    match (wanted, owners.len()) {
        (Some(pid), _) if owners.contains_key(&pid) => Ok(pid),
        (Some(pid), _) => bail!(Problem::NotThere(format!(
            "pid {pid} has no queue of {ifname}; 'nmq queue show {ifname}' shows who has"
        ))),
        (None, 0) => bail!(Problem::NotThere(format!(
            "no program has a queue of {ifname}: start one, such as 'nm_offload {ifname} QUEUE'"
        ))),
        (None, 1) => Ok(owners.keys().copied().next().unwrap_or(0)),
        (None, _) => {
            let list: Vec<String> = owners.iter().map(|(p, c)| format!("{c} pid {p}")).collect();
            bail!(
                "several programs have queues of {ifname} ({}): add 'pid N'",
                list.join(", ")
            )
        }
    }
}

fn ask(ifname: &str, pid: u32, request: Request) -> Result<()> {
    let path = control::path(ifname, pid);
    let answer = control::ask(&path, request).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            anyhow::Error::new(Problem::NotThere(format!(
                "pid {pid} does not take orders (no {}); nm_offload does",
                path.display()
            )))
        }
        io::ErrorKind::PermissionDenied => anyhow::Error::new(Problem::NotPermitted(format!(
            "{}: only root and the program's own user may do this",
            path.display()
        ))),
        _ => anyhow::Error::new(e).context(format!("{}", path.display())),
    })?;
    answer.map_err(|text| anyhow::anyhow!("{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owners(pids: &[u32]) -> Owners {
        pids.iter()
            .map(|p| (*p, "nm_offload".to_string()))
            .collect()
    }

    #[test]
    fn one_owner_is_asked_several_must_be_told_apart() {
        assert_eq!(choose("eth3", &owners(&[812]), None).expect("one"), 812);
        assert_eq!(choose("eth3", &owners(&[1, 2]), Some(2)).expect("named"), 2);
        let e = choose("eth3", &owners(&[1, 2]), None)
            .expect_err("two")
            .to_string();
        assert!(e.contains("pid 1") && e.contains("pid 2"), "{e}");
        for (o, w) in [(owners(&[]), None), (owners(&[1]), Some(7))] {
            let e = choose("eth3", &o, w).expect_err("nobody");
            let p = e.downcast_ref::<Problem>().expect("with a status");
            assert_eq!(p.status(), 4);
        }
    }

    #[test]
    fn the_pid_is_a_keyword_and_a_number() {
        let words = |l: &str| l.split_whitespace().map(String::from).collect::<Vec<_>>();
        assert_eq!(wanted(&words("")).expect("none"), None);
        assert_eq!(wanted(&words("pid 9")).expect("9"), Some(9));
        for bad in ["pid", "9", "pid x", "uid 9"] {
            assert!(wanted(&words(bad)).is_err(), "{bad}");
        }
    }
}
