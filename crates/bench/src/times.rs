//! Throughput and processor time: programs in turn, round after round, each run in a process of its own.

use std::time::{Duration, Instant};

use crate::arguments::Selection;
use crate::budget::{self, Budget};
use crate::child;
use crate::cores::Cores;
use crate::counts::{HEAP, RESIDENT};
use crate::figures::ChildRun;
use crate::machine;
use crate::measurement::{
    BYTES_PER_TIMER, Figures, HEAP_PER_CONNECTION, NOTIFIES, RSS_PER_CONNECTION, Result,
};
use crate::report::{self, Row};
use crate::runtime::{self, Runtime};
use crate::workload::{Family, Mechanism, Program, Workload};

/// The most operations of a run while calibrating.
const NOMINAL: u64 = 1_000_000;
/// Operations of the first run when calibrating, and the fewest of any: where eight threads crowd one core, each takes
/// milliseconds.
const FIRST: u64 = 100;
/// The most operations of a calibrated run.
const MOST: u64 = 100 * NOMINAL;
/// How long a run should take unless it is a full one: long beside starting up, short enough that all fits a minute.
const TARGET: Duration = Duration::from_millis(180);
/// A run shorter than this says too little about how many operations fit the target.
const TELLING: Duration = Duration::from_millis(20);
/// The longest that a run of a million operations should take; what would take longer gets fewer.
const FULL_TARGET: Duration = Duration::from_secs(120);
/// The longest that a run may take; beyond, it hangs.
const LIMIT: Duration = Duration::from_secs(600);

/// How long all may take that is measured when nothing is named, without building. On a machine with nothing else to do it takes
/// less: 31 programs, each calibrated in some 200 ms and run five times.
const WHOLE: Duration = Duration::from_secs(55);

/// What is run when nothing is named: ping throughput, and waking.
const DEFAULT: [Workload; 4] = [
    Workload { family: Family::TcpPingPong, parameter: 1 },
    Workload { family: Family::TcpPingPong, parameter: 64 },
    Workload { family: Family::TcpPingPong, parameter: 1000 },
    Workload { family: Family::AsyncPummel, parameter: 1 },
];

/// Measures what is selected, and prints it.
///
/// # Errors
/// When a program fails, or the result cannot be written.
pub(crate) fn run(selection: &Selection) -> Result<()> {
    let available = Cores::available()?;
    let mut parts = Vec::new();
    for workload in selection.workloads_or(&DEFAULT) {
        for cores in numbers_of_cores(selection, workload, available)? {
            parts.push((workload, cores, programs(selection, workload)));
        }
    }
    let weights = parts.iter().map(|(_, _, programs)| programs.len()).sum();
    let mut budget = selection.is_default().then(|| Budget::new(WHOLE, Instant::now(), weights));
    let mut rows = Vec::new();
    for (workload, cores, programs) in parts {
        let end = budget.as_mut().map(|budget| budget.share(programs.len(), Instant::now()));
        rows.extend(measure(selection, workload, cores, programs, end)?);
    }
    let counts = if selection.full { "a million operations a run" } else { "counts calibrated by time" };
    println!("{}", machine::describe(available));
    match Runtime::find() {
        Some(runtime) => println!("wasi under {}", runtime.name),
        None => println!("wasi left out: no runtime for it is named"),
    }
    let most = if selection.is_default() { "up to " } else { "" };
    println!("{most}{} rounds, programs in turn, {counts}; medians\n", selection.runs);
    print!("{}", report::table(&rows));
    if let Some(file) = &selection.json {
        report::write_json(&rows, file)?;
    }
    Ok(())
}

fn numbers_of_cores(selection: &Selection, workload: Workload, available: usize) -> Result<Vec<u32>> {
    if let Some(cores) = selection.cores {
        return Ok(vec![cores]);
    }
    let (possible, missing): (Vec<u32>, Vec<u32>) =
        workload.family.cores().iter().partition(|&&cores| cores as usize <= available);
    for cores in missing {
        eprintln!("{workload} on {cores} cores: left out, only {available} may be used");
    }
    Ok(possible)
}

/// The programs of a workload that can run here.
fn programs(selection: &Selection, workload: Workload) -> Vec<Program> {
    let mut programs = selection.programs(workload.family);
    programs.retain(|program| runtime::can_run(program, workload));
    if selection.workloads.is_empty() && workload.parameter > 1 {
        // All that is measured when nothing is named is to fit a minute.
        programs.retain(|program| program.mechanism != Mechanism::Wasi);
    }
    programs
}

/// Runs the programs of a workload, in turn, and makes rows of their figures. Of the rounds, of which there is one in any case,
/// those are left out that would not be done by `end`.
fn measure(
    selection: &Selection,
    workload: Workload,
    cores: u32,
    programs: Vec<Program>,
    end: Option<Instant>,
) -> Result<Vec<Row>> {
    let place = if cores == 1 { "1 core".to_owned() } else { format!("{cores} cores") };
    let mut runs = Vec::new();
    for program in programs {
        let mut run = ChildRun { program, workload, cores, count: nominal(program, workload) };
        if workload.family.is_calibrated() {
            eprintln!("{workload}, {place}: calibrating {} on {}", program.name, program.mechanism.name());
            run.count = if selection.full {
                calibrate(run, FULL_TARGET)?.min(NOMINAL)
            } else {
                calibrate(run, TARGET)?
            };
            if selection.full && run.count < NOMINAL {
                let (name, count) = (program.name, run.count);
                eprintln!("{workload}, {place}: {count} operations of {name}, a million would take minutes");
            }
        }
        runs.push((run, Vec::new()));
    }
    let mut last = Duration::ZERO;
    for round in 1..=selection.runs {
        let started = Instant::now();
        if round > 1 && !budget::fits(last, started, end) {
            eprintln!("{workload}, {place}: {} rounds, as all is to be done in a minute", round - 1);
            break;
        }
        eprintln!("{workload}, {place}: round {round} of {}", selection.runs);
        for (run, figures) in &mut runs {
            let measured = child::start(run, &[], LIMIT)?;
            run.count = recalibrated(run, &measured, selection);
            figures.push(measured);
        }
        last = started.elapsed();
    }
    Ok(runs.iter().flat_map(|(run, figures)| rows(workload, run.program, cores, figures)).collect())
}

/// How many operations a run has that is not calibrated. A runtime that interprets gets fewer.
const fn nominal(program: Program, workload: Workload) -> u64 {
    match program.mechanism {
        Mechanism::Wasi => workload.family.nominal() / 10,
        _ => workload.family.nominal(),
    }
}

/// The number of operations that takes about as long as `target`.
fn calibrate(mut run: ChildRun, target: Duration) -> Result<u64> {
    run.count = FIRST;
    loop {
        let figures = child::start(&run, &[], LIMIT)?;
        if figures.elapsed >= TELLING || run.count >= NOMINAL {
            let scale = target.as_secs_f64() / figures.elapsed.as_secs_f64().max(1e-9);
            return Ok(((run.count as f64 * scale) as u64).clamp(FIRST, MOST));
        }
        run.count *= 10;
    }
}

/// The number of operations for the next round. Two threads may go ten times slower than they did when calibrating; then
/// the next rounds get fewer operations.
fn recalibrated(run: &ChildRun, measured: &Figures, selection: &Selection) -> u64 {
    if selection.full || !run.workload.family.is_calibrated() || measured.elapsed < 2 * TARGET {
        return run.count;
    }
    let scale = TARGET.as_secs_f64() / measured.elapsed.as_secs_f64();
    ((run.count as f64 * scale) as u64).max(FIRST)
}

/// What is reported of a program's runs: one row per figure.
fn rows(workload: Workload, program: Program, cores: u32, figures: &[Figures]) -> Vec<Row> {
    let row = |unit, figure: &dyn Fn(&Figures) -> Option<f64>| {
        let measured: Option<Vec<f64>> = figures.iter().map(figure).collect();
        measured.map(|measured| Row::of(workload, program, cores, unit, &measured))
    };
    let main = if workload.family == Family::Idle {
        // How fast they are armed says nothing.
        None
    } else if workload.family.is_measured_in_processor_time() {
        row("CPU ns/timer", &|run| Some(run.processor_time.as_nanos() as f64 / run.operations as f64))
    } else {
        let units = workload.family.units_per_operation();
        row(workload.family.unit(), &|run| Some(run.operations as f64 * units / run.elapsed.as_secs_f64()))
    };
    let notifies = row("notifies/s", &|run| Some(run.extra(NOTIFIES)? / run.elapsed.as_secs_f64()));
    let bytes = row("bytes/timer", &|run| run.extra(BYTES_PER_TIMER));
    let heap = row(HEAP, &|run| run.extra(HEAP_PER_CONNECTION));
    let resident = row(RESIDENT, &|run| run.extra(RSS_PER_CONNECTION));
    [main, notifies, bytes, heap, resident].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::programs;

    fn figures(operations: u64, milliseconds: u64) -> Figures {
        Figures {
            operations,
            elapsed: Duration::from_millis(milliseconds),
            processor_time: Duration::from_millis(milliseconds / 2),
            allocations: 0,
            extras: Vec::new(),
        }
    }

    #[test]
    fn a_throughput_is_operations_by_time() {
        let workload = Workload { family: Family::TcpPingPong, parameter: 1 };
        let runs = [figures(100, 100), figures(100, 50), figures(100, 200)];
        let rows = rows(workload, programs(workload.family)[0], 1, &runs);
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].unit, rows[0].median), ("round trips/s", 1000.0));
    }

    #[test]
    fn notifies_stand_beside_callbacks() {
        let workload = Workload { family: Family::AsyncPummel, parameter: 1 };
        let runs = [figures(100, 100).with(NOTIFIES, 700.0)];
        let rows = rows(workload, programs(workload.family)[0], 2, &runs);
        let told: Vec<_> = rows.iter().map(|row| (row.unit, row.median)).collect();
        assert_eq!(told, [("callbacks/s", 1000.0), ("notifies/s", 7000.0)]);
    }

    #[test]
    fn timers_are_told_in_processor_time_and_bytes() {
        let workload = Workload { family: Family::TimersInsertFire, parameter: 1 };
        let runs = [figures(1_000_000, 1000).with(BYTES_PER_TIMER, 96.0)];
        let rows = rows(workload, programs(workload.family)[0], 1, &runs);
        let told: Vec<_> = rows.iter().map(|row| (row.unit, row.median)).collect();
        assert_eq!(told, [("CPU ns/timer", 500.0), ("bytes/timer", 96.0)]);
    }
}
