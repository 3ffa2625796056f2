//! The measure: the product's own server with a handler that does nothing. It reads the body, finds the identity of the
//! request in its first bytes, and allows.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use runtime::clock::Clock;
use runtime::shutdown;
use serde::{Deserialize, Serialize};
use webhook::certs::generate::Authority;
use webhook::server::credentials::Credentials;
use webhook::server::listener::{self, Drain};

/// The name in its certificate.
const NAME: &str = "localhost";

/// What is printed first.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ready {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The authority to trust, in PEM.
    pub(crate) authority: String,
}

/// Answers until it is asked to end.
pub(crate) async fn run() -> Result<()> {
    let now = Clock::system().now();
    let material = Authority::new(now)?.issue(NAME, Some(Ipv4Addr::LOCALHOST), now)?;
    let credentials = Arc::new(Credentials::default());
    credentials.present(material.pair()?, &material.authority());
    let listener = listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let address = listener.local_addr()?;
    let tls = listener::tls(credentials)?;
    let authority = String::from_utf8(material.ca_cert)?;
    println!("{}", serde_json::to_string(&Ready { address, authority })?);
    listener::serve(listener, tls, answer, shutdown::on_signal(), Drain::default()).await;
    Ok(())
}

async fn answer(request: Request<Incoming>) -> Response<Full<Bytes>> {
    let allowed = async {
        let body = request.into_body().collect().await.context("read the body")?.to_bytes();
        let uid = uid(&body).context("the review has no identity")?;
        Ok::<_, anyhow::Error>(format!(
            r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{{"allowed":true,"uid":"{uid}"}}}}"#
        ))
    };
    let mut response = match allowed.await {
        Ok(text) => Response::new(Full::new(Bytes::from(text))),
        Err(err) => {
            let mut failed = Response::new(Full::new(Bytes::from(format!("{err:#}"))));
            *failed.status_mut() = http::StatusCode::BAD_REQUEST;
            failed
        }
    };
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

/// The first member of that name: kube-apiserver writes the request's own before anything else.
fn uid(body: &[u8]) -> Option<&str> {
    const MEMBER: &[u8] = br#""uid":""#;
    let at = body.windows(MEMBER.len()).position(|window| window == MEMBER)? + MEMBER.len();
    let rest = body.get(at..)?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    std::str::from_utf8(rest.get(..end)?).ok()
}

#[cfg(test)]
mod tests {
    use super::uid;
    use crate::objects::reviews::reviews;

    #[test]
    fn the_identity_of_the_request_is_found_not_that_of_an_owner() {
        for review in reviews(3) {
            assert_eq!(uid(review.text("u-7").as_bytes()), Some("u-7"));
        }
        assert_eq!(uid(b"{}"), None);
    }
}
