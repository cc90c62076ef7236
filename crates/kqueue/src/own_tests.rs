//! What no other poller has.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;

use proactor_core::{Config, Until};
use proactor_readiness::{Poller, Registration, Watch};

use crate::poller::KqueuePoller;

fn registration(slot: u32) -> Registration {
    Registration { slot, generation: 3 }
}

#[cfg(target_os = "linux")]
#[test]
fn a_pipe_wakes_it_where_there_are_no_user_events() {
    use proactor_core::Wake;

    if !crate::sys::lack_user_events() {
        return;
    }
    let mut poller = KqueuePoller::open(&Config::default()).unwrap();
    assert!(format!("{poller:?}").contains("a pipe"), "{poller:?}");
    let waker = poller.waker();
    // More than a pipe has room for.
    (0..70_000).for_each(|_| waker.wake());
    for _ in 0..2 {
        assert_eq!(poller.wait(Until::Forever).unwrap().len, 1);
        assert_eq!(poller.event(0).registration, Registration::NOBODY);
        assert_eq!(poller.wait(Until::Now).unwrap().len, 0, "it was emptied");
        let other = waker.clone();
        std::thread::spawn(move || other.wake()).join().unwrap();
    }
    drop(poller);
    // Nobody reads any more, and no SIGPIPE comes of that.
    waker.wake();
}

#[test]
fn the_end_of_a_stream_is_told_to_both_directions_and_is_irregular() {
    let signs = KqueuePoller::SIGNS;
    let mut poller = KqueuePoller::open(&Config::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    assert_eq!(poller.add(near.as_fd(), registration(7)), Ok(Watch::Edges));
    drop(far);
    let mut bits = 0;
    while bits & signs.irregular == 0 {
        for index in 0..poller.wait(Until::Forever).unwrap().len {
            let event = poller.event(index);
            assert_eq!(event.registration, registration(7));
            bits |= event.bits;
        }
    }
    assert!(bits & signs.readable != 0 && bits & signs.writable != 0);
    // What is removed is silent, and may be removed again by its closing.
    poller.remove(near.as_fd());
    poller.remove(near.as_fd());
    assert_eq!(poller.wait(Until::Now).unwrap().len, 0);
}

#[test]
fn what_is_refused_by_every_filter_never_waits() {
    let mut poller = KqueuePoller::open(&Config::default()).unwrap();
    let null = File::open("/dev/null").unwrap();
    // Some systems watch it all the same, and then it is always ready.
    let watch = poller.add(null.as_fd(), registration(1)).unwrap();
    assert!(watch == Watch::AlwaysReady || cfg!(not(target_os = "linux")), "{watch:?}");
}
