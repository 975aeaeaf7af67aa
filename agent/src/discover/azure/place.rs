//! Which of Azure's clouds.

use super::super::ProviderError;
use super::wrong;

/// Where its services are.
pub(super) struct Place {
    /// The Resource Manager; also the name under which tokens for it are asked.
    pub(super) manager: String,
    /// Where an application logs in.
    pub(super) login: String,
    /// The instance metadata service.
    pub(super) metadata: String,
}

impl Place {
    /// By the names of go-discover's SDK, or shorter.
    pub(super) fn named(name: Option<&str>) -> Result<Self, ProviderError> {
        let (manager, login) = match name.map(str::to_ascii_lowercase).as_deref() {
            None | Some("public" | "azurepubliccloud" | "azurecloud") => {
                ("management.azure.com", "login.microsoftonline.com")
            }
            Some("usgovernment" | "azureusgovernment" | "azureusgovernmentcloud") => {
                ("management.usgovcloudapi.net", "login.microsoftonline.us")
            }
            Some("china" | "azurechinacloud") => {
                ("management.chinacloudapi.cn", "login.chinacloudapi.cn")
            }
            Some(_) => return Err(wrong("environment", "public, usgovernment or china")),
        };
        Ok(Self {
            manager: format!("https://{manager}"),
            login: format!("https://{login}"),
            metadata: "http://169.254.169.254".to_owned(),
        })
    }
}
