// SPDX-License-Identifier: GPL-2.0
//! What the documentation says is tested must be: every test that a page of `Documentation/`
//! names between backticks (`group.name`, or the beginning of names with a `*`) is in the table.
//! Host tests are named by their path, `tests::file::name`.

use crate::tests;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A name in a page.
struct Named {
    at: String,
    name: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Everything between backticks in the pages of the documentation, outside of code blocks.
fn quoted() -> Vec<Named> {
    let pages = fs::read_dir(root().join("Documentation")).expect("Documentation/");
    let pages = pages.flatten().map(|e| e.path());
    let mut all = Vec::new();
    for page in pages.filter(|p| p.extension().is_some_and(|e| e == "md")) {
        let text = fs::read_to_string(&page).expect("a page");
        for (i, line) in text.lines().enumerate() {
            if line.starts_with("    ") {
                continue;
            }
            let at = format!("{}:{}", page.display(), i + 1);
            for name in line.split('`').skip(1).step_by(2) {
                let (at, name) = (at.clone(), name.to_string());
                all.push(Named { at, name });
            }
        }
    }
    all
}

/// Is it as names of tests are? File names and fields are not.
fn like_a_test(name: &str) -> bool {
    name.contains('_')
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_*".contains(&b))
}

fn known(name: &str, all: &BTreeSet<String>) -> bool {
    match name.strip_suffix('*') {
        Some(start) => all.iter().any(|n| n.starts_with(start)),
        None => all.contains(name),
    }
}

/// Names of the quoted guest tests that are not in the table.
fn missing(quoted: &[Named], groups: &BTreeSet<&str>, all: &BTreeSet<String>) -> Vec<String> {
    let is_named = |n: &&Named| {
        let split = n.name.split_once('.');
        split.is_some_and(|(group, test)| groups.contains(group) && like_a_test(test))
    };
    let named = quoted.iter().filter(is_named);
    let wrong = named.filter(|n| !known(&n.name, all));
    wrong
        .map(|n| format!("{}: no test {}", n.at, n.name))
        .collect()
}

#[test]
fn guest_tests_named_in_the_documentation_exist() {
    let tests = tests::all();
    let groups = tests.iter().map(|t| t.group).collect();
    let all = tests.iter().map(|t| t.full_name()).collect();
    let wrong = missing(&quoted(), &groups, &all);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn host_tests_named_in_the_documentation_exist() {
    let mut wrong = Vec::new();
    for Named { at, name } in quoted() {
        let Some((file, test)) = name
            .strip_prefix("tests::")
            .and_then(|n| n.split_once("::"))
        else {
            continue;
        };
        let path = root().join(format!("tools/host_tests/src/tests/{file}.rs"));
        let source = fs::read_to_string(path).unwrap_or_default();
        let there = source.contains(&match test.strip_suffix('*') {
            Some(start) => format!("fn {start}"),
            None => format!("fn {test}("),
        });
        if !there {
            wrong.push(format!("{at}: no test {name}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_name_that_is_not_in_the_table_is_found() {
    let named = |name: &str| {
        let (at, name) = ("here".to_string(), name.to_string());
        Named { at, name }
    };
    let quoted: Vec<_> = [
        "abi.one_test",
        "abi.one_*",
        "abi.gone_test",
        "abi.rs",
        "other.no_group",
    ]
    .map(named)
    .into();
    let all = ["abi.one_test".to_string()].into();
    let wrong = missing(&quoted, &["abi"].into(), &all);
    assert_eq!(wrong, ["here: no test abi.gone_test"]);
}

#[test]
fn no_two_tests_have_one_name() {
    let tests = tests::all();
    let names: BTreeSet<_> = tests.iter().map(|t| t.full_name()).collect();
    assert_eq!(names.len(), tests.len());
}
