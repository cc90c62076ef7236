//! What no other poller has.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;

use proactor_core::{Config, Until};
use proactor_readiness::{Poller, Registration, Watch};
use rustix::io::{dup, fcntl_dupfd_cloexec};

use crate::poller::EpollPoller;

fn registration(generation: u32) -> Registration {
    Registration { slot: 7, generation }
}

/// The registrations that a look tells of.
fn told(poller: &mut EpollPoller) -> Vec<Registration> {
    let len = poller.wait(Until::Now).unwrap().len;
    (0..len).map(|index| poller.event(index).registration).collect()
}

/// A socket that was closed without being removed lives on elsewhere, and comes back from there with its number: the present
/// registration is told of, and no other.
#[test]
fn what_has_come_back_with_its_number_is_registered_anew() {
    let mut poller = EpollPoller::open(&Config::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    // A number far beyond those which other tests open and close meanwhile.
    let near = fcntl_dupfd_cloexec(listener.accept().unwrap().0, 700).unwrap();
    assert_eq!(poller.add(near.as_fd(), registration(1)), Ok(Watch::Edges));
    assert_eq!(told(&mut poller), [registration(1)], "it can be written");

    let elsewhere = dup(&near).unwrap();
    drop(near);
    far.write_all(b"a").unwrap();
    assert_eq!(told(&mut poller), [registration(1)], "whoever has it keeps the registration");

    let back = fcntl_dupfd_cloexec(&elsewhere, 700).unwrap();
    assert_eq!(poller.add(back.as_fd(), registration(2)), Ok(Watch::Edges));
    assert_eq!(told(&mut poller), [registration(2)]);
    far.write_all(b"b").unwrap();
    assert_eq!(told(&mut poller), [registration(2)]);
    drop((elsewhere, back));
    assert_eq!(told(&mut poller), [], "the last who had it has closed it");
}
