//! What comes out: a table for readers, JSON for programs.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::measurement::Result;
use crate::workload::{FLOOR, Kind, Program, Workload};

/// Median, minimum and maximum of one figure of one program.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) workload: Workload,
    pub(crate) program: Program,
    pub(crate) cores: u32,
    pub(crate) unit: &'static str,
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) runs: u32,
}

impl Row {
    /// The row of what was measured in some runs.
    ///
    /// # Panics
    /// If there are none.
    pub(crate) fn of(
        workload: Workload,
        program: Program,
        cores: u32,
        unit: &'static str,
        measured: &[f64],
    ) -> Self {
        assert!(!measured.is_empty(), "a row has at least one measurement");
        let mut sorted = measured.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Row {
            workload,
            program,
            cores,
            unit,
            median,
            min: sorted[0],
            max: sorted[sorted.len() - 1],
            runs: u32::try_from(sorted.len()).unwrap_or(u32::MAX),
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "workload": self.workload.to_string(),
            "program": self.program.name,
            "backend": self.program.mechanism.name(),
            "kind": self.program.kind.name(),
            "cores": self.cores,
            "unit": self.unit,
            "median": self.median,
            "min": self.min,
            "max": self.max,
            "runs": self.runs,
        })
    }

    /// Whether both are the same figure of the same workload on the same mechanism.
    pub(crate) fn is_comparable(&self, other: &Row) -> bool {
        self.workload == other.workload
            && self.cores == other.cores
            && self.unit == other.unit
            && self.program.mechanism == other.program.mechanism
    }
}

/// The floor that a row is held against: the plain one of its mechanism, in the same run.
pub(crate) fn floor_of<'rows>(row: &Row, rows: &'rows [Row]) -> Option<&'rows Row> {
    rows.iter().find(|other| {
        other.program.kind == Kind::Floor && other.program.name == FLOOR && row.is_comparable(other)
    })
}

/// The rows as a table, each beside its ratio to the floor.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut cells = vec![
        ["workload", "cores", "backend", "program", "median", "min", "max", "unit", "of floor"]
            .map(str::to_owned),
    ];
    for row in rows {
        let ratio = floor_of(row, rows)
            .filter(|floor| floor.median != 0.0)
            .map_or_else(String::new, |floor| format!("{:.2}", row.median / floor.median));
        cells.push([
            row.workload.to_string(),
            row.cores.to_string(),
            row.program.mechanism.name().to_owned(),
            row.program.name.to_owned(),
            shown(row.median),
            shown(row.min),
            shown(row.max),
            row.unit.to_owned(),
            ratio,
        ]);
    }
    aligned(&cells)
}

/// Columns from 4 to 6 and the last hold numbers, which stand to the right.
fn aligned<const COLUMNS: usize>(cells: &[[String; COLUMNS]]) -> String {
    let mut text = String::new();
    let widths: [usize; COLUMNS] =
        std::array::from_fn(|column| cells.iter().map(|line| line[column].len()).max().unwrap_or(0));
    for line in cells {
        let mut shown = String::new();
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            let number = matches!(column, 4..=6) || column + 1 == COLUMNS;
            let written =
                if number { write!(shown, "{cell:>width$}  ") } else { write!(shown, "{cell:<width$}  ") };
            written.expect("writing to a string cannot fail");
        }
        text.push_str(shown.trim_end());
        text.push('\n');
    }
    text
}

/// A number with as many places as say something, thousands apart.
fn shown(number: f64) -> String {
    if number.abs() < 1000.0 {
        let places = if number.abs() < 10.0 { 3 } else { 1 };
        return format!("{number:.places$}");
    }
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes the rows as a list of JSON objects.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write_json(rows: &[Row], file: &Path) -> Result<()> {
    let list: Vec<Value> = rows.iter().map(Row::to_json).collect();
    let text = serde_json::to_string_pretty(&list)?;
    std::fs::write(file, text + "\n").map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{Family, Mechanism, programs};

    fn row(program: Program, measured: &[f64]) -> Row {
        let workload = Workload { family: Family::TcpPingPong, parameter: 64 };
        Row::of(workload, program, 1, "round trips/s", measured)
    }

    #[test]
    fn a_row_tells_median_minimum_and_maximum() {
        let program = programs(Family::TcpPingPong)[0];
        let odd = row(program, &[3.0, 1.0, 2.0]);
        assert_eq!((odd.median, odd.min, odd.max, odd.runs), (2.0, 1.0, 3.0, 3));
        assert_eq!(row(program, &[4.0, 1.0, 2.0, 3.0]).median, 2.5);
    }

    #[test]
    fn a_row_is_compared_with_the_plain_floor_of_its_own_mechanism() {
        let floors: Vec<Row> = programs(Family::TcpPingPong)
            .iter()
            .filter(|program| program.kind == Kind::Floor)
            .map(|program| row(*program, &[1.0]))
            .collect();
        let ours = Program { name: "proactor", mechanism: Mechanism::Uring, kind: Kind::Ours };
        let floor = floor_of(&row(ours, &[2.0]), &floors).expect("there is one");
        assert_eq!((floor.program.name, floor.program.mechanism), (FLOOR, Mechanism::Uring));
    }

    #[test]
    fn numbers_are_shown_with_what_they_say() {
        for (number, text) in
            [(0.05, "0.050"), (83.04, "83.0"), (999.94, "999.9"), (1234.5, "1,234"), (1e6, "1,000,000")]
        {
            assert_eq!(shown(number), text);
        }
    }

    #[test]
    fn json_has_the_promised_fields() {
        let json = row(programs(Family::TcpPingPong)[0], &[1.0]).to_json();
        for field in
            ["workload", "program", "backend", "kind", "cores", "unit", "median", "min", "max", "runs"]
        {
            assert!(!json[field].is_null(), "{field} is missing");
        }
    }
}
