//! Every interleaving of small programs: what senders hand over, and the two ends of a mailbox.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::*;
use crate::notifier::Registration;
use crate::notifier::loom_tests::{Ended, Sleeper, model};

/// A message that counts how often it is dropped.
struct Message(usize, Arc<AtomicUsize>);

impl Drop for Message {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a callback gets until all senders are gone: the loop's part, as `receive` plays it.
fn receive_all<T>(sleeper: &mut Sleeper, mailbox: &Mailbox<T>) -> Vec<T> {
    let mut received = Vec::new();
    loop {
        assert_eq!(sleeper.inbox.register(&mailbox.0.notifier, 7), Registration::Waiting);
        assert_eq!(sleeper.wait(0), Ended::Mail(vec![7]));
        for _ in 0..mailbox.len() {
            received.extend(mailbox.try_receive());
        }
        if mailbox.is_over() {
            return received;
        }
        if !mailbox.is_empty() {
            mailbox.notify();
        }
    }
}

/// A lost message, and a lost end, show as a deadlock.
#[test]
fn messages_and_the_end_of_the_sender_against_sleep() {
    model(Some(3), || {
        let mut sleeper = Sleeper::new();
        let (sender, mailbox) = mailbox(sleeper.inbox.notifier(), None);
        let thread = thread::spawn(move || {
            assert!(sender.try_send(1).is_ok());
            assert!(sender.try_send(2).is_ok());
        });
        assert_eq!(receive_all(&mut sleeper, &mailbox), [1, 2]);
        thread.join().unwrap();
    });
}

#[test]
fn two_senders_against_sleep() {
    model(Some(2), || {
        let mut sleeper = Sleeper::new();
        let (sender, mailbox) = mailbox(sleeper.inbox.notifier(), None);
        let threads = [(sender.clone(), 1), (sender, 2)]
            .map(|(sender, message)| thread::spawn(move || assert!(sender.try_send(message).is_ok())));
        let mut received = receive_all(&mut sleeper, &mailbox);
        received.sort_unstable();
        assert_eq!(received, [1, 2]);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// What is pushed back is not in the mailbox, and what is in it comes.
#[test]
fn a_full_mailbox_pushes_back() {
    model(Some(3), || {
        let mut sleeper = Sleeper::new();
        let (sender, mailbox) = mailbox(sleeper.inbox.notifier(), Some(1));
        let thread = thread::spawn(move || {
            assert!(sender.try_send(1).is_ok());
            match sender.try_send(2) {
                Ok(()) => vec![1, 2],
                Err(TrySendError::Full(message)) => {
                    assert_eq!(message, 2);
                    vec![1]
                }
                Err(TrySendError::Closed(_)) => unreachable!("it is open"),
            }
        });
        let received = receive_all(&mut sleeper, &mailbox);
        assert_eq!(thread.join().unwrap(), received);
    });
}

/// A thread waits for room: a wait that nobody ends shows as a deadlock.
#[test]
fn waiting_for_room_against_making_some() {
    model(Some(3), || {
        let mut sleeper = Sleeper::new();
        let (sender, mailbox) = mailbox(sleeper.inbox.notifier(), Some(1));
        let thread = thread::spawn(move || {
            assert!(sender.send(1).is_ok());
            assert!(sender.send(2).is_ok());
        });
        assert_eq!(receive_all(&mut sleeper, &mailbox), [1, 2]);
        thread.join().unwrap();
    });
}

/// One thread is woken for each message, and another message may come between.
#[test]
fn two_wait_for_room() {
    model(Some(2), || {
        let mut sleeper = Sleeper::new();
        let (sender, mailbox) = mailbox(sleeper.inbox.notifier(), Some(1));
        assert!(sender.try_send(1).is_ok());
        let threads = [(sender.clone(), 2), (sender, 3)]
            .map(|(sender, message)| thread::spawn(move || assert!(sender.send(message).is_ok())));
        let mut received = receive_all(&mut sleeper, &mailbox);
        received.sort_unstable();
        assert_eq!(received, [1, 2, 3]);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(mailbox.0.room.as_ref().map(|room| room.waiting()), Some(0));
    });
}

/// The mailbox goes, or its loop, while two threads wait for room.
#[test]
fn waiting_for_room_against_the_end() {
    for loop_ends in [false, true] {
        model(Some(2), move || {
            let mut sleeper = Sleeper::new();
            let (sender, mailbox) = mailbox(sleeper.inbox.notifier(), Some(1));
            let mut rooms = Rooms::default();
            mailbox.0.room.iter().for_each(|room| rooms.push(room));
            assert!(sender.try_send(1).is_ok());
            let threads = [(sender.clone(), 2), (sender, 3)]
                .map(|(sender, message)| thread::spawn(move || sender.send(message)));
            let kept = if loop_ends {
                drop(rooms);
                Some(mailbox)
            } else {
                drop(mailbox);
                None
            };
            for (thread, message) in threads.into_iter().zip(2..) {
                match thread.join().unwrap() {
                    // One that found it open may find the place of what is dropped with it.
                    Ok(()) => assert!(!loop_ends),
                    sent => assert_eq!(sent, Err(TrySendError::Closed(message))),
                }
            }
            assert_eq!(kept.and_then(|mailbox| mailbox.try_receive()), loop_ends.then_some(1));
        });
    }
}

/// A loop is notified of room, once, whenever it asks.
#[test]
fn asking_for_room_against_making_some() {
    model(Some(3), || {
        let mut sleeper = Sleeper::new();
        let (sender, mailbox) = mailbox(sleeper.inbox.notifier(), Some(1));
        let thread = thread::spawn(move || {
            let mut own = Sleeper::new();
            let room = own.inbox.notifier();
            for message in [1, 2] {
                let mut next = Some(message);
                while let Some(message) = next.take() {
                    if let Err(error) = sender.try_send(message) {
                        next = Some(error.into_message());
                        sender.notify_when_room(&room);
                        assert_eq!(own.inbox.register(&room, 7), Registration::Waiting);
                        assert_eq!(own.wait(0), Ended::Mail(vec![7]));
                    }
                }
            }
        });
        assert_eq!(receive_all(&mut sleeper, &mailbox), [1, 2]);
        thread.join().unwrap();
    });
}

/// The mailbox goes while a message is sent: it is dropped once, and before the sender is.
#[test]
fn sending_against_the_end_of_the_mailbox() {
    model(None, || {
        let mut sleeper = Sleeper::new();
        let (sender, mailbox) = mailbox(sleeper.inbox.notifier(), None);
        let dropped = Arc::new(AtomicUsize::new(0));
        let thread = thread::spawn({
            let dropped = Arc::clone(&dropped);
            move || {
                match sender.try_send(Message(7, dropped)) {
                    Ok(()) => {}
                    Err(TrySendError::Closed(message)) => assert_eq!(message.0, 7),
                    Err(TrySendError::Full(_)) => unreachable!("it has room"),
                }
                sender
            }
        });
        drop(mailbox);
        let sender = thread.join().unwrap();
        assert_eq!(dropped.load(Ordering::Relaxed), 1, "nothing stays behind with a sender that lives on");
        assert!(sender.is_closed());
        drop(sleeper);
    });
}
