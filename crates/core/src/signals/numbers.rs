//! The numbers of signals where there are none: Linux's, for names that mean the same in every program.

/// A signal, as `rustix::process::Signal` has it elsewhere.
#[derive(Clone, Copy)]
pub(super) struct System(i32);

impl System {
    pub(super) const HUP: Self = Self(1);
    pub(super) const INT: Self = Self(2);
    pub(super) const QUIT: Self = Self(3);
    pub(super) const ILL: Self = Self(4);
    pub(super) const BUS: Self = Self(7);
    pub(super) const FPE: Self = Self(8);
    pub(super) const KILL: Self = Self(9);
    pub(super) const USR1: Self = Self(10);
    pub(super) const SEGV: Self = Self(11);
    pub(super) const USR2: Self = Self(12);
    pub(super) const PIPE: Self = Self(13);
    pub(super) const ALARM: Self = Self(14);
    pub(super) const TERM: Self = Self(15);
    pub(super) const CHILD: Self = Self(17);
    pub(super) const CONT: Self = Self(18);
    pub(super) const STOP: Self = Self(19);
    pub(super) const TSTP: Self = Self(20);
    pub(super) const TTIN: Self = Self(21);
    pub(super) const TTOU: Self = Self(22);
    pub(super) const WINCH: Self = Self(28);

    pub(super) const fn as_raw(self) -> i32 {
        self.0
    }
}
