//! A simulated vCenter (VMware's own, of govmomi), with machines, tags and a certificate that a CA
//! of the test signed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::process::{self, Process, mortal};
use crate::scratch::Scratch;
use crate::{binary, wait};

/// Where `tests/setup.sh` puts it, below cargo's target directory.
pub const PROGRAM: &str = "vcsim/vcsim";
const STARTS_WITHIN: Duration = Duration::from_secs(30);
const TASK_TAKES: Duration = Duration::from_secs(20);
const TAGGING: &str = "/rest/com/vmware/cis/tagging";

/// It runs until it is dropped.
#[derive(Debug)]
pub struct Vcsim {
    scratch: Scratch,
    at: String,
    session: String,
    _process: Process,
}

impl Vcsim {
    /// Who may log in. vcsim knows no name with an @ in it again.
    pub const USER: &str = "swarmer";
    /// With what.
    pub const PASSWORD: &str = "s3cret&word";

    /// One datacenter `DC0` with a standalone host `DC0_H0` and these many machines on it, named
    /// `DC0_H0_VM0` and so on.
    pub fn start(machines: usize) -> Result<Self> {
        let scratch = Scratch::new("vcsim")?;
        certify(scratch.path())?;
        let log = scratch.path().join("vcsim.log");
        let mut command = mortal(binary::target_directory()?.join(PROGRAM));
        command
            .args(["-l", "127.0.0.1:0", "-dc", "1", "-cluster", "0"])
            .args(["-vm", &machines.to_string()])
            .args(["-username", Self::USER, "-password", Self::PASSWORD])
            .arg("-tlscert")
            .arg(scratch.path().join("cert.pem"))
            .arg("-tlskey")
            .arg(scratch.path().join("key.pem"));
        let process = Process::spawn("vcsim", command, &log)?;
        let at = wait::for_fact("vcsim says where it listens", STARTS_WITHIN, || {
            let said = process.last_words(50);
            let url = said.split("GOVC_URL=").nth(1).context(said.clone())?;
            let host = url
                .split("/sdk")
                .next()
                .and_then(|url| url.rsplit('@').next());
            Ok(host.context(said.clone())?.to_owned())
        })?;
        let mut vcsim = Self {
            scratch,
            at,
            session: String::new(),
            _process: process,
        };
        vcsim.log_in()?;
        Ok(vcsim)
    }

    /// Host and port.
    #[must_use]
    pub fn at(&self) -> &str {
        &self.at
    }

    /// The CA that signed its certificate.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.scratch.path().join("ca.pem")
    }

    /// Its certificate's, by `sha1` or `sha256`, as openssl prints it.
    pub fn thumbprint(&self, by: &str) -> Result<String> {
        let mut openssl = Command::new("openssl");
        openssl
            .args(["x509", "-noout", "-fingerprint", &format!("-{by}"), "-in"])
            .arg(self.scratch.path().join("cert.pem"));
        let line = process::run(&mut openssl)?;
        let thumbprint = line.trim().rsplit('=').next();
        Ok(thumbprint.context("no thumbprint")?.to_owned())
    }

    /// Makes a tag in a new category, and attaches it to these machines.
    pub fn tag(&self, category: &str, tag: &str, machines: &[&str]) -> Result<()> {
        let made = self.rest(
            &format!("{TAGGING}/category"),
            &json!({"create_spec": {"name": category, "description": "", "cardinality": "SINGLE", "associable_types": ["VirtualMachine"]}}),
        )?;
        let made = self.rest(
            &format!("{TAGGING}/tag"),
            &json!({"create_spec": {"name": tag, "description": "", "category_id": made}}),
        )?;
        let id = made.as_str().context("no tag's id")?;
        for machine in machines {
            let object =
                json!({"object_id": {"type": "VirtualMachine", "id": self.find(machine)?}});
            let path = format!("{TAGGING}/tag-association/id:{id}?~action=attach");
            self.rest(&path, &object)?;
        }
        Ok(())
    }

    /// What the machine's guest tells of its address.
    pub fn set_address(&self, machine: &str, address: &str) -> Result<()> {
        let spec = format!(
            "<spec><extraConfig xsi:type=\"OptionValue\"><key>SET.guest.ipAddress</key>\
             <value xsi:type=\"xsd:string\">{address}</value></extraConfig></spec>"
        );
        self.change("ReconfigVM_Task", machine, &spec)?;
        wait::for_fact("the guest tells its address", TASK_TAKES, || {
            let told = self.property(machine, "guest.ipAddress")?;
            ensure!(told == address, "it tells {told:?}");
            Ok(())
        })
    }

    /// Cuts its power.
    pub fn power_off(&self, machine: &str) -> Result<()> {
        self.change("PowerOffVM_Task", machine, "")?;
        wait::for_fact("the machine is off", TASK_TAKES, || {
            let state = self.property(machine, "runtime.powerState")?;
            ensure!(state == "poweredOff", "it is {state:?}");
            Ok(())
        })
    }

    /// The machine's instance UUID.
    pub fn instance_uuid(&self, machine: &str) -> Result<String> {
        self.property(machine, "config.instanceUuid")
    }

    /// The machine's managed object id.
    fn find(&self, machine: &str) -> Result<String> {
        let found = self.soap(&format!(
            "<FindByInventoryPath xmlns=\"urn:vim25\"><_this type=\"SearchIndex\">SearchIndex</_this>\
             <inventoryPath>DC0/vm/{machine}</inventoryPath></FindByInventoryPath>"
        ))?;
        between(&found, "<returnval type=\"VirtualMachine\">", "<")
    }

    fn change(&self, task: &str, machine: &str, arguments: &str) -> Result<()> {
        let machine = self.find(machine)?;
        self.soap(&format!(
            "<{task} xmlns=\"urn:vim25\"><_this type=\"VirtualMachine\">{machine}</_this>{arguments}</{task}>"
        ))
        .map(drop)
    }

    fn property(&self, machine: &str, path: &str) -> Result<String> {
        let machine = self.find(machine)?;
        let answer = self.soap(&format!(
            "<RetrievePropertiesEx xmlns=\"urn:vim25\"><_this type=\"PropertyCollector\">propertyCollector</_this>\
             <specSet><propSet><type>VirtualMachine</type><pathSet>{path}</pathSet></propSet>\
             <objectSet><obj type=\"VirtualMachine\">{machine}</obj></objectSet></specSet>\
             <options></options></RetrievePropertiesEx>"
        ))?;
        let value = between(&answer, "<val", "</val>").unwrap_or_default();
        Ok(value.split('>').next_back().unwrap_or_default().to_owned())
    }

    fn log_in(&mut self) -> Result<()> {
        let answer = self.curl(
            "/rest/com/vmware/cis/session",
            &[
                "-X",
                "POST",
                "-u",
                &format!("{}:{}", Self::USER, Self::PASSWORD),
            ],
        )?;
        let answer: Value = serde_json::from_str(&answer).context(answer)?;
        self.session = answer["value"].as_str().context("no session")?.to_owned();
        let password = Self::PASSWORD.replace('&', "&amp;");
        self.soap(&format!(
            "<Login xmlns=\"urn:vim25\"><_this type=\"SessionManager\">SessionManager</_this>\
             <userName>{}</userName><password>{password}</password></Login>",
            Self::USER
        ))?;
        Ok(())
    }

    fn rest(&self, path: &str, body: &Value) -> Result<Value> {
        let session = format!("vmware-api-session-id: {}", self.session);
        let answer = self.curl(path, &["-H", &session, "-d", &body.to_string()])?;
        if answer.is_empty() {
            return Ok(Value::Null);
        }
        let answer: Value = serde_json::from_str(&answer).context(answer)?;
        Ok(answer["value"].clone())
    }

    fn soap(&self, body: &str) -> Result<String> {
        let jar = self.scratch.path().join("cookies");
        let jar = jar.to_string_lossy().into_owned();
        let envelope = format!(
            "<?xml version=\"1.0\"?><e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
             xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\"><e:Body>{body}</e:Body></e:Envelope>"
        );
        self.curl(
            "/sdk",
            &[
                "-b",
                &jar,
                "-c",
                &jar,
                "-H",
                "Content-Type: text/xml",
                "-d",
                &envelope,
            ],
        )
    }

    /// curl, because it speaks TLS; it follows the same CA as the agent is told to.
    fn curl(&self, path: &str, arguments: &[&str]) -> Result<String> {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--fail-with-body", "--max-time", "20", "--cacert"])
            .arg(self.ca())
            .args(arguments)
            .arg(format!("https://{}{path}", self.at));
        process::run(&mut curl)
    }
}

fn between(text: &str, start: &str, end: &str) -> Result<String> {
    let found = text
        .split(start)
        .nth(1)
        .and_then(|rest| rest.split(end).next());
    Ok(found
        .with_context(|| format!("no {start} in {text}"))?
        .to_owned())
}

/// `ca.pem`, and `cert.pem` with `key.pem` that it signed for 127.0.0.1.
fn certify(folder: &Path) -> Result<()> {
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n")?;
    let new_key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    for line in [
        format!("req -x509 {new_key} -keyout ca.key -out ca.pem -subj /CN=a-ca-of-a-test -days 2"),
        format!("req {new_key} -keyout key.pem -out request.pem -subj /CN=vcenter"),
        "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem".to_owned(),
    ] {
        let mut openssl = Command::new("openssl");
        openssl.args(line.split(' ')).current_dir(folder);
        process::run(&mut openssl)?;
    }
    Ok(())
}
