//! Tests of the tables of completions.

use super::*;
use crate::outcome::NopDone;
use proptest::prelude::*;

#[test]
fn a_spent_generation_retires_its_place() {
    let mut records = Records::new(1);
    for timer in [false, true] {
        let allocate = |records: &mut Records| {
            if timer { records.allocate_timer().0 } else { records.allocate().index }
        };
        let index = allocate(&mut records);
        records.get(index).phase = Phase::Adding;
        records.get(index).generation = u32::MAX;
        let key = records.key(index);
        records.free(index);
        assert_eq!(records.lookup(key), None);
        assert_ne!(allocate(&mut records), index);
    }
}

#[test]
fn a_token_is_stale_once_its_operation_is_decided_or_taken_back() {
    let mut records = Records::new(1);
    let nop = || Outcome::Nop(NopDone { result: Ok(()) });
    let mut tokens = Vec::new();
    for decides in [true, false, true] {
        let Spot { index, record, .. } = records.allocate();
        let token = Token { index, arming: record.arm(Kind::Nop, Direction::Read, Link::None) };
        record.put(nop());
        assert_eq!(records.token(index), token);
        assert!(tokens.iter().all(|&stale| records.undecided(stale).is_none()));
        assert!(records.undecided(token).is_some());
        if decides {
            assert!(records.decide(token) && !records.decide(token));
            records.get(index).phase = Phase::Running;
            assert!(records.operation(index).and_then(|record| record.outcome.take()).is_some());
        } else {
            assert!(records.take_back(index).is_some());
        }
        assert!(records.undecided(token).is_none() && records.is_empty());
        records.free(index);
        tokens.push(token);
    }
    assert!(tokens.iter().all(|token| token.index == tokens[0].index), "the place freed last is used first");
}

#[test]
fn items_are_kept_by_themselves() {
    let mut records = Records::new(1);
    let owner = Token { index: 7, arming: 2 };
    let nop = || Outcome::Nop(NopDone { result: Ok(()) });
    let (first, second) = (records.insert_item(owner, nop()), records.insert_item(owner, nop()));
    assert!(records.item(first).is_some_and(|(token, _)| token == owner));
    assert!(records.remove_item(first).is_some() && records.remove_item(first).is_none());
    assert_eq!(records.insert_item(owner, nop()), first);
    assert!(records.remove_item(first).is_some() && records.remove_item(second).is_some());
    assert!(records.is_empty());
}

proptest! {
    /// Keys name what they were made for, until it is freed and never after.
    #[test]
    fn keys_never_name_another(
        steps in prop::collection::vec((any::<bool>(), any::<bool>(), any::<prop::sample::Index>()), 0..200)
    ) {
        let mut records = Records::new(7);
        let (mut live, mut stale): (Vec<Key>, Vec<Key>) = (Vec::new(), Vec::new());
        for (allocate, timer, which) in steps {
            if allocate || live.is_empty() {
                let index = if timer { records.allocate_timer().0 } else { records.allocate().index };
                records.get(index).phase = Phase::Adding;
                live.push(records.key(index));
            } else {
                let key = live.swap_remove(which.index(live.len()));
                let index = records.lookup(key).unwrap();
                records.free(index);
                stale.push(key);
            }
            prop_assert_eq!(records.active() as usize, live.len());
            prop_assert!(live.iter().all(|key| records.lookup(*key) == Some(key.name.index)));
            prop_assert!(stale.iter().all(|key| records.lookup(*key).is_none()));
        }
    }
}
