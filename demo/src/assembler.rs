//! An assembler for the dozen x86-64 instructions that the guest's programs use.
//!
//! Every operand is 64 bits wide. A memory operand is a register plus a 32-bit offset. The encodings
//! are those of Intel's manual, volume 2; the tests compare them with what GNU `as` produces.

use alloc::vec::Vec;

/// A register. Leaves out those whose encoding as a base is special.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reg {
    Rax = 0,
    Rcx = 1,
    Rdx = 2,
    Rsi = 6,
    Rdi = 7,
    R8 = 8,
}

impl Reg {
    /// The low three bits, which go into a `ModRM` byte.
    const fn low(self) -> u8 {
        self as u8 & 7
    }

    /// The high bit, which goes into a REX prefix.
    const fn high(self) -> u8 {
        self as u8 >> 3
    }
}

/// When a jump is taken; the value is the condition code of the encoding.
#[derive(Clone, Copy, Debug)]
pub(crate) enum If {
    /// The last result was zero, or the last comparison found both equal.
    Zero = 0x4,
    /// The opposite.
    NotZero = 0x5,
}

/// A place in the code, known or still to come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Label(usize);

/// Code in the making.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    code: Vec<u8>,
    /// Where each label is.
    labels: Vec<Option<usize>>,
    /// Where a jump's distance is to be filled in, and the label it goes to.
    jumps: Vec<(usize, Label)>,
}

impl Assembler {
    /// A label to be [bound](Self::bind) later.
    pub(crate) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// Says that `label` is here.
    pub(crate) fn bind(&mut self, label: Label) {
        self.labels[label.0] = Some(self.code.len());
    }

    /// A label that is here.
    pub(crate) fn here(&mut self) -> Label {
        let label = self.label();
        self.bind(label);
        label
    }

    /// `mov dst, value`
    pub(crate) fn set(&mut self, dst: Reg, value: u64) {
        self.emit(&[0x48 | dst.high(), 0xb8 | dst.low()]);
        self.emit(&value.to_le_bytes());
    }

    /// `mov dst, src`
    pub(crate) fn copy(&mut self, dst: Reg, src: Reg) {
        self.registers(0x89, src, dst);
    }

    /// `mov dst, [base + offset]`
    pub(crate) fn load(&mut self, dst: Reg, base: Reg, offset: u32) {
        self.memory(0x8b, dst, base, offset);
    }

    /// `mov [base + offset], src`
    pub(crate) fn store(&mut self, base: Reg, offset: u32, src: Reg) {
        self.memory(0x89, src, base, offset);
    }

    /// `add dst, src`
    pub(crate) fn add(&mut self, dst: Reg, src: Reg) {
        self.registers(0x01, src, dst);
    }

    /// `add dst, value`, with a value below 128
    pub(crate) fn add_small(&mut self, dst: Reg, value: u8) {
        self.group(0x83, 0, dst);
        self.emit(&[value]);
    }

    /// `dec dst`
    pub(crate) fn decrement(&mut self, dst: Reg) {
        self.group(0xff, 1, dst);
    }

    /// `xor dst, [base + offset]`
    pub(crate) fn xor_load(&mut self, dst: Reg, base: Reg, offset: u32) {
        self.memory(0x33, dst, base, offset);
    }

    /// `rol dst, bits`
    pub(crate) fn rotate_left(&mut self, dst: Reg, bits: u8) {
        self.group(0xc1, 0, dst);
        self.emit(&[bits]);
    }

    /// `imul dst, src`
    pub(crate) fn multiply(&mut self, dst: Reg, src: Reg) {
        self.emit(&[0x48 | dst.high() << 2 | src.high(), 0x0f, 0xaf]);
        self.emit(&[0xc0 | dst.low() << 3 | src.low()]);
    }

    /// `cmp a, b`
    pub(crate) fn compare(&mut self, a: Reg, b: Reg) {
        self.registers(0x39, b, a);
    }

    /// `cmp a, value`, with a value below 128
    pub(crate) fn compare_small(&mut self, a: Reg, value: u8) {
        self.group(0x83, 7, a);
        self.emit(&[value]);
    }

    /// `test a, a`
    pub(crate) fn test(&mut self, a: Reg) {
        self.registers(0x85, a, a);
    }

    /// `pause`: tells the CPU that this is a loop that waits
    pub(crate) fn pause(&mut self) {
        self.emit(&[0xf3, 0x90]);
    }

    /// `out port, eax`: leaves the guest for the host
    pub(crate) fn out(&mut self, port: u8) {
        self.emit(&[0xe7, port]);
    }

    /// `jmp label`
    pub(crate) fn jump(&mut self, label: Label) {
        self.emit(&[0xe9]);
        self.distance(label);
    }

    /// `jz label` or `jnz label`
    pub(crate) fn jump_if(&mut self, condition: If, label: Label) {
        self.emit(&[0x0f, 0x80 | condition as u8]);
        self.distance(label);
    }

    /// The finished code.
    ///
    /// # Panics
    ///
    /// When a jump goes to a label that was never bound.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        for (hole, label) in self.jumps {
            let Some(target) = self.labels[label.0] else {
                panic!("a jump goes to a label that is nowhere");
            };
            // A jump counts from the byte after its distance; modulo 2^32, which is how the CPU adds.
            let distance = target.wrapping_sub(hole + 4) as u32;
            self.code[hole..hole + 4].copy_from_slice(&distance.to_le_bytes());
        }
        self.code
    }

    fn emit(&mut self, bytes: &[u8]) {
        self.code.extend_from_slice(bytes);
    }

    fn distance(&mut self, label: Label) {
        self.jumps.push((self.code.len(), label));
        self.emit(&[0; 4]);
    }

    /// An instruction on two registers: `reg` in the middle of the `ModRM` byte, `rm` at its end.
    fn registers(&mut self, opcode: u8, reg: Reg, rm: Reg) {
        self.emit(&[0x48 | reg.high() << 2 | rm.high(), opcode]);
        self.emit(&[0xc0 | reg.low() << 3 | rm.low()]);
    }

    /// An instruction on one register whose opcode needs three further bits.
    fn group(&mut self, opcode: u8, extension: u8, rm: Reg) {
        self.emit(&[0x48 | rm.high(), opcode, 0xc0 | extension << 3 | rm.low()]);
    }

    /// An instruction on a register and memory.
    fn memory(&mut self, opcode: u8, reg: Reg, base: Reg, offset: u32) {
        self.emit(&[0x48 | reg.high() << 2 | base.high(), opcode]);
        self.emit(&[0x80 | reg.low() << 3 | base.low()]);
        self.emit(&offset.to_le_bytes());
    }
}

#[cfg(test)]
mod tests;
