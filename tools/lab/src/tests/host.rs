// SPDX-License-Identifier: GPL-2.0
//! The host part: the workspace's own tests, and scripts that print KTAP.

use super::tally::{line, Tally};
use super::TestArgs;
use crate::child::Child;
use crate::places::checkout;
use anyhow::Result;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::FromRawFd;
use std::path::Path;
use std::process::{Command, Stdio};

/// Programs besides the workspace's that print KTAP about this host's build.
const SCRIPTS: &[&str] = &[
    "tools/lint",
    "ixgbe_patch/test",
    "tools/root/test/run",
    "tools/install/test",
    "tools/examples/check",
    "packaging/test/run",
    "packaging/test/systemd",
    "tools/fuzz/run",
    "tools/fuzz/models",
];

pub fn run(args: &TestArgs, tally: &mut Tally) -> Result<()> {
    cargo(args, tally)?;
    for name in SCRIPTS {
        let script = checkout().join(name);
        if script.exists() {
            ktap_script(&script, args, tally)?;
        }
    }
    Ok(())
}

/// One such script by its name.
pub fn script(name: &str, args: &TestArgs, tally: &mut Tally) -> Result<()> {
    ktap_script(&checkout().join(name), args, tally)
}

/// `cargo test` of the workspace, its lines turned into ours.
fn cargo(args: &TestArgs, tally: &mut Tally) -> Result<()> {
    let mut command = Command::new("cargo");
    command
        .args([
            "test",
            "--release",
            "--locked",
            "--workspace",
            "--no-fail-fast",
        ])
        .current_dir(checkout().join("tools"));
    let mut reader = CargoReader::default();
    let status = each_line(&mut command, |text| reader.take(text, args, tally))?;
    reader.end(tally);
    if status != 0 && !reader.saw_failure {
        let said = reader.recent.join("\n");
        tally.failed(
            "host",
            "build",
            &format!("cargo test ended with status {status}\n{said}"),
        );
    }
    Ok(())
}

/// Follows the output of `cargo test`.
#[derive(Debug, Default)]
struct CargoReader {
    suite: String,
    saw_failure: bool,
    pending: Vec<String>,
    details: Vec<String>,
    in_details: bool,
    recent: Vec<String>,
}

impl CargoReader {
    fn take(&mut self, text: &str, args: &TestArgs, tally: &mut Tally) {
        let trimmed = text.trim();
        if let Some(rest) = trimmed.strip_prefix("Running ") {
            self.flush(tally);
            self.suite = suite_name(rest);
        } else if let Some(rest) = trimmed.strip_prefix("Doc-tests ") {
            self.flush(tally);
            self.suite = format!("{rest} (doc)");
        } else if trimmed == "failures:" {
            self.in_details = true;
        } else if trimmed.starts_with("test result:") {
            self.in_details = false;
            self.flush(tally);
        } else if self.in_details {
            self.details.push(text.to_string());
        } else if let Some((name, verdict)) = test_line(trimmed) {
            let full = format!("{}::{name}", self.suite);
            if !args.wants(&full) {
                return;
            }
            match verdict {
                "ok" => tally.passed("host", &full),
                "ignored" => tally.skipped("host", &full, "marked ignored"),
                _ => self.pending.push(full),
            }
        } else if !trimmed.is_empty() {
            self.recent.push(text.to_string());
            if self.recent.len() > 40 {
                self.recent.remove(0);
            }
        }
    }

    /// Failures are told once their details are known.
    fn flush(&mut self, tally: &mut Tally) {
        let details = std::mem::take(&mut self.details);
        for name in std::mem::take(&mut self.pending) {
            self.saw_failure = true;
            let short = name.split_once("::").map_or(name.as_str(), |(_, s)| s);
            let mark = format!("---- {short} stdout ----");
            let why: Vec<&str> = details
                .iter()
                .map(String::as_str)
                .skip_while(|l| l.trim() != mark)
                .skip(1)
                .take_while(|l| !l.starts_with("---- "))
                .filter(|l| !l.trim().is_empty())
                .take(30)
                .collect();
            tally.failed("host", &name, &why.join("\n"));
        }
    }

    fn end(&mut self, tally: &mut Tally) {
        self.flush(tally);
    }
}

/// `unittests src/lib.rs (/x/deps/netmap-0123abcd)` is the suite `netmap`.
fn suite_name(running: &str) -> String {
    let file = running
        .rsplit('/')
        .next()
        .unwrap_or(running)
        .trim_end_matches(')');
    let stem = file.rsplit_once('-').map_or(file, |(stem, _)| stem);
    stem.to_string()
}

/// `test a::b ... ok` gives name and verdict.
fn test_line(text: &str) -> Option<(&str, &str)> {
    let (name, verdict) = text.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let verdict = verdict.split([',', ' ']).next()?;
    // `- should panic` and file positions belong to the name as cargo prints it.
    Some((name.trim(), verdict))
}

/// Run a script that prints KTAP.
fn ktap_script(script: &Path, args: &TestArgs, tally: &mut Tally) -> Result<()> {
    let mut command = Command::new(script);
    command.current_dir(checkout());
    let mut ktap = super::guest::KtapReader::explained_after("host", args.verbose);
    let status = each_line(&mut command, |text| ktap.take(text, args, tally))?;
    ktap.end(status, tally);
    Ok(())
}

/// A pipe; both streams of a program share its writing end.
fn pipe() -> Result<(File, File)> {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for the two descriptors the call writes.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    // SAFETY: both descriptors are new and owned by nobody else.
    Ok(unsafe { (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) })
}

/// Run `command`, its standard output and error line by line to `each`.
fn each_line(command: &mut Command, mut each: impl FnMut(&str)) -> Result<i32> {
    let (reader, writer) = pipe()?;
    command
        .stdin(Stdio::null())
        .stderr(writer.try_clone()?)
        .stdout(writer);
    let mut child = Child::start("test program", command)?;
    // The command holds our copies of the writing end; without them the end of file comes.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    for text in BufReader::new(reader).split(b'\n') {
        each(&String::from_utf8_lossy(&text?));
    }
    let status = child.wait()?;
    if status > 128 {
        line(&format!("# ended by signal {}", status - 128));
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_lines_are_understood() {
        assert_eq!(
            test_line("test ring::tests::wraps ... ok"),
            Some(("ring::tests::wraps", "ok"))
        );
        assert_eq!(
            test_line("test slow ... ignored, takes long"),
            Some(("slow", "ignored"))
        );
        assert_eq!(test_line("test result: ok. 3 passed"), None);
        assert_eq!(
            suite_name("unittests src/lib.rs (/cache/target/release/deps/netmap-12ab)"),
            "netmap"
        );
        assert_eq!(
            suite_name("tests/api.rs (/cache/target/release/deps/api-77)"),
            "api"
        );
    }
}
