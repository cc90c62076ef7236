//! `mutate`: for each rule of the contract a small change that breaks it, and a case that must notice.
//!
//! A suite proves little by passing. Here the code is broken on purpose, one place at a time, and the case that is said
//! to prove the rule has to fail: by its own assertion, not by hanging, by crashing or by failing to compile.
//!
//! Nearly all of the time goes into compiling. So a copy of the tree has a table of no more cases than are wanted of a backend.
//! None can be missed by that: one that its program does not have cannot be run, which is red as well.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Deserialize;

use crate::Colour;
use crate::case_table;
use crate::conformance::{self, CaseReport, Verdict};
use crate::executables::{self, Executable, Programs};
use crate::test_all::CONFORMANCE;
use crate::wasi;
use crate::workspace::Workspace;

/// Where the mutations are kept: any number of files, each with a list of them.
const FOLDER: &str = "xtask/mutations";

/// What the cases that are not compiled needed is nothing to warn of.
pub(crate) const UNUSED: &str = "-Awarnings";

/// How long it takes to build a backend's program before anything is broken, as [`Mutation::work`] counts.
const UNBROKEN: usize = 20;

/// How the detail of a case that ran into its deadline begins.
const HUNG: &str = "did not end within";

/// One change that breaks one rule.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mutation {
    /// The rule of the contract that it breaks.
    pub(crate) rule: String,
    /// The file that it changes, relative to the workspace.
    pub(crate) file: PathBuf,
    /// What stands there, exactly once.
    pub(crate) find: String,
    /// What is put in its place.
    pub(crate) replace: String,
    /// The backend whose case must notice.
    pub(crate) backend: String,
    /// The case that must fail.
    pub(crate) case: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MutationFile {
    mutation: Vec<Mutation>,
}

impl std::fmt::Display for Mutation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rule, file, backend, case, .. } = self;
        write!(formatter, "{rule} in {}, by {case} on {backend}", file.display())
    }
}

impl Mutation {
    /// The changed text of the file, which is given as it is.
    pub(crate) fn apply(&self, text: &str) -> Result<String> {
        let found = text.matches(&self.find).count();
        ensure!(found == 1, "{}: the text to change was found {found} times, not once", self.file.display());
        ensure!(self.find != self.replace, "{}: the change changes nothing", self.file.display());
        Ok(text.replacen(&self.find, &self.replace, 1))
    }

    /// How long it takes to try, compared with others: on the core everything depends, the cases too, and on the rest little.
    fn work(&self) -> usize {
        if self.file.starts_with("crates/core") { 4 } else { 1 }
    }
}

pub(crate) fn main(workspace: &Workspace, arguments: impl Iterator<Item = OsString>) -> Result<Colour> {
    let rules: BTreeSet<String> = arguments.map(|rule| rule.to_string_lossy().into_owned()).collect();
    let mutations = choose(load(workspace)?, &rules)?;
    Ok(Colour::red_if(!run(workspace, &mutations)?.is_empty()))
}

/// The rules that can be named.
pub(crate) fn values(workspace: &Workspace) -> Result<String> {
    let mutations = load(workspace)?;
    Ok(format!("rules, of {} mutations:\n  {}\n", mutations.len(), rules_of(&mutations)))
}

/// What can be broken, each once: in order, by letter and number.
fn rules_of(mutations: &[Mutation]) -> String {
    let rules: BTreeSet<&str> = mutations.iter().map(|mutation| mutation.rule.as_str()).collect();
    let mut rules: Vec<&str> = rules.into_iter().collect();
    rules.sort_by_key(|rule| (rule.get(..1), rule.len()));
    rules.join(" ")
}

/// Those for the rules named, or all.
fn choose(mut mutations: Vec<Mutation>, rules: &BTreeSet<String>) -> Result<Vec<Mutation>> {
    for rule in rules {
        let is_known = mutations.iter().any(|each| each.rule == *rule);
        ensure!(is_known, "there is no mutation for `{rule}`; there are for {}", rules_of(&mutations));
    }
    mutations.retain(|mutation| rules.is_empty() || rules.contains(&mutation.rule));
    Ok(mutations)
}

/// All mutations, as the gate runs them.
pub(crate) fn all(workspace: &Workspace) -> Result<()> {
    let failed = run(workspace, &load(workspace)?)?;
    ensure!(failed.is_empty(), "{}", failed.join("; "));
    Ok(())
}

/// The checked-in mutations.
pub(crate) fn load(workspace: &Workspace) -> Result<Vec<Mutation>> {
    let mut mutations = Vec::new();
    for file in workspace.files_with_extension("toml")? {
        if file.starts_with(FOLDER) {
            let parsed: MutationFile = toml::from_str(&workspace.read(&file)?)
                .with_context(|| format!("{} cannot be read", file.display()))?;
            mutations.extend(parsed.mutation);
        }
    }
    Ok(mutations)
}

/// Tries each and gives those that nobody noticed, or that could not be tried.
fn run(workspace: &Workspace, mutations: &[Mutation]) -> Result<Vec<String>> {
    ensure!(!mutations.is_empty(), "there are no mutations");
    let shares = shares(mutations);
    let results: Vec<Result<Vec<String>>> = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (worker, share) in shares.iter().enumerate() {
            threads.push(scope.spawn(move || Bench::new(workspace, worker)?.run(share)));
        }
        let panicked = || Err(anyhow!("a worker panicked"));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| panicked())).collect()
    });
    let mut failed = Vec::new();
    for result in results {
        failed.extend(result?);
    }
    println!("mutations: {} tried, {} problems", mutations.len(), failed.len());
    Ok(failed)
}

/// Splits them between two workers of about equal work. Compiling a change is mostly one crate after the other, which leaves
/// a second processor idle. No backend's programs are built by both, and those of a backend are in order of their files, so that
/// little has to be built again from one to the next.
fn shares(mutations: &[Mutation]) -> Vec<Vec<&Mutation>> {
    let mut all: Vec<&Mutation> = mutations.iter().collect();
    all.sort_by_key(|mutation| (&mutation.backend, &mutation.file));
    let work = |of_one: &[&Mutation]| UNBROKEN + of_one.iter().map(|each| each.work()).sum::<usize>();
    let mut backends: Vec<_> = all.chunk_by(|one, next| one.backend == next.backend).collect();
    backends.sort_by_key(|of_one| std::cmp::Reverse(work(of_one)));
    let mut shares = [(0, Vec::new()), (0, Vec::new())];
    for of_one in backends {
        let share = if shares[1].0 < shares[0].0 { &mut shares[1] } else { &mut shares[0] };
        share.0 += work(of_one);
        share.1.extend_from_slice(of_one);
    }
    shares.into_iter().map(|(_, share)| share).filter(|share| !share.is_empty()).collect()
}

/// A copy of the tree to break, and one folder for everything built from it, so that only what a change touches is built
/// again.
struct Bench {
    tree: Workspace,
    target: PathBuf,
}

impl Bench {
    /// Each worker has its own.
    fn new(workspace: &Workspace, worker: usize) -> Result<Self> {
        let tree = Workspace::at(workspace.target(&format!("mutate/tree-{worker}")));
        synchronise(workspace, &tree)?;
        Ok(Self { tree, target: workspace.target(&format!("mutate/build-{worker}")) })
    }

    fn run(&self, mutations: &[&Mutation]) -> Result<Vec<String>> {
        let table = self.tree.read(case_table::FILE)?;
        let mut failed = Vec::new();
        for of_one_backend in mutations.chunk_by(|one, next| one.backend == next.backend) {
            let cases = of_one_backend.iter().map(|mutation| mutation.case.as_str()).collect();
            self.write(case_table::FILE.as_ref(), &case_table::of_these(&table, &cases)?)?;
            failed.extend(self.untouched(&of_one_backend[0].backend, &cases)?);
            failed.extend(of_one_backend.iter().filter_map(|mutation| self.tell(mutation)));
        }
        Ok(failed)
    }

    /// Tries one, says how it went, and gives what went wrong.
    fn tell(&self, mutation: &Mutation) -> Option<String> {
        let started = Instant::now();
        let result = self.attempt(mutation);
        let seconds = started.elapsed().as_secs_f64();
        match result {
            Ok(detail) => {
                println!("noticed: {mutation} ({seconds:.1} s): {detail}");
                None
            }
            Err(error) => {
                println!("NOT NOTICED: {mutation} ({seconds:.1} s): {error:#}");
                Some(format!("{mutation}: {error:#}"))
            }
        }
    }

    /// The cases must pass while nothing is broken; gives those that do not.
    fn untouched(&self, backend: &str, cases: &BTreeSet<&str>) -> Result<Vec<String>> {
        let started = Instant::now();
        let program = self.build(backend)?;
        println!("unbroken: {} cases on {backend} ({:.1} s)", cases.len(), started.elapsed().as_secs_f64());
        let mut failed = Vec::new();
        for case in cases {
            let report = self.run_case(&program, backend, case)?;
            if report.verdict != Verdict::Pass {
                failed.push(format!("{case} on {backend} does not pass before anything is broken"));
            }
        }
        Ok(failed)
    }

    /// Gives what the case said when it noticed.
    fn attempt(&self, mutation: &Mutation) -> Result<String> {
        let original = self.tree.read(&mutation.file)?;
        let broken = mutation.apply(&original)?;
        self.write(&mutation.file, &broken)?;
        let report = self
            .build(&mutation.backend)
            .context("it cannot be tried, as it does not compile")
            .and_then(|program| self.run_case(&program, &mutation.backend, &mutation.case));
        self.write(&mutation.file, &original)?;
        noticed(&report?)
    }

    fn write(&self, file: &Path, text: &str) -> Result<()> {
        let path = self.tree.path(file);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    fn build(&self, backend: &str) -> Result<Executable> {
        let backend = conformance::expected(self.tree.root())
            .into_iter()
            .find(|each| each.name == backend)
            .with_context(|| format!("there is no backend `{backend}` here"))?;
        if backend.folder == wasi::FOLDER {
            return wasi::build_quietly(&self.tree, &self.target);
        }
        let mut command = self.tree.cargo();
        command.args(["test", "--quiet", "--no-run", "--test", CONFORMANCE, "--manifest-path"]);
        command.arg(format!("{}/Cargo.toml", backend.folder));
        command.env("CARGO_TARGET_DIR", &self.target).env("CARGO_PROFILE_DEV_DEBUG", "0");
        command.env("RUSTFLAGS", UNUSED);
        // Whatever else is built once, this is built again and again.
        command.env("CARGO_INCREMENTAL", "1");
        let programs = executables::build(&self.tree, &mut command, Programs::Tests)?;
        programs.into_iter().next().context("cargo built no conformance program")
    }

    fn run_case(&self, program: &Executable, backend: &str, case: &str) -> Result<CaseReport> {
        let report = self.target.join(format!("conformance/{backend}.json"));
        conformance::run_case(program, case, &report)
    }
}

/// Whether a case that was to fail did so in the way that counts.
fn noticed(report: &CaseReport) -> Result<String> {
    if report.verdict != Verdict::Fail {
        bail!("{} says {:?}", report.case, report.verdict);
    }
    let detail = report.detail.as_deref().unwrap_or_default();
    ensure!(!detail.is_empty(), "{} failed without saying why", report.case);
    ensure!(!detail.starts_with(HUNG), "{} failed by its deadline: {detail}", report.case);
    Ok(detail.lines().next().unwrap_or_default().to_owned())
}

/// Makes the tree a copy. A file that is the same already is left alone, so that cargo sees no change in it.
fn synchronise(workspace: &Workspace, tree: &Workspace) -> Result<()> {
    std::fs::create_dir_all(tree.root()).context("cannot make the folder for the copy")?;
    let wanted: BTreeSet<PathBuf> = workspace.files()?.into_iter().collect();
    for stale in tree.files()?.iter().filter(|file| !wanted.contains(*file)) {
        std::fs::remove_file(tree.path(stale))
            .with_context(|| format!("cannot remove {}", stale.display()))?;
    }
    for file in &wanted {
        copy_if_different(&workspace.path(file), &tree.path(file))
            .with_context(|| format!("cannot copy {}", file.display()))?;
    }
    Ok(())
}

fn copy_if_different(from: &Path, to: &Path) -> std::io::Result<()> {
    let bytes = std::fs::read(from)?;
    if std::fs::read(to).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // Written, not copied with its times: cargo must see that it is newer than what was built from the broken one.
    std::fs::write(to, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn mutation() -> Mutation {
        let text = r#"
            [[mutation]]
            rule = "C1"
            file = "crates/core/src/driver.rs"
            find = "pending += 1;"
            replace = "pending += 2;"
            backend = "sim"
            case = "exactly_once"
        "#;
        toml::from_str::<MutationFile>(text).unwrap().mutation.remove(0)
    }

    #[test]
    fn rules_are_chosen_by_name_and_an_unknown_one_is_refused_with_the_known_ones() {
        let all: Vec<Mutation> = ["H2", "C10", "C9", "C9", "H10"]
            .map(|rule| Mutation { rule: rule.to_owned(), ..mutation() })
            .to_vec();
        let choose =
            |rules: &[&str]| choose(all.clone(), &rules.iter().map(|&rule| rule.to_owned()).collect());
        assert_eq!(choose(&[]).unwrap().len(), 5);
        assert_eq!(choose(&["C9", "H2"]).unwrap().len(), 3);
        let error = choose(&["C9", "NOSUCH"]).unwrap_err().to_string();
        assert_eq!(error, "there is no mutation for `NOSUCH`; there are for C9 C10 H2 H10");
        assert!(values(&Workspace::here()).unwrap().contains(" C1 "));
    }

    #[test]
    fn a_change_applies_where_its_text_stands_once() {
        assert_eq!(mutation().apply("a\npending += 1;\nb").unwrap(), "a\npending += 2;\nb");
    }

    #[test]
    fn a_change_whose_text_is_gone_doubled_or_unchanged_is_an_error() {
        assert!(mutation().apply("nothing").unwrap_err().to_string().contains("0 times"));
        assert!(mutation().apply("pending += 1; pending += 1;").unwrap_err().to_string().contains("2 times"));
        let same = Mutation { replace: "pending += 1;".to_owned(), ..mutation() };
        assert!(same.apply("pending += 1;").is_err());
    }

    fn report(verdict: Verdict, detail: Option<&str>) -> CaseReport {
        let (case, rules) = ("exactly_once".to_owned(), vec!["C1".to_owned()]);
        CaseReport { case, verdict, rules, detail: detail.map(str::to_owned) }
    }

    #[test]
    fn only_an_assertion_counts_as_noticed() {
        assert_eq!(noticed(&report(Verdict::Fail, Some("left: 2\nright: 1"))).unwrap(), "left: 2");
        assert!(noticed(&report(Verdict::Fail, Some("did not end within 20 s"))).is_err());
        assert!(noticed(&report(Verdict::Fail, None)).is_err());
        assert!(noticed(&report(Verdict::Pass, None)).is_err());
        assert!(noticed(&report(Verdict::NotHere, Some("clock"))).is_err());
        assert!(noticed(&report(Verdict::ExpectedFailure, Some("left: 2"))).is_err());
    }

    #[test]
    fn no_mutation_is_lost_between_the_workers_and_no_backend_is_split() {
        let of = |backend: &str, file: &str| Mutation {
            backend: backend.to_owned(),
            file: file.into(),
            ..mutation()
        };
        let one = [of("sim", "a")];
        assert_eq!(shares(&one).len(), 1);
        let mut all = vec![
            of("uring", "b"),
            of("sim", "a"),
            of("epoll", "c"),
            of("sim", "crates/core/a"),
            of("epoll", "crates/core/a"),
            of("sim", "crates/core/b"),
        ];
        let names = |all: &[Mutation]| {
            let name = |each: &&Mutation| format!("{} {}", each.backend, each.file.display());
            shares(all).iter().map(|share| share.iter().map(name).collect()).collect::<Vec<Vec<_>>>()
        };
        let sim = ["sim a", "sim crates/core/a", "sim crates/core/b"];
        assert_eq!(names(&all), [sim.to_vec(), vec!["epoll c", "epoll crates/core/a", "uring b"]]);
        // What is more work than all others together has a worker for itself.
        all.extend((0..20).map(|_| of("uring", "crates/core/a")));
        let [uring, others] = names(&all).try_into().unwrap();
        assert_eq!((uring.len(), uring.last().unwrap().as_str()), (21, "uring crates/core/a"));
        assert_eq!(others, [sim.to_vec(), vec!["epoll c", "epoll crates/core/a"]].concat());
    }

    #[test]
    fn mutations_come_from_every_file_of_the_folder() {
        let scratch = Scratch::new();
        let entry = "[[mutation]]\nrule='C1'\nfile='a'\nfind='b'\nreplace='c'\nbackend='sim'\ncase='d'\n";
        scratch.write("xtask/mutations/one.toml", entry);
        scratch.write("xtask/mutations/two.toml", entry);
        scratch.write("xtask/Cargo.toml", "[package]");
        let workspace = Workspace::at(scratch.path());
        assert_eq!(load(&workspace).unwrap().len(), 2);
        scratch.write("xtask/mutations/three.toml", "[[mutation]]\nrule='C1'\n");
        assert!(load(&workspace).is_err());
    }

    #[test]
    fn the_copy_follows_the_tree_and_leaves_equal_files_alone() {
        let (from, to) = (Scratch::new(), Scratch::new());
        from.write("a/one.rs", "one");
        from.write("two.rs", "two");
        let stale = to.write("a/stale.rs", "stale");
        let same = to.write("two.rs", "two");
        let before = same.metadata().unwrap().modified().unwrap();
        synchronise(&Workspace::at(from.path()), &Workspace::at(to.path())).unwrap();
        assert_eq!(std::fs::read_to_string(to.path().join("a/one.rs")).unwrap(), "one");
        assert!(!stale.exists());
        assert_eq!(same.metadata().unwrap().modified().unwrap(), before);
    }
}
