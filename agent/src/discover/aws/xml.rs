//! Reading AWS's XML without its namespaces.

use roxmltree::Node;

/// The first child of this name.
pub(super) fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children()
        .find(|child| child.tag_name().name() == name)
}

/// The text of the first child of this name, unless that is empty.
pub(super) fn text<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    let text = child(node, name)?.text()?.trim();
    (!text.is_empty()).then_some(text)
}

/// The elements of the list of this name: `item` in EC2, `member` elsewhere.
pub(super) fn list<'a, 'input: 'a>(
    node: Node<'a, 'input>,
    name: &str,
) -> impl Iterator<Item = Node<'a, 'input>> {
    let list = child(node, name).into_iter();
    list.flat_map(|list| list.children().filter(Node::is_element))
}

/// The first element of this name at any depth.
pub(super) fn anywhere<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.descendants().find(|one| one.tag_name().name() == name)
}
