use super::If::{NotZero, Zero};
use super::Reg::{R8, Rax, Rcx, Rdi, Rdx, Rsi};
use super::*;

fn code(write: impl FnOnce(&mut Assembler)) -> Vec<u8> {
    let mut a = Assembler::default();
    write(&mut a);
    a.finish()
}

/// The bytes are what GNU `as` 2.40 makes of the line beside them.
#[test]
fn the_encodings_are_those_of_gnu_as() {
    let table: [(&str, Vec<u8>, &[u8]); 17] = [
        (
            "movabs rcx, 0x100000",
            code(|a| a.set(Rcx, 0x10_0000)),
            &[0x48, 0xb9, 0, 0, 16, 0, 0, 0, 0, 0],
        ),
        ("movabs r8, 1", code(|a| a.set(R8, 1)), &[0x49, 0xb8, 1, 0, 0, 0, 0, 0, 0, 0]),
        ("mov r8, rax", code(|a| a.copy(R8, Rax)), &[0x49, 0x89, 0xc0]),
        (
            "mov r8, [rdi+0x1000]",
            code(|a| a.load(R8, Rdi, 0x1000)),
            &[0x4c, 0x8b, 0x87, 0, 16, 0, 0],
        ),
        ("{disp32} mov rax, [r8+8]", code(|a| a.load(Rax, R8, 8)), &[0x49, 0x8b, 0x80, 8, 0, 0, 0]),
        (
            "mov [rdi+0x1008], rax",
            code(|a| a.store(Rdi, 0x1008, Rax)),
            &[0x48, 0x89, 0x87, 8, 16, 0, 0],
        ),
        ("add rsi, rdx", code(|a| a.add(Rsi, Rdx)), &[0x48, 0x01, 0xd6]),
        ("add rsi, 8", code(|a| a.add_small(Rsi, 8)), &[0x48, 0x83, 0xc6, 8]),
        ("dec rcx", code(|a| a.decrement(Rcx)), &[0x48, 0xff, 0xc9]),
        (
            "{disp32} xor rax, [rsi]",
            code(|a| a.xor_load(Rax, Rsi, 0)),
            &[0x48, 0x33, 0x86, 0, 0, 0, 0],
        ),
        ("rol rax, 23", code(|a| a.rotate_left(Rax, 23)), &[0x48, 0xc1, 0xc0, 23]),
        ("imul rax, rdx", code(|a| a.multiply(Rax, Rdx)), &[0x48, 0x0f, 0xaf, 0xc2]),
        ("cmp rax, r8", code(|a| a.compare(Rax, R8)), &[0x4c, 0x39, 0xc0]),
        ("cmp rax, 2", code(|a| a.compare_small(Rax, 2)), &[0x48, 0x83, 0xf8, 2]),
        ("test rcx, rcx", code(|a| a.test(Rcx)), &[0x48, 0x85, 0xc9]),
        ("pause", code(Assembler::pause), &[0xf3, 0x90]),
        ("out 0x10, eax", code(|a| a.out(0x10)), &[0xe7, 0x10]),
    ];
    for (line, made, expected) in table {
        assert_eq!(made, expected, "{line}");
    }
}

#[test]
fn a_jump_goes_back_as_well_as_forward() {
    let made = code(|a| {
        let end = a.label();
        let start = a.here();
        a.jump_if(Zero, end); // 6 bytes
        a.jump_if(NotZero, start); // 6 bytes
        a.jump(start); // 5 bytes
        a.bind(end);
    });
    #[rustfmt::skip]
    let expected = [
        0x0f, 0x84, 11, 0, 0, 0,
        0x0f, 0x85, 0xf4, 0xff, 0xff, 0xff,
        0xe9, 0xef, 0xff, 0xff, 0xff,
    ];
    assert_eq!(made, expected);
}

#[test]
#[should_panic(expected = "nowhere")]
fn a_jump_to_nowhere_is_refused() {
    code(|a| {
        let nowhere = a.label();
        a.jump(nowhere);
    });
}
