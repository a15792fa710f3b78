// SPDX-License-Identifier: GPL-2.0
//! Names of Rust functions as people write them.

use anyhow::{Context, Result};
use std::io::Write;
use std::process::{Command, Stdio};

/// Every name demangled, by one run of `c++filt`; a name that is not mangled stays.
pub fn demangle<'a>(names: impl Iterator<Item = &'a str>) -> Result<Vec<String>> {
    let mut child = Command::new("c++filt")
        .args(["--format=rust", "--no-verbose"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("run c++filt (package binutils)")?;
    let mut input = child.stdin.take().context("input of c++filt")?;
    let text = names.collect::<Vec<_>>().join("\n") + "\n";
    // It answers while it reads: write from a thread, so that neither side waits for ever.
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().context("c++filt")?;
    if let Ok(written) = writer.join() {
        written.context("write to c++filt")?;
    }
    let answer = String::from_utf8_lossy(&output.stdout);
    Ok(answer.lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn rust_names_become_readable_and_others_stay() {
        let names = ["_RNvNtCs1234_7mycrate3foo3bar", "ixgbe_poll", "x.cold"];
        let readable = super::demangle(names.into_iter()).unwrap();
        assert_eq!(readable, ["mycrate::foo::bar", "ixgbe_poll", "x.cold"]);
    }
}
