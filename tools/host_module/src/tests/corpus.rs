// SPDX-License-Identifier: GPL-2.0

//! What the fuzzer has kept is run at every `cargo test` too, without its instruments.

use crate::fuzz::{corpus, ALL};

/// Inputs of a target.
fn replay(name: &str) {
    let (_, run) = ALL.iter().find(|t| t.0 == name).expect("a target");
    let inputs = corpus::of(name);
    assert!(!inputs.is_empty(), "no corpus");
    inputs.iter().for_each(|input| run(input));
}

macro_rules! replays {
    ($($name:ident)+) => {$(
        #[test]
        fn $name() {
            replay(stringify!($name));
        }
    )+};
}
replays!(descriptors layout names program ring);
