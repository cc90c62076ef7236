use super::*;
use std::sync::atomic::AtomicUsize;
use std::thread;

/// Counts how often it was woken.
#[derive(Clone, Default)]
struct Bell(Arc<AtomicUsize>);

impl Wake for Bell {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Bell {
    fn rung(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn pool(count: u32, size: usize) -> (BufferPool, Bell) {
    let bell = Bell::default();
    (BufferPool::new(count, size, 7, bell.clone()).unwrap(), bell)
}

fn take_each(pool: &BufferPool) -> Vec<Buffer> {
    std::iter::from_fn(|| pool.take()).collect()
}

#[test]
fn each_buffer_is_taken_once_and_comes_back_when_dropped() {
    let (pool, bell) = pool(5, 100);
    assert_eq!((pool.count(), pool.buffer_size()), (5, 100));
    for _ in 0..3 {
        let mut taken = take_each(&pool);
        assert_eq!(taken.len(), 5);
        for (number, buffer) in taken.iter_mut().enumerate() {
            assert!(buffer.is_writable() && buffer.len() == 100);
            buffer.as_mut_slice().unwrap().fill(number as u8);
        }
        assert!(
            taken.iter().enumerate().all(|(number, buffer)| buffer.iter().all(|byte| *byte == number as u8))
        );
        assert!(!pool.has_free());
    }
    assert_eq!(bell.rung(), 0, "nobody waited");
}

#[test]
fn all_are_taken_at_once_with_their_numbers() {
    let (pool, _) = pool(4, 1);
    let kept = pool.take();
    let mut taken = Vec::new();
    pool.take_all(|number, first| taken.push((number, first.addr())));
    taken.sort_unstable();
    assert_eq!(taken.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2, 3]);
    // SAFETY: each was just taken, and is made a buffer of once.
    let made = |(number, _)| unsafe { pool.buffer(number, 9) }.unwrap();
    let taken: Vec<_> = taken.into_iter().map(made).collect();
    assert!(taken.iter().all(|buffer| buffer.len() == 1), "no more than there is");
    pool.take_all(|_, _| panic!("none is left"));
    drop((kept, taken));
    assert_eq!(take_each(&pool).len(), 4);
}

#[test]
fn only_what_was_received_can_be_seen() {
    let (pool, _) = pool(1, 8);
    let mut buffer = pool.take().unwrap();
    buffer.as_mut_slice().unwrap().copy_from_slice(b"somebody");
    drop(buffer);
    let buffer = pool.take().unwrap().filled(4);
    assert_eq!(&buffer.unslice()[..], b"some");
}

#[test]
fn one_that_is_waited_for_rings_once() {
    let (pool, bell) = pool(2, 1);
    assert!(!pool.want(), "one is free");
    let mut taken = take_each(&pool);
    assert!(pool.want() && pool.want());
    taken.pop();
    assert_eq!(bell.rung(), 1);
    taken.pop();
    assert_eq!(bell.rung(), 1);
    assert!(!pool.want());
}

#[test]
fn the_memory_outlives_the_pool_and_goes_with_the_last_buffer() {
    let (pool, bell) = pool(3, 10);
    let (first, second) = (pool.take().unwrap(), pool.take().unwrap());
    let clone = pool.clone();
    drop(pool);
    drop(first);
    assert_eq!(Arc::strong_count(&bell.0), 2);
    drop(clone);
    assert_eq!((Arc::strong_count(&bell.0), second.len()), (2, 10), "a buffer is out");
    thread::spawn(move || drop(second)).join().unwrap();
    assert_eq!(Arc::strong_count(&bell.0), 1, "all of it is freed");
}

#[test]
fn a_pool_that_nobody_took_from_is_freed() {
    let (pool, bell) = pool(3, 10);
    drop(pool);
    assert_eq!(Arc::strong_count(&bell.0), 1);
    let (pool, bell) = self::pool(1, 10);
    let only = pool.take();
    drop(pool);
    drop(only);
    assert_eq!(Arc::strong_count(&bell.0), 1);
}

#[test]
fn ranges_are_checked() {
    let new = |count, size| BufferPool::new(count, size, 0, Bell::default()).map(drop);
    for (count, size) in [(0, 1), (BufferPool::MAX_COUNT + 1, 1), (1, 0), (1, Buffer::MAX_LEN + 1)] {
        assert_eq!(new(count, size), Err(Error::InvalidInput), "{count} of {size}");
    }
    assert_eq!(new(BufferPool::MAX_COUNT, 1), Ok(()));
    let nothing = BufferPool::default();
    // SAFETY: there is no slot.
    assert!(unsafe { nothing.buffer(0, 1) }.is_none());
    assert!(nothing.take().is_none() && nothing.clone() == nothing && nothing.count() == 0);
}

/// Buffers go to other threads and come back from there, while this one takes: each is somebody's at any time.
#[test]
fn threads_return_what_one_takes() {
    const ROUNDS: usize = 20_000;
    let (pool, _) = pool(8, 8);
    let (sender, receiver) = std::sync::mpsc::sync_channel::<Buffer>(8);
    let receiver = Arc::new(std::sync::Mutex::new(receiver));
    let droppers: Vec<_> = (0..3)
        .map(|_| {
            let receiver = Arc::clone(&receiver);
            thread::spawn(move || {
                loop {
                    let received = receiver.lock().unwrap().recv();
                    let Ok(buffer) = received else { return };
                    assert!(buffer.iter().all(|byte| *byte == buffer[0]));
                }
            })
        })
        .collect();
    let mut taken = 0;
    while taken < ROUNDS {
        let Some(mut buffer) = pool.take() else {
            thread::yield_now();
            continue;
        };
        buffer.as_mut_slice().unwrap().fill(taken as u8);
        taken += 1;
        sender.send(buffer).unwrap();
    }
    drop(sender);
    droppers.into_iter().for_each(|dropper| dropper.join().unwrap());
    assert_eq!(take_each(&pool).len(), 8);
}

#[test]
fn who_waits_goes_on_in_order_of_coming() {
    let ((small, _), (large, _)) = (pool(1, 1), pool(1, 2));
    let mut dry = Dry::default();
    let held = (small.take(), large.take());
    [1, 2].into_iter().for_each(|waiter| dry.push(&small, waiter));
    dry.push(&large, 3);
    assert_eq!((dry.len(), dry.pop(), dry.can_go_on()), (3, None, false));
    drop(held.1);
    assert!(dry.can_go_on());
    assert_eq!((dry.pop(), dry.pop()), (Some(3), None));
    dry.remove(&1);
    drop(held.0);
    assert_eq!((dry.pop(), dry.pop()), (Some(2), None));
    assert!(dry.is_empty());
}
