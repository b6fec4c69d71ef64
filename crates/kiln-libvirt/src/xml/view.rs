// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The macros that make typed views and their words.

/// Makes a typed view: a getter and a setter for each line, and `PROPS`, the list that the
/// coverage test walks. A value that cannot be read as its type is taken as absent.
macro_rules! xml_view {
    ($(#[$doc:meta])* $view:ident {
        $($(#[$pdoc:meta])* $prop:ident, $set:ident: $type:ty = $path:literal;)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $view(pub $crate::xml::Element);

        impl $view {
            /// Every property and its path.
            pub const PROPS: &'static [(&'static str, &'static str)] =
                &[$((stringify!($prop), $path)),*];
            $(
                $(#[$pdoc])*
                #[must_use]
                pub fn $prop(&self) -> Option<$type> {
                    self.0.get($path)?.parse().ok()
                }

                #[doc = concat!("Sets [`Self::", stringify!($prop), "`].")]
                pub fn $set(&mut self, value: &$type) {
                    self.0.set($path, value);
                }
            )*
        }
    };
}
pub(crate) use xml_view;

/// Makes an enum of the words that libvirt uses. A word of a newer libvirt is `Other`, not an
/// error.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$wdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$wdoc])* $variant,)*
            /// A word that Kiln does not know.
            Other(String),
        }

        impl $name {
            /// Returns libvirt's word.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::Other(word) => word,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::convert::Infallible;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                Ok(match word {
                    $($word => Self::$variant,)*
                    other => Self::Other(other.to_owned()),
                })
            }
        }
    };
}
pub(crate) use words;
