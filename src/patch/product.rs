//! Products, their releases, and which of them a patch is for.

use std::cmp::Ordering;
use std::fmt;

/// What a file says of a product of which nobody has said which releases have the hole.
const UNKNOWN: &str = "unknown";

/// A product, and the releases that have the hole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// Its name, in lower case.
    pub name: String,
    /// The bounds that a release has to keep, each: `>=4.87, <4.92`. None: all releases.
    pub versions: Vec<Bound>,
    /// Whether it is known which releases have it. Where it is not, any may.
    pub is_known: bool,
}

/// A bound on releases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    relation: Relation,
    release: Release,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Below,
    AtMost,
    Is,
    AtLeast,
    Above,
}

/// Longer signs first: `<=` begins as `<` does.
const RELATIONS: [(&str, Relation); 5] = [
    ("<=", Relation::AtMost),
    (">=", Relation::AtLeast),
    ("<", Relation::Below),
    (">", Relation::Above),
    ("=", Relation::Is),
];

/// A release: numbers with dots between, letters behind them. What is missing counts as 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release(Vec<(u64, String)>);

impl Release {
    /// Reads a release: it begins with a digit.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let part = |part: &str| {
            let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            let (number, letters) = part.split_at(end);
            let number = if number.is_empty() { 0 } else { number.parse().ok()? };
            Some((number, letters.to_ascii_lowercase()))
        };
        let is_release = text.starts_with(|c: char| c.is_ascii_digit())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
        let parts = text.split(['.', '-', '_']).map(part).collect::<Option<Vec<_>>>()?;
        is_release.then_some(Self(parts))
    }
}

impl Ord for Release {
    fn cmp(&self, other: &Self) -> Ordering {
        let missing = (0, String::new());
        let length = self.0.len().max(other.0.len());
        let mut parts = (0..length).map(|at| {
            let [own, their] = [self, other].map(|one| one.0.get(at).unwrap_or(&missing));
            own.cmp(their)
        });
        parts.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for Release {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (number, letters)) in self.0.iter().enumerate() {
            let dot = if at > 0 { "." } else { "" };
            // `p46` has no number of its own.
            if letters.is_empty() || *number > 0 {
                write!(f, "{dot}{number}{letters}")?;
            } else {
                write!(f, "{dot}{letters}")?;
            }
        }
        Ok(())
    }
}

/// A product that somebody speaks of, and its release, if they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named<'a> {
    /// Its name.
    pub product: &'a str,
    /// None: any.
    pub release: Option<Release>,
}

impl<'a> Named<'a> {
    /// What a text names of these, in a greeting behind the name of the host: a word of its own,
    /// the longest, and right behind it its release.
    pub(super) fn find(text: &str, products: impl Iterator<Item = &'a str>) -> Option<Self> {
        let text = text.trim().to_lowercase();
        let products: Vec<_> = products.collect();
        let longest = |said: &str| {
            let named = products.iter().filter(|name| behind(said, name).is_some());
            named.max_by_key(|name| name.len()).copied()
        };
        let mut words = text.splitn(3, char::is_whitespace);
        let behind_host = if text.starts_with("220") { words.nth(2) } else { None };
        let mut places = behind_host.into_iter().chain([text.as_str()]);
        let (said, product) = places.find_map(|said| Some((said, longest(said)?)))?;
        let words =
            behind(said, product)?.split(|c: char| c.is_whitespace() || "()/,;:".contains(c));
        let mut words = words.map(|word| word.trim_start_matches(['-', '_']));
        let is_between = |word: &&str| matches!(*word, "" | "version" | "release" | "service");
        let number = words.find(|word| !is_between(word));
        let number = number.map(|word| word.strip_prefix('v').unwrap_or(word));
        // What stands behind a dash or a plus is a distribution's own count.
        let number = number.and_then(|word| word.split(['-', '+', '~']).next());
        let release = number.and_then(Release::parse);
        Some(Self { product, release })
    }
}

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.release {
            Some(release) => write!(f, "{} {release}", self.product),
            None => write!(f, "{}, any release", self.product),
        }
    }
}

/// What stands behind a name in a text, where it is a word and no part of another or of a host's
/// name.
fn behind<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.match_indices(name).find_map(|(at, _)| {
        let rest = text.get(at + name.len()..)?;
        let mut next = rest.chars();
        let is_end = match next.next() {
            Some('.' | '-' | '_') => {
                let rest = next.as_str();
                let rest = rest.strip_prefix('v').unwrap_or(rest);
                !rest.starts_with(char::is_alphabetic)
            }
            Some(next) => !next.is_alphanumeric(),
            None => true,
        };
        let before = text.get(..at)?.chars().next_back();
        let is_start = !before.is_some_and(|c| c.is_alphanumeric() || ".-_".contains(c));
        (is_start && is_end).then_some(rest)
    })
}

impl Bound {
    /// Reads a bound, such as `<4.92`.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let sign = RELATIONS.into_iter().find(|(sign, _)| text.starts_with(sign));
        let (sign, relation) = sign.unwrap_or(("", Relation::Is));
        let release = Release::parse(text.get(sign.len()..)?.trim())?;
        Some(Self { relation, release })
    }

    fn holds(&self, release: &Release) -> bool {
        let order = release.cmp(&self.release);
        match self.relation {
            Relation::Below => order.is_lt(),
            Relation::AtMost => order.is_le(),
            Relation::Is => order.is_eq(),
            Relation::AtLeast => order.is_ge(),
            Relation::Above => order.is_gt(),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = RELATIONS.into_iter().find(|(_, relation)| *relation == self.relation);
        write!(f, "{}{}", sign.map_or("", |(sign, _)| sign), self.release)
    }
}

impl Product {
    /// A product and its releases; the error is the bound that is wrong.
    pub(super) fn new(name: &str, versions: &str) -> Result<Self, String> {
        let is_known = versions != UNKNOWN;
        let versions = if is_known { versions } else { "" };
        let bounds = versions.split(',').map(str::trim).filter(|bound| !bound.is_empty());
        let versions = bounds.map(|bound| Bound::parse(bound).ok_or_else(|| bound.to_owned()));
        let versions = versions.collect::<Result<_, _>>()?;
        Ok(Self { name: name.to_lowercase(), versions, is_known })
    }

    /// Whether it has this name, and the release, if one is given, is among its own.
    #[must_use]
    pub fn has(&self, name: &str, release: Option<&Release>) -> bool {
        let is_among = |release| self.versions.iter().all(|bound| bound.holds(release));
        self.name == name && release.is_none_or(is_among)
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.versions.is_empty() {
            return f.write_str(if self.is_known {
                ", all releases"
            } else {
                ", releases unknown"
            });
        }
        for (at, bound) in self.versions.iter().enumerate() {
            write!(f, "{}{bound}", if at > 0 { ", " } else { " " })?;
        }
        Ok(())
    }
}
