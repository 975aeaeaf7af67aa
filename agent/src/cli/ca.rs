//! `swarmer ca`.

use std::fmt::Write as _;

use clap::Subcommand;
use ring::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::json;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::connect::{self, Connect};
use super::failure::Failure;
use super::output;

/// The cluster's certificate authority.
#[derive(Subcommand)]
pub(super) enum CaCommand {
    /// Print its certificate, for programs that shall trust the cluster: `swarmer ca show > ca.pem`
    Show,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Ca {
    certificate: String,
}

/// What people look at of a certificate.
#[derive(Debug)]
struct Facts {
    subject: String,
    /// SHA-256 of the certificate, as `openssl x509 -fingerprint -sha256` prints it.
    fingerprint: String,
    not_before: String,
    not_after: String,
}

pub(super) async fn run(command: &CaCommand, connect: &Connect<'_>) -> Result<(), Failure> {
    let CaCommand::Show = command;
    let pem = match connect.files()? {
        Some(files) => files.ca()?,
        None => {
            let client = connect.client()?;
            let ca: Ca = connect::read(&client, "/v1/swarmer/ca").await?;
            ca.certificate
        }
    };
    let facts = facts(&pem).ok_or_else(|| {
        Failure::not(
            "the CA's certificate can't be read",
            "`swarmer login ADDRESS` fetches it anew",
        )
    })?;
    if connect.json() {
        return output::json(&json!({
            "subject": facts.subject,
            "fingerprint": facts.fingerprint,
            "not_before": facts.not_before,
            "not_after": facts.not_after,
            "pem": pem,
        }));
    }
    // Lines before the first BEGIN are no part of a PEM (RFC 7468 section 2): this is a whole
    // ca.pem as it stands.
    output::raw(
        format!(
            "subject      {}\nfingerprint  {}\nvalid        {} to {}\n\n{pem}",
            facts.subject, facts.fingerprint, facts.not_before, facts.not_after
        )
        .as_bytes(),
    )
}

fn facts(pem: &str) -> Option<Facts> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    let (_, certificate) = X509Certificate::from_der(&der).ok()?;
    let mut fingerprint = String::new();
    for byte in digest(&SHA256, &der).as_ref() {
        let colon = if fingerprint.is_empty() { "" } else { ":" };
        let _ = write!(fingerprint, "{colon}{byte:02X}");
    }
    let validity = certificate.validity();
    Some(Facts {
        subject: certificate.subject().to_string(),
        fingerprint,
        not_before: validity.not_before.to_string(),
        not_after: validity.not_after.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ClusterId, Name};
    use crate::pki;
    use crate::task::clock;

    #[test]
    fn a_certificate_is_read_with_what_people_compare() {
        let (stack, dc) = (Name::new("demo").unwrap(), Name::new("dev").unwrap());
        let cluster = ClusterId::from_u128(7);
        let ca = pki::Ca::generate(cluster, &stack, &dc, clock::wall()).unwrap();
        let facts = facts(ca.cert_pem()).unwrap();
        assert!(facts.subject.contains("O=demo, OU=dev"), "{facts:?}");
        assert_eq!(facts.fingerprint.len(), 32 * 3 - 1);
        assert!(super::facts("no certificate").is_none());
    }
}
