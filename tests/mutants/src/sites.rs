//! The places in a source file where changes are made, found by their line and column.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use proc_macro2::LineColumn;
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{BinOp, Expr, UnOp};

use crate::mutant::{Fate, Genre, Mutant, Place};

/// A function by the type it belongs to, if any, and its name.
pub type Function = (Option<String>, String);

/// A part of a source file that is written anew.
pub struct Site {
    pub range: Range<usize>,
    pub kind: Kind,
    /// The numbers of its changes.
    pub mutants: Vec<usize>,
}

pub enum Kind {
    /// The `const` of a function, which would keep it from being switched.
    Const,
    /// The statements of a function.
    Body,
    /// Those of one that returns `impl Iterator`.
    Iterator,
    /// An operator with two operands, which a comparison only borrows.
    Binary {
        left: Range<usize>,
        operator: String,
        right: Range<usize>,
        borrows: bool,
    },
    /// `+=` and its like.
    Assign {
        left: Range<usize>,
        operator: String,
        right: Range<usize>,
    },
    /// `&&` or `||`.
    Lazy {
        left: Range<usize>,
        right: Range<usize>,
        is_and: bool,
    },
    Unary {
        operator: String,
        operand: Range<usize>,
    },
    /// What stands between the pattern of a match arm and its arrow.
    Guard(Option<Range<usize>>),
    /// A struct expression with a base: its path, its fields by name, and the base.
    Struct {
        path: Range<usize>,
        fields: Vec<Field>,
        base: Range<usize>,
    },
}

pub struct Field {
    pub name: String,
    pub value: Range<usize>,
    pub mutant: Option<usize>,
}

/// The places for the open changes of one file, in order, outer ones first, but for functions in
/// `consts`. Changes without a place become fixed.
pub fn find(
    source: &str,
    file: &str,
    mutants: &mut [Mutant],
    consts: &HashSet<Function>,
) -> syn::Result<Vec<Site>> {
    let mut places: HashMap<_, Vec<usize>> = HashMap::new();
    for (number, mutant) in mutants.iter().enumerate() {
        if mutant.file == file && mutant.fate == Fate::Open {
            places.entry((mutant.genre, mutant.span.start)).or_default().push(number);
        }
    }
    let mut finder =
        Finder { mutants, places, consts, owner: None, sites: Vec::new(), settled: Vec::new() };
    finder.visit_file(&syn::parse_file(source)?);
    let Finder { places, mut sites, settled, .. } = finder;
    let fixed = places.into_values().flatten().map(|number| (number, Fate::Fixed));
    for (number, fate) in settled.into_iter().chain(fixed) {
        mutants[number].fate = fate;
    }
    sites.sort_by_key(|site| (site.range.start, Reverse(site.range.end)));
    Ok(sites)
}

struct Finder<'a> {
    mutants: &'a [Mutant],
    /// Those changes for which no place was found yet.
    places: HashMap<(Genre, Place), Vec<usize>>,
    consts: &'a HashSet<Function>,
    /// The type whose functions are visited.
    owner: Option<String>,
    sites: Vec<Site>,
    /// What became of changes for which there is no switch.
    settled: Vec<(usize, Fate)>,
}

impl Finder<'_> {
    fn take(&mut self, genre: Genre, at: LineColumn) -> Vec<usize> {
        let place = Place { line: at.line, column: at.column + 1 };
        self.places.remove(&(genre, place)).unwrap_or_default()
    }

    fn add(&mut self, range: Range<usize>, kind: Kind, mutants: Vec<usize>) {
        if !mutants.is_empty() || matches!(kind, Kind::Const) {
            self.sites.push(Site { range, kind, mutants });
        }
    }

    /// Whether a function can be switched.
    fn enter(&mut self, signature: &syn::Signature, block: &syn::Block) -> bool {
        if let Some(token) = &signature.constness {
            let function = (self.owner.clone(), signature.ident.to_string());
            if self.consts.contains(&function) {
                return false;
            }
            self.add(range(token), Kind::Const, Vec::new());
        }
        let (Some(first), Some(last)) = (block.stmts.first(), block.stmts.last()) else {
            return true;
        };
        let body = range(first).start..range(last).end;
        let mutants = self.take(Genre::FnValue, first.span().start());
        let is_impl = match &signature.output {
            syn::ReturnType::Type(_, of) => matches!(**of, syn::Type::ImplTrait(_)),
            syn::ReturnType::Default => false,
        };
        if is_impl {
            // A second type would be needed for each other value.
            let (empty, others): (Vec<usize>, Vec<usize>) = mutants
                .into_iter()
                .partition(|number| self.mutants[*number].replacement == "::std::iter::empty()");
            self.settled.extend(others.into_iter().map(|number| (number, Fate::Fixed)));
            self.add(body, Kind::Iterator, empty);
        } else {
            self.add(body, Kind::Body, mutants);
        }
        true
    }

    fn binary(&mut self, binary: &syn::ExprBinary) {
        let mutants = self.take(Genre::BinaryOperator, binary.op.span().start());
        let (left, right) = (range(&*binary.left), range(&*binary.right));
        let kind = match binary.op {
            // A chain of `let` has no other operator.
            BinOp::And(_) if chains(&binary.left) || chains(&binary.right) => {
                self.settled.extend(mutants.into_iter().map(|number| (number, Fate::Unviable)));
                return;
            }
            BinOp::And(_) => Kind::Lazy { left, right, is_and: true },
            BinOp::Or(_) => Kind::Lazy { left, right, is_and: false },
            op => {
                let operator = op.to_token_stream().to_string();
                if is_assignment(&op) {
                    Kind::Assign { left, operator, right }
                } else {
                    Kind::Binary { left, operator, right, borrows: is_comparison(&op) }
                }
            }
        };
        self.add(range(binary), kind, mutants);
    }

    fn structure(&mut self, structure: &syn::ExprStruct) {
        let Some(base) = &structure.rest else { return };
        let mut mutants = Vec::new();
        let fields = structure.fields.iter().map(|field| {
            let own = self.take(Genre::StructField, field.span().start());
            mutants.extend(&own);
            let syn::Member::Named(name) = &field.member else { unreachable!("a tuple") };
            Field {
                name: name.to_string(),
                value: range(&field.expr),
                mutant: own.first().copied(),
            }
        });
        let fields = fields.collect();
        let kind = Kind::Struct { path: range(&structure.path), fields, base: range(&**base) };
        self.add(range(structure), kind, mutants);
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let owner = match &*item.self_ty {
            syn::Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
            _ => None,
        };
        let outer = std::mem::replace(&mut self.owner, owner);
        visit::visit_item_impl(self, item);
        self.owner = outer;
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if self.enter(&item.sig, &item.block) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if self.enter(&item.sig, &item.block) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if item.default.as_ref().is_none_or(|block| self.enter(&item.sig, block)) {
            visit::visit_trait_item_fn(self, item);
        }
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        self.binary(binary);
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'ast syn::ExprUnary) {
        if let UnOp::Not(_) | UnOp::Neg(_) = unary.op {
            let mutants = self.take(Genre::UnaryOperator, unary.op.span().start());
            let operator = unary.op.to_token_stream().to_string();
            self.add(range(unary), Kind::Unary { operator, operand: range(&*unary.expr) }, mutants);
        }
        visit::visit_expr_unary(self, unary);
    }

    fn visit_expr_match(&mut self, expression: &'ast syn::ExprMatch) {
        let is_rest = |arm: &syn::Arm| matches!(arm.pat, syn::Pat::Wild(_)) && arm.guard.is_none();
        if !expression.arms.iter().any(is_rest) {
            // Nothing takes the place of an arm that always holds.
            for arm in expression.arms.iter().filter(|arm| arm.guard.is_none()) {
                let mutants = self.take(Genre::MatchArm, arm.span().start());
                self.settled.extend(mutants.into_iter().map(|number| (number, Fate::Unviable)));
            }
        }
        visit::visit_expr_match(self, expression);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        let mut mutants = self.take(Genre::MatchArm, arm.span().start());
        let guard = arm.guard.as_ref().map(|(_, guard)| guard);
        if let Some(guard) = guard {
            mutants.append(&mut self.take(Genre::MatchArmGuard, guard.span().start()));
        }
        let between = range(&arm.pat).end..range(&arm.fat_arrow_token).start;
        self.add(between, Kind::Guard(guard.map(|guard| range(&**guard))), mutants);
        visit::visit_arm(self, arm);
    }

    fn visit_expr_struct(&mut self, structure: &'ast syn::ExprStruct) {
        self.structure(structure);
        visit::visit_expr_struct(self, structure);
    }

    // What the compiler computes cannot be switched.
    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}
    fn visit_expr_const(&mut self, _: &'ast syn::ExprConst) {}
    fn visit_variant(&mut self, _: &'ast syn::Variant) {}
    fn visit_type(&mut self, _: &'ast syn::Type) {}
    fn visit_expr_repeat(&mut self, repeat: &'ast syn::ExprRepeat) {
        self.visit_expr(&repeat.expr);
    }
}

fn range(node: &impl Spanned) -> Range<usize> {
    node.span().byte_range()
}

/// Whether an operand of `&&` has a `let` in it.
fn chains(operand: &Expr) -> bool {
    match operand {
        Expr::Let(_) => true,
        Expr::Binary(binary) => chains(&binary.left) || chains(&binary.right),
        _ => false,
    }
}

fn is_comparison(op: &BinOp) -> bool {
    use BinOp::{Eq, Ge, Gt, Le, Lt, Ne};
    matches!(op, Eq(_) | Ne(_) | Lt(_) | Le(_) | Gt(_) | Ge(_))
}

fn is_assignment(op: &BinOp) -> bool {
    use BinOp::{
        AddAssign, BitAndAssign, BitOrAssign, BitXorAssign, DivAssign, MulAssign, RemAssign,
        ShlAssign, ShrAssign, SubAssign,
    };
    matches!(
        op,
        AddAssign(_)
            | SubAssign(_)
            | MulAssign(_)
            | DivAssign(_)
            | RemAssign(_)
            | BitAndAssign(_)
            | BitOrAssign(_)
            | BitXorAssign(_)
            | ShlAssign(_)
            | ShrAssign(_)
    )
}
