// SPDX-License-Identifier: GPL-2.0
//! `--config FILE`: options from a file, for services. A line is `option = value`, or
//! `option` alone if it takes none; it stands for `--option=value` in the place of
//! `--config`. `queue = 5 6` names further queues. No quotes: a value goes to the end of
//! its line.

use anyhow::{bail, Context, Result};
use std::ffi::OsString;
use std::fs;
use std::path::Path;

/// The command line with each `--config FILE` followed by what the file says. Where
/// there is a mistake on the line itself, it stays as it is, for the parser to tell.
pub fn expand(line: impl Iterator<Item = OsString>) -> Result<Vec<OsString>> {
    let mut out = Vec::new();
    let mut line = line;
    while let Some(word) = line.next() {
        let path = match word.to_str() {
            Some("--") => {
                out.push(word);
                out.extend(line);
                return Ok(out);
            }
            Some("--config") => {
                out.push(word);
                match line.next() {
                    None => return Ok(out),
                    Some(path) => {
                        out.push(path.clone());
                        path
                    }
                }
            }
            Some(text) => match text.strip_prefix("--config=") {
                Some(path) => {
                    out.push(word.clone());
                    path.into()
                }
                None => {
                    out.push(word);
                    continue;
                }
            },
            None => {
                out.push(word);
                continue;
            }
        };
        out.extend(read(Path::new(&path))?);
    }
    Ok(out)
}

fn read(path: &Path) -> Result<Vec<OsString>> {
    let text = fs::read_to_string(path).with_context(|| {
        format!(
            "reading {} (each line 'option = value', see nm_offload(8))",
            path.display()
        )
    })?;
    parse(&text).with_context(|| path.display().to_string())
}

fn parse(text: &str) -> Result<Vec<OsString>> {
    let mut out = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        option(line, &mut out).with_context(|| format!("line {}: '{line}'", n + 1))?;
    }
    Ok(out)
}

fn option(line: &str, out: &mut Vec<OsString>) -> Result<()> {
    let (key, value) = match line.split_once('=') {
        Some((key, value)) => (key.trim(), Some(value.trim())),
        None => (line, None),
    };
    let word = |c: char| c.is_ascii_lowercase() || c == '-';
    if key.is_empty() || key.starts_with('-') || !key.chars().all(word) {
        bail!("expected 'option = value', or an option without a value");
    }
    match (key, value) {
        ("config" | "help" | "version", _) => bail!("not in a file"),
        (_, Some("")) => bail!("a value must follow '='"),
        ("queue", Some(list)) => {
            out.extend(
                list.split_whitespace()
                    .map(|q| format!("--queue={q}").into()),
            );
        }
        (_, Some(value)) => out.push(format!("--{key}={value}").into()),
        (_, None) => out.push(format!("--{key}").into()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split('|').map(OsString::from).collect()
    }

    #[test]
    fn lines_are_options() {
        let text = "\
# a comment
steer = udp4 dst-port 53
  drop=udp[20] = 16 and not src net 10.0.0.0/8

busy
queue = 5 6
";
        assert_eq!(
            parse(text).expect("parses"),
            words("--steer=udp4 dst-port 53|--drop=udp[20] = 16 and not src net 10.0.0.0/8|--busy|--queue=5|--queue=6")
        );
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (text, why) in [
            ("drop =", "a value must follow"),
            ("\n--drop = udp", "line 2: '--drop = udp'"),
            ("drop udp", "expected 'option = value'"),
            ("= udp", "expected"),
            ("config = /etc/x", "not in a file"),
            ("help", "not in a file"),
        ] {
            let e = format!("{:#}", parse(text).expect_err(text));
            assert!(e.contains(why), "{text}: {e}");
        }
    }

    #[test]
    fn a_file_stands_in_its_place() {
        let path = std::env::temp_dir().join(format!("nm_offload-{}.conf", std::process::id()));
        fs::write(&path, "interval = 5\n").expect("write");
        let p = path.display();
        for (line, expanded) in [
            (
                format!("nm_offload|--interval=60|--config|{p}|eth3|4"),
                format!("nm_offload|--interval=60|--config|{p}|--interval=5|eth3|4"),
            ),
            (
                format!("nm_offload|--config={p}|eth3"),
                format!("nm_offload|--config={p}|--interval=5|eth3"),
            ),
            (
                format!("nm_offload|--|--config={p}"),
                format!("nm_offload|--|--config={p}"),
            ),
            ("nm_offload|--config".into(), "nm_offload|--config".into()),
        ] {
            let got = expand(words(&line).into_iter()).expect("expands");
            assert_eq!(got, words(&expanded), "{line}");
        }
        fs::remove_file(&path).expect("remove");
        let e = expand(words(&format!("nm_offload|--config|{p}")).into_iter()).expect_err("gone");
        assert!(format!("{e:#}").contains("reading"), "{e:#}");
    }
}
