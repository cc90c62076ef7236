//! The arguments of a conformance program: those of the standard test harness that mean something here.

use crate::fixture::CHILD_ARGUMENT;

/// What the program is to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Task {
    Run,
    /// List the cases as the standard test harness does.
    List,
    /// List the cases with their rules.
    ListCases,
    /// Play the child of a case.
    Child(String),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Arguments {
    pub(crate) task: Task,
    filters: Vec<String>,
    skipped: Vec<String>,
    exact: bool,
    /// Only those that cannot run here, to say so.
    pub(crate) only_not_here: bool,
}

/// The standard harness's options that are followed by a value. All are ignored but `--skip`.
const WITH_VALUE: [&str; 6] =
    ["--skip", "--test-threads", "--format", "--color", "--logfile", "--shuffle-seed"];

impl Arguments {
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Self {
        let mut parsed = Self {
            task: Task::Run,
            filters: Vec::new(),
            skipped: Vec::new(),
            exact: false,
            only_not_here: false,
        };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--list" => parsed.task = Task::List,
                "--list-cases" => parsed.task = Task::ListCases,
                CHILD_ARGUMENT => parsed.task = Task::Child(arguments.next().unwrap_or_default()),
                "--exact" => parsed.exact = true,
                "--not-here" => parsed.only_not_here = true,
                option if WITH_VALUE.contains(&option) => {
                    let value = arguments.next().unwrap_or_default();
                    if option == "--skip" {
                        parsed.skipped.push(value);
                    }
                }
                option if option.starts_with('-') => {}
                _ => parsed.filters.push(argument),
            }
        }
        parsed
    }

    /// Whether the case `name` is to run.
    pub(crate) fn choose(&self, name: &str) -> bool {
        let fits = |filter: &String| if self.exact { name == filter } else { name.contains(filter.as_str()) };
        (self.filters.is_empty() || self.filters.iter().any(fits)) && !self.skipped.iter().any(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Arguments {
        Arguments::parse(arguments.iter().map(|argument| (*argument).to_owned()))
    }

    #[test]
    fn names_choose_and_skip() {
        let arguments = parse(&["--nocapture", "timer", "--test-threads", "4", "--skip", "zero"]);
        assert_eq!(arguments.task, Task::Run);
        assert!(arguments.choose("time::timers_in_order"));
        assert!(!arguments.choose("time::timer_of_zero"));
        assert!(!arguments.choose("4"));
        assert!(parse(&["--exact", "a::b"]).choose("a::b") && !parse(&["--exact", "a::b"]).choose("a::bc"));
        assert!(parse(&[]).choose("anything"));
    }

    #[test]
    fn tasks_are_told_apart() {
        assert_eq!(parse(&["--list-cases"]).task, Task::ListCases);
        assert_eq!(parse(&["--list"]).task, Task::List);
        assert!(parse(&["--not-here"]).only_not_here && !parse(&["not-here"]).only_not_here);
        assert_eq!(parse(&["--child", "odd"]).task, Task::Child("odd".to_owned()));
    }
}
