# SPDX-License-Identifier: Apache-2.0 OR MIT
# A guest of one sector: it counts its starts in the second sector of its disk, says so on the first
# serial port, and sends back what it hears there. Made by
#   as --32 -o sector.o tests/lab/sector.s && objcopy -O binary sector.o sector.bin
.code16
start:
  xorw %ax,%ax
  movw %ax,%ds
  movw %ax,%ss
  movw $0x7c00,%sp
  movb %dl,(0x7c00+drive-start)
  movb $0x42,%ah
  call disk
  incb (0x8000)
  movw $0x4300,%ax
  call disk
  # The firmware writes there what it has shown, from its timer's interrupt: not amid the line.
  cli
  movw $(0x7c00+text-start),%si
1: lodsb
  testb %al,%al
  jz 2f
  call putc
  jmp 1b
2:
  movb (0x8000),%al
  addb $0x30,%al
  call putc
  movb $10,%al
  call putc
echo:
  sti
  hlt
  movw $0x3fd,%dx
  inb %dx,%al
  testb $1,%al
  jz echo
  movw $0x3f8,%dx
  inb %dx,%al
  outb %al,%dx
  jmp echo
disk:
  movw $(0x7c00+dap-start),%si
  movb (0x7c00+drive-start),%dl
  int $0x13
  jc stop
  ret
stop:
  hlt
  jmp stop
putc:
  movb %al,%ah
  movw $0x3fd,%dx
1: inb %dx,%al
  testb $0x20,%al
  jz 1b
  movb %ah,%al
  movw $0x3f8,%dx
  outb %al,%dx
  ret
text: .ascii "kiln: starts of this disk: "
  .byte 0
drive: .byte 0
dap: .byte 16,0,1,0
  .word 0x8000,0
  .long 1,0
