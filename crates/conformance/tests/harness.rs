//! The harness notices: cases that are wrong on purpose, and what it says of each.
//!
//! Not under the standard harness, whose threads would be in the way of what is measured. The program runs itself: once
//! as a suite of bad cases, once as one that hangs.

use std::process::{Command, ExitCode};
use std::time::Duration;

use proactor_conformance::{Case, CountingAllocator, Fixture, Suite};
use proactor_sim::Sim;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Which suite to play.
const PLAY: &str = "PROACTOR_HARNESS_PLAY";

const EXPECTED: &str = "
    bad::passes
    bad::panics
    bad::panics_on_another_thread
    bad::leaves_a_descriptor
    bad::leaves_a_thread
    bad::leaves_memory
    bad::is_absent where descriptors
    bad::is_absent_unexpectedly
    bad::runs_unexpectedly where descriptors
    bad::fails_as_expected fails where virtual_time: a known defect
    bad::fails_elsewhere fails where descriptors: a known defect
    bad::passes_unexpectedly fails where virtual_time: a known defect
";

/// Each bad case, what its line must say, and what the one after it.
const VERDICTS: [(&str, &str, &str); 13] = [
    ("passes", "ok", ""),
    ("panics", "FAILED", "on purpose (crates/conformance/tests/harness.rs:"),
    ("panics_on_another_thread", "FAILED", "over there"),
    ("leaves_a_descriptor", "FAILED", "(/dev/null) was left"),
    ("leaves_a_thread", "FAILED", "left behind: threads"),
    ("leaves_memory", "FAILED", "left behind: memory: 4096 bytes more"),
    ("is_absent", "not here (descriptors)", ""),
    ("is_absent_unexpectedly", "FAILED", "though the expected matrix has it run"),
    ("runs_unexpectedly", "FAILED", "though the expected matrix has it not here"),
    ("fails_as_expected", "expected failure (a known defect)", ""),
    ("fails_elsewhere", "FAILED", "but not here"),
    ("passes_unexpectedly", "FAILED", "passes, though it is expected to fail: a known defect"),
    ("is_unnamed", "FAILED", "does not name it"),
];

fn main() -> ExitCode {
    match std::env::var(PLAY).as_deref() {
        Ok("bad") => Suite { cases: bad_cases(), expected: EXPECTED, limit: Duration::from_secs(20) }.main(),
        Ok("hung") => {
            Suite { cases: hung_cases(), expected: EXPECTED, limit: Duration::from_millis(100) }.main()
        }
        _ => {
            bad_cases_are_noticed();
            a_hung_case_ends_the_program();
            names_choose_and_list();
            println!("\ntest result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n");
            ExitCode::SUCCESS
        }
    }
}

fn case(name: &'static str, needs: &'static [&'static str], run: fn(&Fixture<Sim>)) -> Case<Sim> {
    Case { name, rules: &["C1"], needs, patience: 1, run }
}

fn bad_cases() -> Vec<Case<Sim>> {
    vec![
        case("bad::passes", &[], |_| ()),
        case("bad::panics", &[], |_| panic!("on purpose")),
        case("bad::panics_on_another_thread", &[], |_| {
            std::thread::spawn(|| panic!("over there")).join().expect("it does not panic");
        }),
        case("bad::leaves_a_descriptor", &[], |_| {
            std::mem::forget(std::fs::File::open("/dev/null").expect("there is one"));
        }),
        case("bad::leaves_a_thread", &[], |_| drop(std::thread::spawn(std::thread::park))),
        case("bad::leaves_memory", &[], |_| std::mem::forget(vec![0_u8; 4096])),
        case("bad::is_absent", &["descriptors"], |_| ()),
        case("bad::is_absent_unexpectedly", &["descriptors"], |_| ()),
        case("bad::runs_unexpectedly", &[], |_| ()),
        case("bad::fails_as_expected", &[], |_| panic!("as ever")),
        case("bad::fails_elsewhere", &[], |_| panic!("but not here")),
        case("bad::passes_unexpectedly", &[], |_| ()),
        case("bad::is_unnamed", &[], |_| ()),
    ]
}

fn hung_cases() -> Vec<Case<Sim>> {
    vec![
        case("bad::passes", &[], |_| ()),
        case("bad::panics", &[], |_| std::thread::park()),
        case("bad::passes", &[], |_| ()),
    ]
}

/// What the program says when it plays `suite` with `arguments`, and whether it succeeds.
fn play(suite: &str, arguments: &[&str]) -> (String, bool) {
    let program = std::env::current_exe().expect("the program's own path is known");
    let output =
        Command::new(program).args(arguments).env(PLAY, suite).output().expect("it can be run once more");
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.success())
}

fn bad_cases_are_noticed() {
    let (said, success) = play("bad", &[]);
    assert!(!success, "{said}");
    let lines: Vec<_> = said.lines().collect();
    for (name, verdict, detail) in VERDICTS {
        let line = format!("test bad::{name} ... {verdict}");
        let at =
            lines.iter().position(|found| *found == line).unwrap_or_else(|| panic!("no `{line}` in {said}"));
        assert!(lines[at + 1].contains(detail), "{}, where `{detail}` should be", lines[at + 1]);
    }
    assert!(
        said.contains("test result: FAILED. 1 passed; 10 failed; 2 ignored; 0 measured; 0 filtered out"),
        "{said}"
    );
    println!("test bad_cases_are_noticed ... ok");
}

fn a_hung_case_ends_the_program() {
    let (said, success) = play("hung", &[]);
    assert!(!success, "{said}");
    assert!(said.contains("test bad::panics ... FAILED\n    did not end within 100ms"), "{said}");
    assert!(said.contains("1 passed; 1 failed"), "what is behind it does not run: {said}");
    println!("test a_hung_case_ends_the_program ... ok");
}

fn names_choose_and_list() {
    let (said, success) = play("bad", &["passes", "--skip", "unexpectedly", "--nocapture"]);
    assert!(success && said.contains("1 passed; 0 failed; 0 ignored; 0 measured; 12 filtered out"), "{said}");
    let (said, success) = play("bad", &["--list-cases"]);
    assert!(success && said.starts_with("bad::passes\tC1\n") && said.lines().count() == 13, "{said}");
    println!("test names_choose_and_list ... ok");
}
