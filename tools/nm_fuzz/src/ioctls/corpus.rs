// SPDX-License-Identifier: GPL-2.0
//! Sequences worth keeping: those in the repository, and those a run has found.
//!
//! The text form: a call per line, an empty line between sequences, comments behind `#`.

use super::call::{Call, Program};
use anyhow::{bail, Context, Result};
use std::fs;
use std::path::Path;

/// What is replayed first.
const KEPT: &[(&str, &str)] = &[
    ("requests", include_str!("../../corpus/requests.txt")),
    ("found", include_str!("../../corpus/found.txt")),
];

/// All sequences of the repository.
pub fn kept() -> Result<Vec<Program>> {
    let mut all = Vec::new();
    for (name, text) in KEPT {
        all.extend(parse(text).with_context(|| format!("corpus/{name}.txt"))?);
    }
    Ok(all)
}

pub fn parse(text: &str) -> Result<Vec<Program>> {
    let mut all = Vec::new();
    let mut one = Program::new();
    for (n, line) in text.lines().enumerate() {
        let call = line.split('#').next().unwrap_or("").trim();
        if line.trim().is_empty() {
            all.push(std::mem::take(&mut one));
        } else if !call.is_empty() {
            match Call::parse(call) {
                Some(call) => one.push(call),
                None => bail!("line {}: no call: '{line}'", n + 1),
            }
        }
    }
    all.push(one);
    all.retain(|p| !p.is_empty());
    Ok(all)
}

pub fn text(program: &Program) -> String {
    let mut text: String = program.iter().map(|c| c.text() + "\n").collect();
    text.push('\n');
    text
}

/// Those the processes of a run have found so far.
pub fn found(dir: &Path) -> Vec<Program> {
    let files = fs::read_dir(dir).into_iter().flatten().flatten();
    let texts = files.filter_map(|f| fs::read_to_string(f.path()).ok());
    texts.filter_map(|t| parse(&t).ok()).flatten().collect()
}

/// Keeps a sequence in a directory, under a name its text determines.
pub fn keep(dir: &Path, program: &Program) -> Result<()> {
    let text = text(program);
    let name = text
        .bytes()
        .fold(0u64, |h, b| crate::rng::spread(h ^ u64::from(b)));
    Ok(fs::write(dir.join(format!("{name:016x}.txt")), text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_of_the_repository_can_be_read() {
        let all = kept().unwrap();
        assert!(all.len() > 5, "{} sequences", all.len());
    }

    #[test]
    fn text_and_sequences_are_the_same_thing() {
        let all = kept().unwrap();
        let again: String = all.iter().map(text).collect();
        assert_eq!(parse(&again).unwrap(), all);
        assert!(parse("open 0 1").is_err());
    }
}
