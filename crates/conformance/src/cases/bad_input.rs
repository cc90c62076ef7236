//! What is asked wrongly: a clear error in the outcome, nothing else disturbed (contract E1, L5), and resources that
//! run out (E3).

use std::io::ErrorKind;
use std::time::Duration;

use proactor_core::{
    Accept, Action, Backend, Config, Connect, Error, Family, Handle, ListenOptions, Loop, Nop, NotifierWait,
    Recv, RunMode, Send, SendAll, SocketOption, Time, Timer,
};
#[cfg(unix)]
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
#[cfg(all(unix, not(target_os = "netbsd")))]
use rustix::time::{ClockId, clock_gettime};

use crate::Fixture;
use crate::peers::inet;
use crate::steps::{IPV4, IPV6, Log, Steps, address};

/// A configuration out of range does not open, and says what is wrong.
pub(crate) fn a_configuration_out_of_range_does_not_open<B: Backend>(_fixture: &Fixture<B>) {
    let wrong = [
        Config::default().entries(0),
        Config::default().entries(Config::MAX_ENTRIES + 1),
        Config::default().entries(u32::MAX),
        Config::default().max_operations(0),
    ];
    for config in wrong {
        let error = Loop::<B, ()>::open(config.clone()).map(drop).expect_err("out of range");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{config:?}");
        let error = B::open(&config).map(drop).expect_err("out of range for the backend too");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{config:?}");
    }
    for config in
        [Config::default().entries(1), Config::default().entries(3), Config::default().max_operations(1)]
    {
        let mut ev = Loop::<B, ()>::open(config).unwrap();
        assert_eq!(ev.complete(Nop).result, Ok(()));
    }
}

/// The largest configuration opens where the system's limits allow, and works.
pub(crate) fn the_largest_configuration_opens<B: Backend>(_fixture: &Fixture<B>) {
    // A system may take down in the background what others have opened that was as large, and have no memory meanwhile.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(15);
    let mut ev = loop {
        match Loop::<B, ()>::open(Config::default().entries(Config::MAX_ENTRIES)) {
            Err(error) if error.kind() == std::io::ErrorKind::OutOfMemory => {
                assert!(std::time::Instant::now() < deadline, "{error}");
                std::thread::yield_now();
            }
            opened => break opened.unwrap(),
        }
    };
    let (client, server) = ev.pair();
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"roomy".into() }).result, Ok(()));
    assert_eq!(ev.complete(Recv { handle: server, buffer: vec![0; 8].into() }).result, Ok(5));
}

/// Too many under way: the outcome says so, with the buffer, and once there is room the next one goes.
pub(crate) fn beyond_max_operations_is_full<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_with::<()>(Config::default().max_operations(4));
    let (client, server) = ev.pair();
    let timers: Vec<_> = (0..3).map(|_| ev.start(Timer::at(Time::NEVER))).collect();
    let received = ev.start(Recv { handle: server, buffer: vec![0; 8].into() });
    let beyond = ev.start(SendAll { handle: client, buffer: b"beyond".into() });
    let failed = ev.finish(&beyond);
    assert_eq!(
        (failed.result, failed.transferred, &failed.buffer[..]),
        (Err(Error::Full), 0, &b"beyond"[..])
    );
    assert!(Error::Full.is_transient());
    assert!(!received.is_done());
    ev.cancel(timers[0].key);
    assert_eq!(ev.finish(&timers[0]).result, Err(Error::Canceled));
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"within".into() }).result, Ok(()));
    assert_eq!(ev.finish(&received).result, Ok(6));
}

/// A second wait for one notifier is refused, and the first one undisturbed.
pub(crate) fn a_second_wait_for_a_notifier_is_busy<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let notifier = ev.context().notifier();
    let first = ev.start(NotifierWait { notifier: notifier.clone() });
    let second = ev.start(NotifierWait { notifier: notifier.clone() });
    assert_eq!(ev.finish(&second).result, Err(Error::Busy));
    assert!(!first.is_done());
    notifier.notify();
    assert_eq!(ev.finish(&first).result, Ok(()));
}

pub(crate) fn a_notifier_of_another_loop_is_refused<B: Backend>(fixture: &Fixture<B>) {
    let (mut ev, mut other) = (fixture.open(), fixture.open());
    let foreign = other.context().notifier();
    foreign.notify();
    assert_eq!(ev.complete(NotifierWait { notifier: foreign.clone() }).result, Err(Error::InvalidInput));
    assert_eq!(
        other.complete(NotifierWait { notifier: foreign }).result,
        Ok(()),
        "it is kept for its own loop"
    );
}

/// An address of another family than the socket's.
pub(crate) fn an_address_of_another_family_fails<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let socket = ev.context().socket(Family::Ipv4).unwrap();
    let connect = Connect { handle: socket, address: address("[::1]:9") };
    let failed = ev.complete(connect);
    assert!(failed.result.is_err(), "{:?}", failed.result);
    assert_eq!(failed.address, address("[::1]:9"));
    assert!(ev.context().bind(socket, address(IPV6)).is_err());
    assert!(ev.context().set(socket, SocketOption::V6Only(true)).is_err());
    assert_eq!(ev.context().bind(socket, address(IPV4)), Ok(()), "and the socket is as it was");
}

/// A socket in the wrong state for what is asked of it, and its siblings go on.
pub(crate) fn an_operation_on_a_socket_in_the_wrong_state_fails<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    let waiting = ev.start(Recv { handle: server, buffer: vec![0; 8].into() });
    let fresh = ev.context().socket(Family::Ipv4).unwrap();
    assert!(ev.complete(Accept { listener: fresh }).result.is_err(), "not listening");
    let (listener, bound) = ev.listener();
    let received = ev.complete(Recv { handle: listener, buffer: vec![7; 8].into() });
    assert_eq!((received.result.map_err(Error::kind), received.buffer[0]), (Err(ErrorKind::NotConnected), 7));
    let sent = ev.complete(Send { handle: listener, buffer: b"x".into() });
    assert!(sent.result.is_err(), "{:?}", sent.result);
    assert!(ev.complete(Connect { handle: listener, address: bound }).result.is_err(), "listening");
    assert!(ev.context().bind(client, address(IPV4)).is_err(), "bound already");
    assert!(!waiting.is_done());
    assert_eq!(ev.complete(SendAll { handle: client, buffer: b"fine".into() }).result, Ok(()));
    assert_eq!(ev.finish(&waiting).result, Ok(4));
}

/// Options out of range are errors, or rounded into it; they never break the socket.
pub(crate) fn options_out_of_range_do_no_harm<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (client, server) = ev.pair();
    for option in [
        SocketOption::SendBuffer(0),
        SocketOption::ReceiveBuffer(0),
        SocketOption::SendBuffer(u32::MAX),
        SocketOption::ReceiveBuffer(u32::MAX),
        SocketOption::Linger(Some(Duration::MAX)),
        SocketOption::Linger(None),
    ] {
        // Whether the system rounds it or refuses is the system's.
        let _ = ev.context().set(client, option);
    }
    let sent = ev.start(SendAll { handle: client, buffer: vec![3; 100_000].into() });
    let mut left = 100_000;
    while left > 0 {
        left -= ev.complete(Recv { handle: server, buffer: vec![0; 65_536].into() }).result.unwrap();
    }
    assert_eq!(ev.finish(&sent).result, Ok(()));
    let mut options = ListenOptions::default();
    (options.backlog, options.receive_buffer, options.send_buffer) = (u32::MAX, Some(0), Some(u32::MAX));
    if let Ok(listener) = ev.context().listen(address(IPV4), options) {
        let bound = ev.context().local_address(listener).unwrap();
        crate::steps::join_at(&mut ev, &mut (), listener, &bound);
    }
}

/// Lets the process open `more` descriptors than it has, which are numbered without gaps.
#[cfg(unix)]
pub(super) fn limit_descriptors(more: u64) -> Rlimit {
    let before = getrlimit(Resource::Nofile);
    let next = std::fs::File::open("/dev/null").map(|file| std::os::fd::AsRawFd::as_raw_fd(&file)).unwrap();
    let current = Some(u64::try_from(next).unwrap() + more);
    setrlimit(Resource::Nofile, Rlimit { current, maximum: before.maximum }).unwrap();
    before
}

/// No descriptor is left for a socket: an error that says it may pass, and passes.
#[cfg(unix)]
pub(crate) fn descriptors_run_out<B: Backend>(fixture: &Fixture<B>) {
    assert_eq!(fixture.child("run_out_of_descriptors"), "done\n");
}

/// The child of [`descriptors_run_out`].
#[cfg(unix)]
pub(crate) fn run_out_of_descriptors<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (listener, bound) = ev.listener();
    let client = ev.context().socket(Family::Ipv4).unwrap();
    assert_eq!(ev.complete(Connect { handle: client, address: bound }).result, Ok(()));
    let before = limit_descriptors(0);
    let full = ev.context().socket(Family::Ipv4).unwrap_err();
    assert_eq!((full, full.is_transient()), (Error::from_errno(rustix::io::Errno::MFILE), true));
    let failed = ev.complete(Accept { listener }).result.map(drop).unwrap_err();
    assert_eq!((failed, failed.is_transient()), (full, true));
    setrlimit(Resource::Nofile, before).unwrap();
    assert!(ev.complete(Accept { listener }).result.is_ok(), "the connection is still there");
    assert!(ev.context().socket(Family::Ipv4).is_ok());
    println!("done");
}

/// For 100 ms no descriptor is left, and a naive program re-arms its failing accept at once: that does not burn a core.
#[cfg(unix)]
pub(crate) fn a_failing_accept_does_not_burn_a_core<B: Backend>(fixture: &Fixture<B>) {
    assert_eq!(fixture.child("rearm_a_failing_accept"), "accepted\n");
}

/// The child of [`a_failing_accept_does_not_burn_a_core`].
#[cfg(unix)]
pub(crate) fn rearm_a_failing_accept<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (listener, bound) = ev.listener();
    let client = std::net::TcpStream::connect(inet(&bound)).unwrap();
    let log = Log::new();
    let seen = log.clone();
    let before = limit_descriptors(0);
    ev.context().submit_rearm(Accept { listener }, move |(), _, accepted| {
        let result = accepted.result.map(drop);
        seen.push(result);
        if result.is_ok() { Action::Disarm } else { Action::Rearm(Accept { listener: accepted.listener }) }
    });
    ev.context()
        .timer_after(Duration::from_millis(100), move |(), _| setrlimit(Resource::Nofile, before).unwrap());
    let (turns, cpu) = (ev.context().turns(), thread_time());
    ev.run(&mut (), RunMode::UntilDone).unwrap();
    let (turns, cpu) = (ev.context().turns() - turns, thread_time() - cpu);
    let results = log.take();
    let (last, failures) = results.split_last().unwrap();
    assert_eq!(*last, Ok(()));
    assert!(!failures.is_empty() && failures.iter().all(|end| end.is_err_and(Error::is_transient)));
    assert!(turns < 500, "{turns} turns in 100 ms");
    assert!(cpu < Duration::from_millis(50), "{cpu:?} of 100 ms");
    drop(client);
    println!("accepted");
}

/// The processor time that this thread has used.
#[cfg(all(unix, not(target_os = "netbsd")))]
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("processor time is not negative")
}

/// That of the process, in which it is alone but for one that sleeps: of a thread rustix knows none on NetBSD.
#[cfg(target_os = "netbsd")]
fn thread_time() -> Duration {
    crate::signals::processor_time()
}

/// `rearm_after` is the way to put off what fails: later, but not sooner, and in the same completion.
pub(crate) fn rearm_after_puts_off<B: Backend>(fixture: &Fixture<B>) {
    const DELAY: Duration = Duration::from_millis(3);
    let mut ev = fixture.open();
    let fresh: Handle = ev.context().socket(Family::Ipv4).unwrap();
    let log = Log::new();
    let seen = log.clone();
    let key = ev.context().submit_rearm(Accept { listener: fresh }, move |(), cx, accepted| {
        assert!(accepted.result.is_err());
        seen.push(cx.update_now());
        if seen.len() == 4 {
            return Action::Disarm;
        }
        cx.rearm_after(DELAY, Accept { listener: accepted.listener })
    });
    ev.once();
    assert_ne!(ev.context().state(key), proactor_core::State::Dead);
    ev.until_done();
    let times = log.take();
    assert_eq!(times.len(), 4);
    for pair in times.windows(2) {
        assert!(pair[1].since(pair[0]) >= DELAY, "{:?}", pair[1].since(pair[0]));
    }
    // While it is put off it can be cancelled.
    let canceled = Log::new();
    let seen = canceled.clone();
    let key = ev.context().submit_rearm(Accept { listener: fresh }, move |(), cx, accepted| {
        let error = accepted.result.unwrap_err();
        seen.push(error);
        if error == Error::Canceled {
            return Action::Disarm;
        }
        cx.rearm_after(Duration::from_secs(1_000_000), Accept { listener: accepted.listener })
    });
    ev.once();
    assert_eq!(ev.cancel(key), proactor_core::Cancel::Requested);
    ev.until_done();
    assert_eq!(canceled.take()[1..], [Error::Canceled]);
}

/// About what only Unix has.
#[cfg(not(unix))]
pub(crate) use super::{not_here as descriptors_run_out, not_here as a_failing_accept_does_not_burn_a_core};
