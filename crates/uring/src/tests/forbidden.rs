//! Where io_uring cannot be had.
#![allow(unsafe_code)]

use std::io;

use proactor_core::{Backend, Config};

use super::{in_a_child, is_child};
use crate::Uring;

/// Has the kernel answer io_uring's calls with `errno` from now on, in this process.
fn forbid(calls: &[libc::c_long], errno: i32) {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jump, k| libc::sock_filter { code, jt: 0, jf: jump, k };
    // The number of the system call is the first word of what a filter sees.
    let mut program = vec![step(LOAD, 0, 0)];
    for call in calls {
        program.push(step(JUMP_IF_EQUAL, 1, *call as u32));
        program.push(step(RETURN, 0, libc::SECCOMP_RET_ERRNO | errno as u32));
    }
    program.push(step(RETURN, 0, libc::SECCOMP_RET_ALLOW));
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: it takes numbers only, and makes the next call possible without privileges.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    // SAFETY: the program lives through the call, which copies it.
    let installed =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
    assert_eq!(installed, 0);
}

fn refused() -> (io::ErrorKind, String) {
    let error = Uring::open(&Config::default()).unwrap_err();
    (error.kind(), error.to_string())
}

#[test]
fn a_filter_that_forbids_the_set_up_is_told_of() {
    const TEST: &str = "tests::forbidden::a_filter_that_forbids_the_set_up_is_told_of";
    if !is_child(TEST) {
        return in_a_child(TEST);
    }
    forbid(&[libc::SYS_io_uring_setup], libc::EPERM);
    let (kind, reason) = refused();
    assert_eq!(kind, io::ErrorKind::PermissionDenied);
    assert!(reason.contains("seccomp") && reason.contains("io_uring_setup"), "{reason}");
}

#[test]
fn a_filter_that_hides_the_set_up_is_told_of() {
    const TEST: &str = "tests::forbidden::a_filter_that_hides_the_set_up_is_told_of";
    if !is_child(TEST) {
        return in_a_child(TEST);
    }
    forbid(&[libc::SYS_io_uring_setup], libc::ENOSYS);
    let (kind, reason) = refused();
    assert_eq!(kind, io::ErrorKind::Unsupported);
    assert!(reason.contains("seccomp") && reason.contains("epoll"), "{reason}");
}

#[test]
fn a_filter_that_forbids_the_use_is_told_of() {
    const TEST: &str = "tests::forbidden::a_filter_that_forbids_the_use_is_told_of";
    if !is_child(TEST) {
        return in_a_child(TEST);
    }
    forbid(&[libc::SYS_io_uring_enter], libc::EACCES);
    let (kind, reason) = refused();
    assert_eq!(kind, io::ErrorKind::PermissionDenied);
    assert!(reason.contains("seccomp") && reason.contains("io_uring_enter"), "{reason}");
}
