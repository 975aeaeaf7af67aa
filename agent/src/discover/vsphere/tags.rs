//! From the names of a category and a tag to what carries the tag.

use std::sync::{Mutex, PoisonError};

use serde::Deserialize;

use super::super::ProviderError;
use super::rest::Rest;

const FIND_CATEGORY: &str = "looking for the tag category at vCenter";
const FIND_TAG: &str = "looking for the tag at vCenter";
const ATTACHED: &str = "listing what carries the tag at vCenter";
const BASE: &str = "/rest/com/vmware/cis/tagging";

/// A tag, by its names. Its id is looked for once: a vCenter may have hundreds of tags, and names
/// can only be compared one by one.
pub(super) struct Tag {
    category: String,
    name: String,
    id: Mutex<Option<String>>,
}

#[derive(Deserialize, Default)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Object {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

impl Tag {
    /// The tag of this name in this category.
    pub(super) fn new(category: &str, name: &str) -> Self {
        Self {
            category: category.to_owned(),
            name: name.to_owned(),
            id: Mutex::new(None),
        }
    }

    /// The virtual machines that carry it, by their managed object ids.
    pub(super) async fn attached(&self, rest: &Rest) -> Result<Vec<String>, ProviderError> {
        if let Some(id) = self.known()
            && let Some(found) = listed(rest, &id).await?
        {
            return Ok(found);
        }
        // Not looked for yet, or deleted since; there may be a new one of that name.
        let id = self.find(rest).await?;
        let found = listed(rest, &id).await?;
        self.know(id);
        found.ok_or_else(|| self.missing(ATTACHED, "it was there, and is gone"))
    }

    fn known(&self) -> Option<String> {
        let id = self.id.lock().unwrap_or_else(PoisonError::into_inner);
        id.clone()
    }

    fn know(&self, id: String) {
        *self.id.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
    }

    async fn find(&self, rest: &Rest) -> Result<String, ProviderError> {
        let path = format!("{BASE}/category");
        let ids: Vec<String> = rest.get(FIND_CATEGORY, &path).await?.unwrap_or_default();
        let category = first_named(rest, FIND_CATEGORY, "category", &ids, &self.category).await?;
        let category = category.ok_or_else(|| ProviderError::Refused {
            call: FIND_CATEGORY,
            said: format!(
                "no category {:?} among the {} that this account sees",
                self.category,
                ids.len()
            ),
            hint: Some("check category_name, and that the account may read tags"),
        })?;
        let path = format!("{BASE}/tag/id:{category}?~action=list-tags-for-category");
        let ids: Vec<String> = rest.post(FIND_TAG, &path).await?.unwrap_or_default();
        let tag = first_named(rest, FIND_TAG, "tag", &ids, &self.name).await?;
        tag.ok_or_else(|| {
            let seen = format!("among the {} that this account sees", ids.len());
            self.missing(FIND_TAG, &seen)
        })
    }

    fn missing(&self, call: &'static str, how: &str) -> ProviderError {
        ProviderError::Refused {
            call,
            said: format!(
                "no tag {:?} in the category {:?}: {how}",
                self.name, self.category
            ),
            hint: Some("check tag_name, and that the account may read tags"),
        }
    }
}

/// `None`: there is no such tag.
async fn listed(rest: &Rest, tag: &str) -> Result<Option<Vec<String>>, ProviderError> {
    let path = format!("{BASE}/tag-association/id:{tag}?~action=list-attached-objects");
    let objects: Option<Vec<Object>> = rest.post(ATTACHED, &path).await?;
    Ok(objects.map(|objects| {
        let machines = objects.into_iter().filter(|o| o.kind == "VirtualMachine");
        machines.map(|object| object.id).collect()
    }))
}

async fn first_named(
    rest: &Rest,
    call: &'static str,
    kind: &str,
    ids: &[String],
    name: &str,
) -> Result<Option<String>, ProviderError> {
    for id in ids {
        // One that has just been deleted is none.
        let found: Option<Named> = rest.get(call, &format!("{BASE}/{kind}/id:{id}")).await?;
        if found.is_some_and(|found| found.name == name) {
            return Ok(Some(id.clone()));
        }
    }
    Ok(None)
}
