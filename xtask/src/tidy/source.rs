//! Rust source, as the compiler splits it: tokens with their lines, so that comments and strings are neither.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};

/// One file of Rust.
#[derive(Debug)]
pub(crate) struct Source {
    /// Relative to the workspace, with `/` between folders.
    pub(crate) path: String,
    /// Its lines, comments included.
    pub(crate) lines: Vec<String>,
    /// All sequences of tokens in it: the file's own, and that of each pair of brackets.
    sequences: Vec<Vec<TokenTree>>,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    /// Lines of code from its first word to its closing brace; blank ones and comments are not counted.
    pub(crate) code_lines: usize,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Result<Self> {
        let tokens: TokenStream = text.parse().map_err(|error| anyhow!("{path} is no Rust: {error}"))?;
        let mut sequences = Vec::new();
        flatten(tokens, &mut sequences);
        let lines = text.lines().map(str::to_owned).collect();
        Ok(Self { path: path.to_owned(), lines, sequences })
    }

    /// Every sequence of tokens; brackets appear in one as a single token, and with their inside as a sequence of its own.
    pub(crate) fn sequences(&self) -> impl Iterator<Item = &[TokenTree]> {
        self.sequences.iter().map(Vec::as_slice)
    }

    /// The file's own sequence, in which all others are contained.
    pub(crate) fn top_level(&self) -> &[TokenTree] {
        self.sequences.first().map_or(&[], Vec::as_slice)
    }

    /// Whether there is a function of that name.
    pub(crate) fn defines(&self, function: &str) -> bool {
        self.sequences().any(|sequence| {
            let is_function = |pair: &[TokenTree]| is_word(&pair[0], "fn") && is_word(&pair[1], function);
            sequence.windows(2).any(is_function)
        })
    }

    pub(crate) fn identifiers(&self) -> impl Iterator<Item = &Ident> {
        self.sequences().flatten().filter_map(|token| match token {
            TokenTree::Ident(identifier) => Some(identifier),
            _ => None,
        })
    }

    /// The numbers of the lines that hold code.
    pub(crate) fn code_lines(&self) -> BTreeSet<usize> {
        let mut lines = BTreeSet::new();
        for sequence in self.sequences() {
            for (index, token) in sequence.iter().enumerate() {
                if is_documentation(sequence, index) {
                    continue;
                }
                match token {
                    TokenTree::Group(group) => {
                        lines.extend([line(group.span_open()), line(group.span_close())]);
                    }
                    other => lines.extend(line(other.span())..=other.span().end().line),
                }
            }
        }
        lines
    }

    pub(crate) fn functions(&self) -> Vec<Function> {
        let code = self.code_lines();
        let mut functions = Vec::new();
        for sequence in self.sequences() {
            for (index, pair) in sequence.windows(2).enumerate() {
                let [keyword, TokenTree::Ident(name)] = pair else { continue };
                if !is_word(keyword, "fn") {
                    continue;
                }
                let Some(end) = body_end(&sequence[index..]) else { continue };
                let first = line(keyword.span());
                let code_lines = code.range(first..=end).count();
                functions.push(Function { name: name.to_string(), line: first, code_lines });
            }
        }
        functions
    }
}

/// The last line of the body of the function that begins here; none where it is only declared.
fn body_end(tokens: &[TokenTree]) -> Option<usize> {
    tokens.iter().find_map(|token| match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
            Some(Some(line(group.span_close())))
        }
        TokenTree::Punct(punctuation) if punctuation.as_char() == ';' => Some(None),
        _ => None,
    })?
}

fn flatten(tokens: TokenStream, sequences: &mut Vec<Vec<TokenTree>>) {
    let sequence: Vec<TokenTree> = tokens.into_iter().collect();
    let inner: Vec<TokenStream> = sequence
        .iter()
        .enumerate()
        .filter(|(index, _)| !is_documentation(&sequence, *index))
        .filter_map(|(_, token)| match token {
            TokenTree::Group(group) => Some(group.stream()),
            _ => None,
        })
        .collect();
    sequences.push(sequence);
    for stream in inner {
        flatten(stream, sequences);
    }
}

/// Documentation comments come as attributes: `#[doc = ".."]` or `#![doc = ".."]`.
fn is_documentation(sequence: &[TokenTree], index: usize) -> bool {
    let is_doc = |token: Option<&TokenTree>| match token {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Bracket => {
            group.stream().into_iter().next().is_some_and(|first| is_word(&first, "doc"))
        }
        _ => false,
    };
    let is_mark = |token: &TokenTree, mark: char| match token {
        TokenTree::Punct(punctuation) => punctuation.as_char() == mark,
        _ => false,
    };
    match &sequence[index] {
        TokenTree::Group(_) => {
            let before = index.checked_sub(1).map(|before| &sequence[before]);
            is_doc(sequence.get(index)) && before.is_some_and(|mark| is_mark(mark, '#') || is_mark(mark, '!'))
        }
        token if is_mark(token, '#') => {
            is_doc(sequence.get(index + 1))
                || (sequence.get(index + 1).is_some_and(|next| is_mark(next, '!'))
                    && is_doc(sequence.get(index + 2)))
        }
        token if is_mark(token, '!') => {
            index.checked_sub(1).is_some_and(|before| is_mark(&sequence[before], '#'))
                && is_doc(sequence.get(index + 1))
        }
        _ => false,
    }
}

pub(crate) fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(identifier) if *identifier == word)
}

pub(crate) fn line(span: Span) -> usize {
    span.start().line
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r##"//! A file.
//!
//! With words: fn nothing() {}

/// Documented.
fn short(
    value: u32,
) -> u32 {
    // fn commented() {}

    let text = "fn quoted() {
    }";
    /* block
       comment */
    value + text.len() as u32
}

trait Declared {
    fn declared(&self);
    fn given(&self) { fn inner() {} inner() }
}
"##;

    #[test]
    fn functions_are_found_and_their_code_counted() {
        let functions = Source::new("a.rs", TEXT).unwrap().functions();
        let mut found: Vec<_> =
            functions.iter().map(|each| (each.name.as_str(), each.line, each.code_lines)).collect();
        found.sort_by_key(|each| each.1);
        assert_eq!(found, [("short", 6, 7), ("given", 20, 1), ("inner", 20, 1)]);
    }

    #[test]
    fn documentation_comments_and_blank_lines_are_no_code() {
        let code = Source::new("a.rs", TEXT).unwrap().code_lines();
        let expected: BTreeSet<usize> = [6, 7, 8, 11, 12, 15, 16, 18, 19, 20, 21].into();
        assert_eq!(code, expected);
    }

    #[test]
    fn what_is_no_rust_is_an_error() {
        assert!(Source::new("a.rs", "fn (").is_err());
    }
}
