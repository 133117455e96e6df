//! The one language of conditions and of what criteria make together.
//!
//! `or` binds least, then `and`, then `not`; `||`, `&&` and `!` are the same words. Only what stands
//! between them differs: a comparison of a value in a [`Condition`], a name in a [`Combine`].

mod comparison;
mod condition;
mod formula;
mod parser;
mod tree;

pub(crate) use self::{condition::Condition, formula::Combine, tree::Truth};
