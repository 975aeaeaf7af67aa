//! The rules by which handshakes judge certificates, read afresh at each of them. Between agents a
//! host's name or address is never part of them: nodes are known by id and role, wherever they are.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::cert_store::CertStore;
use super::tls::provider;
use super::trust::{Refused, Usage};
use crate::model::Role;

/// A server's rule for those who call.
#[derive(Debug)]
pub(super) struct Callers {
    pub(super) store: Arc<CertStore>,
    pub(super) mandatory: bool,
    pub(super) roles: &'static [Role],
    pub(super) hints: OnceLock<Vec<DistinguishedName>>,
}

/// A client's rule for whom it calls.
#[derive(Debug)]
pub(super) struct Called {
    pub(super) store: Arc<CertStore>,
    pub(super) expect: Expect,
}

/// Whom a client expects to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// A server, under whatever name it was called.
    Server,
    /// A node of the host name or address that was called.
    Named,
}

/// A joiner's rule: any certificate, but its holder must have the key, since the join proof is
/// bound to this channel.
#[derive(Debug)]
pub(super) struct Anyone;

fn algorithms() -> WebPkiSupportedAlgorithms {
    provider().signature_verification_algorithms
}

/// Both verifier traits ask for the handshake's signature in the same words.
macro_rules! handshake_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls12_signature(message, cert, dss, &algorithms())
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, cert, dss, &algorithms())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            algorithms().supported_schemes()
        }
    };
}

impl ClientCertVerifier for Callers {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    /// The CA's name, by which a browser picks the right certificate from several. Taken once there
    /// is a CA; all CAs of a cluster have one name.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        match self.store.believed() {
            Ok(trust) => self.hints.get_or_init(|| trust.names()),
            Err(_) => &[],
        }
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let trust = self.store.believed()?;
        let found = trust.check(leaf, between, Usage::Client, now)?.role;
        if !self.roles.contains(&found) {
            return Err(Refused::WrongRole { found }.into());
        }
        Ok(ClientCertVerified::assertion())
    }

    handshake_signatures!();
}

impl ServerCertVerifier for Called {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let trust = self.store.believed()?;
        let peer = trust.check(leaf, between, Usage::Server, now)?;
        match self.expect {
            Expect::Server if peer.role != Role::Server => {
                Err(Refused::WrongRole { found: peer.role }.into())
            }
            Expect::Server => Ok(ServerCertVerified::assertion()),
            Expect::Named => {
                verify_server_name(&ParsedCertificate::try_from(leaf)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
        }
    }

    handshake_signatures!();
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _between: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    handshake_signatures!();
}
