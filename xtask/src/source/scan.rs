//! One file's tokens, sorted into what a module declares and what it mentions.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use super::{Binding, Mention, Module, Place};

/// Adds to `module`, whose path from the crate's root is `at`, what its text says.
pub(super) fn scan(module: &mut Module, tokens: TokenStream, at: &[String]) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    Scan { module, at }.items(&tokens, true);
}

/// Words that stand before the name of an item.
const ITEMS: [&str; 9] =
    ["fn", "struct", "enum", "union", "trait", "type", "static", "const", "crate"];
/// Words that follow one of those without being a name.
const NOT_NAMES: [&str; 6] = ["fn", "unsafe", "extern", "async", "mut", "_"];

struct Scan<'a> {
    module: &'a mut Module,
    at: &'a [String],
}

impl Scan<'_> {
    /// Reads tokens of the module: its items (`top`), or what is inside of one.
    fn items(&mut self, tokens: &[TokenTree], top: bool) {
        let mut path_attribute = None;
        let mut exported = false;
        let mut i = 0;
        while let Some(token) = tokens.get(i) {
            if let Some((attribute, inner, next)) = attribute_at(tokens, i) {
                i = next;
                match Attribute::read(attribute) {
                    Attribute::Test if inner => self.module.test = true,
                    Attribute::Test => i = self.skip_test_item(tokens, i),
                    Attribute::Path(path) => path_attribute = Some(path),
                    Attribute::MacroExport => exported = true,
                    Attribute::ForbidUnsafe => self.module.forbids_unsafe |= inner && top,
                    Attribute::Other => {}
                }
                continue;
            }
            let word = word_at(tokens, i).unwrap_or_default();
            i = match (word.as_str(), token) {
                (_, TokenTree::Group(group)) => {
                    let inside: Vec<_> = group.stream().into_iter().collect();
                    self.items(&inside, false);
                    i + 1
                }
                ("mod", _) => self.module_at(tokens, i, path_attribute.take(), false),
                ("use", _) => self.use_at(tokens, i, top),
                ("crate" | "self" | "super", _) if colons_at(tokens, i + 1) => {
                    self.mention_at(tokens, i)
                }
                ("macro_rules", _) if punct_at(tokens, i + 1, '!') => {
                    if let Some(name) = word_at(tokens, i + 2) {
                        if core::mem::take(&mut exported) {
                            self.module.exported_macros.insert(name.clone());
                        }
                        self.module.defines.insert(name);
                    }
                    i + 3
                }
                (item, _) if top && ITEMS.contains(&item) => {
                    let name = word_at(tokens, i + 1);
                    if let Some(name) = name.filter(|name| !NOT_NAMES.contains(&name.as_str())) {
                        self.module.defines.insert(name);
                    }
                    i + 1
                }
                _ => i + 1,
            };
        }
    }

    /// Reads a module declaration at `i`, and returns where to go on.
    fn module_at(
        &mut self,
        tokens: &[TokenTree],
        i: usize,
        path: Option<String>,
        test: bool,
    ) -> usize {
        let Some(name) = word_at(tokens, i + 1) else { return i + 1 };
        let test = test || name == "tests";
        let mut child = Module { name, test, file: self.module.file.clone(), ..Module::default() };
        match tokens.get(i + 2) {
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let at = [self.at, core::slice::from_ref(&child.name)].concat();
                scan(&mut child, group.stream(), &at);
            }
            Some(TokenTree::Punct(punct)) if punct.as_char() == ';' => {
                child.place = Place::File(path);
            }
            _ => return i + 1,
        }
        self.module.children.push(child);
        i + 3
    }

    /// Passes over an item for tests, but notes a module, whose file is to be known as such.
    fn skip_test_item(&mut self, tokens: &[TokenTree], start: usize) -> usize {
        let mut path = None;
        let mut i = start;
        loop {
            if let Some((attribute, _, next)) = attribute_at(tokens, i) {
                if let Attribute::Path(named) = Attribute::read(attribute) {
                    path = Some(named);
                }
                i = next;
                continue;
            }
            match tokens.get(i) {
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                    return i + 1;
                }
                Some(TokenTree::Punct(punct)) if punct.as_char() == ';' => return i + 1,
                Some(TokenTree::Ident(word)) if word == "mod" => {
                    return self.module_at(tokens, i, path, true);
                }
                Some(_) => i += 1,
                None => return i,
            }
        }
    }

    /// Reads a `use` declaration at `i`, and returns where to go on.
    fn use_at(&mut self, tokens: &[TokenTree], i: usize, top: bool) -> usize {
        let start = i + 1;
        // `use<'a, T>` in a bound is no declaration.
        if punct_at(tokens, start, '<') {
            return start;
        }
        let rest = &tokens[start..];
        let end = rest.iter().position(|token| is_punct(token, ';')).unwrap_or(rest.len());
        let mut leaves = Vec::new();
        use_leaves(&rest[..end], &[], &mut leaves);
        for leaf in leaves {
            let absolute = self.absolute(&leaf.path);
            if let Some(path) = &absolute {
                self.module.mentions.push(Mention { path: path.clone(), line: leaf.line });
            }
            // A leading `::`, which leaves an empty first segment, names another crate.
            if top {
                self.module.bindings.push(Binding {
                    name: leaf.name,
                    absolute: absolute.is_some(),
                    path: absolute.unwrap_or(leaf.path),
                });
            }
        }
        start + end
    }

    /// Reads a path at `i` that starts with `crate`, `self` or `super`; returns where to go on.
    fn mention_at(&mut self, tokens: &[TokenTree], i: usize) -> usize {
        let mut path = vec![word_at(tokens, i).unwrap_or_default()];
        let mut next = i + 1;
        while colons_at(tokens, next) {
            let Some(segment) = word_at(tokens, next + 2) else { break };
            path.push(segment);
            next += 3;
        }
        if let Some(path) = self.absolute(&path) {
            self.module.mentions.push(Mention { path, line: tokens[i].span().start().line });
        }
        next
    }

    /// The path as seen from the crate's root, if it starts with `crate`, `self` or `super`.
    fn absolute(&self, path: &[String]) -> Option<Vec<String>> {
        let (head, mut rest) = path.split_first()?;
        let mut base = match head.as_str() {
            "crate" => &[],
            "self" => self.at,
            "super" => self.at.split_last()?.1,
            _ => return None,
        };
        while rest.first().is_some_and(|segment| segment == "super") {
            rest = &rest[1..];
            base = base.split_last()?.1;
        }
        Some([base, rest].concat())
    }
}

/// One name that a `use` declaration makes.
struct Leaf {
    path: Vec<String>,
    name: String,
    line: usize,
}

/// Takes a `use` tree apart.
fn use_leaves(tokens: &[TokenTree], prefix: &[String], leaves: &mut Vec<Leaf>) {
    for tree in tokens.split(|token| is_punct(token, ',')) {
        let Some(first) = tree.first() else { continue };
        let line = first.span().start().line;
        let mut path = prefix.to_vec();
        let mut alias = None;
        let mut group = None;
        if colons_at(tree, 0) && path.is_empty() {
            path.push(String::new());
        }
        for (i, token) in tree.iter().enumerate() {
            match token {
                TokenTree::Ident(word) if word == "as" => {
                    alias = word_at(tree, i + 1);
                    break;
                }
                // In a group, `self` is what stands before the group.
                TokenTree::Ident(word) if word == "self" && !path.is_empty() => {}
                TokenTree::Ident(word) => path.push(plain(&word.to_string())),
                TokenTree::Group(inside) => group = Some(inside),
                TokenTree::Punct(punct) if punct.as_char() == '*' => path.push("*".to_owned()),
                _ => {}
            }
        }
        if let Some(group) = group {
            let inside: Vec<_> = group.stream().into_iter().collect();
            use_leaves(&inside, &path, leaves);
        } else if let Some(last) = path.last() {
            let name = alias.unwrap_or_else(|| last.clone());
            leaves.push(Leaf { name, path, line });
        }
    }
}

/// What an attribute means to us.
enum Attribute {
    Test,
    Path(String),
    MacroExport,
    ForbidUnsafe,
    Other,
}

impl Attribute {
    /// Reads what stands between the brackets.
    fn read(group: &Group) -> Self {
        let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
        let arguments: Vec<TokenTree> = match tokens.get(1) {
            Some(TokenTree::Group(group)) => group.stream().into_iter().collect(),
            _ => Vec::new(),
        };
        match word_at(&tokens, 0).unwrap_or_default().as_str() {
            "cfg" if needs_test(&arguments) => Self::Test,
            "path" => match tokens.get(2) {
                Some(TokenTree::Literal(path)) => {
                    Self::Path(path.to_string().trim_matches('"').to_owned())
                }
                _ => Self::Other,
            },
            "macro_export" => Self::MacroExport,
            "forbid" if (0..arguments.len()).any(|i| is_word(&arguments, i, "unsafe_code")) => {
                Self::ForbidUnsafe
            }
            _ => Self::Other,
        }
    }
}

/// Whether a condition holds for tests alone: `test`, or `all(…)` with it.
fn needs_test(condition: &[TokenTree]) -> bool {
    match condition {
        [TokenTree::Ident(word)] => word == "test",
        [TokenTree::Ident(word), TokenTree::Group(group)] if word == "all" => {
            let all: Vec<_> = group.stream().into_iter().collect();
            all.split(|token| is_punct(token, ',')).any(needs_test)
        }
        _ => false,
    }
}

/// The attribute at `i`, whether it is an inner one, and where to go on.
fn attribute_at(tokens: &[TokenTree], i: usize) -> Option<(&Group, bool, usize)> {
    if !punct_at(tokens, i, '#') {
        return None;
    }
    let inner = punct_at(tokens, i + 1, '!');
    let at = i + 1 + usize::from(inner);
    match tokens.get(at)? {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => {
            Some((group, inner, at + 1))
        }
        _ => None,
    }
}

fn word_at(tokens: &[TokenTree], i: usize) -> Option<String> {
    match tokens.get(i)? {
        TokenTree::Ident(word) => Some(plain(&word.to_string())),
        _ => None,
    }
}

fn is_word(tokens: &[TokenTree], i: usize, word: &str) -> bool {
    word_at(tokens, i).is_some_and(|found| found == word)
}

/// The word without the mark of a raw identifier.
fn plain(word: &str) -> String {
    word.strip_prefix("r#").unwrap_or(word).to_owned()
}

fn colons_at(tokens: &[TokenTree], i: usize) -> bool {
    punct_at(tokens, i, ':') && punct_at(tokens, i + 1, ':')
}

fn punct_at(tokens: &[TokenTree], i: usize, punct: char) -> bool {
    tokens.get(i).is_some_and(|token| is_punct(token, punct))
}

fn is_punct(token: &TokenTree, wanted: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == wanted)
}
