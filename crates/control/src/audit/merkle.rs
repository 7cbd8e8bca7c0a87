//! The Merkle tree of RFC 6962, section 2.1, as it grows.
//!
//! Only the frontier is kept: the roots of the perfect subtrees that the tree
//! is made of, largest first, one for each bit that is set in its size. From it
//! the root follows, and appending needs nothing else.

use sha2::{Digest, Sha256};

/// A node's hash.
pub type Hash = [u8; 32];

/// Hash of a leaf: `SHA-256(0x00 || entry)`.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0x00]);
    hasher.update(entry);
    hasher.finalize().into()
}

/// Hash of an inner node: `SHA-256(0x01 || left || right)`.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0x01]);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}

/// The root of a perfect subtree: `nodes` are all its nodes of one level, a power of two of them.
///
/// Of any other number: what the RFC's splitting makes of it, with the last nodes as a smaller tree.
pub fn root_of(nodes: &[Hash]) -> Option<Hash> {
    let (first, rest) = nodes.split_first()?;
    if rest.is_empty() {
        return Some(*first);
    }
    // The largest power of two that is smaller than the number of nodes.
    let (left, right) = nodes.split_at(nodes.len().next_power_of_two() / 2);
    Some(node_hash(&root_of(left)?, &root_of(right)?))
}

/// A tree of `size` leaves, as its frontier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    frontier: Vec<Hash>,
}

impl Tree {
    /// The tree that a store kept.
    ///
    /// # Errors
    ///
    /// Says so if the frontier has not one root for each bit that is set in `size`.
    pub fn from_frontier(size: u64, frontier: Vec<Hash>) -> Result<Self, String> {
        if usize::try_from(size.count_ones()).ok() == Some(frontier.len()) {
            return Ok(Self { size, frontier });
        }
        Err(format!(
            "a tree of {size} leaves has {} subtree roots, not {}",
            size.count_ones(),
            frontier.len()
        ))
    }

    /// Appends a leaf.
    pub fn append(&mut self, leaf: Hash) {
        let mut node = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.frontier.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.frontier.push(node);
        self.size += 1;
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the perfect subtrees, largest first.
    pub fn frontier(&self) -> &[Hash] {
        &self.frontier
    }

    /// The Merkle tree hash. Of the empty tree: `SHA-256()` of nothing.
    pub fn root(&self) -> Hash {
        let mut subtrees = self.frontier.iter().rev();
        match subtrees.next() {
            Some(last) => subtrees.fold(*last, |right, left| node_hash(left, &right)),
            None => Sha256::digest([]).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(hash: &Hash) -> String {
        let mut text = String::new();
        quaymaster_core::arguments::push_hex(&mut text, hash);
        text
    }

    /// The recursive definition, word for word from the RFC.
    fn definition(entries: &[Vec<u8>]) -> Hash {
        match entries {
            [] => Sha256::digest([]).into(),
            [one] => leaf_hash(one),
            many => {
                let k = many.len().next_power_of_two() / 2;
                node_hash(&definition(&many[..k]), &definition(&many[k..]))
            }
        }
    }

    /// The test vectors of the certificate-transparency project, which every RFC 6962 implementation shares.
    #[test]
    fn roots_are_those_of_the_known_test_vectors() {
        let entries: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let mut tree = Tree::default();
        assert_eq!(hex(&tree.root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        let mut roots = Vec::new();
        for entry in entries {
            tree.append(leaf_hash(entry));
            roots.push(hex(&tree.root()));
        }
        assert_eq!(roots[0], "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        assert_eq!(roots[2], "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
        assert_eq!(roots[7], "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
    }

    #[test]
    fn a_frontier_of_the_wrong_length_is_refused() {
        assert!(Tree::from_frontier(3, vec![[0; 32]]).is_err());
    }

    proptest! {
        #[test]
        fn the_frontier_yields_the_root_of_the_definition(
            entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..8), 0..70)
        ) {
            let mut tree = Tree::default();
            for entry in &entries {
                tree.append(leaf_hash(entry));
            }
            prop_assert_eq!(tree.root(), definition(&entries));
            let again = Tree::from_frontier(tree.size(), tree.frontier().to_vec());
            prop_assert_eq!(again, Ok(tree));
        }
    }
}
