//! Puts all changes of a source file into it at once, each behind its switch: `mutants::pick` says
//! at run time which one holds.
//!
//! An operator is changed where it stands in the tree, so it keeps its operands. Each operand is
//! written once: a nest of operators would otherwise grow with every level. What a change put in
//! stands between `/*<m7*/` and `/*>*/`, and all that was written anew for changes 7 and 8 between
//! `/*<s7,8*/` and `/*>*/`, so that the compiler's errors find their change.

use std::collections::HashSet;
use std::ops::Range;

use crate::mutant::{Fate, Mutant};
use crate::sites::{self, Field, Function, Kind, Site};

/// The source with all changes that are still open, of those of one file. The functions in `consts`
/// stay constant, and their changes become fixed, like all that cannot be switched.
pub fn rewrite(
    source: &str,
    file: &str,
    mutants: &mut [Mutant],
    consts: &HashSet<Function>,
) -> syn::Result<String> {
    let sites = sites::find(source, file, mutants, consts)?;
    Ok(Writer { source, mutants, sites }.text(&(0..source.len()), 0))
}

struct Writer<'a> {
    source: &'a str,
    mutants: &'a [Mutant],
    /// By where they begin, outer ones first.
    sites: Vec<Site>,
}

impl Writer<'_> {
    /// A part of the source, with those sites written anew that lie in it, from one on.
    fn text(&self, range: &Range<usize>, from: usize) -> String {
        let (mut text, mut at) = (String::new(), range.start);
        for (index, site) in self.sites.iter().enumerate().skip(from) {
            if site.range.start >= range.end {
                break;
            }
            // Not one before this part, nor within one that is written already.
            if site.range.start >= at {
                text += &self.source[at..site.range.start];
                text += &self.site(site, index + 1);
                at = site.range.end;
            }
        }
        text + &self.source[at..range.end]
    }

    fn site(&self, site: &Site, from: usize) -> String {
        let text = |range: &Range<usize>| self.text(range, from);
        let mut mutants = site.mutants.clone();
        mutants.retain(|number| self.mutants[*number].fate == Fate::Open);
        mutants.sort_unstable();
        let arms = |apply: &dyn Fn(&str) -> String| self.arms(&mutants, apply);
        let (pick, none) = (pick(&mutants), "crate::mutants::NONE");
        let new = match &site.kind {
            Kind::Const => return String::new(),
            _ if mutants.is_empty() => return text(&site.range),
            // All of a function lies in it, so no error in it need be its own.
            Kind::Body => {
                let arms = arms(&|new| format!("return {new}"));
                return format!("match {pick} {{ {arms}_ => {{}} }}\n{}", text(&site.range));
            }
            Kind::Iterator => format!(
                "match {pick} {{ {none} => crate::mutants::Either::Right({{ {} }}), \
                 _ => crate::mutants::Either::Left(::std::iter::empty()) }}",
                text(&site.range)
            ),
            Kind::Binary { left, operator, right, borrows } => {
                let (by, of) = if *borrows { ("&", "*") } else { ("", "") };
                let own = format!("{of}__l {operator} {of}__r");
                format!(
                    "(match ({by}({}), {by}({})) {{ (__l, __r) => match {pick} {{ {none} => {own}, \
                     {}_ => {own} }} }})",
                    text(left),
                    text(right),
                    arms(&|new| format!("{of}__l {new} {of}__r")),
                )
            }
            Kind::Assign { left, operator, right } => {
                let (left, right) = (text(left), text(right));
                format!(
                    "match ({right}) {{ __r => match {pick} {{ {}_ => {left} {operator} __r }} }}",
                    arms(&|new| format!("{left} {new} __r")),
                )
            }
            Kind::Lazy { left, right, is_and } => format!(
                "(match ({}) {{ __l => if __l {} ({pick} != {none}) {{ {} }} \
                 else {{ __l }} }})",
                text(left),
                if *is_and { "!=" } else { "==" },
                text(right),
            ),
            Kind::Unary { operator, operand } => format!(
                "(match ({}) {{ __x => match {pick} {{ {none} => {operator}__x, _ => __x }} }})",
                text(operand),
            ),
            Kind::Guard(guard) => format!(
                " if (match {pick} {{ {}_ => ({}) }}) ",
                // An arm that is deleted is one that never holds.
                arms(&|new| if new.is_empty() { "false".to_owned() } else { new.to_owned() }),
                guard.as_ref().map_or("true".to_owned(), text),
            ),
            Kind::Struct { path, fields, base } => {
                let field = |field: &Field| {
                    let (name, value) = (&field.name, text(&field.value));
                    let Some(own) = field.mutant.filter(|number| mutants.contains(number)) else {
                        return format!("{name}: {value}, ");
                    };
                    let arms = self.arms(&[own], &|_| format!("__base.{name}"));
                    format!("{name}: match {} {{ {arms}_ => {value} }}, ", self::pick(&[own]))
                };
                let fields: String = fields.iter().map(field).collect();
                format!(
                    "(match ({}) {{ __base => {} {{ {fields}..__base }} }})",
                    text(base),
                    text(path),
                )
            }
        };
        format!("/*<s{}*/{new}/*>*/", list(&mutants))
    }

    /// The arms of a match for changes, each as its replacement makes it.
    fn arms(&self, mutants: &[usize], apply: &dyn Fn(&str) -> String) -> String {
        let arm =
            |n: &usize| format!("{n} => /*<m{n}*/{}/*>*/, ", apply(&self.mutants[*n].replacement));
        mutants.iter().map(arm).collect()
    }
}

/// The expression that says which one of these changes holds.
fn pick(mutants: &[usize]) -> String {
    format!("crate::mutants::pick(&[{}])", list(mutants))
}

fn list(mutants: &[usize]) -> String {
    mutants.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}
