// SPDX-License-Identifier: GPL-2.0

//! `#[pin_data]` and `#[pinned_drop]`, where values may move until they are shared.
//!
//! The kernel's make structures that are built in their final place. On the build host a lock can be
//! moved before it is used, so a pinned structure is a plain one: its fields lose their `#[pin]`,
//! and its `PinnedDrop` is a `Drop`.

use proc_macro::{Delimiter, Group, Ident, TokenStream, TokenTree};

/// The item without the `#[pin]` of its fields.
#[proc_macro_attribute]
pub fn pin_data(_args: TokenStream, item: TokenStream) -> TokenStream {
    item.into_iter().map(without_pin).collect()
}

fn without_pin(tree: TokenTree) -> TokenTree {
    let TokenTree::Group(group) = &tree else {
        return tree;
    };
    if group.delimiter() != Delimiter::Brace {
        return tree;
    }
    let mut out: Vec<TokenTree> = Vec::new();
    for inner in group.stream() {
        let is_pin = matches!(&inner, TokenTree::Group(g)
            if g.delimiter() == Delimiter::Bracket && g.stream().to_string() == "pin");
        if is_pin {
            // The `#` before it.
            out.pop();
        } else {
            out.push(inner);
        }
    }
    regroup(group, out.into_iter().collect())
}

/// `impl PinnedDrop for T { fn drop(self: Pin<&mut Self>) … }` as an `impl Drop`.
#[proc_macro_attribute]
pub fn pinned_drop(_args: TokenStream, item: TokenStream) -> TokenStream {
    item.into_iter()
        .map(|tree| match tree {
            TokenTree::Ident(name) if name.to_string() == "PinnedDrop" => {
                TokenTree::Ident(Ident::new("Drop", name.span()))
            }
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                regroup(&group, by_mut_ref(group.stream()))
            }
            other => other,
        })
        .collect()
}

/// The first group in parentheses is the arguments of `drop`: they become `&mut self`.
fn by_mut_ref(body: TokenStream) -> TokenStream {
    let mut done = false;
    body.into_iter()
        .map(|tree| match &tree {
            TokenTree::Group(group) if !done && group.delimiter() == Delimiter::Parenthesis => {
                done = true;
                regroup(group, "&mut self".parse().expect("a receiver"))
            }
            _ => tree,
        })
        .collect()
}

fn regroup(like: &Group, stream: TokenStream) -> TokenTree {
    let mut group = Group::new(like.delimiter(), stream);
    group.set_span(like.span());
    TokenTree::Group(group)
}
