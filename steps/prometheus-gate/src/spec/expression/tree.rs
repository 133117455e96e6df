//! A tree of `and`, `or` and `not`, and what it comes to while some of its leaves are open.

use std::fmt;

/// What can be said: no, yes, or neither while something is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Truth {
    False,
    Unknown,
    True,
}

impl Truth {
    /// What is open stays open, so that nothing shown never becomes a yes.
    const fn turned(self) -> Self {
        match self {
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
            Self::True => Self::False,
        }
    }
}

impl From<Option<bool>> for Truth {
    fn from(holds: Option<bool>) -> Self {
        match holds {
            Some(true) => Self::True,
            Some(false) => Self::False,
            None => Self::Unknown,
        }
    }
}

impl From<Truth> for Option<bool> {
    fn from(say: Truth) -> Self {
        match say {
            Truth::True => Some(true),
            Truth::False => Some(false),
            Truth::Unknown => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression<L> {
    Leaf(L),
    Not(Box<Self>),
    /// Two or more.
    And(Vec<Self>),
    /// Two or more.
    Or(Vec<Self>),
}

impl<L> Expression<L> {
    /// Kleene's logic: no and yes are weighed like false and true, with what is open between them.
    pub(super) fn evaluate(&self, leaf: &dyn Fn(&L) -> Truth) -> Truth {
        match self {
            Self::Leaf(one) => leaf(one),
            Self::Not(one) => one.evaluate(leaf).turned(),
            Self::And(all) => {
                all.iter().map(|one| one.evaluate(leaf)).min().unwrap_or(Truth::Unknown)
            }
            Self::Or(any) => {
                any.iter().map(|one| one.evaluate(leaf)).max().unwrap_or(Truth::Unknown)
            }
        }
    }

    /// What is left without some leaves; nothing where all go.
    pub(super) fn without(&self, goes: &dyn Fn(&L) -> bool) -> Option<Self>
    where
        L: Clone,
    {
        let some = |some: &[Self], joined: fn(Vec<Self>) -> Self| {
            let mut left: Vec<Self> = some.iter().filter_map(|one| one.without(goes)).collect();
            if left.len() > 1 { Some(joined(left)) } else { left.pop() }
        };
        match self {
            Self::Leaf(leaf) => (!goes(leaf)).then(|| self.clone()),
            Self::Not(one) => Some(Self::Not(Box::new(one.without(goes)?))),
            Self::And(all) => some(all, Self::And),
            Self::Or(any) => some(any, Self::Or),
        }
    }

    pub(super) fn leaves(&self) -> Vec<&L> {
        match self {
            Self::Leaf(one) => vec![one],
            Self::Not(one) => one.leaves(),
            Self::And(some) | Self::Or(some) => some.iter().flat_map(Self::leaves).collect(),
        }
    }

    pub(super) fn has_not(&self) -> bool {
        match self {
            Self::Leaf(_) => false,
            Self::Not(_) => true,
            Self::And(some) | Self::Or(some) => some.iter().any(Self::has_not),
        }
    }
}

impl<L: fmt::Display> Expression<L> {
    fn join(some: &[Self], word: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, one) in some.iter().enumerate() {
            if at > 0 {
                write!(f, " {word} ")?;
            }
            // `a and b or c` reads without parentheses, everything else within another needs them.
            match one {
                Self::And(_) if word == "or" => write!(f, "{one}")?,
                Self::And(_) | Self::Or(_) => write!(f, "({one})")?,
                Self::Leaf(_) | Self::Not(_) => write!(f, "{one}")?,
            }
        }
        Ok(())
    }
}

impl<L: fmt::Display> fmt::Display for Expression<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leaf(one) => write!(f, "{one}"),
            Self::Not(one) => match one.as_ref() {
                Self::And(_) | Self::Or(_) => write!(f, "not ({one})"),
                Self::Leaf(_) | Self::Not(_) => write!(f, "not {one}"),
            },
            Self::And(all) => Self::join(all, "and", f),
            Self::Or(any) => Self::join(any, "or", f),
        }
    }
}

/// Expressions of any shape, for tests.
#[cfg(test)]
pub(super) fn any_shape<L: Clone + fmt::Debug + 'static>(
    leaf: impl proptest::strategy::Strategy<Value = L> + 'static,
) -> impl proptest::strategy::Strategy<Value = Expression<L>> {
    use proptest::{collection::vec, prelude::*};
    leaf.prop_map(Expression::Leaf).prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|one| Expression::Not(Box::new(one))),
            vec(inner.clone(), 2..4).prop_map(Expression::And),
            vec(inner, 2..4).prop_map(Expression::Or),
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_never_turned_into_an_answer() {
        use Truth::{False, True, Unknown};
        assert_eq!([False, Unknown, True].map(Truth::turned), [True, Unknown, False]);
        let open = Expression::Not(Box::new(Expression::Leaf("a")));
        assert_eq!(open.evaluate(&|_| Unknown), Unknown);
    }
}
