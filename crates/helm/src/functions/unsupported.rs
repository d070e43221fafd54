//! Functions that Helm has and this engine does not: they fail by name instead of being unknown.

use super::arguments::fail;
use super::{Function, Type, variadic};

macro_rules! unsupported {
    ($($name:literal),* $(,)?) => {
        pub(super) const FUNCTIONS: &[Function] = &[$(
            variadic($name, &[], Type::Any, |_, _| {
                fail(concat!("function `", $name, "` is not supported yet"))
            }),
        )*];
    };
}

unsupported!(
    "buildCustomCert",
    "genCA",
    "genCAWithKey",
    "genPrivateKey",
    "genSelfSignedCert",
    "genSelfSignedCertWithKey",
    "genSignedCert",
    "genSignedCertWithKey",
);
