//! What a case is handed.

use std::marker::PhantomData;
#[cfg(unix)]
use std::process::{ChildStdin, ChildStdout};
use std::process::{Command, Stdio};

use proactor_core::{Backend, Capabilities, Config, Loop};

/// The argument that makes a conformance program play the child of a case.
pub(crate) const CHILD_ARGUMENT: &str = "--child";

/// Opens what a case works on, and knows what the backend can do here.
#[derive(Debug)]
pub struct Fixture<B> {
    capabilities: Capabilities,
    backend: PhantomData<fn() -> B>,
}

impl<B> Clone for Fixture<B> {
    fn clone(&self) -> Self {
        Self { capabilities: self.capabilities, backend: PhantomData }
    }
}

impl<B: Backend> Fixture<B> {
    /// Probes the backend.
    pub(crate) fn probe() -> std::io::Result<Self> {
        let backend = B::open(&Config::default())?;
        Ok(Self { capabilities: backend.capabilities(), backend: PhantomData })
    }

    /// What the probe found.
    pub(crate) fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// A loop without a state, as most cases want it.
    pub(crate) fn open(&self) -> Loop<B, ()> {
        self.open_with(Config::default())
    }

    /// A loop whose state is an `S`.
    pub(crate) fn open_state<S>(&self) -> Loop<B, S> {
        self.open_with(Config::default())
    }

    /// A loop whose state is an `S`, opened with `config`.
    pub(crate) fn open_with<S>(&self, config: Config) -> Loop<B, S> {
        Loop::open(config).expect("a backend that opened when it was probed opens again")
    }

    /// Runs the child `name` of [`apart::children`](crate::apart::children) in a process of its own, whose limits and
    /// signals are its own too, and returns what it printed.
    pub(crate) fn child(&self, name: &str) -> String {
        let program = std::env::current_exe().expect("the program's own path is known");
        let output = Command::new(program)
            .args([CHILD_ARGUMENT, name])
            .stdin(Stdio::null())
            .output()
            .expect("the program can be run once more");
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "child {name} ended with {}: {stdout}{stderr}", output.status);
        stdout.into_owned()
    }

    /// Runs the child `name` as [`child`](Self::child) does, and meanwhile `companion`, which has the other ends of its standard
    /// input and output.
    #[cfg(unix)]
    pub(crate) fn child_with(&self, name: &str, companion: impl FnOnce(Option<ChildStdin>, ChildStdout)) {
        let program = std::env::current_exe().expect("the program's own path is known");
        let mut child = Command::new(program)
            .args([CHILD_ARGUMENT, name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be run once more");
        let (input, output) = (child.stdin.take(), child.stdout.take());
        companion(input, output.expect("it is piped"));
        let output = child.wait_with_output().expect("a child ends");
        assert!(
            output.status.success(),
            "child {name} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
