//! Counts per operation, which repeat almost exactly where times do not: user instructions, system calls, heap
//! allocations. Each is the difference of a short and a long run of the same program, so that starting up and winding
//! down cancel out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::time::Duration;

use crate::arguments::Selection;
use crate::child;
use crate::cores::Cores;
use crate::figures::ChildRun;
use crate::limits::{self, Finding};
use crate::machine;
use crate::measurement::{BYTES_PER_TIMER, HEAP_PER_CONNECTION, RSS_PER_CONNECTION, Result};
use crate::report::{self, Row};
use crate::side_by_side;
use crate::workload::{Family, Mechanism, Program, Workload};

/// The longest that one run may take under a tool.
const LIMIT: Duration = Duration::from_secs(240);

/// Rows of counts, by the unit that names them.
pub(crate) const INSTRUCTIONS: &str = "instructions/operation";
pub(crate) const SYSTEM_CALLS: &str = "system calls/operation";
pub(crate) const EPOLL_CTL: &str = "epoll_ctl/operation";
pub(crate) const ALLOCATIONS: &str = "allocations/operation";
pub(crate) const BYTES: &str = "bytes/timer";
pub(crate) const HEAP: &str = "heap bytes/connection";
pub(crate) const RESIDENT: &str = "RSS bytes/connection";

/// What is counted when nothing is named.
const DEFAULT: [Workload; 17] = [
    Workload { family: Family::TcpPingPong, parameter: 1 },
    Workload { family: Family::TcpPingPong, parameter: 64 },
    Workload { family: Family::TcpPingPong, parameter: 1000 },
    Workload { family: Family::TcpPingPong, parameter: 9000 },
    Workload { family: Family::UdpPingPong, parameter: 64 },
    Workload { family: Family::UdpPummel, parameter: 64 },
    Workload { family: Family::TcpThroughput, parameter: 1 },
    Workload { family: Family::AcceptChurn, parameter: 64 },
    Workload { family: Family::FileRead, parameter: 1 },
    Workload { family: Family::FileReadDirect, parameter: 1 },
    Workload { family: Family::FileWrite, parameter: 1 },
    Workload { family: Family::FileWriteDirect, parameter: 1 },
    Workload { family: Family::Idle, parameter: 1 },
    Workload { family: Family::AsyncPummel, parameter: 1 },
    Workload { family: Family::Async, parameter: 1 },
    Workload { family: Family::TimersInsertFire, parameter: 1 },
    Workload { family: Family::TimersInsertCancel, parameter: 1 },
];

/// Counts what is selected, prints it, and says which limits are broken.
///
/// # Errors
/// When a tool is missing, a program fails, the result cannot be written, or, if `assert`, a limit is broken.
pub(crate) fn run(selection: &Selection, assert: bool) -> Result<()> {
    require("valgrind")?;
    require("strace")?;
    let scratch = Scratch::open()?;
    let mut counted = Vec::new();
    for workload in selection.workloads_or(&DEFAULT) {
        counted.extend(selection.counted_programs(workload.family).into_iter().map(|each| (workload, each)));
    }
    let instructions = all_instructions(&counted, &scratch)?;
    let counted: Vec<_> = counted.into_iter().zip(instructions).collect();
    let counts = side_by_side::each(&counted, |worker, &((workload, program), instructions)| {
        eprintln!("{workload}: counting {} on {}", program.name, program.mechanism.name());
        count(workload, program, instructions, worker, &scratch)
    });
    let mut rows = Vec::new();
    for of_program in counts? {
        rows.extend(of_program?);
    }
    println!("{}", machine::describe(Cores::available()?));
    println!("one core; differences of a short and a long run\n");
    print!("{}", report::table(&rows));
    if let Some(file) = &selection.json {
        report::write_json(&rows, file)?;
    }
    let findings = limits::findings(&rows);
    let broken = findings.iter().filter(|finding| matches!(finding, Finding::Broken(_))).count();
    println!();
    for finding in &findings {
        match finding {
            Finding::Broken(what) => println!("over the limit: {what}"),
            Finding::Held(what) => println!("not there yet: {what}"),
        }
    }
    if broken == 0 {
        println!("no other count is over its limit");
        return Ok(());
    }
    if assert { Err(format!("{broken} limits are broken").into()) } else { Ok(()) }
}

/// How many operations a short and a long run have: each of them past the first growth of whatever grows.
fn lengths(workload: Workload) -> [u64; 2] {
    match workload.family {
        Family::TcpPingPong | Family::UdpPingPong => {
            // Of very many connections each goes round so seldom that they are counted within a minute.
            let each = if workload.parameter > 1_000 { 2 } else { 10 };
            let trips = 2_000.max(each * u64::from(workload.parameter));
            [trips, 3 * trips]
        }
        Family::UdpPummel => [10_000, 30_000],
        Family::FileRead | Family::FileReadDirect | Family::FileWrite | Family::FileWriteDirect => {
            [2_000, 6_000]
        }
        Family::Idle => [3_000, Family::Idle.nominal()],
        Family::TcpThroughput | Family::AcceptChurn => [1_000, 3_000],
        Family::AsyncPummel => [500, 1_500],
        Family::Async => [1_000, 3_000],
        Family::TimersInsertFire | Family::TimersInsertCancel => [62_500, 125_000],
    }
}

/// A short and a long run.
fn runs(workload: Workload, program: Program) -> [ChildRun; 2] {
    lengths(workload).map(|count| ChildRun { program, workload, cores: 1, count })
}

/// The instructions that lie between the short and the long run of each, of those that valgrind can run. It takes long, and as long
/// as it likes, so runs are counted on all processors at once; each is alone on its own.
fn all_instructions(counted: &[(Workload, Program)], scratch: &Scratch) -> Result<Vec<Option<f64>>> {
    let can_run = |(workload, program): &&(Workload, Program)| valgrind_can_run(*workload, *program);
    let mut all: Vec<ChildRun> = Vec::new();
    for (workload, program) in counted.iter().filter(can_run) {
        all.extend(runs(*workload, *program));
    }
    let mut totals = side_by_side::each(&all, |worker, run| instructions(run, worker, scratch))?.into_iter();
    let mut next = || totals.next().ok_or("a run was left out")?;
    let mut differences = Vec::new();
    for pair in counted {
        let difference = match can_run(&pair) {
            true => {
                let (fewer, more) = (next()?, next()?);
                Some(more as f64 - fewer as f64)
            }
            false => None,
        };
        differences.push(difference);
    }
    Ok(differences)
}

fn count(
    workload: Workload,
    program: Program,
    instructions: Option<f64>,
    worker: usize,
    scratch: &Scratch,
) -> Result<Vec<Row>> {
    let [short, long] = runs(workload, program);
    let operations = (long.count - short.count) as f64;
    let row = |unit, difference: f64| Row::of(workload, program, 1, unit, &[difference / operations]);
    let difference = |short: u64, long: u64| long as f64 - short as f64;

    let mut rows = Vec::new();
    rows.extend(instructions.map(|difference| row(INSTRUCTIONS, difference)));
    let [fewer, more] = [&short, &long].map(|run| system_calls(run, worker, scratch));
    let (fewer, more) = (fewer?, more?);
    rows.push(row(SYSTEM_CALLS, difference(fewer.all, more.all)));
    rows.push(row(EPOLL_CTL, difference(fewer.epoll_ctl, more.epoll_ctl)));
    let [fewer, more] = [&short, &long].map(|run| child::start(run, &[], LIMIT));
    let more = more?;
    rows.push(row(ALLOCATIONS, difference(fewer?.allocations, more.allocations)));
    for (unit, extra) in
        [(BYTES, BYTES_PER_TIMER), (HEAP, HEAP_PER_CONNECTION), (RESIDENT, RSS_PER_CONNECTION)]
    {
        rows.extend(more.extra(extra).map(|bytes| Row::of(workload, program, 1, unit, &[bytes])));
    }
    Ok(rows)
}

/// Valgrind, up to 3.19 at least, lets no other thread run while one waits in `io_uring_enter`, so that nobody could
/// ever end that wait.
const fn valgrind_can_run(workload: Workload, program: Program) -> bool {
    let threads = matches!(workload.family, Family::AsyncPummel | Family::Async);
    !(threads && matches!(program.mechanism, Mechanism::Uring))
}

/// User instructions of a run. Of async-pummel only those of the receiving thread: how often the others notify in
/// vain depends on the time that valgrind takes.
fn instructions(run: &ChildRun, worker: usize, scratch: &Scratch) -> Result<u64> {
    let (program, mechanism) = (run.program.name, run.program.mechanism.name());
    eprintln!("{}: instructions of {} operations of {program} on {mechanism}", run.workload, run.count);
    let name = format!("instructions-{worker}-");
    let file = scratch.file(&name);
    let output = format!("--callgrind-out-file={}", file.display());
    child::start(run, &["valgrind", "--tool=callgrind", "--separate-threads=yes", &output], LIMIT)?;
    let mut threads = scratch.take(&name)?;
    // Beside one file per thread there is one without a number, which is empty.
    threads.retain(|profile| !profile.is_empty());
    let counted = if run.workload.family == Family::AsyncPummel { 1 } else { threads.len() };
    let totals: Option<Vec<u64>> =
        threads.iter().map(|profile| total_instructions(profile)).take(counted).collect();
    match totals {
        Some(totals) if !totals.is_empty() => Ok(totals.iter().sum()),
        _ => Err("valgrind's profile has no total".into()),
    }
}

/// The total that callgrind writes into a profile; several parts of one thread add up.
fn total_instructions(profile: &str) -> Option<u64> {
    let totals = profile.lines().filter_map(|line| line.strip_prefix("totals: "));
    let totals: Option<Vec<u64>> = totals.map(|total| total.trim().parse().ok()).collect();
    let totals = totals?;
    if totals.is_empty() { None } else { Some(totals.iter().sum()) }
}

/// System calls of a run, over all threads.
#[derive(Debug, PartialEq)]
struct SystemCalls {
    all: u64,
    epoll_ctl: u64,
}

fn system_calls(run: &ChildRun, worker: usize, scratch: &Scratch) -> Result<SystemCalls> {
    let name = format!("calls-{worker}");
    let file = scratch.file(&name);
    let output = file.to_string_lossy();
    // With its output in a file it would listen to no signal.
    child::start(run, &["strace", "-I", "2", "-c", "-f", "-o", &output], LIMIT)?;
    let [summary] = scratch.take(&name)?.try_into().map_err(|_| "strace wrote no summary")?;
    parse_calls(&summary).ok_or_else(|| format!("strace's summary is not understood:\n{summary}").into())
}

/// Reads strace's table, whose columns are share, seconds, microseconds per call, calls, errors if any, and name.
fn parse_calls(summary: &str) -> Option<SystemCalls> {
    let mut calls = SystemCalls { all: 0, epoll_ctl: 0 };
    for line in summary.lines() {
        let cells: Vec<&str> = line.split_whitespace().collect();
        let (Some(name), Some(Ok(count))) = (cells.last(), cells.get(3).map(|cell| cell.parse::<u64>()))
        else {
            continue;
        };
        match *name {
            "total" => return (calls.all == count).then_some(calls),
            "epoll_ctl" => calls.epoll_ctl += count,
            _ => {}
        }
        calls.all += count;
    }
    None
}

fn require(tool: &str) -> Result<()> {
    let started = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    match started {
        Ok(status) if status.success() => Ok(()),
        _ => {
            Err(format!("counting needs {tool}, which is not there; install the package of that name").into())
        }
    }
}

/// A folder for what the tools write, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn open() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("proactor-bench-{}", process::id()));
        fs::create_dir(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        Ok(Scratch(folder))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The contents of the files whose names begin so, in order of their names; the files are removed.
    fn take(&self, beginning: &str) -> Result<Vec<String>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(beginning)) {
                files.push(path);
            }
        }
        files.sort();
        files.iter().map(|file| take_file(file)).collect()
    }
}

fn take_file(file: &Path) -> Result<String> {
    let text = fs::read_to_string(file)?;
    fs::remove_file(file)?;
    Ok(text)
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left of a temporary folder harms nobody, and there is nobody to tell.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_added_up_and_held_against_the_total() {
        let summary = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 97.00    0.010000          10      1000        12 recvfrom
  3.00    0.000300          10        30           epoll_ctl
------ ----------- ----------- --------- --------- ----------------
100.00    0.010300          10      1030        12 total
";
        assert_eq!(parse_calls(summary), Some(SystemCalls { all: 1030, epoll_ctl: 30 }));
        assert_eq!(parse_calls(&summary.replace("1030", "1031")), None);
        assert_eq!(parse_calls(""), None);
    }

    #[test]
    fn the_parts_of_a_profile_add_up() {
        let profile = "version: 1\nsummary: 12\ntotals: 12\n\ntotals: 30\n";
        assert_eq!(total_instructions(profile), Some(42));
        assert_eq!(total_instructions("version: 1\n"), None);
    }

    #[test]
    fn a_scratch_folder_gives_up_its_files_in_order_and_goes() {
        let scratch = Scratch::open().expect("it is made");
        let folder = scratch.0.clone();
        for name in ["part-02", "part-01", "other"] {
            fs::write(scratch.file(name), name).expect("it is written");
        }
        assert_eq!(scratch.take("part").expect("they are read"), ["part-01", "part-02"]);
        assert_eq!(scratch.take("part").expect("nothing is left").len(), 0);
        drop(scratch);
        assert!(!folder.exists());
    }

    #[test]
    fn a_tool_that_is_missing_is_named() {
        let message = require("no-such-tool").expect_err("it is not there").to_string();
        assert!(message.contains("no-such-tool"), "{message}");
    }
}
