//! The process's descriptors, where no directory lists them: each number is asked for.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::mem;

use rustix::process::{Resource, getrlimit};

/// The highest number that is asked for. No case has so many.
const MOST: u64 = 4096;

/// The numbers of what is open, and what it refers to, as far as the system tells.
pub(crate) fn asked_one_by_one() -> BTreeMap<i32, String> {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(MOST).min(MOST) as i32;
    (0..limit).filter(|number| is_open(*number)).map(|number| (number, target(number))).collect()
}

fn is_open(number: i32) -> bool {
    // SAFETY: asks for flags; no memory is involved, and a number that is not open is told.
    unsafe { libc::fcntl(number, libc::F_GETFD) >= 0 }
}

fn target(number: i32) -> String {
    // SAFETY: all zero is a valid `stat`, whose fields are numbers.
    let mut stat: libc::stat = unsafe { mem::zeroed() };
    // SAFETY: `stat` is a whole `stat`, and lives until the call returns.
    let told = unsafe { libc::fstat(number, &raw mut stat) } == 0;
    if told { format!("{:o} {}:{}", stat.st_mode, stat.st_dev, stat.st_ino) } else { "unknown".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd as _;

    #[test]
    fn what_is_open_is_told_with_what_it_refers_to() {
        let program = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
        let same = program.try_clone().unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        // So high that no other test gets its number.
        let high = rustix::io::fcntl_dupfd_cloexec(&null, 200).unwrap();
        let high_number = high.as_raw_fd();
        let told = asked_one_by_one();
        let [program, same, null] = [program, same, null].map(|file| told[&file.as_raw_fd()].clone());
        assert_eq!(program, same);
        assert_ne!(program, null);
        assert_eq!(told[&high_number], null);
        drop(high);
        assert!(!asked_one_by_one().contains_key(&high_number), "it is closed");
    }
}
