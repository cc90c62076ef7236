//! Mailboxes: messages from any thread to a callback (contract W2).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use proactor_core::{
    Action, Backend, Cancel, Context, Delivery, Error, Key, Loop, MailboxSender, Nop, Notifier, NotifierWait,
    RunMode, Timer, TrySendError,
};

use crate::Fixture;
use crate::steps::{Log, Steps};

const SENDERS: usize = 4;
const MESSAGES: usize = 5000;

/// Sends in spite of a mailbox that pushes back; whether it ever did.
fn send_all(sender: &MailboxSender<(usize, usize)>, of: usize) -> bool {
    let mut pushed_back = false;
    for number in 0..MESSAGES {
        let mut message = (of, number);
        while let Err(error) = sender.try_send(message) {
            let TrySendError::Full(again) = error else { panic!("the loop lives") };
            assert_eq!(again, (of, number), "what was not sent comes back");
            (message, pushed_back) = (again, true);
            thread::yield_now();
        }
    }
    pushed_back
}

/// Several threads send at once, into mailboxes of all sizes, while the loop sleeps and while it does not.
pub(crate) fn every_message_arrives_once_in_order<B: Backend>(fixture: &Fixture<B>) {
    for capacity in [Some(1), Some(64), None] {
        let mut ev = fixture.open_state::<Vec<(usize, usize)>>();
        let mut cx = ev.context();
        let (sender, mailbox) = match capacity {
            Some(capacity) => cx.mailbox(capacity).unwrap(),
            None => cx.unbounded_mailbox(),
        };
        let ended = Log::new();
        let end = ended.clone();
        cx.receive(&mailbox, move |received: &mut Vec<_>, _, delivery| match delivery {
            Delivery::Message(message) => received.push(message),
            Delivery::End(result) => end.push(result),
        });
        let threads: Vec<_> = (0..SENDERS)
            .map(|of| {
                let sender = sender.clone();
                thread::spawn(move || send_all(&sender, of))
            })
            .collect();
        drop(sender);
        let mut received = Vec::new();
        ev.run(&mut received, RunMode::UntilDone).unwrap();
        assert_eq!(ended.take(), [Ok(())], "one end, when all senders are gone");
        for of in 0..SENDERS {
            let own = received.iter().filter(|message| message.0 == of).map(|message| message.1);
            assert!(own.eq(0..MESSAGES), "each once, in order");
        }
        assert_eq!(received.len(), SENDERS * MESSAGES);
        for thread in threads {
            assert!(!thread.join().unwrap() || capacity.is_some(), "only a bounded one pushes back");
        }
    }
}

/// A capacity that no memory is for is refused, and says why, before anything is allocated.
pub(crate) fn a_capacity_without_memory_is_refused<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let mut cx = ev.context();
    for capacity in [0, usize::MAX, usize::MAX / 2, usize::MAX / 8, isize::MAX as usize / size_of::<u64>()] {
        assert_eq!(cx.mailbox::<u64>(capacity).map(drop), Err(Error::InvalidInput), "{capacity}");
        assert_eq!(cx.mailbox::<[u64; 1 << 10]>(capacity).map(drop), Err(Error::InvalidInput), "{capacity}");
    }
    // A message of no bytes needs a place all the same.
    assert_eq!(cx.mailbox::<()>(usize::MAX).map(drop), Err(Error::InvalidInput));
    // An address space of 64 bits has room for this, and no machine has.
    #[cfg(target_pointer_width = "64")]
    {
        let beyond = cx.mailbox::<[u8; 1 << 20]>(1 << 40).map(drop);
        assert_eq!(beyond, Err(crate::steps::system(rustix::io::Errno::NOMEM)));
    }
    let (sender, mailbox) = cx.mailbox(1).unwrap();
    assert_eq!((sender.try_send(5), sender.try_send(6)), (Ok(()), Err(TrySendError::Full(6))));
    assert_eq!(mailbox.try_receive(), Some(5));
}

/// So many fit and no more, until some were delivered.
pub(crate) fn a_bounded_mailbox_pushes_back<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    assert_eq!(ev.context().mailbox::<u32>(0).map(drop), Err(Error::InvalidInput));
    let (sender, mailbox) = ev.context().mailbox(3).unwrap();
    let log = Log::new();
    let seen = log.clone();
    ev.context().receive(&mailbox, move |(), _, delivery| seen.push(delivery));
    for round in 0..3 {
        for message in 0..3 {
            assert_eq!(sender.try_send(round * 10 + message), Ok(()));
        }
        assert_eq!(sender.try_send(99), Err(TrySendError::Full(99)));
        assert_eq!(mailbox.len(), 3);
        ev.no_wait();
        assert_eq!(log.take(), [0, 1, 2].map(|message| Delivery::Message(round * 10 + message)));
    }
    drop(sender);
    ev.until_done();
    assert_eq!(log.take(), [Delivery::End(Ok(()))]);
}

/// Threads wait for room, more of them than there is, and each message comes once, in order.
pub(crate) fn a_thread_waits_for_room<B: Backend>(fixture: &Fixture<B>) {
    for capacity in [1, 3, 64] {
        let mut ev = fixture.open_state::<Vec<(usize, usize)>>();
        let (sender, mailbox) = ev.context().mailbox(capacity).unwrap();
        ev.context().receive(&mailbox, |received: &mut Vec<_>, _, delivery| match delivery {
            Delivery::Message(message) => received.push(message),
            Delivery::End(result) => assert_eq!(result, Ok(())),
        });
        let threads: Vec<_> = (0..SENDERS)
            .map(|of| {
                let sender = sender.clone();
                thread::spawn(move || {
                    for number in 0..MESSAGES {
                        match number % 2 {
                            0 => assert_eq!(sender.send((of, number)), Ok(())),
                            _ => assert_eq!(sender.send_timeout((of, number), Duration::MAX), Ok(())),
                        }
                    }
                })
            })
            .collect();
        drop(sender);
        let mut received = Vec::new();
        ev.run(&mut received, RunMode::UntilDone).unwrap();
        for of in 0..SENDERS {
            let own = received.iter().filter(|message| message.0 == of).map(|message| message.1);
            assert!(own.eq(0..MESSAGES), "each once, in order");
        }
        assert_eq!(received.len(), SENDERS * MESSAGES);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// Where nothing is received a thread waits as long as it has said, and not less; then the message comes back.
pub(crate) fn a_wait_for_room_ends_in_time<B: Backend>(fixture: &Fixture<B>) {
    const TIME: Duration = Duration::from_millis(20);
    let mut ev = fixture.open();
    let (sender, mailbox) = ev.context().mailbox(1).unwrap();
    assert_eq!(sender.try_send(1), Ok(()));
    let thread = thread::spawn(move || {
        let begin = Instant::now();
        assert_eq!(sender.send_timeout(2, Duration::ZERO), Err(TrySendError::Full(2)));
        assert_eq!(sender.send_timeout(3, TIME), Err(TrySendError::Full(3)));
        assert!(begin.elapsed() >= TIME, "it came back early");
        sender
    });
    let sender = thread.join().unwrap();
    assert_eq!(mailbox.try_receive(), Some(1), "whoever takes it makes room");
    assert_eq!(sender.send_timeout(4, Duration::ZERO), Ok(()));
    assert_eq!((mailbox.try_receive(), mailbox.try_receive()), (Some(4), None));
}

/// The loop delivers nothing while its own thread sends, so that does not wait for room.
pub(crate) fn a_loop_does_not_wait_for_itself<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_state::<Vec<u32>>();
    let (sender, mailbox) = ev.context().mailbox(1).unwrap();
    assert_eq!((sender.send(1), sender.send(2)), (Ok(()), Err(TrySendError::Full(2))));
    ev.context().receive(&mailbox, move |received: &mut Vec<u32>, _, delivery| {
        if let Delivery::Message(number) = delivery {
            received.push(number);
            if number < 3 {
                assert_eq!(sender.send(number + 1), Ok(()));
                assert_eq!(sender.send(99), Err(TrySendError::Full(99)));
                assert_eq!(sender.send_timeout(99, Duration::MAX), Err(TrySendError::Full(99)));
            }
        }
    });
    drop(mailbox);
    let mut received = Vec::new();
    for turns in 1..=3 {
        ev.run(&mut received, RunMode::NoWait).unwrap();
        assert!(received.iter().copied().eq(1..=turns));
    }
}

/// What threads wait with comes back when the mailbox is gone, or its loop.
pub(crate) fn a_wait_for_room_ends_with_the_mailbox<B: Backend>(fixture: &Fixture<B>) {
    type Sent = Result<(), TrySendError<u32>>;
    /// As workers that are waited for when they are no longer wanted.
    struct Joined(Vec<thread::JoinHandle<Sent>>, Log<Sent>);
    impl Drop for Joined {
        fn drop(&mut self) {
            self.0.drain(..).for_each(|thread| self.1.push(thread.join().unwrap()));
        }
    }
    // Longer than it takes by far: one that is left behind comes back then.
    const LONG: Duration = Duration::from_secs(8);
    for ends in ["mailbox", "loop", "capture"] {
        let begin = Instant::now();
        let mut ev = fixture.open();
        let mut other = fixture.open();
        let (sender, mailbox) = ev.context().mailbox::<u32>(1).unwrap();
        let notifier = other.context().notifier();
        assert_eq!(sender.try_send(1), Ok(()));
        let told = other.start(NotifierWait { notifier: notifier.clone() });
        sender.notify_when_room(&notifier);
        other.no_wait();
        assert!(!told.is_done(), "it is full");
        let waiting = [2, 3].map(|message| {
            let sender = sender.clone();
            thread::spawn(move || sender.send_timeout(message, LONG))
        });
        let sent = Log::new();
        let workers = Joined(waiting.into(), sent.clone());
        // Whether they wait by then or not.
        thread::sleep(Duration::from_millis(2));
        match ends {
            "mailbox" => drop((mailbox, workers)),
            "loop" => drop((ev, workers)),
            _ => {
                ev.context().submit(Timer::after(Duration::from_secs(1000)), move |(), _, _| drop(workers));
                drop(ev);
            }
        }
        assert!(begin.elapsed() < LONG, "{ends}: one was left behind");
        let sent = sent.take();
        assert_eq!(sent.len(), 2, "{ends}: both were waited for");
        for (sent, message) in sent.into_iter().zip([2, 3]) {
            // One that found the mailbox open may find the place of what is dropped with it.
            let is_dropped = ends == "mailbox" && sent == Ok(());
            assert!(is_dropped || sent == Err(TrySendError::Closed(message)), "{ends}: {sent:?}");
        }
        other.no_wait();
        assert_eq!(told.take().result, Ok(()), "{ends}");
        assert!(sender.is_closed());
        sender.notify_when_room(&notifier);
        let told = other.start(NotifierWait { notifier });
        other.no_wait();
        assert_eq!(told.take().result, Ok(()), "at once, since it will have no room");
    }
}

/// Sends what `numbers` brings, and waits for room by way of a notification.
fn send_with_notifier<B: Backend>(
    cx: &mut Context<'_, B, Vec<u32>>,
    sender: MailboxSender<u32>,
    mut numbers: impl Iterator<Item = u32> + 'static,
) -> Key {
    let notifier = cx.notifier();
    notifier.notify();
    let mut next = numbers.next();
    cx.submit_rearm(NotifierWait { notifier }, move |_, _, notified| {
        assert_eq!(notified.result, Ok(()));
        while let Some(number) = next {
            if let Err(error) = sender.try_send(number) {
                assert_eq!(error, TrySendError::Full(number));
                sender.notify_when_room(&notified.notifier);
                return Action::Rearm(NotifierWait { notifier: notified.notifier });
            }
            next = numbers.next();
        }
        Action::Disarm
    })
}

/// A loop is told of room, and sends all that it has, in order, through a mailbox as small as can be; several at once.
pub(crate) fn a_loop_is_told_of_room<B: Backend>(fixture: &Fixture<B>) {
    for capacity in [1, 2, 7] {
        let mut ev = fixture.open_state::<Vec<u32>>();
        let (sender, mailbox) = ev.context().mailbox(capacity).unwrap();
        ev.context().receive(&mailbox, |received: &mut Vec<u32>, _, delivery| {
            if let Delivery::Message(number) = delivery {
                received.push(number);
            }
        });
        for of in 0..3 {
            send_with_notifier(&mut ev.context(), sender.clone(), (of * 1000)..(of * 1000 + 100));
        }
        drop(sender);
        let mut received = Vec::new();
        ev.run(&mut received, RunMode::UntilDone).unwrap();
        for of in 0..3 {
            let own = received.iter().copied().filter(|number| number / 1000 == of);
            assert!(own.eq((of * 1000)..(of * 1000 + 100)), "each once, in order");
        }
        assert_eq!((received.len(), ev.context().active()), (300, 0));
    }
}

/// One notification for what was asked, however often, and none that was not asked for.
pub(crate) fn room_is_told_once<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (sender, mailbox) = ev.context().mailbox(2).unwrap();
    let notifier = ev.context().notifier();
    let wait =
        |ev: &mut Loop<B, ()>, notifier: &Notifier| ev.start(NotifierWait { notifier: notifier.clone() });
    // There is some now.
    sender.notify_when_room(&notifier);
    let told = wait(&mut ev, &notifier);
    ev.no_wait();
    assert!(told.is_done());
    (0..2).for_each(|message| assert_eq!(sender.try_send(message), Ok(())));
    (0..100).for_each(|_| sender.notify_when_room(&notifier));
    let told = wait(&mut ev, &notifier);
    ev.no_wait();
    assert!(!told.is_done(), "it is full");
    assert_eq!(mailbox.try_receive(), Some(0));
    ev.no_wait();
    assert!(told.is_done());
    let told = wait(&mut ev, &notifier);
    assert_eq!(mailbox.try_receive(), Some(1));
    ev.no_wait();
    assert!(!told.is_done(), "nobody has asked again");
    // An unbounded one has room always.
    let (unbounded, _mailbox) = ev.context().unbounded_mailbox::<u32>();
    unbounded.notify_when_room(&notifier);
    ev.no_wait();
    assert!(told.is_done());
    assert_eq!(unbounded.send(5), Ok(()));
}

/// Loops on two threads pass messages on in both directions, through mailboxes that are full most of the time.
pub(crate) fn loops_wait_for_each_others_room<B: Backend>(fixture: &Fixture<B>) {
    const PASSED: u32 = 2000;
    /// A loop that sends numbers and receives as many: its mailbox's sender goes out, the other's comes in.
    fn run<B: Backend>(
        fixture: &Fixture<B>,
        out: &std::sync::mpsc::Sender<MailboxSender<u32>>,
        from: &std::sync::mpsc::Receiver<MailboxSender<u32>>,
    ) {
        let mut ev = fixture.open_state::<Vec<u32>>();
        let (sender, mailbox) = ev.context().mailbox(1).unwrap();
        ev.context().receive(&mailbox, |received: &mut Vec<u32>, _, delivery| {
            if let Delivery::Message(number) = delivery {
                received.push(number);
            }
        });
        out.send(sender).unwrap();
        let other = from.recv().unwrap();
        send_with_notifier(&mut ev.context(), other, 0..PASSED);
        let mut received = Vec::new();
        ev.run(&mut received, RunMode::UntilDone).unwrap();
        assert!(received.into_iter().eq(0..PASSED));
    }
    let (to_first, of_second) = std::sync::mpsc::channel();
    let (to_second, of_first) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || run(fixture, &to_second, &of_second));
        run(fixture, &to_first, &of_first);
    });
}

/// The loop sleeps, and each message alone wakes it.
pub(crate) fn a_message_wakes_the_loop<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_state::<u32>();
    let (there, mailbox) = ev.context().mailbox::<u32>(1).unwrap();
    let (back, answers) = std::sync::mpsc::channel();
    ev.context().receive(&mailbox, move |count: &mut u32, _, delivery| {
        if let Delivery::Message(number) = delivery {
            *count += 1;
            let _ = back.send(number);
        }
    });
    let thread = thread::spawn(move || {
        for number in 0..200 {
            assert_eq!(there.try_send(number), Ok(()));
            assert_eq!(answers.recv(), Ok(number));
        }
    });
    let mut count = 0;
    ev.run(&mut count, RunMode::UntilDone).unwrap();
    assert_eq!(count, 200);
    thread.join().unwrap();
}

/// Senders hear that the loop is gone, and what it was not delivered is dropped, once.
pub(crate) fn dropping_the_loop_closes_it<B: Backend>(fixture: &Fixture<B>) {
    for keeps_mailbox in [false, true] {
        let mut ev = fixture.open();
        let (sender, mailbox) = ev.context().unbounded_mailbox();
        ev.context().receive(&mailbox, |(), _, _| ());
        let kept = keeps_mailbox.then(|| mailbox.clone());
        drop(mailbox);
        let message = Arc::new(());
        assert!(!sender.is_closed());
        for _ in 0..3 {
            assert_eq!(sender.try_send(Arc::clone(&message)), Ok(()));
        }
        drop(ev);
        assert!(sender.is_closed());
        assert!(matches!(sender.try_send(Arc::clone(&message)), Err(TrySendError::Closed(_))));
        assert_eq!(Arc::strong_count(&message), if keeps_mailbox { 4 } else { 1 });
        drop(kept);
        assert_eq!(Arc::strong_count(&message), 1, "no message outlives its mailbox");
    }
}

/// With its last clone the mailbox goes, and the loop goes on.
pub(crate) fn dropping_the_mailbox_closes_it<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (sender, mailbox) = ev.context().mailbox::<Arc<()>>(8).unwrap();
    let key = ev.context().receive(&mailbox, |(), _, _| ());
    drop(mailbox);
    let message = Arc::new(());
    assert_eq!(sender.try_send(Arc::clone(&message)), Ok(()));
    ev.no_wait();
    assert_eq!(Arc::strong_count(&message), 1, "it was delivered");
    assert_eq!(sender.try_send(Arc::clone(&message)), Ok(()));
    assert_eq!(ev.context().delete(key), Ok(()));
    ev.until_done();
    assert_eq!(Arc::strong_count(&message), 1);
    assert!(matches!(sender.try_send(Arc::clone(&message)), Err(TrySendError::Closed(_))));
}

/// A callback that panics has had its message; the others stay in the mailbox, for the next one.
pub(crate) fn a_panic_loses_no_message<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_state::<Vec<u32>>();
    let (sender, mailbox) = ev.context().unbounded_mailbox();
    for message in 0..10 {
        assert_eq!(sender.try_send(message), Ok(()));
    }
    let mut received = Vec::new();
    for fatal in [2, 5] {
        ev.context().receive(&mailbox, move |received: &mut Vec<u32>, _, delivery| {
            let Delivery::Message(message) = delivery else { panic!("it goes on") };
            received.push(message);
            assert_ne!(message, fatal, "on purpose");
        });
        let run = catch_unwind(AssertUnwindSafe(|| ev.run(&mut received, RunMode::UntilDone)));
        assert!(run.is_err());
        assert_eq!(ev.context().active(), 0, "who panics is dead");
    }
    assert_eq!((received.len(), mailbox.len()), (6, 4));
    drop(sender);
    ev.context().receive(&mailbox, |received: &mut Vec<u32>, _, delivery| {
        if let Delivery::Message(message) = delivery {
            received.push(message);
        }
    });
    ev.run(&mut received, RunMode::UntilDone).unwrap();
    assert!(received.into_iter().eq(0..10));
}

/// Cancelled, deleted from inside and from outside, stopped: what was not delivered stays, in its order.
pub(crate) fn what_is_not_delivered_stays<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open();
    let (sender, mailbox) = ev.context().mailbox::<u32>(8).unwrap();
    let log = Log::new();
    let seen = log.clone();
    let key = ev.context().receive(&mailbox, move |(), _, delivery| seen.push(delivery));
    ev.no_wait();
    assert_eq!(sender.try_send(1), Ok(()));
    assert_eq!(ev.cancel(key), Cancel::Requested);
    ev.until_done();
    assert_eq!(log.take(), [Delivery::End(Err(Error::Canceled))]);

    let own = Log::new();
    let (key_of, seen) = (own.clone(), log.clone());
    let key = ev.context().receive(&mailbox, move |(), cx, delivery| {
        seen.push(delivery);
        if delivery == Delivery::Message(2) {
            let keys = key_of.take();
            assert_eq!(cx.delete(keys[0]), Ok(()));
        }
    });
    own.push(key);
    (2..6).for_each(|message| assert_eq!(sender.try_send(message), Ok(())));
    ev.until_done();
    assert_eq!(log.take(), [Delivery::Message(1), Delivery::Message(2)], "it has deleted itself");

    let seen = log.clone();
    ev.context().receive(&mailbox, move |(), cx, delivery| {
        seen.push(delivery);
        if delivery == Delivery::Message(3) {
            cx.stop();
        }
    });
    ev.run(&mut (), RunMode::UntilDone).unwrap();
    assert_eq!(log.take(), [Delivery::Message(3)], "a stop ends the turn");
    assert_eq!(mailbox.len(), 2);
    ev.context().resume();
    ev.no_wait();
    assert_eq!(log.take(), [Delivery::Message(4), Delivery::Message(5)], "nothing has to be sent for that");
    drop(sender);
    ev.until_done();
    assert_eq!(log.take(), [Delivery::End(Ok(()))]);
}

/// One receives at a time, and of its own loop.
pub(crate) fn a_second_receiver_is_refused<B: Backend>(fixture: &Fixture<B>) {
    let (mut ev, mut other) = (fixture.open(), fixture.open());
    let (sender, mailbox) = ev.context().unbounded_mailbox::<u32>();
    let log = Log::new();
    let seen = log.clone();
    ev.context().receive(&mailbox, move |(), _, delivery| seen.push(delivery));
    let seen = log.clone();
    ev.context().receive(&mailbox, move |(), _, delivery| {
        assert_eq!(delivery, Delivery::End(Err(Error::Busy)));
        seen.push(delivery);
    });
    ev.no_wait();
    ev.no_wait();
    assert_eq!(log.take(), [Delivery::End(Err(Error::Busy))]);
    let seen = log.clone();
    other.context().receive(&mailbox, move |(), _, delivery| seen.push(delivery));
    other.until_done();
    assert_eq!(log.take(), [Delivery::End(Err(Error::InvalidInput))]);
    assert_eq!(sender.try_send(7), Ok(()));
    drop(sender);
    ev.until_done();
    assert_eq!(log.take(), [Delivery::Message(7), Delivery::End(Ok(()))]);
}

/// A callback that sends to its own mailbox goes on without end, and holds up nobody: each turn delivers what was there.
pub(crate) fn a_busy_sender_holds_up_nobody<B: Backend>(fixture: &Fixture<B>) {
    fn next<B: Backend>(cx: &mut Context<'_, B, u32>, left: u32) {
        cx.submit(Nop, move |_, cx, _| {
            if left > 0 {
                next(cx, left - 1);
            } else {
                cx.stop();
            }
        });
    }
    let mut ev: Loop<B, u32> = fixture.open_state();
    let (sender, mailbox) = ev.context().mailbox(4).unwrap();
    assert_eq!(sender.try_send(()), Ok(()));
    ev.context().receive(&mailbox, move |count: &mut u32, _, delivery| {
        if delivery == Delivery::Message(()) {
            *count += 1;
            assert_eq!(sender.try_send(()), Ok(()));
        }
    });
    next(&mut ev.context(), 100);
    let mut count = 0;
    ev.run(&mut count, RunMode::UntilDone).unwrap();
    assert!((90..=110).contains(&count), "about one a turn: {count}");
}

/// A notification that brings no message ends no run: `Once` returns when a callback has run.
pub(crate) fn an_empty_look_is_no_progress<B: Backend>(fixture: &Fixture<B>) {
    let mut ev = fixture.open_state::<Vec<&str>>();
    let (sender, mailbox) = ev.context().unbounded_mailbox::<u32>();
    // Receiving begins with a look, which finds nothing.
    ev.context().receive(&mailbox, |seen: &mut Vec<&str>, _, _| seen.push("delivery"));
    ev.context().timer_after(Duration::from_millis(2), move |seen: &mut Vec<&str>, _| {
        assert_eq!(sender.try_send(1), Ok(()));
        seen.push("timer");
    });
    ev.context().submit(Timer::after(Duration::from_secs(1000)), |_, _, _| ());
    let mut seen = Vec::new();
    ev.run(&mut seen, RunMode::Once).unwrap();
    // What the timer sent may be delivered in its turn: if that began late, the look is behind the timer in it.
    assert_eq!(seen.first(), Some(&"timer"), "the run ended before anything had run");
    while seen.len() < 3 {
        ev.run(&mut seen, RunMode::Once).unwrap();
    }
    assert_eq!(seen, ["timer", "delivery", "delivery"], "the message and the end");
}
