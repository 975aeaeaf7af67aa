//! As much of a vCenter as is asked, answering as the documents of its API say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::super::double::{Answer, Asked, bare};

pub(super) const PASSWORD: &str = "s3cret&<word";
pub(super) const UUID: [&str; 3] = [
    "50360000-0000-4000-8000-000000000001",
    "50360000-0000-4000-8000-000000000002",
    "50360000-0000-4000-8000-000000000003",
];

/// Its inventory, sessions and moods.
#[derive(Default)]
pub(super) struct Vcenter {
    /// The sessions that are open.
    pub(super) sessions: BTreeSet<String>,
    pub(super) logins: usize,
    /// By managed object id: (name, instance UUID, BIOS UUID, power, address, folder).
    pub(super) machines: BTreeMap<String, [&'static str; 6]>,
    /// What it says instead, to the request whose path or body has this in it.
    pub(super) instead: Option<(&'static str, Answer)>,
    /// The account may not see these.
    pub(super) hidden: BTreeSet<String>,
}

impl Vcenter {
    pub(super) fn with_two() -> Self {
        let mut machines = BTreeMap::new();
        machines.insert(
            "vm-1".to_owned(),
            [
                "server-1",
                UUID[0],
                "b1",
                "poweredOn",
                "10.0.0.1",
                "group-2",
            ],
        );
        machines.insert(
            "vm-2".to_owned(),
            ["server-2", UUID[1], "b2", "poweredOff", "", "group-3"],
        );
        Self {
            machines,
            ..Self::default()
        }
    }

    pub(super) fn answer(&mut self, asked: &Asked) -> Answer {
        if let Some((what, answer)) = &self.instead
            && (asked.target.contains(what) || asked.body.contains(what))
        {
            return answer.clone();
        }
        match asked.target.strip_prefix("/rest/com/vmware/cis") {
            Some("/session") => self.open_rest(asked.header("authorization")),
            Some(target) => self.tagging(target, asked.header("vmware-api-session-id")),
            None => self.sdk(asked.header("cookie"), &asked.body),
        }
    }

    fn open(&mut self) -> String {
        self.logins += 1;
        let session = format!("session-{}", self.logins);
        self.sessions.insert(session.clone());
        session
    }

    fn open_rest(&mut self, credentials: &str) -> Answer {
        let right = STANDARD.encode(format!("swarmer:{PASSWORD}"));
        if credentials != format!("Basic {right}") {
            let said = r#"{"type":"com.vmware.vapi.std.errors.unauthenticated","value":{"messages":[{"args":[],"default_message":"Authentication required.","id":"com.vmware.vapi.endpoint.method.authentication.required"}]}}"#;
            return (401, vec![], said.to_owned());
        }
        let session = self.open();
        value(&format!("\"{session}\""))
    }

    fn tagging(&self, target: &str, session: &str) -> Answer {
        if !self.sessions.contains(session) {
            return bare(401);
        }
        let named =
            |id: &str, name: &str| value(&format!("{{\"id\":\"{id}\",\"name\":\"{name}\"}}"));
        match target.trim_start_matches("/tagging/") {
            "category" => value(r#"["urn:c:1:GLOBAL","urn:c:2:GLOBAL"]"#),
            "category/id:urn:c:1:GLOBAL" => named("urn:c:1:GLOBAL", "other"),
            "category/id:urn:c:2:GLOBAL" => named("urn:c:2:GLOBAL", "swarmer"),
            "tag/id:urn:c:2:GLOBAL?~action=list-tags-for-category" => {
                value(r#"["urn:t:9:GLOBAL"]"#)
            }
            "tag/id:urn:t:9:GLOBAL" => named("urn:t:9:GLOBAL", "vagrant-dev"),
            "tag-association/id:urn:t:9:GLOBAL?~action=list-attached-objects" => {
                let ids = self.machines.keys().filter(|id| !self.hidden.contains(*id));
                let mut objects = String::from(r#"[{"id":"host-1","type":"HostSystem"}"#);
                for id in ids {
                    write!(objects, ",{{\"id\":\"{id}\",\"type\":\"VirtualMachine\"}}").unwrap();
                }
                value(&format!("{objects}]"))
            }
            other => panic!("asked for {other}"),
        }
    }

    fn sdk(&mut self, cookie: &str, body: &str) -> Answer {
        if body.contains("<RetrieveServiceContent ") {
            return soap(
                "<r><returnval><rootFolder type=\"Folder\">group-d1</rootFolder>\
                 <propertyCollector type=\"PropertyCollector\">propertyCollector</propertyCollector>\
                 <sessionManager type=\"SessionManager\">SessionManager</sessionManager>\
                 <searchIndex type=\"SearchIndex\">SearchIndex</searchIndex></returnval></r>",
            );
        }
        if body.contains("<Login ") {
            if !body
                .contains("<userName>swarmer</userName><password>s3cret&amp;&lt;word</password>")
            {
                return fault(
                    "InvalidLogin",
                    "Cannot complete login due to an incorrect user name or password.",
                );
            }
            let set = format!(
                "vmware_soap_session=\"{}\"; Path=/; HttpOnly; Secure",
                self.open()
            );
            return (200, vec![("set-cookie", set)], soap("<r/>").2);
        }
        let session = cookie
            .trim_start_matches("vmware_soap_session=")
            .trim_matches('"');
        if !self.sessions.contains(session) {
            return fault("NotAuthenticated", "The session is not authenticated.");
        }
        if body.contains("<FindByUuid ") {
            let found = self.machines.iter().find(|(id, vm)| {
                !self.hidden.contains(*id) && body.contains(&format!("<uuid>{}</uuid>", vm[1]))
            });
            let found =
                found.map(|(id, _)| format!("<returnval type=\"VirtualMachine\">{id}</returnval>"));
            return soap(&format!("<r>{}</r>", found.unwrap_or_default()));
        }
        if body.contains("<FindByInventoryPath ") {
            let there = body.contains("<inventoryPath>DC0/vm/prod</inventoryPath>");
            let found = there.then_some("<returnval type=\"Folder\">group-1</returnval>");
            return soap(&format!("<r>{}</r>", found.unwrap_or_default()));
        }
        if body.contains("TraversalSpec") {
            return soap(
                "<r><returnval><objects><obj type=\"Folder\">group-1</obj></objects>\
                 <objects><obj type=\"Folder\">group-2</obj></objects></returnval></r>",
            );
        }
        self.page(body)
    }

    /// One machine a page.
    fn page(&self, body: &str) -> Answer {
        let token = body.split("<token>").nth(1);
        let token = token.map(|rest| rest.split('<').next().unwrap());
        let asked = |id: &&String| match token {
            Some(token) => token.split(' ').any(|one| one == *id),
            None => body.contains(&format!(">{id}<")),
        };
        let continued = token.is_some();
        let visible = |id: &&String| !self.hidden.contains(*id);
        let mut left = self.machines.keys().filter(asked).filter(visible);
        let found = left.next();
        let Some(id) = found else {
            return match body.contains("<reportMissingObjectsInResults>true<") || continued {
                true => soap("<r/>"),
                false if self.machines.keys().any(|id| asked(&id)) => fault(
                    "NoPermission",
                    "Permission to perform this operation was denied.",
                ),
                false => fault(
                    "ManagedObjectNotFound",
                    "The object 'vim.VirtualMachine:vm-1' has already been deleted or has not been completely created",
                ),
            };
        };
        let mut page = String::from("<r><returnval>");
        let rest: Vec<&str> = left.map(String::as_str).collect();
        if !rest.is_empty() {
            write!(page, "<token>{}</token>", rest.join(" ")).unwrap();
        }
        page.push_str(&object(id, &self.machines[id]));
        page.push_str("</returnval></r>");
        soap(&page)
    }
}

fn object(id: &str, [name, uuid, bios, power, address, folder]: &[&str; 6]) -> String {
    let value = |name: &str, kind: &str, value: &str| {
        format!("<propSet><name>{name}</name><val xsi:type=\"{kind}\">{value}</val></propSet>")
    };
    let nics = format!(
        "<GuestNicInfo><ipAddress>172.17.0.1</ipAddress><connected>true</connected>\
         <deviceConfigId>-1</deviceConfigId></GuestNicInfo>\
         <GuestNicInfo><network>VM Network</network><ipAddress>fe80::250:56ff:feb6:1</ipAddress>\
         <ipAddress>{address}</ipAddress><macAddress>00:50:56:b6:00:01</macAddress>\
         <connected>true</connected><deviceConfigId>4000</deviceConfigId>\
         <ipConfig><ipAddress><ipAddress>{address}</ipAddress><prefixLength>24</prefixLength>\
         <state>preferred</state></ipAddress></ipConfig></GuestNicInfo>"
    );
    format!(
        "<objects><obj type=\"VirtualMachine\">{id}</obj>{}{}{}{}{}{}{}{}</objects>",
        value("config.instanceUuid", "xsd:string", uuid),
        value("config.template", "xsd:boolean", "false"),
        value("config.uuid", "xsd:string", bios),
        value("guest.net", "ArrayOfGuestNicInfo", &nics),
        value("name", "xsd:string", name),
        value("parent", "ManagedObjectReference", folder),
        value(
            "runtime.connectionState",
            "VirtualMachineConnectionState",
            "connected"
        ),
        value("runtime.powerState", "VirtualMachinePowerState", power),
    )
}

fn value(value: &str) -> Answer {
    (200, vec![], format!("{{\"value\":{value}}}"))
}

fn soap(body: &str) -> Answer {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<soapenv:Envelope \
         xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\
         <soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
    );
    (200, vec![], text)
}

pub(super) fn fault(kind: &str, words: &str) -> Answer {
    let (_, headers, body) = soap(&format!(
        "<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>{words}</faultstring>\
         <detail><{kind}Fault xmlns=\"urn:vim25\" xsi:type=\"{kind}\"></{kind}Fault></detail></soapenv:Fault>"
    ));
    (500, headers, body)
}
