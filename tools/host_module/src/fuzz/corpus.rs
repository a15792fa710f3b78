// SPDX-License-Identifier: GPL-2.0

//! The kept inputs of each target: `tools/fuzz/corpus/NAME.hex`, one in a line, by hand or by
//! `tools/fuzz/run --keep`. A line that begins with `#` says what the next one has found.

use std::path::PathBuf;

fn file(name: &str) -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.join("../fuzz/corpus").join(name).with_extension("hex")
}

fn byte(pair: &[u8]) -> Option<u8> {
    let digit = |b: u8| char::from(b).to_digit(16);
    Some(((digit(pair[0])? << 4) | digit(*pair.get(1)?)?) as u8)
}

/// A line's bytes; `None`: it has none.
pub fn bytes(line: &str) -> Option<Vec<u8>> {
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    line.trim().as_bytes().chunks(2).map(byte).collect()
}

/// All inputs of a target.
///
/// # Panics
///
/// If there is no such file.
pub fn of(name: &str) -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(file(name)).expect("a corpus");
    text.lines().filter_map(bytes).collect()
}
