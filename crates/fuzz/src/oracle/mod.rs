//! What must hold for every answer. Written from the contract's pages; no rule, differ or converter of the product is
//! used to check itself.
//!
//! Of any input: no panic, no failure of ours (5xx), an answer within seconds, a 4xx with text or a review of the same
//! version with the same UID. Of a review that can be understood in one way only: `pod`, `cloneset` and `conversion`
//! say what may be in the answer. `asked` and `verdict` read question and answer.

mod asked;
mod cloneset;
mod conversion;
mod defaults;
mod model;
mod pod;
mod verdict;

use std::time::Duration;

use self::asked::Asked;
use self::verdict::Verdict;
use crate::generate::schema::{self, Schema, Templates};
use crate::input::Input;
use crate::json::Json;
use crate::product::{Answer, Product};

/// No answer takes longer, on a machine that does many things at once: what does is no slowness but a way to stop us.
const LIMIT: Duration = Duration::from_secs(10);

/// The promise that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Promise {
    /// Nothing panics, nothing fails with 5xx.
    Stands,
    /// Answers come soon.
    Answers,
    /// An answer has the form that kube-apiserver reads, and is to the question.
    Form,
    /// What is right is not refused.
    Accepts,
    /// What came stays, and only what may be written is.
    Keeps,
    /// What must be written is.
    Writes,
    /// The second time there is nothing left to do.
    Settles,
    /// What admission made of an object is not refused for it.
    Agrees,
}

/// A promise that an answer breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{promise:?}: {what}")]
pub struct Violation {
    /// Which promise.
    pub promise: Promise,
    /// How.
    pub what: String,
}

impl Violation {
    fn new(promise: Promise, what: impl Into<String>) -> Self {
        Self { promise, what: what.into() }
    }
}

fn require(holds: bool, promise: Promise, what: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation::new(promise, what())) }
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    MutatePod,
    ValidatePod,
    MutateCloneSet,
    ValidateCloneSet,
    Convert,
    Other,
}

impl Endpoint {
    fn of(path: &str) -> Self {
        match path {
            "/mutate-pod" => Self::MutatePod,
            "/validate-pod" => Self::ValidatePod,
            "/mutate-apps-kruise-io-cloneset" | "/mutate-apps-kruise-io-v1alpha1-cloneset" => Self::MutateCloneSet,
            "/validate-apps-kruise-io-cloneset" | "/validate-apps-kruise-io-v1alpha1-cloneset" => {
                Self::ValidateCloneSet
            }
            "/convert" => Self::Convert,
            _ => Self::Other,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::MutatePod => "mutate Pod",
            Self::ValidatePod => "validate Pod",
            Self::MutateCloneSet => "mutate CloneSet",
            Self::ValidateCloneSet => "validate CloneSet",
            Self::Convert => "convert",
            Self::Other => "other path",
        }
    }
}

/// Asks and judges, on one thread.
pub struct Judge {
    product: Product,
    forms: Forms,
}

/// The forms that decide whether something could be right.
struct Forms {
    alpha: Schema,
    beta: Schema,
    metadata: Schema,
}

impl Judge {
    /// Sets the webhook up.
    ///
    /// # Errors
    /// Fails where the definitions have another shape than those of Kubernetes.
    pub fn new() -> anyhow::Result<Self> {
        let forms = Forms {
            alpha: schema::cloneset("v1alpha1", Templates::Any)?,
            beta: schema::cloneset("v1beta1", Templates::Any)?,
            metadata: schema::metadata()?,
        };
        Ok(Self { product: Product::new()?, forms })
    }

    /// Sends an input and judges the answer. Says in a few words what came of it.
    ///
    /// # Errors
    /// The promise that was broken.
    pub fn check(&self, input: &Input) -> Result<String, Violation> {
        let endpoint = Endpoint::of(&input.path);
        let answer = self.ask(input)?;
        let what = match (endpoint, answer.code) {
            (Endpoint::Other, 200) if input.path == "/healthz" => "healthy".to_owned(),
            (Endpoint::Other, 200) => {
                return Err(Violation::new(Promise::Form, format!("{} is no path of ours", input.path)));
            }
            (Endpoint::Convert, _) => conversion::check(self, input, &answer)?,
            (_, 200) => self.admission(endpoint, input, &answer)?,
            (_, code) => {
                let answerable = asked::read(&input.body).filter(|_| endpoint != Endpoint::Other);
                require(answerable.is_none(), Promise::Accepts, || shown("a review that can be read", &answer))?;
                format!("HTTP {code}")
            }
        };
        Ok(format!("{}: {what}", endpoint.name()))
    }

    /// Sends an input; holds what must hold of any answer.
    fn ask(&self, input: &Input) -> Result<Answer, Violation> {
        let answer = self.product.ask(input);
        if let Some(panic) = &answer.panic {
            return Err(Violation::new(Promise::Stands, panic));
        }
        require(answer.took < LIMIT, Promise::Answers, || format!("the answer took {:?}", answer.took))?;
        require(matches!(answer.code, 200 | 400..500), Promise::Stands, || shown("any request", &answer))?;
        require(answer.code == 200 || !answer.body.is_empty(), Promise::Form, || {
            format!("HTTP {} without a text", answer.code)
        })?;
        Ok(answer)
    }

    fn admission(&self, endpoint: Endpoint, input: &Input, answer: &Answer) -> Result<String, Violation> {
        let verdict = Verdict::read(&input.body, &answer.body)?;
        let said = verdict.words();
        let Some(review) = asked::read(&input.body) else { return Ok(format!("{said}, unclear")) };
        let Some(asked) = Asked::of(&review) else { return Ok(format!("{said}, unclear")) };
        match endpoint {
            Endpoint::MutatePod => pod::mutate(self, input, &asked, &verdict)?,
            Endpoint::ValidatePod => untouched(&verdict)?,
            Endpoint::MutateCloneSet => cloneset::mutate(self, input, &asked, &verdict)?,
            Endpoint::ValidateCloneSet => cloneset::validate(self, input, &asked, &verdict)?,
            Endpoint::Convert | Endpoint::Other => {}
        }
        Ok(said)
    }

    /// What is said about the same question with another object.
    fn again(&self, input: &Input, path: &str, asked: &Asked<'_>, object: &Json) -> Result<Verdict, Violation> {
        let mut review = asked.review.clone();
        review.entry("request").set("object", object.clone());
        let input = Input { path: path.to_owned(), body: review.write().into_bytes(), ..input.clone() };
        let answer = self.ask(&input)?;
        require(answer.code == 200, Promise::Accepts, || shown("what admission made", &answer))?;
        Verdict::read(&input.body, &answer.body)
    }
}

/// Nobody is to decide anything here.
fn untouched(verdict: &Verdict) -> Result<(), Violation> {
    require(verdict.is_plain_yes(), Promise::Accepts, || format!("{} where nothing is decided", verdict.words()))
}

fn shown(what: &str, answer: &Answer) -> String {
    let body = answer.body.get(..answer.body.len().min(500)).unwrap_or_default();
    format!("{what} was answered with HTTP {}: {}", answer.code, String::from_utf8_lossy(body))
}
