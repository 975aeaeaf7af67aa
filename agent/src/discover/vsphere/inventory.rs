//! Questions to vCenter's inventory: what machines are, and whether one is there at all.

use std::collections::BTreeSet;

use roxmltree::Node;

use super::super::ProviderError;
use super::soap::{Reply, Session, Soap, SoapError, child_text, element, escape};
use super::vm::{Nic, Vm};

const MACHINES: &str = "asking vCenter for the machines (RetrievePropertiesEx)";
const FOLDER: &str = "looking for the folder at vCenter (FindByInventoryPath)";
const FIND: &str = "looking for the machine at vCenter (FindByUuid)";
/// On a Docker host a machine comes to 30 KiB of interfaces: a page stays within 6 MiB.
const PAGE: usize = 200;
/// 20,000 machines carry no one tag; a vCenter that turns the same page for ever is not followed.
const PAGES: usize = 100;

const PROPERTIES: [&str; 9] = [
    "name",
    "config.instanceUuid",
    "config.uuid",
    "config.template",
    "runtime.powerState",
    "runtime.connectionState",
    "guest.net",
    "guest.ipAddress",
    "parent",
];

/// The machines behind these managed object ids; those that are gone are left out.
pub(super) async fn machines(soap: &Soap, ids: &[String]) -> Result<Vec<Vm>, SoapError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let objects: String = ids
        .iter()
        .map(|id| {
            format!(
                "<objectSet><obj type=\"VirtualMachine\">{}</obj></objectSet>",
                escape(id)
            )
        })
        .collect();
    let what = format!(
        "{}{objects}<reportMissingObjectsInResults>true</reportMissingObjectsInResults>",
        wanted()
    );
    let mut reply = soap
        .call(MACHINES, |session| retrieve(session, &what))
        .await?;
    let mut found = Vec::new();
    for _ in 0..PAGES {
        let (page, token) = read_page(&reply)?;
        found.extend(page);
        let Some(token) = token else {
            return Ok(found);
        };
        reply = soap
            .call(MACHINES, |session| continued(session, &token))
            .await?;
    }
    Err(unreadable(&format!("more than {PAGES} pages of machines")))
}

/// True if vCenter is sure that nothing has this managed object id.
pub(super) async fn is_gone(soap: &Soap, id: &str) -> Result<bool, SoapError> {
    let what = format!(
        "{}<objectSet><obj type=\"VirtualMachine\">{}</obj></objectSet>",
        wanted(),
        escape(id)
    );
    match soap
        .call(MACHINES, |session| retrieve(session, &what))
        .await
    {
        Ok(_) => Ok(false),
        Err(SoapError::Fault { kind, .. }) if kind == "ManagedObjectNotFound" => Ok(true),
        Err(error) => Err(error),
    }
}

/// The managed object id of the machine with this instance UUID.
pub(super) async fn find(soap: &Soap, instance_uuid: &str) -> Result<Option<String>, SoapError> {
    let arguments = format!(
        "<uuid>{}</uuid><vmSearch>true</vmSearch><instanceUuid>true</instanceUuid>",
        escape(instance_uuid)
    );
    let reply = soap
        .call(FIND, |session| {
            element("FindByUuid", "SearchIndex", &session.index, &arguments)
        })
        .await?;
    Ok(returned(FIND, &reply)?.map(|(_, id)| id))
}

/// The managed object ids of a folder and of all folders in it.
pub(super) async fn folders(soap: &Soap, path: &str) -> Result<BTreeSet<String>, SoapError> {
    let arguments = format!("<inventoryPath>{}</inventoryPath>", escape(path));
    let reply = soap
        .call(FOLDER, |session| {
            element(
                "FindByInventoryPath",
                "SearchIndex",
                &session.index,
                &arguments,
            )
        })
        .await?;
    let found = returned(FOLDER, &reply)?.filter(|(kind, _)| kind == "Folder");
    let Some((_, folder)) = found else {
        return Err(ProviderError::Refused {
            call: FOLDER,
            said: format!("no folder {path:?} that this account sees"),
            hint: Some("folder is a path such as DATACENTER/vm/FOLDER"),
        }
        .into());
    };
    let what = format!(
        "<propSet><type>Folder</type></propSet><objectSet><obj type=\"Folder\">{}</obj>\
         <skip>false</skip><selectSet xsi:type=\"TraversalSpec\"><name>inside</name>\
         <type>Folder</type><path>childEntity</path><skip>false</skip>\
         <selectSet><name>inside</name></selectSet></selectSet></objectSet>",
        escape(&folder)
    );
    let mut reply = soap
        .call(FOLDER, |session| retrieve(session, &what))
        .await?;
    let mut all = BTreeSet::from([folder]);
    for _ in 0..PAGES {
        let token = reply.read(FOLDER, |answer| {
            all.extend(objects(answer).filter_map(|object| child_text(object, "obj")));
            child_text(answer, "token")
        })?;
        let Some(token) = token else {
            return Ok(all);
        };
        reply = soap
            .call(FOLDER, |session| continued(session, &token))
            .await?;
    }
    Err(unreadable(&format!("more than {PAGES} pages of folders")))
}

fn wanted() -> String {
    let paths: String = PROPERTIES
        .iter()
        .map(|path| format!("<pathSet>{path}</pathSet>"))
        .collect();
    format!("<propSet><type>VirtualMachine</type>{paths}</propSet>")
}

fn retrieve(session: &Session, what: &str) -> String {
    let arguments =
        format!("<specSet>{what}</specSet><options><maxObjects>{PAGE}</maxObjects></options>");
    element(
        "RetrievePropertiesEx",
        "PropertyCollector",
        &session.collector,
        &arguments,
    )
}

fn continued(session: &Session, token: &str) -> String {
    element(
        "ContinueRetrievePropertiesEx",
        "PropertyCollector",
        &session.collector,
        &format!("<token>{}</token>", escape(token)),
    )
}

fn unreadable(why: &str) -> SoapError {
    SoapError::Other(ProviderError::Unreadable {
        call: MACHINES,
        why: why.to_owned(),
    })
}

/// What a search returned: type and managed object id.
fn returned(call: &'static str, reply: &Reply) -> Result<Option<(String, String)>, ProviderError> {
    reply.read(call, |answer| {
        let found = answer
            .descendants()
            .find(|n| n.tag_name().name() == "returnval")?;
        let kind = found.attribute("type").unwrap_or_default().to_owned();
        Some((kind, found.text()?.trim().to_owned()))
    })
}

fn objects<'a, 'i>(answer: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    answer
        .descendants()
        .filter(|node| node.tag_name().name() == "objects")
}

/// A page of machines, and the token of the next one.
fn read_page(reply: &Reply) -> Result<(Vec<Vm>, Option<String>), ProviderError> {
    reply.read(MACHINES, |answer| {
        let machines = objects(answer).map(read_machine).collect();
        (machines, child_text(answer, "token"))
    })
}

fn read_machine(object: Node<'_, '_>) -> Vm {
    let mut vm = Vm {
        reference: child_text(object, "obj").unwrap_or_default(),
        ..Vm::default()
    };
    for property in object
        .children()
        .filter(|n| n.tag_name().name() == "propSet")
    {
        read_property(property, &mut vm);
    }
    vm
}

fn read_property(property: Node<'_, '_>, vm: &mut Vm) {
    let elements = || property.children().filter(Node::is_element);
    let part = |name: &str| elements().find(|part| part.tag_name().name() == name);
    let name = part("name").and_then(|name| name.text());
    let (Some(name), Some(value)) = (name, part("val")) else {
        return;
    };
    let text = || value.text().unwrap_or_default().trim().to_owned();
    let some = || Some(text()).filter(|text| !text.is_empty());
    match name {
        "name" => vm.name = text(),
        "config.instanceUuid" => vm.instance_uuid = some().map(|id| id.to_ascii_lowercase()),
        "config.uuid" => vm.bios_uuid = some().map(|id| id.to_ascii_lowercase()),
        "config.template" => vm.template = text() == "true",
        "runtime.powerState" => vm.power = text(),
        "runtime.connectionState" => vm.connection = text(),
        "guest.net" => vm.nics = value.children().filter(Node::is_element).map(nic).collect(),
        "guest.ipAddress" => vm.main = text().parse().ok(),
        "parent" => vm.parent = some(),
        _ => {}
    }
}

/// A `GuestNicInfo`. The addresses stand in `ipAddress`, and again, with more about each, in
/// `ipConfig`.
fn nic(info: Node<'_, '_>) -> Nic {
    let parts = || info.children().filter(Node::is_element);
    let number = parts().find(|part| part.tag_name().name() == "deviceConfigId");
    let number: Option<i64> = number.and_then(|n| n.text()?.trim().parse().ok());
    let addresses = parts().filter(|part| part.tag_name().name() == "ipAddress");
    Nic {
        hardware: number.is_none_or(|number| number >= 0),
        addresses: addresses
            .filter_map(|address| address.text()?.trim().parse().ok())
            .collect(),
    }
}
