//! What must not compile: forging a stage, skipping one, taking one twice,
//! opening a raw output. Each file in `tests/ui` is such a try.

#[test]
fn forging_or_skipping_a_stage_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
