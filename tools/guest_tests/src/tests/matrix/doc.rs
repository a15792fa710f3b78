// SPDX-License-Identifier: GPL-2.0
//! The matrix as Documentation/life-cycle.md shows it; a test keeps the two from parting.

use super::table;
use std::fmt::Write;

/// The table in Markdown, notes below it.
pub fn markdown() -> String {
    let mut text = String::from(
        "| event | no queue out | one RX queue | several | all RX queues | all rings, TX too |\n\
         |---|---|---|---|---|---|\n",
    );
    let mut notes = Vec::new();
    for (row, _) in table() {
        let mark = if row.note.is_empty() {
            String::new()
        } else {
            notes.push(row.note);
            format!(" [{}]", notes.len())
        };
        let cells: Vec<_> = row.cells.iter().map(ToString::to_string).collect();
        // a string takes all that is written to it
        let _ = writeln!(
            text,
            "| {}{mark} <!-- {} --> | {} |",
            row.event,
            row.name,
            cells.join(" | ")
        );
    }
    for (i, note) in notes.iter().enumerate() {
        let _ = write!(text, "\n[{}] {note}\n", i + 1);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::markdown;
    use crate::tests::matrix::tests;

    const DOCUMENT: &str = include_str!("../../../../../Documentation/life-cycle.md");

    #[test]
    fn the_document_shows_the_table_that_is_tested() {
        let (_, rest) = DOCUMENT
            .split_once("<!-- matrix -->\n")
            .expect("the document has no place for the table");
        let (shown, _) = rest
            .split_once("<!-- end of matrix -->")
            .expect("the table has no end");
        let (shown, tested) = (shown.trim(), markdown());
        for (shown, tested) in shown.lines().zip(tested.trim().lines()) {
            assert_eq!(shown, tested, "see nm_test --matrix");
        }
        assert_eq!(
            shown.lines().count(),
            tested.trim().lines().count(),
            "see nm_test --matrix"
        );
    }

    #[test]
    fn each_cell_is_one_test() {
        let mut names: Vec<_> = tests().map(|t| t.full_name()).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(all > 50, "{all}");
    }
}
