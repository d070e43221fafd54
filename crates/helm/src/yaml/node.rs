//! The tree that the parser builds: nodes in one vector, so that an alias is an index.

use std::borrow::Cow;

use super::error::Mark;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct NodeId(pub(super) u32);

#[derive(Debug)]
pub(super) enum Content<'a> {
    /// `plain` scalars may turn out to be numbers, booleans or null.
    Scalar {
        text: Cow<'a, str>,
        plain: bool,
    },
    Sequence(Vec<NodeId>),
    Mapping(Vec<(NodeId, NodeId)>),
    Alias {
        name: &'a str,
        target: NodeId,
    },
}

#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) content: Content<'a>,
    /// The full tag; empty when the text has none.
    pub(super) tag: Cow<'a, str>,
    pub(super) mark: Mark,
}

#[derive(Debug, Default)]
pub(super) struct Tree<'a> {
    pub(super) nodes: Vec<Node<'a>>,
}

impl<'a> Tree<'a> {
    pub(super) fn add(&mut self, node: Node<'a>) -> NodeId {
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push(node);
        id
    }

    pub(super) fn get(&self, id: NodeId) -> Option<&Node<'a>> {
        self.nodes.get(id.0 as usize)
    }

    pub(super) fn set_content(&mut self, id: NodeId, content: Content<'a>) {
        if let Some(node) = self.nodes.get_mut(id.0 as usize) {
            node.content = content;
        }
    }
}
