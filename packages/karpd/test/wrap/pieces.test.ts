import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { decodeDestination } from "../../src/wrap/destination.ts";
import { connectFilter } from "../../src/wrap/filter.ts";
import { HoldBudget } from "../../src/wrap/holdBudget.ts";
import { LostAnswers } from "../../src/wrap/lostAnswers.ts";
import { SessionTable, type WrappedSession } from "../../src/wrap/sessions.ts";
import { Wakeups } from "../../src/wrap/wakeups.ts";

const ALLOW = 0x7fff0000;
const NOTIFY = 0x7fc00000;
const KILL = 0x80000000;
const [EPERM, ENOSYS, EOPNOTSUPP] = [0x50001, 0x50026, 0x5005f];

interface SystemCall {
  readonly arch: number;
  readonly number: number;
  readonly args: readonly number[];
}

/** Classic BPF as the kernel runs it, as far as the filter uses it. */
function run(program: Uint8Array, { arch, number, args }: SystemCall): number {
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, number, true);
  data.setUint32(4, arch, true);
  for (const [index, value] of args.entries()) data.setUint32(16 + 8 * index, value, true);
  const code = new DataView(program.buffer, program.byteOffset, program.byteLength);
  let accumulator = 0;
  for (let at = 0; ; at++) {
    const operation = code.getUint16(at * 8, true);
    const operand = code.getUint32(at * 8 + 4, true);
    const jump = (isTrue: boolean): void => {
      at += code.getUint8(at * 8 + (isTrue ? 2 : 3));
    };
    if (operation === 0x20) accumulator = data.getUint32(operand, true);
    else if (operation === 0x15) jump(accumulator === operand);
    else if (operation === 0x25) jump(accumulator > operand);
    else if (operation === 0x35) jump(accumulator >= operand);
    else if (operation === 0x45) jump((accumulator & operand) !== 0);
    else if (operation === 0x06) return operand;
    else throw new Error(`operation ${operation} at ${at}`);
  }
}

for (const [architecture, calls] of [
  ["x64", { arch: 0xc000003e, connect: 42, sendto: 44, sendmsg: 46, sendmmsg: 307 }],
  ["arm64", { arch: 0xc00000b7, connect: 203, sendto: 206, sendmsg: 211, sendmmsg: 269 }],
] as const) {
  const program = connectFilter(architecture);
  const { arch, connect, sendto, sendmsg, sendmmsg } = calls;
  const call = (number: number, ...args: number[]): number => run(program, { arch, number, args });

  test(`${architecture}: connect() leaves the kernel with the length of an internet address only`, () => {
    const stopped = Array.from({ length: 200 }, (_, length) => length).filter(
      (length) => call(connect, 3, 0, length) === NOTIFY,
    );
    assert.deepEqual(stopped.slice(0, 4), [16, 24, 28, 111]);
    assert.equal(stopped.length, 3 + 200 - 111);
    assert.equal(call(connect, 3, 0, 110), ALLOW);
    assert.equal(call(connect, 3, 0, 0xffffffff), NOTIFY);
  });

  test(`${architecture}: what connects without connect() is refused as by a kernel without it`, () => {
    const fastOpen = 0x20000000;
    assert.equal(call(sendto, 3, 0, 0, fastOpen), EOPNOTSUPP);
    assert.equal(call(sendto, 3, 0, fastOpen, 0x4000), ALLOW);
    assert.equal(call(sendmsg, 3, 0, fastOpen | 0x4000), EOPNOTSUPP);
    assert.equal(call(sendmmsg, 3, 0, 1, fastOpen), EOPNOTSUPP);
    assert.equal(call(425), EPERM);
  });

  test(`${architecture}: other calls are allowed, other tables of calls are not`, () => {
    assert.equal(call(0), ALLOW);
    assert.equal(call(300), ALLOW);
    assert.equal(call(0x40000000 + connect, 3, 0, 16), ENOSYS);
    assert.equal(run(program, { arch: 0x40000003, number: connect, args: [3, 0, 16] }), KILL);
  });
}

test("a struct sockaddr is read in network order, a mapped IPv4 address as IPv4", () => {
  const ipv4 = Uint8Array.of(2, 0, 0, 179, 10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0);
  assert.deepEqual(decodeDestination(ipv4), { address: "10.0.0.2", port: 179 });
  const ipv6 = new Uint8Array(28);
  ipv6.set([10, 0, 2, 134, 0, 0, 0, 0, 0x20, 0x01, 0x0d, 0xb8]);
  ipv6[23] = 2;
  assert.deepEqual(decodeDestination(ipv6), { address: "2001:db8::2", port: 646 });
  ipv6.fill(0, 8, 18);
  ipv6.set([0xff, 0xff, 10, 0, 0, 2], 18);
  assert.deepEqual(decodeDestination(ipv6), { address: "10.0.0.2", port: 646 });
  assert.deepEqual(decodeDestination(ipv6.subarray(0, 24)), { address: "10.0.0.2", port: 646 });
});

test("what is no internet address is none: another family, too short", () => {
  const whole = Uint8Array.of(2, 0, 0, 179, 10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0);
  for (let length = 0; length < 16; length++) assert.equal(decodeDestination(whole.subarray(0, length)), undefined);
  assert.equal(decodeDestination(Uint8Array.of(1, ...whole.subarray(1))), undefined);
  assert.equal(decodeDestination(Uint8Array.of(10, ...whole.subarray(1))), undefined);
});

test("a thread stands still for its allowance, and gets a tenth of the time back", () => {
  const budget = new HoldBudget(1000);
  assert.equal(budget.left(7, 0), 1000);
  budget.spend(7, 800, 800);
  assert.equal(budget.left(7, 800), 200);
  assert.equal(budget.left(8, 800), 1000);
  assert.equal(budget.left(7, 1800), 300);
  budget.spend(7, 900, 1800);
  assert.equal(budget.left(7, 1800), 0);
  assert.equal(budget.left(7, 1_000_000), 1000);
});

const session = (name: string, words: Partial<WrappedSession> = {}): WrappedSession => ({
  name,
  remoteAddress: "10.0.0.2",
  port: 179,
  mode: "required",
  onKarpDown: "wait",
  ...words,
});

test("sessions are found by address and port; those in mode observe are not ours", () => {
  const table = new SessionTable([session("r2"), session("r3", { remoteAddress: "10.0.0.3", mode: "observe" })]);
  assert.equal(table.at({ address: "10.0.0.2", port: 179 })?.name, "r2");
  assert.equal(table.at({ address: "10.0.0.2", port: 180 }), undefined);
  assert.equal(table.at({ address: "10.0.0.3", port: 179 }), undefined);
});

test("one destination in two VRFs: whichever fails closed at once counts", () => {
  const [waits, fails] = [session("blue"), session("red", { onKarpDown: "fail" })];
  for (const order of [
    [waits, fails],
    [fails, waits],
  ]) {
    assert.equal(new SessionTable(order).at({ address: "10.0.0.2", port: 179 })?.name, "red");
  }
});

test("news that comes between looking and sleeping is not missed", async () => {
  const wakeups = new Wakeups();
  const mark = wakeups.mark("r2");
  wakeups.wake("r2");
  assert.equal(await wakeups.sleep("r2", mark, 10_000), true);
  const later = wakeups.mark("r2");
  wakeups.wakeAll();
  assert.equal(await wakeups.sleep("r2", later, 10_000), true);
  const other = wakeups.mark("r2");
  wakeups.wake("r3");
  assert.equal(await wakeups.sleep("r2", other, 1), false);
});

describe("answers that a signal kept from the daemon", () => {
  const socket = (number: bigint) => ({ cookie: () => number });

  test("one that nobody took is given out once, however late", () => {
    let now = 0;
    const lost = new LostAnswers(() => now);
    lost.remember(socket(1n), { errno: 111 });
    now = 60_000;
    assert.equal(lost.take(socket(2n)), undefined);
    assert.deepEqual(lost.take(socket(1n)), { errno: 111 });
    assert.equal(lost.take(socket(1n)), undefined);
  });

  test("a success that was taken is repeated for a moment only, a failure never: the kernel has it", () => {
    let now = 0;
    const lost = new LostAnswers(() => now);
    lost.rememberDelivered(socket(1n), { errno: 0 });
    lost.rememberDelivered(socket(2n), { errno: 0 });
    lost.rememberDelivered(socket(3n), { errno: 111 });
    lost.rememberDelivered(socket(4n), "continue");
    now = 49;
    assert.deepEqual(lost.take(socket(1n)), { errno: 0 });
    assert.equal(lost.take(socket(3n)), undefined);
    assert.equal(lost.take(socket(4n)), undefined);
    now = 50;
    assert.equal(lost.take(socket(2n)), undefined);
  });
});
