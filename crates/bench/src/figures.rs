//! One run of one program: how it is named in arguments, and how its figures travel, as one line of JSON.

use std::time::Duration;

use serde_json::{Value, json};

use crate::measurement::{EXTRAS, Figures, Result};
use crate::workload::{self, Mechanism, Program, Workload};

/// One run of one program.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ChildRun {
    pub(crate) program: Program,
    pub(crate) workload: Workload,
    pub(crate) cores: u32,
    /// Operations, exactly.
    pub(crate) count: u64,
}

impl ChildRun {
    /// Reads `PROGRAM BACKEND WORKLOAD CORES COUNT`.
    ///
    /// # Errors
    /// Says what is wrong.
    pub(crate) fn parse(arguments: &[String]) -> std::result::Result<Self, String> {
        let [program, mechanism, workload, cores, count] = arguments else {
            return Err("usage: child PROGRAM BACKEND WORKLOAD CORES COUNT".to_owned());
        };
        let (mechanism, workload): (Mechanism, Workload) = (mechanism.parse()?, workload.parse()?);
        let program = workload::programs(workload.family)
            .iter()
            .find(|known| known.name == program && known.mechanism == mechanism)
            .ok_or_else(|| format!("no program `{program}` on {} for {workload}", mechanism.name()))?;
        let count = number("COUNT", count, 1, 1_000_000_000)?;
        let cores = number("CORES", cores, 1, 2)?;
        Ok(Self { program: *program, workload, cores, count: count.into() })
    }

    /// The arguments by which the benchmark program runs it, which are [read](Self::parse) behind the first.
    pub(crate) fn arguments(&self) -> [String; 6] {
        [
            "child".to_owned(),
            self.program.name.to_owned(),
            self.program.mechanism.name().to_owned(),
            self.workload.to_string(),
            self.cores.to_string(),
            self.count.to_string(),
        ]
    }

    /// What came of it, as a line.
    pub(crate) fn to_json(self, figures: &Figures) -> Value {
        let mut line = json!({
            "workload": self.workload.to_string(),
            "program": self.program.name,
            "backend": self.program.mechanism.name(),
            "kind": self.program.kind.name(),
            "cores": self.cores,
            "operations": figures.operations,
            "elapsed_ns": nanoseconds(figures.elapsed),
            "processor_ns": nanoseconds(figures.processor_time),
            "allocations": figures.allocations,
        });
        for (name, value) in &figures.extras {
            line[*name] = json!(value);
        }
        line
    }
}

/// Reads a number that an argument is to be.
///
/// # Errors
/// Says what it may be.
pub(crate) fn number(name: &str, text: &str, least: u32, most: u32) -> std::result::Result<u32, String> {
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("`{name}` takes a number from {least} to {most}, not `{text}`")),
    }
}

/// Reads what [`ChildRun::to_json`] wrote.
///
/// # Errors
/// Says what is missing.
pub(crate) fn from_json(line: &str) -> Result<Figures> {
    let line: Value = serde_json::from_str(line.trim())?;
    let field = |name: &str| line[name].as_u64().ok_or_else(|| format!("a child's figures lack `{name}`"));
    let extra = |name: &'static str| line[name].as_f64().map(|value| (name, value));
    Ok(Figures {
        operations: field("operations")?,
        elapsed: Duration::from_nanos(field("elapsed_ns")?),
        processor_time: Duration::from_nanos(field("processor_ns")?),
        allocations: field("allocations")?,
        extras: EXTRAS.into_iter().filter_map(extra).collect(),
    })
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measurement::NOTIFIES;
    use crate::workload::{Family, programs};

    #[test]
    fn figures_survive_the_way_from_child_to_parent() {
        let workload = Workload { family: Family::AsyncPummel, parameter: 2 };
        let run = ChildRun { program: programs(workload.family)[0], workload, cores: 2, count: 7 };
        let figures = Figures {
            operations: 7,
            elapsed: Duration::from_nanos(123_456_789),
            processor_time: Duration::from_nanos(98_765),
            allocations: 3,
            extras: vec![(NOTIFIES, 99.0)],
        };
        assert_eq!(from_json(&run.to_json(&figures).to_string()).expect("it is whole"), figures);
    }

    #[test]
    fn a_line_without_its_figures_is_an_error() {
        assert!(from_json("{}").is_err());
        assert!(from_json("").is_err());
    }
}
