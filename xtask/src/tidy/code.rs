//! Checks of the code: sizes, unsafe code and its arguments, what is unfinished, what core must not know.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, TokenTree};

use super::exceptions::{FileEntry, FunctionEntry};
use super::source::{Source, is_word, line};

const FILE_LIMIT: usize = 600;
const FUNCTION_LIMIT: usize = 70;

/// How many lines of code may stand between an argument and its unsafe block: a statement may begin above the block.
const ARGUMENT_DISTANCE: usize = 3;

/// Files of more lines of code than a reader keeps in mind.
pub(crate) fn long_files(sources: &[Source], allowed: &[FileEntry]) -> Vec<String> {
    let mut findings = Vec::new();
    let mut used = BTreeSet::new();
    for source in sources {
        let code = source.code_lines().len();
        if code <= FILE_LIMIT {
            continue;
        }
        if allowed.iter().any(|entry| entry.file == source.path) {
            used.insert(source.path.as_str());
        } else {
            findings.push(format!("{}: {code} lines of code, more than {FILE_LIMIT}", source.path));
        }
    }
    findings.extend(unused("long_files", allowed.iter().map(|entry| entry.file.as_str()), &used));
    findings
}

/// Functions of more lines of code than fit on a page.
pub(crate) fn long_functions(sources: &[Source], allowed: &[FunctionEntry]) -> Vec<String> {
    let mut findings = Vec::new();
    let mut used = BTreeSet::new();
    for source in sources {
        for function in source.functions() {
            if function.code_lines <= FUNCTION_LIMIT {
                continue;
            }
            let entry =
                allowed.iter().find(|entry| entry.file == source.path && entry.function == function.name);
            match entry {
                Some(entry) => {
                    used.insert(entry.function.as_str());
                }
                None => findings.push(format!(
                    "{}:{}: fn {} has {} lines of code, more than {FUNCTION_LIMIT}",
                    source.path, function.line, function.name, function.code_lines
                )),
            }
        }
    }
    findings.extend(unused("long_functions", allowed.iter().map(|entry| entry.function.as_str()), &used));
    findings
}

/// The files that lift the ban on unsafe code are exactly the ones on the list.
pub(crate) fn unsafe_files(sources: &[Source], allowed: &[FileEntry]) -> Vec<String> {
    let mut findings = Vec::new();
    let mut used = BTreeSet::new();
    for source in sources {
        // The name of the lint stands in the code only where it is lifted or set.
        if !source.identifiers().any(|identifier| *identifier == "unsafe_code") {
            continue;
        }
        if allowed.iter().any(|entry| entry.file == source.path) {
            used.insert(source.path.as_str());
        } else {
            findings.push(format!("{}: allows unsafe code and is not on the list", source.path));
        }
    }
    findings.extend(unused("unsafe_files", allowed.iter().map(|entry| entry.file.as_str()), &used));
    findings
}

/// Unsafe blocks and implementations without a `SAFETY:` comment right above them.
pub(crate) fn unsafe_without_argument(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        let places: BTreeSet<usize> = source.sequences().flat_map(unsafe_places).collect();
        for &place in &places {
            if !argued(source, place, &places) {
                findings.push(format!("{}:{place}: unsafe without a SAFETY comment above it", source.path));
            }
        }
    }
    findings
}

fn unsafe_places(sequence: &[TokenTree]) -> Vec<usize> {
    let places = sequence.windows(2).filter(|pair| {
        let block = matches!(&pair[1], TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
        is_word(&pair[0], "unsafe") && (block || is_word(&pair[1], "impl"))
    });
    places.map(|pair| line(pair[0].span())).collect()
}

/// Goes up from the line of the unsafe code: comments are free, a few lines of code may be the beginning of its
/// statement, another unsafe block has its own argument.
fn argued(source: &Source, place: usize, places: &BTreeSet<usize>) -> bool {
    let mut code_left = ARGUMENT_DISTANCE;
    for number in (1..place).rev() {
        let text = source.lines[number - 1].trim_start();
        if text.starts_with("//") {
            if text.contains("SAFETY:") {
                return true;
            }
        } else if code_left == 0 || text.is_empty() || places.contains(&number) {
            return false;
        } else {
            code_left -= 1;
        }
    }
    false
}

/// What says that it is not done: `todo!`, `unimplemented!`, `#[ignore]`, and comments that promise.
pub(crate) fn unfinished(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        for sequence in source.sequences() {
            for (index, token) in sequence.iter().enumerate() {
                let TokenTree::Ident(word) = token else { continue };
                let macro_call = matches!(sequence.get(index + 1),
                    Some(TokenTree::Punct(mark)) if mark.as_char() == '!');
                let unfinished = match word.to_string().as_str() {
                    "todo" | "unimplemented" => macro_call,
                    // As the first word in brackets it is the attribute; `cfg_attr` may hold it deeper.
                    "ignore" => index == 0 || is_comma(sequence.get(index - 1)),
                    _ => false,
                };
                if unfinished {
                    findings.push(format!("{}:{}: `{word}`", source.path, line(word.span())));
                }
            }
        }
        findings.extend(promises(source));
    }
    findings
}

fn is_comma(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Punct(mark)) if mark.as_char() == ',')
}

fn promises(source: &Source) -> Vec<String> {
    let marks = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["HA", "CK"]].map(|parts| parts.concat());
    let comment = |text: &str| text.find("//").map(|start| text[start..].to_owned());
    let mut findings = Vec::new();
    for (index, text) in source.lines.iter().enumerate() {
        let Some(comment) = comment(text) else { continue };
        let mut words = comment.split(|character: char| !character.is_alphanumeric());
        if let Some(word) = words.find(|word| marks.iter().any(|mark| mark == word)) {
            findings.push(format!("{}:{}: `{word}`", source.path, index + 1));
        }
    }
    findings
}

/// Core performs no I/O and knows no system: no `target_os`, no sockets or files of std's.
pub(crate) fn core_reaches_out(sources: &[Source]) -> Vec<String> {
    const FORBIDDEN: [&str; 10] = [
        "target_os",
        "target_family",
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "UnixStream",
        "UnixListener",
        "UnixDatagram",
        "fs",
        "libc",
    ];
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.path.starts_with("crates/core/src/")) {
        for word in source.identifiers().filter(|word| FORBIDDEN.iter().any(|each| *word == each)) {
            findings.push(format!("{}:{}: core must not know `{word}`", source.path, line(word.span())));
        }
    }
    findings
}

fn unused<'a>(list: &str, entries: impl Iterator<Item = &'a str>, used: &BTreeSet<&str>) -> Vec<String> {
    entries
        .filter(|entry| !used.contains(entry))
        .map(|entry| format!("{}: {list}: nothing needs the entry for {entry}", super::EXCEPTIONS))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::exceptions::tests::{file, function};
    use super::*;

    fn sources(text: &str) -> Vec<Source> {
        vec![Source::new("crates/core/src/a.rs", text).unwrap()]
    }

    const PATH: &str = "crates/core/src/a.rs";

    fn function_of(lines: usize) -> String {
        format!("fn long() {{\n{}}}\n", "    step();\n".repeat(lines - 2))
    }

    #[test]
    fn a_long_function_is_found_unless_listed() {
        assert_eq!(long_functions(&sources(&function_of(70)), &[]), [""; 0]);
        let long = sources(&function_of(71));
        assert_eq!(long_functions(&long, &[]).len(), 1);
        assert_eq!(long_functions(&long, &[function(PATH, "long")]), [""; 0]);
        assert_eq!(long_functions(&long, &[function("b.rs", "long")]).len(), 2);
        assert_eq!(long_functions(&sources(&function_of(70)), &[function(PATH, "long")]).len(), 1);
    }

    #[test]
    fn a_long_file_is_found_unless_listed() {
        let fits = format!("{}// a comment\n\n", "fn f() {}\n".repeat(600));
        assert_eq!(long_files(&sources(&fits), &[]), [""; 0]);
        let long = sources(&"fn f() {}\n".repeat(601));
        assert_eq!(long_files(&long, &[]).len(), 1);
        assert_eq!(long_files(&long, &[file(PATH)]), [""; 0]);
        assert_eq!(long_files(&sources(&fits), &[file(PATH)]).len(), 1);
    }

    #[test]
    fn unsafe_code_is_where_the_list_says_and_nowhere_else() {
        let lifted = sources("#![allow(unsafe_code)]\nfn f() {}\n");
        assert_eq!(unsafe_files(&lifted, &[]).len(), 1);
        assert_eq!(unsafe_files(&lifted, &[file(PATH)]), [""; 0]);
        let single = sources("#[expect(unsafe_code, reason = \"x\")]\nfn f() {}\n");
        assert_eq!(unsafe_files(&single, &[]).len(), 1);
        let none = sources("// unsafe_code\nfn f() {}\n");
        assert_eq!(unsafe_files(&none, &[]), [""; 0]);
        assert_eq!(unsafe_files(&none, &[file(PATH)]).len(), 1);
    }

    #[test]
    fn an_unsafe_block_needs_its_own_argument_above_it() {
        let argued = [
            "fn f() {\n    // SAFETY: the caller holds it,\n    // as the type says.\n    unsafe { g() };\n}",
            "fn f() {\n    // SAFETY: ours.\n    let value =\n        unsafe { g() };\n}",
            "// SAFETY: no shared state.\nunsafe impl Send for A {}",
            "// SAFETY: no shared state.\n#[cfg(x)]\nunsafe impl Send for A {}",
            "/// # Safety\n/// Hold it.\npub unsafe fn f() {}",
        ];
        for text in argued {
            assert_eq!(unsafe_without_argument(&sources(text)), [""; 0], "{text}");
        }
        let bare = [
            "fn f() {\n    unsafe { g() };\n}",
            "fn f() {\n    // It is fine.\n    unsafe { g() };\n}",
            "fn f() {\n    // SAFETY: ours.\n\n    unsafe { g() };\n}",
            "unsafe impl Send for A {}",
            "macro_rules! m { () => { unsafe { g() } } }",
        ];
        for text in bare {
            assert_eq!(unsafe_without_argument(&sources(text)).len(), 1, "{text}");
        }
        let second = "fn f() {\n    // SAFETY: ours.\n    unsafe { g() };\n    unsafe { h() };\n}";
        assert_eq!(
            unsafe_without_argument(&sources(second)),
            ["crates/core/src/a.rs:4: unsafe without a SAFETY comment above it"]
        );
    }

    #[test]
    fn what_is_unfinished_is_found() {
        let promise = format!("fn f() {{}} // {}{}: later", "TO", "DO");
        for text in [
            "fn f() { todo!() }",
            "fn f() { unimplemented!(\"later\") }",
            "#[test]\n#[ignore]\nfn f() {}",
            "#[ignore = \"slow\"]\nfn f() {}",
            "#[cfg_attr(x, ignore)]\nfn f() {}",
            &promise,
        ] {
            assert_eq!(unfinished(&sources(text)).len(), 1, "{text}");
        }
        for text in ["fn todo() {}", "// what to ignore", "fn f() { todo() }", "fn f() { a.ignore() }"] {
            assert_eq!(unfinished(&sources(text)), [""; 0], "{text}");
        }
    }

    #[test]
    fn core_knows_no_system() {
        for text in [
            "#[cfg(target_os = \"linux\")]\nfn f() {}",
            "use std::net::TcpStream;",
            "use std::{fs, net};",
            "fn f() { std::fs::read(\"x\"); }",
        ] {
            assert_eq!(core_reaches_out(&sources(text)).len(), 1, "{text}");
        }
        assert_eq!(core_reaches_out(&sources("// std::fs\nuse std::net::SocketAddr;")), [""; 0]);
        let elsewhere = vec![Source::new("crates/sim/src/a.rs", "use std::fs;").unwrap()];
        assert_eq!(core_reaches_out(&elsewhere), [""; 0]);
    }
}
