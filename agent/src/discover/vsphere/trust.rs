//! Which certificate is vCenter's. There is no way to take any: whoever can't name an authority
//! names the certificate itself.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use ring::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, ring as rustls_ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use super::super::ProviderError;

/// The rule, and why it refused last.
#[derive(Debug)]
pub(super) struct Trust {
    rule: Rule,
    algorithms: CryptoProvider,
    refused: Mutex<Option<String>>,
}

#[derive(Debug)]
enum Rule {
    /// This certificate, whoever signed it and whatever name and dates are in it.
    Pinned(Thumbprint),
    /// What these authorities signed for this host, or one of these certificates themselves.
    Signed {
        by: Option<Arc<WebPkiServerVerifier>>,
        whose: &'static str,
        given: Vec<CertificateDer<'static>>,
    },
    /// What is in this file, once it can be read: a member starts without it.
    Unread(String),
}

/// What `govc about.cert -thumbprint` prints: a digest over the whole certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Thumbprint {
    Sha1(Vec<u8>),
    Sha256(Vec<u8>),
}

impl Trust {
    /// By `thumbprint`, by the authorities in the file `ca_file`, or by those of the host.
    pub(super) fn new(
        thumbprint: Option<&str>,
        ca_file: Option<&str>,
    ) -> Result<Self, ProviderError> {
        let rule = match (thumbprint, ca_file) {
            (Some(_), Some(_)) => {
                return Err(wrong("thumbprint", "given without ca_file: one of the two"));
            }
            (Some(text), None) => Rule::Pinned(Thumbprint::read(text).ok_or_else(|| {
                wrong(
                    "thumbprint",
                    "the SHA-1 or SHA-256 of vCenter's certificate: 40 or 64 hex digits, with or without colons",
                )
            })?),
            (None, Some(path)) => {
                signed_by_file(path).unwrap_or_else(|_| Rule::Unread(path.to_owned()))
            }
            (None, None) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                Rule::Signed {
                    by: verifier(roots),
                    whose: "this host's authorities",
                    given: Vec::new(),
                }
            }
        };
        Ok(Self {
            rule,
            algorithms: rustls_ring::default_provider(),
            refused: Mutex::new(None),
        })
    }

    /// A TLS config that follows it.
    pub(super) fn config(self: &Arc<Self>) -> ClientConfig {
        let provider = Arc::new(rustls_ring::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        match config {
            Ok(builder) => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::clone(self) as _)
                .with_no_client_auth(),
            Err(_) => unreachable!("ring speaks TLS 1.2 and 1.3"),
        }
    }

    /// Why the last certificate was refused, if one was since this was asked.
    pub(super) fn take_refusal(&self) -> Option<String> {
        self.refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn refuse(&self, why: String) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }
}

fn wrong(key: &'static str, expected: &str) -> ProviderError {
    ProviderError::argument(super::KIND, key, expected)
}

fn signed_by_file(path: &str) -> Result<Rule, ProviderError> {
    let bad = |why: String| {
        let expected = format!("a file with PEM certificates ({path}: {why})");
        wrong("ca_file", &expected)
    };
    let text = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
    let given: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let given = given.map_err(|error| bad(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(given.iter().cloned());
    if usable == 0 {
        return Err(bad("no certificate in it".to_owned()));
    }
    Ok(Rule::Signed {
        by: verifier(roots),
        whose: "the authorities in ca_file",
        given,
    })
}

/// `None` if there is no authority at all.
fn verifier(roots: RootCertStore) -> Option<Arc<WebPkiServerVerifier>> {
    let provider = Arc::new(rustls_ring::default_provider());
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .ok()
}

impl Thumbprint {
    fn read(text: &str) -> Option<Self> {
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
        let value = |digit: u8| char::from(digit).to_digit(16);
        let bytes: Option<Vec<u8>> = digits
            .chunks(2)
            .map(|pair| match pair {
                [high, low] => u8::try_from(value(*high)? * 16 + value(*low)?).ok(),
                _ => None,
            })
            .collect();
        let bytes = bytes?;
        match bytes.len() {
            20 => Some(Self::Sha1(bytes)),
            32 => Some(Self::Sha256(bytes)),
            _ => None,
        }
    }

    fn sha256(certificate: &[u8]) -> Self {
        Self::Sha256(digest::digest(&SHA256, certificate).as_ref().to_vec())
    }

    /// The certificate's, of the same kind as this.
    fn of_same_kind(&self, certificate: &[u8]) -> Self {
        match self {
            // To find another certificate with a given SHA-1 is still out of everyone's reach.
            Self::Sha1(_) => Self::Sha1(
                digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate)
                    .as_ref()
                    .to_vec(),
            ),
            Self::Sha256(_) => Self::sha256(certificate),
        }
    }

    fn text(&self) -> String {
        let (Self::Sha1(bytes) | Self::Sha256(bytes)) = self;
        let mut text = String::new();
        for byte in bytes {
            let colon = if text.is_empty() { "" } else { ":" };
            // Writing to a String can't fail.
            let _ = write!(text, "{colon}{byte:02X}");
        }
        text
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let refused = Err(CertificateError::ApplicationVerificationFailure.into());
        let read;
        let rule = match &self.rule {
            Rule::Unread(path) => match signed_by_file(path) {
                Ok(rule) => {
                    read = rule;
                    &read
                }
                Err(error) => {
                    self.refuse(error.to_string());
                    return refused;
                }
            },
            rule => rule,
        };
        let (by, whose, given) = match rule {
            Rule::Unread(_) => return refused,
            Rule::Pinned(pin) => {
                let shown = pin.of_same_kind(end_entity);
                if shown == *pin {
                    return Ok(ServerCertVerified::assertion());
                }
                self.refuse(format!(
                    "its certificate is not the one that thumbprint names: it is {}; if vCenter has a new one, ask vCenter's administrators for its thumbprint",
                    shown.text()
                ));
                return refused;
            }
            Rule::Signed { by, whose, given } => (by, whose, given),
        };
        if given.iter().any(|known| known == end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        let judged = by.as_ref().map(|by| {
            by.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        });
        let why = match judged {
            Some(Ok(verified)) => return Ok(verified),
            Some(Err(error)) => error.to_string(),
            None => "there are none".to_owned(),
        };
        self.refuse(format!(
            "its certificate does not hold before {whose} ({why}); set ca_file to a file with vCenter's authority, or thumbprint={} once its administrators have confirmed that this is its certificate's",
            Thumbprint::sha256(end_entity).text()
        ));
        refused
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.algorithms.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.algorithms.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(trust: &Trust, certificate: &CertificateDer<'_>, name: &str) -> Result<(), String> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        trust
            .verify_server_cert(certificate, &[], &name, &[], UnixTime::now())
            .map(drop)
            .map_err(|_| trust.take_refusal().unwrap())
    }

    fn self_signed() -> CertificateDer<'static> {
        let names = vec!["vcenter.test".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        made.cert.der().clone()
    }

    #[test]
    fn a_certificate_is_known_by_either_thumbprint_in_either_form() {
        let certificate = self_signed();
        let sha256 = Thumbprint::sha256(&certificate).text();
        let sha1 = Thumbprint::Sha1(vec![0; 20])
            .of_same_kind(&certificate)
            .text();
        for text in [&sha256, &sha256.replace(':', "").to_lowercase(), &sha1] {
            let trust = Trust::new(Some(text), None).unwrap();
            judge(&trust, &certificate, "other.test").unwrap();
            let refused = judge(&trust, &self_signed(), "vcenter.test").unwrap_err();
            assert!(
                refused.contains("not the one that thumbprint names"),
                "{refused}"
            );
        }
        for bad in ["", "AB:CD", "zz", &sha256[1..], &format!("{sha256}:00")] {
            let error = Trust::new(Some(bad), None).unwrap_err().to_string();
            assert!(error.contains("40 or 64 hex digits"), "{error}");
        }
    }

    #[test]
    fn an_unknown_certificate_is_refused_with_the_thumbprint_to_put_in() {
        let certificate = self_signed();
        let trust = Trust::new(None, None).unwrap();
        let refused = judge(&trust, &certificate, "vcenter.test").unwrap_err();
        let thumbprint = Thumbprint::sha256(&certificate).text();
        assert!(
            refused.contains(&format!("thumbprint={thumbprint} once")),
            "{refused}"
        );
    }

    #[test]
    fn a_file_holds_authorities_or_the_certificate_itself() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let path = file.to_str().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap();
        let issuer = rcgen::Issuer::new(params, key);
        let own_key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new(vec!["vcenter.test".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&own_key, &issuer).unwrap();
        std::fs::write(&file, authority.pem()).unwrap();
        let trust = Trust::new(None, Some(path)).unwrap();
        judge(&trust, leaf.der(), "vcenter.test").unwrap();
        let refused = judge(&trust, leaf.der(), "other.test").unwrap_err();
        assert!(refused.contains("not valid for name"), "{refused}");
        assert!(judge(&trust, &self_signed(), "vcenter.test").is_err());

        std::fs::write(&file, leaf.pem()).unwrap();
        let trust = Trust::new(None, Some(path)).unwrap();
        judge(&trust, leaf.der(), "other.test").unwrap();

        std::fs::remove_file(&file).unwrap();
        let trust = Trust::new(None, Some(path)).unwrap();
        let refused = judge(&trust, leaf.der(), "vcenter.test").unwrap_err();
        assert!(refused.contains("ca.pem: No such file"), "{refused}");
        std::fs::write(&file, "nothing").unwrap();
        let refused = judge(&trust, leaf.der(), "vcenter.test").unwrap_err();
        assert!(refused.contains("no certificate in it"), "{refused}");
        // It is there now.
        std::fs::write(&file, authority.pem()).unwrap();
        judge(&trust, leaf.der(), "vcenter.test").unwrap();
    }
}
