//! Names of hosts (contract C2, E1, R2, X2, X5).

use std::sync::mpsc::channel;

use proactor_core::{Backend, Cancel, Config, Error, Loop, Pool, PoolConfig, Resolve, Work};

use crate::Fixture;
use crate::steps::{Steps, address};

fn resolve(host: &str, port: u16) -> Resolve {
    Resolve { host: host.to_owned(), port }
}

/// Addresses that are written out are themselves, and the host comes back.
pub(crate) fn what_is_written_out_is_itself<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    for (host, port, whole) in [("127.0.0.1", 80, "127.0.0.1:80"), ("::1", 0, "[::1]:0")] {
        let resolved = ev.complete(resolve(host, port));
        assert_eq!((&*resolved.host, resolved.port), (host, port));
        assert_eq!(resolved.result, Ok(vec![address(whole)]));
    }
}

/// The name of this host resolves to its loopback interface.
pub(crate) fn localhost_is_the_loopback<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let found = ev.complete(resolve("localhost", 7000)).result.expect("every host knows itself");
    assert!(!found.is_empty());
    for address in found {
        let inet = address.as_inet().expect("an IP address");
        assert!(inet.ip().is_loopback() && inet.port() == 7000, "{inet}");
    }
}

/// What is no name, and a name that nobody can have, are errors with everything handed back, and hold up nothing.
pub(crate) fn what_is_no_name_fails<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let long = "a".repeat(300);
    for (host, expected) in
        [("", Error::InvalidInput), ("a\0b", Error::InvalidInput), (&*long, Error::NotResolved)]
    {
        let resolved = ev.complete(resolve(host, 1));
        assert_eq!((resolved.result, &*resolved.host), (Err(expected), host));
    }
    assert_eq!(Error::NotResolved.kind(), std::io::ErrorKind::NotFound);
    assert!(ev.complete(resolve("127.0.0.1", 1)).result.is_ok());
}

/// Behind a busy thread it is cancelled and deleted at once, and a loop that is dropped takes it back.
pub(crate) fn a_queued_one_ends_at_once<B: Backend>(fixture: &Fixture<B>) {
    let pool = Pool::new(PoolConfig::default().threads(1)).unwrap();
    let mut ev: Loop<B, ()> = fixture.open_with(Config::default().pool(pool));
    let ((begin, begun), (open, opened)) = (channel(), channel::<()>());
    ev.start(Work::new(move || {
        let _ = begin.send(());
        let _ = opened.recv();
    }));
    ev.no_wait();
    begun.recv().unwrap();
    // On a simulation, which blocks nobody, they have ended by then.
    let canceled = ev.start(resolve("127.0.0.1", 1));
    let deleted = ev.start(resolve("127.0.0.1", 2));
    ev.start(resolve("127.0.0.1", 3));
    ev.context().delete(deleted.key).unwrap();
    if !fixture.capabilities().virtual_time {
        ev.no_wait();
    }
    assert_eq!(ev.cancel(canceled.key), Cancel::Requested);
    ev.no_wait();
    let canceled = canceled.take();
    assert_eq!((canceled.result, &*canceled.host), (Err(Error::Canceled), "127.0.0.1"));
    assert!(!deleted.is_done());
    drop(open);
    drop(ev);
}
