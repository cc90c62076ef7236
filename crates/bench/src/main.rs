//! Benchmarks.
#![allow(dead_code)]
mod allocations;
mod cores;
mod floor;
mod measurement;
mod ours;
mod pummel;
mod sockets;
mod timer_load;
mod turns;
mod workload;

fn main() {
    let a: Vec<String> = std::env::args().collect();
    let w: workload::Workload = a[2].parse().unwrap();
    let p = workload::programs(w.family)
        .iter()
        .find(|p| format!("{}-{}", p.name, p.mechanism.name()) == a[1])
        .unwrap();
    let c = cores::Cores::confine(a[4].parse().unwrap()).unwrap();
    let f = floor::run(p, w, a[3].parse().unwrap(), &c).unwrap();
    println!(
        "{:?} {:.0}/s {:.0} cpu ns",
        f,
        f.operations as f64 / f.elapsed.as_secs_f64(),
        f.processor_time.as_nanos() as f64 / f.operations as f64
    );
}
