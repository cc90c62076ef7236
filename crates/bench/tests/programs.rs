//! The benchmark program from outside: every program runs and checks itself, and what is printed and written is what was
//! promised.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Programs by backend, and the workloads of each.
const PROGRAMS: &[(&str, &str, &[&str])] = &[
    ("proactor", "epoll", EVERY_FAMILY),
    ("proactor", "uring", EVERY_FAMILY),
    ("proactor-many", "epoll", &["tcp-ping-pong-64", "idle"]),
    ("proactor-many", "uring", &["tcp-ping-pong-64", "idle"]),
    ("floor", "epoll", EVERY_FAMILY),
    ("floor", "uring", EVERY_FAMILY),
    ("floor-multishot", "uring", &["tcp-ping-pong-1", "tcp-ping-pong-64"]),
    ("floor-msg-ring", "uring", &["async-1", "async-2"]),
];

const EVERY_FAMILY: &[&str] = &[
    "tcp-ping-pong-1",
    "tcp-ping-pong-64",
    "udp-ping-pong-1",
    "udp-ping-pong-64",
    "udp-pummel-1",
    "udp-pummel-64",
    "tcp-throughput",
    "accept-churn-1",
    "accept-churn-64",
    "file-read",
    "file-read-direct",
    "file-write",
    "file-write-direct",
    "idle",
    "async-pummel-1",
    "async-pummel-2",
    "async-1",
    "async-2",
    "timers-insert-fire",
    "timers-insert-cancel",
];

fn bench(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_proactor-bench");
    Command::new(program).args(arguments).output().expect("the program was built and can be started")
}

/// The same of one that sends datagrams, of which the system may drop some for what others send meanwhile. Nobody asks for them
/// again, so that it never ends, and is tried again.
fn bench_with_datagrams(arguments: &[&str]) -> Output {
    for tries_left in [2, 1, 0] {
        let before = dropped();
        let mut command = Command::new(env!("CARGO_BIN_EXE_proactor-bench"));
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program was built and can be started");
        let end = Instant::now() + Duration::from_secs(60);
        let mut is_over = false;
        while !is_over && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(2));
            is_over = child.try_wait().expect("it is ours").is_some();
        }
        child.kill().expect("it is ours");
        let output = child.wait_with_output().expect("it is ours");
        if is_over {
            return output;
        }
        assert!(tries_left > 0 && dropped() != before, "{arguments:?}: not done after a minute");
        eprintln!("{arguments:?}: over time, and packets were dropped: again");
    }
    unreachable!("the last try is returned");
}

/// What the system has dropped on each processor before it came to a socket.
fn dropped() -> Vec<String> {
    let statistics = std::fs::read_to_string("/proc/net/softnet_stat").expect("Linux tells");
    statistics.lines().filter_map(|line| line.split_whitespace().nth(1).map(str::to_owned)).collect()
}

fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("it prints text")
}

#[test]
fn every_program_does_what_it_was_told_and_checks_it() {
    for (program, backend, workloads) in PROGRAMS {
        for workload in *workloads {
            let arguments = ["child", program, backend, workload, "1", "70"];
            let has_datagrams = workload.starts_with("udp");
            let output = if has_datagrams { bench_with_datagrams(&arguments) } else { bench(&arguments) };
            let line: Value = serde_json::from_str(&printed(&output)).expect("it prints a line of JSON");
            assert_eq!(line["operations"], 70, "{program} on {backend}, {workload}");
            assert_eq!(line["program"], *program);
            assert_eq!(line["backend"], *backend);
            assert_eq!(line["workload"], *workload);
        }
    }
}

#[test]
fn bad_arguments_are_refused_with_status_2_and_a_reason() {
    for (arguments, reason) in [
        (&["no-such-workload"][..], "unknown workload `no-such-workload`"),
        (&["--backend", "kqueue"], "unknown backend `kqueue`"),
        (&["--cores", "5"], "`--cores` takes a number from 1 to 2"),
        (&["child", "floor"], "usage: child"),
    ] {
        let output = bench(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(message.contains(reason), "{arguments:?}: {message}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_measurement_is_told_as_a_table_and_as_json() {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("timers.json");
    let name = file.to_str().expect("cargo's folder has a name in UTF-8");
    let output = bench(&["tcp-ping-pong-1", "--backend", "epoll", "--runs", "2", "--json", name]);
    let table = printed(&output);
    assert!(table.contains("Linux") && table.contains("of floor"), "{table}");
    assert!(!output.stderr.is_empty(), "there is progress while it works");

    let text = std::fs::read_to_string(&file).expect("it was written");
    let rows: Value = serde_json::from_str(&text).expect("it is JSON");
    let rows = rows.as_array().expect("it is a list");
    let kinds: Vec<&str> = rows.iter().filter_map(|row| row["kind"].as_str()).collect();
    assert_eq!(kinds, ["ours", "ours", "floor"], "one program of ours for each way to receive");
    for row in rows {
        assert_eq!(row["workload"], "tcp-ping-pong-1");
        assert_eq!(row["backend"], "epoll");
        assert_eq!(row["unit"], "round trips/s");
        assert_eq!((&row["cores"], &row["runs"]), (&Value::from(1), &Value::from(2)));
        let [min, median, max] = ["min", "median", "max"].map(|field| row[field].as_f64().expect(field));
        assert!(0.0 < min && min <= median && median <= max, "{row}");
    }
}
