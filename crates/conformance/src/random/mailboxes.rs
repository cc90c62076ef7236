//! Programs of one mailbox, its senders and whoever receives: each step takes effect before the next, and a model knows what
//! is delivered (contract W2).

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use proactor_core::{
    Action, Backend, Cancel, Config, Delivery, Error, Key, Loop, Mailbox, MailboxSender, Notifier,
    NotifierWait, RunMode, State, TrySendError,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::steps::Log;

/// How many turns a step has to take effect.
const TURNS: usize = 4;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// From the loop's thread or from another one.
    Send {
        sender: Index,
        from_elsewhere: bool,
    },
    /// Asks to be notified of room.
    AskForRoom {
        sender: Index,
    },
    CloneSender {
        sender: Index,
    },
    DropSender {
        sender: Index,
    },
    Receive {
        manner: Manner,
    },
    /// Without the loop.
    TryReceive,
    Cancel {
        receiver: Index,
    },
    Delete {
        receiver: Index,
    },
    CancelAll,
}

/// What a receiver does with its messages.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Manner {
    Keep,
    /// Takes the next one too, by itself.
    TakeTwo,
    /// Stops the loop with each.
    Stop,
    /// Deletes itself with so manyth of them.
    DeleteAt(u32),
    PanicAt(u32),
}

/// A capacity, none without a bound, and what happens.
pub(crate) fn program() -> impl Strategy<Value = (Option<usize>, Vec<Step>)> {
    let index = any::<Index>;
    let manner = prop_oneof![
        3 => Just(Manner::Keep),
        1 => Just(Manner::TakeTwo),
        1 => Just(Manner::Stop),
        1 => (1_u32..4).prop_map(Manner::DeleteAt),
        1 => (1_u32..4).prop_map(Manner::PanicAt),
    ];
    let step = prop_oneof![
        12 => (index(), any::<bool>())
            .prop_map(|(sender, from_elsewhere)| Step::Send { sender, from_elsewhere }),
        3 => index().prop_map(|sender| Step::AskForRoom { sender }),
        2 => index().prop_map(|sender| Step::CloneSender { sender }),
        2 => index().prop_map(|sender| Step::DropSender { sender }),
        3 => manner.prop_map(|manner| Step::Receive { manner }),
        2 => Just(Step::TryReceive),
        2 => index().prop_map(|receiver| Step::Cancel { receiver }),
        1 => index().prop_map(|receiver| Step::Delete { receiver }),
        1 => Just(Step::CancelAll),
    ];
    (prop_oneof![Just(None), (1_usize..5).prop_map(Some)], vec(step, 1..60))
}

/// What is sent; it notices where it is dropped without having been delivered, or twice.
#[derive(Debug)]
struct Message {
    number: u32,
    _alive: Arc<()>,
}

/// What a receiver has told: which one it is, and what it was given.
type Told = (usize, Result<u32, Result<(), Error>>);

/// The receiver that is waiting.
#[derive(Clone, Copy, Debug)]
struct Receiver {
    number: usize,
    manner: Manner,
    /// Messages that it was given.
    count: u32,
}

/// Who asks for room.
struct Room {
    notifier: Notifier,
    /// Whether it has asked and was not told since.
    asked: bool,
    /// How often it was told, and how often the model says.
    told: Rc<Cell<u32>>,
    expected: u32,
}

impl Room {
    fn new<B: Backend>(ev: &mut Loop<B, ()>) -> Self {
        let (notifier, told) = (ev.context().notifier(), Rc::new(Cell::new(0)));
        let count = Rc::clone(&told);
        ev.context().submit_rearm(NotifierWait { notifier: notifier.clone() }, move |(), _, notified| {
            // Otherwise all was cancelled.
            count.set(count.get() + u32::from(notified.result.is_ok()));
            Action::Rearm(NotifierWait { notifier: notified.notifier })
        });
        Self { notifier, asked: false, told, expected: 0 }
    }

    /// The model's: there is some.
    fn is_there(&mut self) {
        self.expected += u32::from(std::mem::take(&mut self.asked));
    }
}

/// The loop, and the model beside it.
struct World<B: Backend> {
    ev: Loop<B, ()>,
    mailbox: Mailbox<Message>,
    senders: Vec<MailboxSender<Message>>,
    capacity: Option<usize>,
    queue: VecDeque<u32>,
    sent: u32,
    alive: Arc<()>,
    receiver: Option<Receiver>,
    room: Room,
    keys: Vec<Key>,
    told: Log<Told>,
    expected: Vec<Told>,
}

/// Runs a program, and panics where something is not delivered as the model says.
pub(crate) fn run<B: Backend>((capacity, program): &(Option<usize>, Vec<Step>), config: &Config) {
    let mut ev = Loop::<B, ()>::open(config.clone()).expect("the backend opens");
    let (sender, mailbox) = match *capacity {
        Some(capacity) => ev.context().mailbox(capacity).expect("a few messages have room"),
        None => ev.context().unbounded_mailbox(),
    };
    let alive = Arc::new(());
    let room = Room::new(&mut ev);
    let mut world = World {
        room,
        ev,
        mailbox,
        senders: vec![sender],
        capacity: *capacity,
        queue: VecDeque::new(),
        sent: 0,
        alive: Arc::clone(&alive),
        receiver: None,
        keys: Vec::new(),
        told: Log::new(),
        expected: Vec::new(),
    };
    for step in program {
        world.take(step);
        world.settle();
    }
    let left = world.queue.len();
    assert_eq!(Arc::strong_count(&alive), 2 + left, "what was not delivered is there, and nothing else");
    // The sender hears of the end, and gets back what it sends then.
    let sender = world.senders.pop();
    drop(world);
    if let Some(sender) = sender {
        let message = Message { number: 0, _alive: Arc::clone(&alive) };
        assert!(matches!(sender.try_send(message), Err(TrySendError::Closed(Message { number: 0, .. }))));
    }
    assert_eq!(Arc::strong_count(&alive), 1, "what nobody got is dropped, once");
}

impl<B: Backend> World<B> {
    fn take(&mut self, step: &Step) {
        match *step {
            Step::Send { ref sender, from_elsewhere } => self.send(sender, from_elsewhere),
            Step::AskForRoom { ref sender } => {
                let Some(sender) = self.sender(sender) else { return };
                self.senders[sender].notify_when_room(&self.room.notifier);
                self.room.asked = true;
                if !self.is_full() {
                    self.room.is_there();
                }
            }
            Step::CloneSender { ref sender } => {
                if let Some(sender) = self.sender(sender) {
                    self.senders.push(self.senders[sender].clone());
                }
            }
            Step::DropSender { ref sender } => {
                if let Some(sender) = self.sender(sender) {
                    self.senders.swap_remove(sender);
                }
            }
            Step::Receive { manner } => self.receive(manner),
            Step::TryReceive => {
                let received = self.mailbox.try_receive().map(|message| message.number);
                assert_eq!(received, self.pop());
            }
            Step::Cancel { ref receiver } => {
                let Some((number, key)) = self.chosen(receiver) else { return };
                let is_there = self.receiver.is_some_and(|receiver| receiver.number == number);
                let expected = if is_there { Cancel::Requested } else { Cancel::NotFound };
                assert_eq!(self.ev.context().cancel(key), expected);
                self.ended(number, Err(Error::Canceled));
            }
            Step::Delete { ref receiver } => {
                let Some((number, key)) = self.chosen(receiver) else { return };
                let is_there = self.receiver.is_some_and(|receiver| receiver.number == number);
                let expected = if is_there { Ok(()) } else { Err(Error::NotFound) };
                assert_eq!(self.ev.context().delete(key), expected);
                self.receiver = self.receiver.filter(|receiver| receiver.number != number);
            }
            Step::CancelAll => {
                self.ev.context().cancel_all();
                if let Some(receiver) = self.receiver {
                    self.ended(receiver.number, Err(Error::Canceled));
                }
            }
        }
    }

    fn is_full(&self) -> bool {
        self.capacity.is_some_and(|capacity| self.queue.len() >= capacity)
    }

    /// The model's next message, which makes room.
    fn pop(&mut self) -> Option<u32> {
        let message = self.queue.pop_front()?;
        self.room.is_there();
        Some(message)
    }

    fn sender(&self, which: &Index) -> Option<usize> {
        (!self.senders.is_empty()).then(|| which.index(self.senders.len()))
    }

    fn chosen(&self, which: &Index) -> Option<(usize, Key)> {
        let number = (!self.keys.is_empty()).then(|| which.index(self.keys.len()))?;
        Some((number, self.keys[number]))
    }

    /// The receiver with this number ends, if it is the one that waits.
    fn ended(&mut self, number: usize, result: Result<(), Error>) {
        if self.receiver.is_some_and(|receiver| receiver.number == number) {
            self.receiver = None;
            self.expected.push((number, Err(result)));
        }
    }

    fn send(&mut self, which: &Index, from_elsewhere: bool) {
        let Some(sender) = self.sender(which) else { return };
        let number = self.sent;
        self.sent += 1;
        let (sender, message) = (&self.senders[sender], Message { number, _alive: Arc::clone(&self.alive) });
        let answer = if from_elsewhere {
            let sender = sender.clone();
            thread::spawn(move || sender.try_send(message)).join().expect("it only sends")
        } else {
            sender.try_send(message)
        };
        let is_full = self.is_full();
        match answer {
            Ok(()) => assert!(!is_full),
            Err(TrySendError::Full(back)) => assert_eq!((back.number, is_full), (number, true)),
            Err(TrySendError::Closed(_)) => panic!("the loop and the mailbox are there"),
        }
        if !is_full {
            self.queue.push_back(number);
        }
    }

    fn receive(&mut self, manner: Manner) {
        let (number, told, mailbox) = (self.keys.len(), self.told.clone(), self.mailbox.clone());
        let key_of = Log::new();
        let me = key_of.clone();
        let mut count = 0;
        let key = self.ev.context().receive(&self.mailbox, move |(), cx, delivery| {
            let message = match delivery {
                Delivery::Message(message) => message,
                Delivery::End(result) => return told.push((number, Err(result))),
            };
            told.push((number, Ok(message.number)));
            count += 1;
            match manner {
                Manner::Keep => {}
                Manner::TakeTwo => {
                    mailbox.try_receive().into_iter().for_each(|next| told.push((number, Ok(next.number))));
                }
                Manner::Stop => cx.stop(),
                Manner::DeleteAt(at) => {
                    if count == at {
                        me.take().into_iter().for_each(|key| assert_eq!(cx.delete(key), Ok(())));
                    }
                }
                Manner::PanicAt(at) => assert_ne!(count, at, "on purpose"),
            }
        });
        key_of.push(key);
        self.keys.push(key);
        if self.receiver.is_some() {
            self.expected.push((number, Err(Err(Error::Busy))));
        } else {
            self.receiver = Some(Receiver { number, manner, count: 0 });
        }
    }

    /// Lets what was done take effect, in the loop and in the model; they agree then.
    fn settle(&mut self) {
        self.deliver();
        // A stop ends a turn with each message.
        let turns = TURNS + self.expected.len();
        for _ in 0..turns {
            let turn = AssertUnwindSafe(|| self.ev.run(&mut (), RunMode::NoWait).expect("a turn"));
            // What panics on purpose has told of its message before.
            let _ = catch_unwind(turn);
            self.ev.context().resume();
        }
        // A receiver that was refused may tell so before or after what the other one is given.
        let (mut found, mut expected) = (self.told.take(), std::mem::take(&mut self.expected));
        found.sort_by_key(|told| told.0);
        expected.sort_by_key(|told| told.0);
        assert_eq!(found, expected);
        let waiting = self.receiver.map(|receiver| receiver.number);
        for (number, &key) in self.keys.iter().enumerate() {
            let is_dead = self.ev.context().state(key) == State::Dead;
            assert_eq!(is_dead, waiting != Some(number), "receiver {number}");
        }
        assert_eq!(self.mailbox.len(), self.queue.len());
        assert_eq!(self.room.told.get(), self.room.expected, "told of room");
    }

    /// What the model delivers now.
    fn deliver(&mut self) {
        while let Some(mut receiver) = self.receiver {
            let Some(message) = self.pop() else {
                if self.senders.is_empty() {
                    self.ended(receiver.number, Ok(()));
                }
                return;
            };
            self.expected.push((receiver.number, Ok(message)));
            receiver.count += 1;
            self.receiver = Some(receiver);
            match receiver.manner {
                Manner::Keep | Manner::Stop => {}
                Manner::TakeTwo => {
                    let next = self.pop();
                    self.expected.extend(next.map(|next| (receiver.number, Ok(next))));
                }
                Manner::DeleteAt(at) | Manner::PanicAt(at) => {
                    self.receiver = self.receiver.filter(|_| receiver.count != at);
                }
            }
        }
    }
}
