// SPDX-License-Identifier: GPL-2.0
//! What has been changed on a port, on disk before it is changed, so that the
//! next start can undo it after a SIGKILL.
//!
//! One file per process: `/run/nm_offload/IFACE-PID.json`. `/run` is empty after
//! a boot, as are the card's tables.

use anyhow::{bail, Context, Result};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A rule we have inserted, or are about to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its place in the card's table.
    pub place: u32,
    /// What it matches, with its queue.
    pub flow: String,
}

/// The RSS table before and after us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reta {
    /// Before.
    pub old: Vec<u32>,
    /// After.
    pub new: Vec<u32>,
}

/// The file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Process that made the changes.
    pub pid: u32,
    /// When it started, in clock ticks since boot: tells it from another process
    /// with the same id.
    pub started: u64,
    /// Network namespace the interface is in.
    pub netns: u64,
    /// Interface.
    pub ifname: String,
    /// Change of the RSS table.
    pub reta: Option<Reta>,
    /// The table was the driver's own before that.
    #[serde(default)]
    pub was_default: bool,
    /// Rules.
    pub rules: Vec<Rule>,
}

impl State {
    /// Nothing changed yet, by this process.
    pub fn new(ifname: &str) -> Result<Self> {
        let pid = std::process::id();
        Ok(Self {
            pid,
            started: start_time(pid).context("/proc/self/stat")?,
            netns: netns()?,
            ifname: ifname.to_string(),
            reta: None,
            was_default: false,
            rules: Vec::new(),
        })
    }

    /// Does the process that wrote it still run?
    pub fn owner_runs(&self) -> bool {
        start_time(self.pid) == Some(self.started)
    }

    /// Is the interface in our network namespace?
    pub fn is_here(&self) -> bool {
        netns().is_ok_and(|n| n == self.netns)
    }
}

/// Where state files are.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
}

impl Store {
    /// The directory `dir`, made if it is missing.
    pub fn new(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        Ok(Self {
            dir: dir.to_path_buf(),
        })
    }

    fn path(&self, ifname: &str, pid: u32) -> PathBuf {
        self.dir.join(format!("{ifname}-{pid}.json"))
    }

    /// Write `state`, safely on disk when this returns: first whole, then in place.
    pub fn save(&self, state: &State) -> Result<()> {
        let path = self.path(&state.ifname, state.pid);
        let new = path.with_extension("new");
        let write = || -> io::Result<()> {
            // The folder may be a service's: nothing that somebody has put there under
            // this name is written to, and no link followed.
            match fs::remove_file(&new) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            let mut f = File::create_new(&new)?;
            f.write_all(serde_json::to_string(state)?.as_bytes())?;
            f.sync_all()?;
            fs::rename(&new, &path)
        };
        write().with_context(|| format!("writing {}", path.display()))
    }

    /// `state` as it is on disk: others may have changed it, see `hand_on`. None if it
    /// is not there or a different process wrote it.
    pub fn load(&self, state: &State) -> Option<State> {
        let bytes = fs::read(self.path(&state.ifname, state.pid)).ok()?;
        let found: State = serde_json::from_slice(&bytes).ok()?;
        (found.started == state.started && found.netns == state.netns).then_some(found)
    }

    /// Forget `state`: everything is undone.
    pub fn remove(&self, state: &State) -> Result<()> {
        let path = self.path(&state.ifname, state.pid);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(e).with_context(|| format!("removing {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// States of processes that are gone, of interfaces in our namespace. A file
    /// that cannot be read is reported in the second list.
    pub fn orphans(&self) -> Result<(Vec<State>, Vec<String>)> {
        let (mut states, bad) = self.states()?;
        states.retain(|s| !s.owner_runs());
        Ok((states, bad))
    }

    /// States of the others that have changed the port of `state`.
    pub fn others(&self, state: &State) -> Result<Vec<State>> {
        let (mut states, _) = self.states()?;
        states.retain(|s| s.ifname == state.ifname && s.pid != state.pid);
        Ok(states)
    }

    /// All that are of interfaces in our namespace, and what cannot be read.
    fn states(&self) -> Result<(Vec<State>, Vec<String>)> {
        let (mut found, mut bad) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if path.extension().is_none_or(|e| e != "json") {
                continue;
            }
            let state: Result<State> = fs::read(&path)
                .map_err(Into::into)
                .and_then(|b| Ok(serde_json::from_slice(&b)?));
            match state {
                Ok(s) if s.is_here() => found.push(s),
                Ok(_) => {}
                Err(e) => bad.push(format!("{}: {e}", path.display())),
            }
        }
        Ok((found, bad))
    }

    /// One process at a time changes tables: held until the file is dropped.
    pub fn lock(&self) -> Result<File> {
        let path = self.dir.join("lock");
        // For reading is enough to lock it, and root's is another user's too.
        let create = || {
            OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
        };
        let file = match File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => create(),
            r => r,
        }
        .with_context(|| format!("opening {}", path.display()))?;
        // SAFETY: a live descriptor.
        if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) } < 0 {
            bail!("locking {}: {}", path.display(), io::Error::last_os_error());
        }
        Ok(file)
    }
}

/// Field 22 of /proc/PID/stat, unless field 3 says that it is dead and only its
/// parent has not noticed yet; the name before them may hold anything.
pub(super) fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if matches!(fields.next()?, "Z" | "X" | "x") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

fn netns() -> Result<u64> {
    Ok(fs::metadata("/proc/self/ns/net")
        .context("/proc/self/ns/net")?
        .ino())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    fn store(name: &str) -> Store {
        let dir = std::env::temp_dir().join(format!("nm_offload-{name}-{}", std::process::id()));
        Store::new(&dir).expect("store")
    }

    #[test]
    fn a_running_owner_is_no_orphan_a_dead_one_is() {
        let store = store("orphans");
        let mine = State::new("eth3").expect("state");
        store.save(&mine).expect("save");
        assert!(store.orphans().expect("list").0.is_empty());
        // The same pid, but of an earlier process.
        let mut dead = mine.clone();
        dead.started += 1;
        dead.rules.push(Rule {
            place: 9,
            flow: "udp4 dst-port 53 action 4".into(),
        });
        store.save(&dead).expect("save");
        assert_eq!(store.orphans().expect("list").0, [dead.clone()]);
        store.remove(&dead).expect("remove");
        store.remove(&dead).expect("again");
        assert!(store.orphans().expect("list").0.is_empty());
        fs::remove_dir_all(&store.dir).expect("cleanup");
    }

    #[test]
    fn other_namespaces_are_left_alone_and_damage_is_reported() {
        let store = store("damage");
        let mut other = State::new("eth3").expect("state");
        other.started += 1;
        other.netns += 1;
        store.save(&other).expect("save");
        fs::write(store.dir.join("eth9-1.json"), "{\"pid\":").expect("write");
        let (found, bad) = store.orphans().expect("list");
        assert!(found.is_empty());
        assert_eq!(bad.len(), 1);
        assert!(bad[0].contains("eth9-1.json"));
        fs::remove_dir_all(&store.dir).expect("cleanup");
    }

    #[test]
    fn no_link_is_followed_and_a_lock_needs_no_writing() {
        use std::os::unix::fs::{symlink, PermissionsExt};
        let store = store("links");
        let mine = State::new("eth3").expect("state");
        let victim = store.dir.join("victim");
        fs::write(&victim, "precious").expect("write");
        let new = store.path("eth3", mine.pid).with_extension("new");
        symlink(&victim, new).expect("symlink");
        store.save(&mine).expect("save");
        assert_eq!(fs::read_to_string(&victim).expect("read"), "precious");
        assert_eq!(store.load(&mine), Some(mine));

        drop(store.lock().expect("made"));
        let lock = store.dir.join("lock");
        fs::set_permissions(&lock, fs::Permissions::from_mode(0o444)).expect("chmod");
        drop(store.lock().expect("read only"));
        fs::remove_dir_all(&store.dir).expect("cleanup");
    }

    #[test]
    fn a_zombie_is_dead() {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("cat");
        let mut state = State::new("eth3").expect("state");
        state.pid = child.id();
        state.started = start_time(child.id()).expect("start time");
        assert!(state.owner_runs());
        drop(child.stdin.take());
        let end = Instant::now() + Duration::from_secs(10);
        while state.owner_runs() {
            assert!(Instant::now() < end, "a zombie counts as running");
            std::thread::sleep(Duration::from_millis(5));
        }
        let proc = format!("/proc/{}", child.id());
        assert!(Path::new(&proc).exists(), "nobody has waited for it");
        child.wait().expect("wait");
    }

    #[test]
    fn start_times_are_read() {
        assert!(start_time(std::process::id()).is_some());
        assert_eq!(start_time(u32::MAX), None);
    }
}
