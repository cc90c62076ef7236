//! A loop that another one waits for: by poll(2) on its descriptor (contract L1, W1, T2).

use std::thread;
use std::time::{Duration, Instant};

use proactor_core::{Backend, Buffer, Loop, NotifierWait, Recv, RunMode, SendAll, Time, Timer, Until};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::Fixture;
use crate::steps::{IPV4, pair_on};

const MS: Duration = Duration::from_millis(1);

/// What the host has seen.
#[derive(Default)]
struct Seen {
    bytes: usize,
    notified: u32,
    messages: u32,
    timers: u32,
}

/// Drives `ev` by poll(2), as another loop would, until `condition` holds. Each wait must end by itself.
#[track_caller]
fn host<B: Backend>(ev: &mut Loop<B, Seen>, seen: &mut Seen, condition: impl Fn(&Seen) -> bool) -> u32 {
    let (begin, mut waits) = (Instant::now(), 0);
    loop {
        ev.run(seen, RunMode::NoWait).unwrap();
        if condition(seen) {
            return waits;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "a wait was slept over");
        let timeout = match ev.prepare_wait().unwrap() {
            Until::Now => continue,
            Until::Deadline(deadline) => deadline.since(ev.context().update_now()),
            Until::Forever => Duration::from_secs(5),
        };
        waits += 1;
        let descriptor = ev.as_fd().unwrap().expect("this backend has one");
        let timeout = Timespec::try_from(timeout).expect("a timeout that fits");
        let mut polled = [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)];
        match poll(&mut polled, Some(&timeout)) {
            Ok(0) => assert!(timeout.tv_sec < 5, "the descriptor showed nothing"),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => panic!("{errno}"),
        }
    }
}

/// Bytes, notifications, messages and timers each end the host's wait, which began before they came.
pub(crate) fn a_loop_is_driven_by_poll<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_state::<Seen>();
    let mut seen = Seen::default();
    let (client, server) = pair_on(&mut ev, &mut seen, IPV4);
    let peer = std::net::TcpStream::from(ev.context().detach(client).unwrap());
    for round in 1..=20 {
        let begin = Instant::now();
        ev.context().submit(
            Recv { handle: server, buffer: Buffer::zeroed(64) },
            |seen: &mut Seen, _, received| {
                seen.bytes += received.result.unwrap();
            },
        );
        let sender = thread::spawn({
            let mut peer = peer.try_clone().unwrap();
            move || {
                thread::sleep(2 * MS);
                std::io::Write::write_all(&mut peer, b"data").unwrap();
            }
        });
        host(&mut ev, &mut seen, |seen| seen.bytes == 4 * round);
        assert!(begin.elapsed() >= 2 * MS);
        sender.join().unwrap();
    }
    let notifier = ev.context().notifier();
    let (sender, mailbox) = ev.context().mailbox::<u32>(4).unwrap();
    ev.context().receive(&mailbox, |seen: &mut Seen, _, delivery| {
        seen.messages += u32::from(matches!(delivery, proactor_core::Delivery::Message(_)));
    });
    for round in 1..=20 {
        let wait = NotifierWait { notifier: notifier.clone() };
        ev.context().submit(wait, |seen: &mut Seen, _, _| seen.notified += 1);
        let (notifier, sender) = (notifier.clone(), sender.clone());
        let thread = thread::spawn(move || {
            thread::sleep(2 * MS);
            notifier.notify();
            thread::sleep(2 * MS);
            assert_eq!(sender.try_send(1), Ok(()));
        });
        host(&mut ev, &mut seen, |seen| seen.notified == round && seen.messages == round);
        thread.join().unwrap();
    }
    let begin = ev.context().update_now();
    ev.context().submit(Timer::after(5 * MS), |seen: &mut Seen, _, _| seen.timers += 1);
    let waits = host(&mut ev, &mut seen, |seen| seen.timers == 1);
    assert!(ev.context().update_now().since(begin) >= 5 * MS, "never early");
    assert!((1..100).contains(&waits), "the descriptor is quiet where nothing came: {waits}");
}

/// A loop that was driven by another one can wait by itself again: for timers, bytes and notifications.
pub(crate) fn it_waits_by_itself_again<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_state::<Seen>();
    let mut seen = Seen::default();
    let (client, server) = pair_on(&mut ev, &mut seen, IPV4);
    assert!(ev.as_fd().unwrap().is_some());
    let peer = std::net::TcpStream::from(ev.context().detach(client).unwrap());
    peer.set_nodelay(true).unwrap();
    let notifier = ev.context().notifier();
    let begin = ev.context().update_now();
    for round in 1..=20 {
        let wait = NotifierWait { notifier: notifier.clone() };
        ev.context().submit(wait, |seen: &mut Seen, _, _| seen.notified += 1);
        ev.context().submit(
            Recv { handle: server, buffer: Buffer::zeroed(64) },
            |seen: &mut Seen, _, received| {
                seen.bytes += received.result.unwrap();
            },
        );
        ev.context().submit(Timer::after(MS), |seen: &mut Seen, _, _| seen.timers += 1);
        let (notifier, mut peer) = (notifier.clone(), peer.try_clone().unwrap());
        let thread = thread::spawn(move || {
            thread::sleep(MS);
            notifier.notify();
            thread::sleep(MS);
            std::io::Write::write_all(&mut peer, b"data").unwrap();
        });
        ev.run(&mut seen, RunMode::UntilDone).unwrap();
        assert_eq!((seen.notified, seen.bytes, seen.timers), (round, 4 * round as usize, round));
        thread.join().unwrap();
    }
    assert!(ev.context().update_now().since(begin) < 15_000 * MS, "nothing was slept over");
    let begin = ev.context().update_now();
    ev.context().submit(Timer::after(20 * MS), |_, _, _| ());
    let turns = ev.context().turns();
    ev.run(&mut seen, RunMode::UntilDone).unwrap();
    assert!(ev.context().update_now().since(begin) >= 20 * MS);
    assert!(ev.context().turns() - turns < 10, "it waits, and does not spin");
}

/// What is submitted by the host between two turns is started before it waits, and what both loops do at once is seen.
pub(crate) fn a_host_submits_between_turns<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_state::<Seen>();
    let mut seen = Seen::default();
    let (client, server) = pair_on(&mut ev, &mut seen, IPV4);
    for round in 1..=50 {
        ev.context().submit(SendAll { handle: client, buffer: b"ping".into() }, |_, _, sent| {
            assert_eq!(sent.result, Ok(()));
        });
        ev.context().submit(
            Recv { handle: server, buffer: Buffer::zeroed(64) },
            |seen: &mut Seen, _, received| {
                seen.bytes += received.result.unwrap();
            },
        );
        assert_eq!(ev.prepare_wait().unwrap(), Until::Now, "there is something to start");
        host(&mut ev, &mut seen, |seen| seen.bytes == 4 * round);
    }
    let waker = ev.context().waker();
    ev.context().submit(Timer::after(1000 * MS), |_, _, _| ());
    ev.run(&mut seen, RunMode::NoWait).unwrap();
    waker.wake();
    assert_eq!(ev.prepare_wait().unwrap(), Until::Now, "a wake-up before the wait ends it");
}

/// The next deadline is that of the earliest timer, once that is armed.
pub(crate) fn the_next_deadline_is_told<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    assert_eq!(ev.context().next_deadline(), None);
    let now = ev.context().update_now();
    let (soon, late) = (now + 100 * MS, now + 200 * MS);
    ev.context().submit(Timer::at(Time::NEVER), |(), _, _| ());
    ev.run(&mut (), RunMode::NoWait).unwrap();
    assert_eq!(ev.context().next_deadline(), Some(Time::NEVER));
    let notifier = ev.context().notifier();
    ev.context().submit(Timer::at(late), |(), _, _| ());
    let key = ev.context().submit(NotifierWait { notifier }.with_deadline(soon), |(), _, _| ());
    ev.run(&mut (), RunMode::NoWait).unwrap();
    if !fixture.capabilities().virtual_time && ev.context().update_now() >= soon {
        return;
    }
    assert_eq!(ev.context().next_deadline(), Some(soon));
    assert_eq!(ev.prepare_wait().unwrap(), Until::Deadline(soon));
    assert_eq!(ev.context().delete(key), Ok(()));
    ev.run(&mut (), RunMode::NoWait).unwrap();
    assert_eq!(ev.context().next_deadline(), Some(late));
    // Without threads there is nobody else who could wait for it.
    let capabilities = fixture.capabilities();
    assert_eq!(ev.as_fd().unwrap().is_some(), capabilities.descriptors && capabilities.threads);
}
