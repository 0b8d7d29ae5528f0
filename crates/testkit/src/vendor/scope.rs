//! The names that an expression knows. A scope with one name more shares the rest with the one it was made of.
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object};

/// Names and their values; the newest of one name counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope(Option<Arc<Node>>);

#[derive(Debug)]
struct Node {
    name: String,
    value: Value,
    rest: Scope,
}

impl Scope {
    /// One with no names.
    pub(super) fn new() -> Scope {
        Scope(None)
    }

    /// One name more.
    pub(super) fn insert(&mut self, name: impl Into<String>, value: Value) {
        *self = Scope(Some(Arc::new(Node { name: name.into(), value, rest: self.clone() })));
    }

    /// All names of another scope.
    pub(super) fn extend(&mut self, other: &Scope) {
        let mut nodes = Vec::new();
        let mut at = other;
        while let Some(node) = &at.0 {
            nodes.push(node);
            at = &node.rest;
        }
        for node in nodes.into_iter().rev() {
            self.insert(node.name.clone(), node.value.clone());
        }
    }

    /// The value of a name.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        let mut at = self;
        while let Some(node) = &at.0 {
            if node.name == name {
                return Some(&node.value);
            }
            at = &node.rest;
        }
        None
    }

    /// As a value, for the engine of expressions.
    pub(super) fn value(&self) -> Value {
        Value::from_object(self.clone())
    }
}

impl<const N: usize> From<[(&str, Value); N]> for Scope {
    fn from(pairs: [(&str, Value); N]) -> Scope {
        let mut scope = Scope::new();
        for (name, value) in pairs {
            scope.insert(name, value);
        }
        scope
    }
}

impl Object for Scope {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get(key.as_str()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }
}
