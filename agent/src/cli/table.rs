//! Columns for people.

/// Rows under headings, each column as wide as its widest cell.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(headings: &[&str]) -> Self {
        let headings = headings.iter().map(|heading| (*heading).to_owned());
        Self {
            rows: vec![headings.collect()],
        }
    }

    /// An empty cell is shown as `-`, so that columns can be counted.
    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        let cells = cells.map(|cell| match cell.trim() {
            "" => "-".to_owned(),
            _ => clean(&cell),
        });
        self.rows.push(cells.into());
    }

    /// The lines, each with its line feed.
    pub(super) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let padded = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"));
            text.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

/// A name or an output that came from elsewhere must not move the cursor or start a new row.
fn clean(cell: &str) -> String {
    cell.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// `340 ms`, `12 s`, `5 min`, `3 h`, `2 d`: an age as people say it.
pub(super) fn age(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0 => format!("{millis} ms"),
        1..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_their_headings_and_nothing_breaks_a_row() {
        let mut table = Table::new(&["NODE", "ROLE"]);
        table.row(["a".into(), "server".into()]);
        table.row(["längster".into(), String::new()]);
        table.row(["\u{1b}[2J\nx".into(), "worker".into()]);
        let expected = "NODE      ROLE\na         server\nlängster  -\n [2J x    worker\n";
        assert_eq!(table.render(), expected);
    }

    #[test]
    fn an_age_has_one_unit() {
        let ages = [0, 999, 1000, 119_999, 120_000, 7_200_000, 172_800_000].map(age);
        assert_eq!(
            ages,
            ["0 ms", "999 ms", "1 s", "119 s", "2 min", "2 h", "2 d"]
        );
    }
}
