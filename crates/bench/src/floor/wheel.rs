//! A hashed timer wheel by hand, for timers that all lie within one turn of it: eight bytes a timer.

/// Slots of the wheel, of one tick each.
const SLOTS: usize = 1024;
/// A tick is 2 to this power nanoseconds, about a millisecond.
const TICK_BITS: u32 = 20;

/// A timer's neighbours in the ring of its slot. The first nodes are the slots themselves: each ring's fixed point.
#[derive(Debug, Clone, Copy)]
struct Node {
    next: u32,
    previous: u32,
}

#[derive(Debug)]
pub(crate) struct Wheel {
    nodes: Vec<Node>,
    /// Ticks whose timers have fired.
    tick: u64,
}

impl Wheel {
    /// A wheel at time zero for the timers 0 to `timers`, none of them armed.
    pub(crate) fn new(timers: usize) -> Self {
        let mut nodes = Vec::with_capacity(SLOTS + timers);
        nodes.extend((0..(SLOTS + timers) as u32).map(|node| Node { next: node, previous: node }));
        Wheel { nodes, tick: 0 }
    }

    /// Arms a timer that is not armed. It fires at or after `deadline`, in nanoseconds, and at most a tick late.
    ///
    /// # Panics
    /// If the deadline is more than a turn of the wheel away.
    #[inline]
    pub(crate) fn insert(&mut self, timer: u64, deadline: u64) {
        let tick = (deadline.div_ceil(1 << TICK_BITS)).max(self.tick + 1);
        assert!(tick <= self.tick + SLOTS as u64, "a deadline beyond the wheel");
        let slot = (tick % SLOTS as u64) as usize;
        let node = SLOTS + timer as usize;
        let previous = self.nodes[slot].previous;
        self.nodes[node] = Node { next: slot as u32, previous };
        self.nodes[previous as usize].next = node as u32;
        self.nodes[slot].previous = node as u32;
    }

    /// Disarms a timer; nothing happens if it was not armed.
    #[inline]
    pub(crate) fn cancel(&mut self, timer: u64) {
        let node = SLOTS + timer as usize;
        let Node { next, previous } = self.nodes[node];
        self.nodes[previous as usize].next = next;
        self.nodes[next as usize].previous = previous;
        self.nodes[node] = Node { next: node as u32, previous: node as u32 };
    }

    /// Hands what is due at `now` to `fire`, in the order of ticks and, within one, of arming.
    pub(crate) fn advance(&mut self, now: u64, mut fire: impl FnMut(u64)) {
        while (self.tick + 1) << TICK_BITS <= now {
            self.tick += 1;
            let slot = (self.tick % SLOTS as u64) as usize;
            let mut node = self.nodes[slot].next as usize;
            self.nodes[slot] = Node { next: slot as u32, previous: slot as u32 };
            while node != slot {
                let next = self.nodes[node].next as usize;
                self.nodes[node] = Node { next: node as u32, previous: node as u32 };
                fire((node - SLOTS) as u64);
                node = next;
            }
        }
    }

    /// When the next timer fires, if any is armed.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        (self.tick + 1..=self.tick + SLOTS as u64)
            .find(|tick| {
                let slot = (tick % SLOTS as u64) as usize;
                self.nodes[slot].next as usize != slot
            })
            .map(|tick| tick << TICK_BITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: u64 = 1 << TICK_BITS;

    fn fired(wheel: &mut Wheel, now: u64) -> Vec<u64> {
        let mut fired = Vec::new();
        wheel.advance(now, |timer| fired.push(timer));
        fired
    }

    #[test]
    fn timers_fire_in_order_and_never_early() {
        let mut wheel = Wheel::new(4);
        wheel.insert(0, 3 * TICK);
        wheel.insert(1, TICK + 1);
        wheel.insert(2, 3 * TICK);
        wheel.insert(3, 0);
        assert_eq!(wheel.next_deadline(), Some(TICK));
        assert_eq!(fired(&mut wheel, TICK - 1), [0_u64; 0]);
        assert_eq!(fired(&mut wheel, TICK), [3]);
        assert_eq!(wheel.next_deadline(), Some(2 * TICK));
        assert_eq!(fired(&mut wheel, 3 * TICK), [1, 0, 2]);
        assert_eq!(wheel.next_deadline(), None);
    }

    #[test]
    fn a_cancelled_timer_does_not_fire_and_its_neighbours_do() {
        let mut wheel = Wheel::new(3);
        (0..3).for_each(|timer| wheel.insert(timer, 5 * TICK));
        wheel.cancel(1);
        wheel.cancel(1);
        assert_eq!(fired(&mut wheel, 6 * TICK), [0, 2]);
        wheel.cancel(0);
        assert_eq!(wheel.next_deadline(), None);
    }

    #[test]
    fn the_wheel_goes_round() {
        let mut wheel = Wheel::new(1);
        for turn in 0..5 {
            let deadline = (turn + 1) * SLOTS as u64 * TICK;
            wheel.insert(0, deadline);
            assert_eq!(fired(&mut wheel, deadline - 1), [0_u64; 0]);
            assert_eq!(fired(&mut wheel, deadline), [0]);
        }
    }
}
