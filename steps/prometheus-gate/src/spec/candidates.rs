//! A criterion, or the candidates to ask for it while it is open which series there are.

use crate::series::Series;
use crate::spec::answers_query::AnswersQuery;
use crate::spec::queries::{Query, Shape};
use crate::spec::resolved::{Criterion, Role, Test};

/// A criterion, or the candidates to ask for it while it is open which of them the server knows.
pub(crate) enum Question {
    Fixed(Box<Criterion>),
    Candidates(Vec<Candidate>),
}

impl Question {
    pub(crate) fn name(&self) -> &str {
        &self.criterion().name
    }

    pub(crate) fn role(&self) -> Role {
        self.criterion().role
    }

    /// The other criteria that it names.
    pub(crate) fn names(&self) -> Vec<&str> {
        match &self.criterion().test {
            Test::Value(test) => {
                let fast = test.fast_fail.iter().flat_map(|fast_fail| fast_fail.when.names());
                test.when.names().into_iter().chain(fast).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The criterion, or what it will be like.
    pub(crate) fn criterion(&self) -> &Criterion {
        match self {
            Self::Fixed(criterion) => criterion,
            Self::Candidates(candidates) => &candidates[0].criterion,
        }
    }
}

/// One way to ask a question, by the series of one source.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Whose series they are.
    pub(crate) source: &'static str,
    /// The metric whose labels tell what is there, when none of the series is of these revisions.
    pub(crate) metric: String,
    /// A query that finds a series exactly when this candidate works.
    pub(crate) probe: String,
    /// What is counted; a condition on a value has it in its criterion already.
    pub(crate) query: Option<Query>,
    /// The same where answers are.
    pub(crate) answers: Option<AnswersQuery>,
    pub(crate) criterion: Criterion,
}

impl Candidate {
    /// A query for the series as they are; none where it does not matter how they are labelled.
    pub(crate) fn sample(&self) -> Option<String> {
        let answers = self.answers.as_ref().map(AnswersQuery::sample);
        self.query.as_ref().map(Query::sample).or(answers)
    }

    /// How the series of a sample are labelled.
    pub(crate) fn shape(&self, series: &[Series]) -> Shape {
        match (&self.query, &self.answers) {
            (Some(query), _) => Shape::of(series, query.own),
            (None, Some(answers)) => answers.shape(series),
            (None, None) => Shape::default(),
        }
    }

    /// The criterion, when it is known how the series are labelled.
    pub(crate) fn settled(&self, shape: &Shape) -> Criterion {
        let mut criterion = self.criterion.clone();
        if let Some(answers) = &self.answers {
            criterion.query = answers.text(shape);
            criterion.past = Some(answers.past(shape));
            criterion.notes.extend(shape.note());
        }
        if let Some(query) = &self.query {
            criterion.query = query.text(shape.process);
            criterion.past = query.past(shape.process);
            criterion.notes.extend(shape.note());
        }
        criterion
    }
}
