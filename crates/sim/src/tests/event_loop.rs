//! Under the loop, as its users have it.

use std::thread;
use std::time::Duration;

use super::*;
use crate::{Accepted, Context, ListenOptions, Loop, Nop, NotifierWait, RunMode, Timer};

/// What an echo came to.
#[derive(Default)]
struct Seen {
    turns: u64,
    bytes: Vec<u8>,
    done: u32,
}

fn echo(cx: &mut Context<'_, Seen>, handle: Handle, buffer: Buffer) {
    cx.submit(Recv { handle, buffer }, |seen, cx, received| {
        let Received { handle, buffer, result } = received;
        match result.unwrap() {
            0 => {
                seen.done += 1;
                cx.close(handle);
            }
            len => {
                cx.submit(SendAll { handle, buffer: buffer.slice(..len) }, |_, cx, sent| {
                    assert_eq!(sent.result, Ok(()));
                    echo(cx, sent.handle, sent.buffer.unslice());
                });
            }
        }
    });
}

fn collect(cx: &mut Context<'_, Seen>, handle: Handle, left: usize) {
    cx.submit(Recv { handle, buffer: Buffer::zeroed(20_000) }, move |seen, cx, received| {
        let len = received.result.unwrap();
        seen.bytes.extend(&received.buffer[..len]);
        if left > len {
            return collect(cx, handle, left - len);
        }
        seen.turns = cx.turns();
        cx.close(handle);
    });
}

#[test]
fn a_mebibyte_goes_through_an_echo() {
    const LEN: usize = 1 << 20;
    let run = |seed| {
        let sim = Sim::with_seed(&Config::default(), seed).unwrap();
        let mut event_loop = Loop::<Seen>::with_backend(sim);
        let mut cx = event_loop.context();
        let listener = cx.listen("[::1]:0".parse().unwrap(), ListenOptions::default()).unwrap();
        let address = cx.local_address(listener).unwrap();
        cx.submit(Accept { listener }, |_, cx, Accepted { listener, result }| {
            cx.close(listener);
            echo(cx, result.unwrap().0, Buffer::zeroed(10_000));
        });
        let handle = cx.socket(Family::Ipv6).unwrap();
        cx.submit(Connect { handle, address }, |_, _, connected| assert_eq!(connected.result, Ok(())));
        cx.submit(SendAll { handle, buffer: pattern(LEN).into() }, |_, _, sent| {
            assert_eq!((sent.transferred, sent.result), (LEN, Ok(())));
        });
        collect(&mut cx, handle, LEN);
        let mut seen = Seen::default();
        event_loop.run(&mut seen, RunMode::UntilDone).unwrap();
        assert!(seen.bytes == pattern(LEN));
        assert_eq!(seen.done, 1);
        assert_eq!(event_loop.context().backend_faults(), 0);
        seen.turns
    };
    assert_eq!(run(1), run(1));
    assert!((2..10).any(|seed| run(seed) != run(1)));
}

#[test]
fn time_passes_within_a_turn() {
    let mut event_loop = Loop::<u32>::open(Config::default()).unwrap();
    let mut cx = event_loop.context();
    cx.submit(Nop, |count, _, _| *count += 1);
    cx.submit(Timer::after(Duration::from_nanos(1)), |count, _, _| *count += 1);
    let mut count = 0;
    event_loop.run(&mut count, RunMode::NoWait).unwrap();
    assert_eq!(count, 2);
}

#[test]
fn another_thread_notifies() {
    let mut event_loop = Loop::<u32>::open(Config::default()).unwrap();
    let notifier = event_loop.context().notifier();
    let other = notifier.clone();
    event_loop.context().submit(NotifierWait { notifier }, |count, _, notified| {
        assert_eq!(notified.result, Ok(()));
        *count += 1;
    });
    let thread = thread::spawn(move || other.notify());
    let mut count = 0;
    event_loop.run(&mut count, RunMode::UntilDone).unwrap();
    thread.join().unwrap();
    assert_eq!(count, 1);
}
