use std::collections::BTreeSet;

use proactor_sim::Sim;

use super::*;
use crate::case::holds;
use crate::expected::{CHECKED_IN, Matrix};

/// The rules that the operations which there are so far touch.
const RULES: &str = "C1 C2 C3 C4 C5 C6 C7 X1 X2 X3 X4 X5 X6 H1 H2 H3 H4 H5 R1 R2 R3 R4 T1 T2 T3 T4 T5 L1 L2 L3 L4 L5 \
                     W1 W2 B1 B2 E1 E2 E3";

#[test]
fn the_expected_matrix_names_each_case_once_and_nothing_else() {
    let cases = cases::<Sim>();
    let names: Vec<_> = cases.iter().map(|case| case.name).collect();
    let matrix = Matrix::parse(CHECKED_IN);
    assert_eq!(matrix.names().collect::<Vec<_>>(), names, "in the order of the table");
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
}

#[test]
fn each_rule_has_a_case_and_each_case_a_rule() {
    let cases = cases::<Sim>();
    let proven: BTreeSet<_> = cases.iter().flat_map(|case| case.rules.iter().copied()).collect();
    assert_eq!(proven, RULES.split_whitespace().collect());
    assert!(cases.iter().all(|case| !case.rules.is_empty()));
}

#[test]
fn needs_are_capabilities() {
    let none = proactor_core::Capabilities::default();
    for case in cases::<Sim>() {
        for need in case.needs {
            assert_eq!(holds(need, &none), need.starts_with('!'));
        }
    }
}
