//! What was measured, as a table and as JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::cluster::Make;

/// Which way is better.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Less,
    More,
}

/// One line of the table.
pub(crate) struct Figure {
    pub(crate) section: &'static str,
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    /// What the project wants of Swarmer, in the figure's unit.
    pub(crate) target: Option<f64>,
    /// Or: this share of etcd's figure in the same run.
    pub(crate) wanted_of_etcd: Option<f64>,
    samples: BTreeMap<Make, Vec<f64>>,
}

/// All lines, in the order in which they were measured.
#[derive(Default)]
pub(crate) struct Figures {
    lines: Vec<Figure>,
}

impl Figures {
    /// The line of that name, made when it is first asked for.
    pub(crate) fn line(
        &mut self,
        section: &'static str,
        name: &str,
        unit: &'static str,
        better: Better,
        target: Option<f64>,
    ) -> &mut Figure {
        let place = self
            .lines
            .iter()
            .position(|line| line.section == section && line.name == name);
        let place = place.unwrap_or_else(|| {
            let figure = Figure {
                section,
                name: name.to_owned(),
                unit,
                better,
                target,
                wanted_of_etcd: None,
                samples: BTreeMap::new(),
            };
            // Behind the others of its section, whenever it is measured.
            let last = self.lines.iter().rposition(|line| line.section == section);
            let at = last.map_or(self.lines.len(), |last| last + 1);
            self.lines.insert(at, figure);
            at
        });
        &mut self.lines[place]
    }

    pub(crate) fn table(&self, missing: &[Make]) -> String {
        let head = [
            "",
            "n",
            "swarmer",
            "(min-max)",
            "etcd",
            "consul",
            "vs etcd",
            "vs consul",
            "target",
        ];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        let mut section = "";
        for line in &self.lines {
            if line.section != section {
                section = line.section;
                rows.push(vec![section.to_owned()]);
            }
            rows.push(line.row(missing));
        }
        layout(&rows)
    }

    pub(crate) fn json(&self) -> Value {
        let lines = self.lines.iter().map(|line| {
            let samples: BTreeMap<_, _> = (line.samples.iter())
                .map(|(make, samples)| {
                    (
                        make.name(),
                        json!({"median": median(samples), "samples": samples}),
                    )
                })
                .collect();
            json!({
                "section": line.section, "name": line.name, "unit": line.unit,
                "better": if line.better == Better::Less { "less" } else { "more" },
                "target": line.target, "target_met": line.met(), "measured": samples,
            })
        });
        Value::Array(lines.collect())
    }
}

impl Figure {
    pub(crate) fn add(&mut self, make: Make, value: f64) {
        self.samples.entry(make).or_default().push(value);
    }

    fn median(&self, make: Make) -> Option<f64> {
        self.samples.get(&make).map(|samples| median(samples))
    }

    /// Above 1: Swarmer is better so many times.
    fn ratio(&self, peer: Make) -> Option<f64> {
        let (ours, theirs) = (self.median(Make::Swarmer)?, self.median(peer)?);
        if ours == 0.0 || theirs == 0.0 {
            return None;
        }
        Some(match self.better {
            Better::Less => theirs / ours,
            Better::More => ours / theirs,
        })
    }

    fn met(&self) -> Option<bool> {
        if let Some(share) = self.wanted_of_etcd {
            return Some(self.ratio(Make::Etcd)? >= share);
        }
        let (value, target) = (self.median(Make::Swarmer)?, self.target?);
        Some(match self.better {
            Better::Less => value <= target,
            Better::More => value >= target,
        })
    }

    fn row(&self, missing: &[Make]) -> Vec<String> {
        let unit = self.unit;
        let value = |make: Make| match self.median(make) {
            Some(median) => format!("{} {unit}", short(median)),
            None if missing.contains(&make) => "not installed".to_owned(),
            None => "-".to_owned(),
        };
        let ours = self
            .samples
            .get(&Make::Swarmer)
            .map_or(&[][..], Vec::as_slice);
        let spread = if ours.len() > 1 {
            let low = ours.iter().copied().fold(f64::INFINITY, f64::min);
            let high = ours.iter().copied().fold(0.0, f64::max);
            format!("({}-{})", short(low), short(high))
        } else {
            String::new()
        };
        let ratio = |peer| {
            self.ratio(peer)
                .map_or(String::new(), |ratio| format!("{ratio:.2}x"))
        };
        let met = self
            .met()
            .map_or("", |met| if met { ": met" } else { ": MISSED" });
        let sign = if self.better == Better::Less {
            "<="
        } else {
            ">="
        };
        let target = match (self.wanted_of_etcd, self.target) {
            (Some(share), _) => format!("{share:.1}x etcd{met}"),
            (None, Some(target)) => {
                let wanted = format!("{sign} {} {unit}", short(target));
                format!("{}{met}", wanted.trim_end())
            }
            (None, None) => String::new(),
        };
        vec![
            format!("  {}", self.name),
            ours.len().to_string(),
            value(Make::Swarmer),
            spread,
            value(Make::Etcd),
            value(Make::Consul),
            ratio(Make::Etcd),
            ratio(Make::Consul),
            target,
        ]
    }
}

/// The middle one; 0 for none.
pub(crate) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.len() % 2, sorted.get(middle)) {
        (_, None) => 0.0,
        (1, Some(value)) => *value,
        (_, Some(value)) => (value + sorted[middle - 1]) / 2.0,
    }
}

fn short(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    }
}

fn layout(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows
            .iter()
            .filter(|row| row.len() > 1)
            .filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, width))| {
                if column == 0 {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_ratios() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        let mut figures = Figures::default();
        let line = figures.line("s", "n", "ms", Better::Less, Some(10.0));
        line.add(Make::Swarmer, 5.0);
        line.add(Make::Consul, 20.0);
        assert_eq!(
            (line.ratio(Make::Consul), line.met()),
            (Some(4.0), Some(true))
        );
        assert_eq!(line.ratio(Make::Etcd), None);
        assert!(figures.table(&[Make::Etcd]).contains("not installed"));
    }
}
